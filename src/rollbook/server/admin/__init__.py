"""`/admin/v1`: what the commands do for tenants, tokens, schemas, targets, runs and problems, over HTTP."""
