"""A service for benches of clients: every answer is ready bytes, as an ASGI application on the server Rollbook uses. PORT"""

import asyncio
import sys
from typing import Any

import orjson
from bench.peers.granian_server import serve

PORT = sys.argv[-1] if sys.argv[-1].isdecimal() else "0"
BASE = f"http://127.0.0.1:{PORT}/v2"


def person(at: int) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": f"0197f0c4-0000-7000-8000-{at:012}",
        "userName": f"user{at}",
        "externalId": f"e{at}",
        "name": {"givenName": "Ada", "familyName": f"Name {at}"},
        "emails": [{"value": f"user{at}@example.com", "type": "work", "primary": True}],
        "active": True,
        "meta": {
            "resourceType": "User",
            "created": "2026-11-27T10:00:00Z",
            "lastModified": "2026-11-27T10:00:00Z",
            "location": f"{BASE}/Users/0197f0c4-0000-7000-8000-{at:012}",
            "version": f'W/"{at}"',
        },
    }


ONE = orjson.dumps(person(1))
PAGE = orjson.dumps(
    {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 100,
        "startIndex": 1,
        "itemsPerPage": 100,
        "Resources": [person(at) for at in range(100)],
    }
)
TYPE = (b"content-type", b"application/scim+json")


async def answer(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    status, body = 200, ONE
    if scope["method"] == "DELETE":
        status, body = 204, b""
    elif scope["method"] == "POST":
        status = 201
    elif scope["path"].endswith("/Users"):
        body = PAGE
    headers = [TYPE, (b"content-length", str(len(body)).encode())] if body else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    asyncio.run(serve(answer, int(PORT)))
