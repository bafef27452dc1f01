"""Bodies and paths that the rows need again and again."""

from typing import Any

from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller, Response

BASE = "/scim/v2"
USERS, GROUPS = f"{BASE}/Users", f"{BASE}/Groups"
ENTERPRISE = urns.ENTERPRISE_USER

Json = dict[str, Any]


def user(user_name: str = "ann", /, **attributes: Any) -> Json:
    """A User."""
    return {"schemas": [urns.USER], "userName": user_name, **attributes}


def group(name: str = "staff", /, *members: str, **attributes: Any) -> Json:
    """A Group with members of these ids."""
    found = [{"value": member} for member in members]
    return {"schemas": [urns.GROUP], "displayName": name, "members": found, **attributes}


def patch(*operations: Json) -> Json:
    """A PatchOp message."""
    return {"schemas": [urns.PATCH_OP], "Operations": list(operations)}


def replace(path: str | None, value: Any) -> Json:
    """A PatchOp with one replace."""
    return patch({"op": "replace", **({} if path is None else {"path": path}), "value": value})


async def create(call: AsgiCaller, endpoint: str, body: Json) -> Json:
    """Create a resource; what the server answers."""
    answer = await call("POST", endpoint, body)
    assert answer.status == 201, answer.body
    created: Json = answer.json
    return created


def where(resource: Json) -> str:
    """The path of a resource."""
    location: str = resource["meta"]["location"]
    return location.partition("localhost:8080")[2]


def refusal(answer: Response) -> tuple[int, str | None]:
    """Status and scimType of a refusal; its body is an Error that says the same (P-3.12-01)."""
    body = answer.json
    assert body["schemas"] == [urns.ERROR]
    assert body["status"] == str(answer.status)
    assert body["detail"]
    return answer.status, body.get("scimType")
