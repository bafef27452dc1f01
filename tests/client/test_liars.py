"""Services that answer about something else than what was asked (T-66)."""

import pytest

from rollbook.client import Basic, ClientCredentials, Grant, ScimClient
from rollbook.client.transport import HttpRequest, HttpResponse
from rollbook.protocol.errors import RequestError, TargetRefused, Unauthorized
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.scripted_target import Answer, Fault, Profile, ScriptedTarget, error

pytestmark = pytest.mark.anyio


def client_of(service: ScriptedTarget) -> ScimClient:
    """A client whose requests end in the service."""
    return ScimClient("http://127.0.0.1:1/v2", "secret", transport=AsgiTransport(service))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
async def test_t_66_an_answer_about_another_resource(method: str) -> None:
    """It is no answer, whatever was asked for."""
    service = ScriptedTarget()
    service.faults.append(Fault(method, "/Users/1", Answer(200, {"id": "2", "userName": "root"})))
    async with client_of(service) as client:
        asked = {
            "GET": client.get("/Users", "1"),
            "PUT": client.replace("/Users", "1", {"userName": "ada"}),
            "PATCH": client.patch("/Users", "1", []),
        }
        with pytest.raises(TargetRefused, match="the answer is about another"):
            await asked.pop(method)
        for other in asked.values():
            other.close()


@pytest.mark.parametrize("rest", [10_001, None])
async def test_c_5_03_an_ignored_filter_without_end_finds_nobody(rest: int | None) -> None:
    """Too many others to look through, or a list that never ends, is no answer: nobody is taken to be missing."""
    service = ScriptedTarget(Profile(ignores_filters=True))
    for number in range(rest or 20):
        service.add("Users", {"userName": f"user-{number}"})
    if rest is None:
        page = {"totalResults": 99, "Resources": list(service.resources["Users"].values())[:10]}
        service.faults.append(Fault("GET", "/Users", Answer(200, page), times=99))
    async with client_of(service) as client:
        with pytest.raises(TargetRefused, match="a search was answered with"):
            await client.find("/Users", {"userName": "ada"})


@pytest.mark.parametrize(
    ("authentication", "secret"),
    [("tok-0123456789", "tok-0123456789"), (Basic("user", "password-1"), "dXNlcjpwYXNzd29yZC0x")],
)
@pytest.mark.parametrize("status", [401, 400])
async def test_i_13_an_error_that_repeats_our_credentials(
    authentication: str | Basic, secret: str, status: int
) -> None:
    """Errors are shown, kept and sent in alerts: there are dots in place of what opens the target."""
    service = ScriptedTarget()
    service.faults.append(Fault("GET", "/Users", error(status, f"Bearer {secret} has ended")))
    client = ScimClient("http://127.0.0.1:1/v2", authentication, transport=AsgiTransport(service))
    async with client:
        with pytest.raises(RequestError) as raised:
            await client.get("/Users", "1")
    assert raised.value.detail == "Bearer ... has ended"


class _Endpoint:
    """A token endpoint with one answer."""

    def __init__(self, answer: HttpResponse) -> None:
        self._answer = answer

    async def send(self, _: HttpRequest) -> HttpResponse:
        """That answer."""
        return self._answer

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            HttpResponse(
                400, {}, b'{"error": "no", "error_description": "client-secret-1\\r\\n\\u001b[2J?"}'
            ),
            "the token endpoint refuses: no (... [2J?)",
        ),
        (
            HttpResponse(200, {}, b'{"access_token": "a\\r\\nx-more: b"}'),
            "the token endpoint gives a token that no header can carry",
        ),
    ],
)
async def test_i_13_a_token_endpoint_that_plays_tricks(answer: HttpResponse, told: str) -> None:
    """Its words are one line without our secret, and its token is none that splits a header."""
    grant = Grant("https://login.example.com/token", "rollbook", secret="client-secret-1")
    with pytest.raises(Unauthorized) as raised:
        await ClientCredentials(grant, _Endpoint(answer)).header()
    assert raised.value.detail == told
