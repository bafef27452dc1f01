"""What the endpoints of a resource type do with each method but queries: HTTP → operation → answer."""

from dataclasses import dataclass

from rollbook.operations import query_parts, resources
from rollbook.operations.referring import ids_shown, referred
from rollbook.protocol.errors import NotFound, UnsupportedFeature
from rollbook.protocol.match import matches
from rollbook.protocol.projection import DEFAULT, Projection, parse_projection, wants
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.search_request import names_in
from rollbook.protocol.versions import if_none_match
from rollbook.server.exchange import Exchange
from rollbook.server.responses import (
    Answer,
    is_large,
    projected_bytes,
    projected_parts,
    resource_document,
    resource_headers,
    stream,
)
from rollbook.storage.base import Record


@dataclass(frozen=True)
class Resources:
    """The handlers of one resource type's two endpoints."""

    resource_type: ResourceType

    async def create(self, exchange: Exchange) -> Answer:
        """POST to the type (RFC 7644 §3.3)."""
        body = await exchange.json()
        projection = self._projection(exchange)
        written = await resources.create(exchange.context, self.resource_type, body)
        return await self._answer(exchange, 201, written.record, projection, written.paths)

    async def read(self, exchange: Exchange) -> Answer:
        """GET one (RFC 7644 §3.4.1)."""
        projection = self._projection(exchange)
        filter_text = exchange.parameters.get("filter")
        record = await self._read(exchange, projection, everything=filter_text is not None)
        if filter_text is not None:
            self._check_filter(exchange, record, filter_text)
        known = exchange.request.header(b"if-none-match") if exchange.site.etags else None
        if if_none_match(known, record.version) and not await resources.may_look_different(
            exchange.context, record, self.resource_type, projection
        ):
            return Answer(304, headers=resource_headers(record, exchange.site))
        return await self._answer(exchange, 200, record, projection)

    async def replace(self, exchange: Exchange) -> Answer:
        """PUT (RFC 7644 §3.5.1)."""
        body = await exchange.json()
        projection = self._projection(exchange)
        written = await resources.replace(
            exchange.context, self.resource_type, exchange.request.id, body, self._if_match(exchange)
        )
        record = await self._whole(exchange, written.record, projection)
        return await self._answer(exchange, 200, record, projection, written.paths)

    async def patch(self, exchange: Exchange) -> Answer:
        """PATCH (RFC 7644 §3.5.2): 200 with the resource, or 204 (A-21)."""
        body = await exchange.json()
        projection = self._projection(exchange)
        written = await resources.patch(
            exchange.context, self.resource_type, exchange.request.id, body, self._if_match(exchange)
        )
        if self._answers_nothing(exchange):
            return Answer(204, headers=resource_headers(written.record, exchange.site))
        record = await self._whole(exchange, written.record, projection)
        return await self._answer(exchange, 200, record, projection, written.paths)

    async def delete(self, exchange: Exchange) -> Answer:
        """DELETE (RFC 7644 §3.6)."""
        await resources.delete(
            exchange.context, self.resource_type, exchange.request.id, self._if_match(exchange)
        )
        return Answer(204)

    def _answers_nothing(self, exchange: Exchange) -> bool:
        """Whether PATCH is answered 204; never if the request says what to show (P-3.5.2-17, -18)."""
        if {"attributes", "excludedAttributes"} & exchange.parameters.keys():
            return False
        settings = exchange.context.caller.tenant.settings
        return settings.empties_patch(has_members=self.resource_type.memberships is not None)

    def _projection(self, exchange: Exchange) -> Projection:
        given = exchange.parameters
        if not given:
            return DEFAULT
        wanted, unwanted = names_in(given.get("attributes")), names_in(given.get("excludedAttributes"))
        return parse_projection(wanted, unwanted, self.resource_type, exchange.context.leniency)

    def _include(self, projection: Projection) -> dict[str, bool]:
        kind = self.resource_type
        return {
            "members": wants(projection, kind, kind.memberships),
            "groups": wants(projection, kind, kind.derived),
        }

    async def _read(self, exchange: Exchange, projection: Projection, *, everything: bool = False) -> Record:
        include = {"members": True, "groups": True} if everything else self._include(projection)
        return await resources.read(exchange.context, self.resource_type, exchange.request.id, **include)

    async def _whole(self, exchange: Exchange, record: Record, projection: Projection) -> Record:
        return await self._read(exchange, projection) if self._include(projection)["members"] else record

    def _check_filter(self, exchange: Exchange, record: Record, text: str) -> None:
        context, kind, site = exchange.context, self.resource_type, exchange.site
        tree = query_parts.read_filter(context, text)
        condition = query_parts.resolved_for(context, tree, kind, site.base)
        if condition is not None and not matches(condition, resource_document(record, kind, site)):
            raise NotFound("the resource does not match the filter (A-42)")

    async def _answer(
        self,
        exchange: Exchange,
        status: int,
        record: Record,
        projection: Projection,
        written: frozenset[str] = frozenset(),
    ) -> Answer:
        ids = ids_shown([record], self.resource_type, projection, written)
        (record,) = await referred(exchange.context, [record], ids)
        shown = record, self.resource_type, exchange.site, projection, written
        body = stream(projected_parts(*shown)) if is_large(record) else projected_bytes(*shown)
        return Answer(status, body, resource_headers(record, exchange.site))

    @staticmethod
    def _if_match(exchange: Exchange) -> resources.Precondition:
        header = exchange.request.header
        return resources.precondition(exchange.context, header(b"if-match"), header(b"if-none-match"))


async def unsupported(exchange: Exchange) -> Answer:
    """A part of SCIM this server does not offer (P-3.2-06)."""
    raise UnsupportedFeature(f"{exchange.request.scope['path']} is not supported by this server")
