"""/openapi.json: everything that is served, as an OpenAPI document. Beside SCIM, so not under its base URI."""

from dataclasses import dataclass, field

from rollbook.operations import discovery
from rollbook.server.exchange import Exchange
from rollbook.server.rendered import Rendered
from rollbook.server.requests import JSON
from rollbook.server.responses import Answer

PATH = "/openapi.json"
"""Where the document of the default tenant is; that of another is there below its own path."""


@dataclass
class OpenApi:
    """The handler of the document of each tenant."""

    _rendered: Rendered = field(default_factory=Rendered)

    async def read(self, exchange: Exchange) -> Answer:
        """GET the document, always as plain JSON."""
        asked = exchange.context
        tenant, limits = asked.caller.tenant, asked.services.limits
        answer = self._rendered.answer(
            exchange, "openapi", lambda base: discovery.openapi_document(tenant, limits, base)
        )
        answer.media_type = JSON
        return answer
