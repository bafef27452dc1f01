"""ServiceProviderConfig, ResourceTypes, Schemas, and all of it as OpenAPI: what is announced is true (RFC 7644 §4, P-4-10)."""

from rollbook.operations.context import Tenant
from rollbook.operations.tenant_settings import Feature, Limits, TenantSettings
from rollbook.protocol import openapi, urns
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.definitions import render_resource_type, render_schema
from rollbook.protocol.values import JsonObject

_VERSION = "2.0"
"""Of SCIM: which version of Rollbook it is, is nobody's business who has no token."""


def service_provider_config(settings: TenantSettings, limits: Limits, base: str) -> JsonObject:
    """The configuration object; `base` is the absolute URI of this service (RFC 7643 §5; RFC 9865 §4)."""

    def offered(feature: Feature) -> JsonObject:
        return {"supported": settings.offers(feature)}

    return {
        "schemas": [urns.SERVICE_PROVIDER_CONFIG],
        "patch": offered(Feature.PATCH),
        "bulk": {
            **offered(Feature.BULK),
            "maxOperations": limits.bulk_operations if settings.offers(Feature.BULK) else 0,
            "maxPayloadSize": limits.bulk_bytes if settings.offers(Feature.BULK) else 0,
        },
        "filter": {**offered(Feature.FILTER), "maxResults": limits.page},
        "changePassword": offered(Feature.CHANGE_PASSWORD),
        "sort": offered(Feature.SORT),
        "etag": offered(Feature.ETAG),
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": str(settings.default_paging),
            "defaultPageSize": limits.default_page,
            "maxPageSize": limits.page,
            "cursorTimeout": settings.cursor_seconds,
        },
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A token made with rollbook token create, or a JWT of an issuer that the tenant takes",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            },
            {
                "type": "oauth2",
                "name": "OAuth 2 client credentials",
                "description": "A client made with rollbook client add fetches tokens at the token endpoint, which"
                " the metadata of RFC 8414 name",
                "specUri": "https://www.rfc-editor.org/info/rfc6749",
            },
            *([_BASIC] if settings.basic else ()),
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }


_BASIC: JsonObject = {
    "type": "httpbasic",
    "name": "Basic",
    "description": "A client's id and secret, or a user's userName and password",
    "specUri": "https://www.rfc-editor.org/info/rfc7617",
}


def resource_types(catalog: Catalog, base: str) -> list[JsonObject]:
    """Every resource type (RFC 7643 §6)."""
    return [
        render_resource_type(resource_type)
        | {"meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{resource_type.id}"}}
        for resource_type in catalog.resource_types
    ]


def schemas(catalog: Catalog, base: str) -> list[JsonObject]:
    """Every schema, those of the configuration resources too (A-62)."""
    return [
        render_schema(schema)
        | {"meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{schema.id}"}}
        for schema in catalog.schemas
    ]


def openapi_document(tenant: Tenant, limits: Limits, base: str) -> JsonObject:
    """The OpenAPI document of everything that is served at `base`."""
    settings, catalog = tenant.settings, tenant.catalog
    return openapi.document(
        openapi.Service(
            base=base,
            version=_VERSION,
            catalog=catalog,
            config=service_provider_config(settings, limits, base),
            has_me=settings.offers(Feature.ME),
            accepted=settings.accepted.quirks,
            counts=settings.cursor_totals,
            empty_patches=frozenset(
                kind.name
                for kind in catalog.resource_types
                if settings.empties_patch(has_members=kind.memberships is not None)
            ),
            require_if_match=settings.require_if_match,
            open_discovery=settings.open_discovery,
            least_secret=settings.password_length,
        )
    )
