"""A SCIM client."""
