"""The three discovery endpoints (RFC 7644 §4): rendered once for each base URI, then sent as they lie."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from rollbook.operations import discovery
from rollbook.operations.context import Tenant
from rollbook.protocol.errors import Forbidden, NotFound
from rollbook.protocol.messages import list_response
from rollbook.protocol.values import JsonObject
from rollbook.server.exchange import Exchange
from rollbook.server.rendered import Rendered
from rollbook.server.responses import Answer


@dataclass
class Discovery:
    """Handlers of the discovery endpoints."""

    _rendered: Rendered = field(default_factory=Rendered)

    @property
    def handlers(self) -> dict[str, Callable[[Exchange], Awaitable[Answer]]]:
        """Handler by path below the service root."""
        return {
            "ServiceProviderConfig": self.config,
            "ResourceTypes": self.resource_types,
            "ResourceTypes/{id}": self.resource_type,
            "Schemas": self.schemas,
            "Schemas/{id:path}": self.schema,
        }

    async def config(self, exchange: Exchange) -> Answer:
        """GET /ServiceProviderConfig: one object, not a list (P-4-01)."""
        return self._answer(
            exchange,
            "",
            lambda base: discovery.service_provider_config(
                _tenant(exchange).settings, exchange.context.limits, base
            ),
        )

    async def resource_types(self, exchange: Exchange) -> Answer:
        """GET /ResourceTypes."""
        return self._answer(
            exchange, "types", lambda base: _all(discovery.resource_types(_tenant(exchange).catalog, base))
        )

    async def schemas(self, exchange: Exchange) -> Answer:
        """GET /Schemas."""
        return self._answer(
            exchange, "schemas", lambda base: _all(discovery.schemas(_tenant(exchange).catalog, base))
        )

    async def resource_type(self, exchange: Exchange) -> Answer:
        """GET /ResourceTypes/{id}."""
        listed = discovery.resource_types(_tenant(exchange).catalog, exchange.site.base)
        return self._one(exchange, "resource type", listed)

    async def schema(self, exchange: Exchange) -> Answer:
        """GET /Schemas/{urn}."""
        return self._one(exchange, "schema", discovery.schemas(_tenant(exchange).catalog, exchange.site.base))

    def _one(self, exchange: Exchange, kind: str, listed: list[JsonObject]) -> Answer:
        wanted = exchange.request.id
        found = next((item for item in listed if item["id"].lower() == wanted.lower()), None)
        if found is None:
            raise NotFound(f"there is no {kind} {wanted[:100]!r}")
        return self._answer(exchange, f"{kind} {found['id']}", lambda _: found)

    def _answer(self, exchange: Exchange, name: str, render: Callable[[str], JsonObject]) -> Answer:
        if "filter" in exchange.parameters:
            raise Forbidden("the discovery endpoints cannot be filtered (RFC 7644 section 4)")
        return self._rendered.answer(exchange, name, render)


def _tenant(exchange: Exchange) -> Tenant:
    return exchange.context.caller.tenant


def _all(items: list[JsonObject]) -> JsonObject:
    return list_response(items)
