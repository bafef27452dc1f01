"""Every URN that RFC 7643, RFC 7644 and RFC 9865 name."""

_CORE = "urn:ietf:params:scim:schemas:core:2.0:"
_MESSAGE = "urn:ietf:params:scim:api:messages:2.0:"

USER = _CORE + "User"
GROUP = _CORE + "Group"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SERVICE_PROVIDER_CONFIG = _CORE + "ServiceProviderConfig"
RESOURCE_TYPE = _CORE + "ResourceType"
SCHEMA = _CORE + "Schema"

LIST_RESPONSE = _MESSAGE + "ListResponse"
SEARCH_REQUEST = _MESSAGE + "SearchRequest"
PATCH_OP = _MESSAGE + "PatchOp"
BULK_REQUEST = _MESSAGE + "BulkRequest"
BULK_RESPONSE = _MESSAGE + "BulkResponse"
ERROR = _MESSAGE + "Error"

MESSAGES = frozenset({LIST_RESPONSE, SEARCH_REQUEST, PATCH_OP, BULK_REQUEST, BULK_RESPONSE, ERROR})
"""The message schemas; never listed under /Schemas (P-3.1-04)."""
