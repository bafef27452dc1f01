"""The peer scim2-server: its ASGI application over its memory store, on the server Rollbook uses. PORT TOKEN

On Granian it answers about two and a half times as many requests as by its own command, which serves with
`wsgiref` and threads; so this is the faster way to run it that we know.
"""

import asyncio
import sys

from bench.peers.granian_server import serve
from scim2_models import ScimProvider, UnauthorizedException
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.service import ScimService
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)


class Application(ASGIApplication):
    """With one bearer token, as the other servers have."""

    token = ""

    def check_auth(self, request: ScimRequest) -> None:
        if request.header("Authorization") != f"Bearer {self.token}":
            raise UnauthorizedException


def build(token: str) -> Application:
    provider = ScimProvider.from_discovery(
        load_default_schemas().values(),
        load_default_resource_types().values(),
        config=load_default_service_provider_config(),
    )
    app = Application(AsyncInMemoryStorage(), provider, ScimService(provider, secret="x" * 32))
    app.token = token
    return app


if __name__ == "__main__":
    asyncio.run(serve(build(sys.argv[2]), int(sys.argv[1])))
