"""What is served, as an OpenAPI document and as a page for people. Beside SCIM; the document below its base URI, too."""

from dataclasses import dataclass, field

from rollbook.operations import discovery
from rollbook.protocol.values import JsonObject
from rollbook.server.exchange import Exchange
from rollbook.server.rendered import Rendered
from rollbook.server.requests import JSON
from rollbook.server.responses import Answer

DOCUMENTS = ("/openapi.json", "/scim/v2/openapi.json")
"""Where the document of the default tenant is; that of another is there below its own path."""

PAGE = "/docs"
"""Where it can be read by people."""


@dataclass
class OpenApi:
    """The handlers of the document of each tenant, and of its page."""

    _rendered: Rendered = field(default_factory=Rendered)

    async def read(self, exchange: Exchange) -> Answer:
        """GET the document, always as plain JSON."""
        answer = self._rendered.answer(exchange, "openapi", lambda base: _document(exchange, base))
        answer.media_type = JSON
        return answer

    async def page(self, exchange: Exchange) -> Answer:
        """GET the page: all in one, it asks for nothing else."""
        from rollbook.server.docs import HEADERS, HTML, render  # who never asks waits for no templates

        answer = self._rendered.answer(
            exchange, "page", lambda base: render(_document(exchange, base), "openapi.json")
        )
        answer.media_type = HTML
        answer.headers += HEADERS
        return answer


def _document(exchange: Exchange, base: str) -> JsonObject:
    asked = exchange.context
    return discovery.openapi_document(asked.caller.tenant, asked.limits, base)
