"""The running example: HR data in, several SCIM servers in step."""
