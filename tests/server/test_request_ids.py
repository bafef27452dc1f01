"""Each request has a name; what is logged of it says nothing of anybody; passwords hold nobody up."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.server.conftest import TOKEN

from rollbook.app import Application
from rollbook.operations.networks import read_networks
from rollbook.operations.passwords import PasswordHasher
from rollbook.protocol.errors import TooManyRequests
from rollbook.server.peers import REQUEST_ID, settle
from rollbook.server.request_ids import RequestIds
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

MARKER = "marker-of-somebody"


@pytest.fixture
def named(application: Application) -> AsgiCaller:
    """A server that names requests and tells of them."""
    return AsgiCaller(RequestIds(application.asgi, tells=True), TOKEN)


async def test_every_answer_has_a_name_of_its_own(named: AsgiCaller) -> None:
    """Also one that is refused."""
    answers = [await named("GET", "/scim/v2/Users"), await named("GET", "/nowhere")]
    names = {dict(answer.headers)["x-request-id"] for answer in answers}
    assert len(names) == 2
    assert all(len(name) == 16 for name in names)


async def test_t_94_the_line_of_a_request_says_nothing_of_anybody(named: AsgiCaller) -> None:
    """Route, status and time; no id, filter, name or password."""
    password = f"{MARKER}-password"
    user = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": MARKER,
        "password": password,
    }
    with capture_logs() as lines:
        made = await named("POST", "/scim/v2/Users", user)
        assert made.status == 201
        await named("GET", f"/scim/v2/Users?filter=userName%20eq%20%22{MARKER}%22")
        await named("GET", f"/scim/v2/Users/{made.json['id']}")
        await named("GET", f"/{MARKER}")
        await named("POST", "/scim/v2/Users", user)
    told = [(each["method"], each["route"], each["status"]) for each in lines if each["event"] == "request"]
    assert told == [
        ("POST", "/scim/v2/Users", 201),
        ("GET", "/scim/v2/Users", 200),
        ("GET", "/scim/v2/Users/{id}", 200),
        ("GET", "none", 404),
        ("POST", "/scim/v2/Users", 409),
    ]
    assert MARKER not in str(lines)
    assert made.json["id"] not in str(lines)


@pytest.mark.parametrize(
    ("sender", "sent", "taken"),
    [
        ("10.0.0.1", "abc-1.2_3", "abc-1.2_3"),
        ("203.0.113.9", "abc-1.2_3", None),
        ("10.0.0.1", "with space", None),
        ("10.0.0.1", "a" * 65, None),
    ],
)
async def test_t_49_names_are_taken_from_trusted_proxies_only(
    sender: str, sent: str, taken: str | None
) -> None:
    """And only those that can do no harm in a header or a line."""
    scope = {"client": (sender, 1), "headers": [(b"x-request-id", sent.encode())], "scheme": "http"}
    settle(scope, read_networks("10.0.0.0/8"))
    assert scope.get(REQUEST_ID) == taken
    assert scope["headers"] == []


async def test_t_33_a_flood_of_passwords_is_refused_at_once() -> None:
    """Those that found room are hashed; there is room again afterwards."""
    hasher = PasswordHasher(threads=1, most=2)
    try:
        asked = [hasher.hashes([f"long enough {number}"]) for number in range(5)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(each, TooManyRequests) for each in found] == [False, False, True, True, True]
        assert await hasher.hashes(["long enough"])
    finally:
        hasher.close()
