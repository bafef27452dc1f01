"""A scripted service behind a real socket, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from rollbook.client import ScimClient
from rollbook.protocol import urns
from rollbook.protocol.values import JsonObject
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Profile, ScriptedTarget


@asynccontextmanager
async def service(
    profile: Profile | None = None, **options: Any
) -> AsyncIterator[tuple[ScriptedTarget, ScimClient]]:
    """The service, and a client with these options."""
    target = ScriptedTarget(profile or Profile())
    with served(target) as url:
        async with ScimClient(f"{url}/v2", "secret", **options) as client:
            yield target, client


def user(name: str, **more: Any) -> JsonObject:
    """A user of that name."""
    return {"schemas": [urns.USER], "userName": name, "externalId": f"e-{name}", **more}


def sent(target: ScriptedTarget) -> list[str]:
    """Method and path of each request but those of discovery."""
    known = {"/ServiceProviderConfig", "/ResourceTypes", "/Schemas"}
    return [f"{request.method} {request.path}" for request in target.requests if request.path not in known]
