"""/openapi.json: everything that is served, as an OpenAPI document. Beside SCIM, so not under its base URI."""

from dataclasses import dataclass, field

from rollbook.operations import discovery
from rollbook.operations.context import Limits, Tenant
from rollbook.server.exchange import Exchange
from rollbook.server.rendered import Rendered
from rollbook.server.requests import JSON
from rollbook.server.responses import Answer

PATH = "/openapi.json"
"""Where the document of the default tenant is."""


@dataclass
class OpenApi:
    """The handler of the document of one tenant."""

    tenant: Tenant
    limits: Limits
    _rendered: Rendered = field(default_factory=Rendered)

    async def read(self, exchange: Exchange) -> Answer:
        """GET the document, always as plain JSON."""
        answer = self._rendered.answer(
            exchange, "", lambda base: discovery.openapi_document(self.tenant, self.limits, base)
        )
        answer.media_type = JSON
        return answer
