"""The token endpoint over HTTP, and the metadata that say where it is (RFC 6749 §3.2, RFC 8414; T-21).

Every name a tenant could have has one, with the same metadata and the same words for strangers: whether there is such
a tenant shows to its own clients only (A-61).
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from rollbook.operations.context import Caller
from rollbook.operations.issuers import ALGORITHMS
from rollbook.operations.rights import GROUPS, READ, USERS, WRITE, rights_of
from rollbook.operations.token_endpoint import GRANT, OauthError, TokenEndpoint, asked_for
from rollbook.protocol.errors import Forbidden, MethodNotAllowed, NotFound, Unauthorized
from rollbook.server.exchange import Shell
from rollbook.server.peers import peer
from rollbook.server.refusals import Asker, asked, refused
from rollbook.server.requests import JSON, Most, Receive, Request, Scope, Send, read_body
from rollbook.server.responses import Answer, dump, send_answer
from rollbook.server.watching import note, note_token
from rollbook.storage.base import Author

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path
WELL_KNOWN = "/.well-known/oauth-authorization-server"

_MOST_BYTES, _MOST_PARAMETERS, _SECONDS = 32 * 1024, 20, 10.0
_FORM = "application/x-www-form-urlencoded"
_BASIC = (b"www-authenticate", b'Basic realm="rollbook"')
_UNSTORED = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))
_UNPRINTABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_NAME = re.compile(r"/t/[a-z0-9-]{1,63}")


@dataclass
class OauthDoor:
    """Answers at the token endpoint of every tenant."""

    endpoint: TokenEndpoint
    now: Callable[[], int]

    async def token(
        self, scope: Scope, receive: Receive, send: Send, shell: Shell | None, issuer: str
    ) -> None:
        """Answer a request for a token; `shell` is that of the tenant, None if there is none that is served.

        Raises:
            MethodNotAllowed: it is no POST. TooManyRequests: the tenant asks too often.
        """
        if scope["method"] != "POST":
            raise MethodNotAllowed("tokens are given out in answer to POST only", allow=("POST",))
        try:
            answer = await self._answer(Request(scope, receive, ""), shell, issuer)
        except OauthError as error:
            answer = _refusal(error)
            _tell(scope, error)
        await send_answer(send, answer)

    async def _answer(self, request: Request, shell: Shell | None, issuer: str) -> Answer:
        form = await _form(request)
        now = self.now()
        tenant = shell.tenant if shell else None
        places = frozenset({issuer, f"{issuer}{TOKEN_PATH}"})
        shown = asked_for(form, _basic(request))
        client, assertion = await self.endpoint.client(shown, tenant, places, now)
        if shell is None or tenant is None:
            raise OauthError("invalid_client", "the client is not known here")
        request.scope.setdefault("path_params", {})
        note(request.scope, tenant.name)
        note_token(request.scope, client.id)
        caller = Caller(tenant, f"client {client.name}", None, client.id, rights_of(client.rights))
        turn = shell.limiter.arrive(caller)
        try:
            by = Author(caller.name, now, client.id, peer(request.scope) or "a socket")
            given = await self.endpoint.give(client, tenant, form.get("scope"), assertion, by)
        except OauthError:
            asked(request.scope, Asker(tenant.number, caller.name, client.id))
            raise
        finally:
            turn.give_back()
        body = {
            "access_token": given.token,
            "token_type": "Bearer",
            "expires_in": given.seconds,
            "scope": " ".join(given.scopes),
        }
        return Answer(200, dump(body), (*_UNSTORED, *turn.headers), JSON)


def _tell(scope: Scope, error: OauthError) -> None:
    """Tell the audit log of a refusal: of whoever shows nothing right under the client they name, if it is the tenant's."""
    match error.error:
        case "invalid_client":
            if error.client is not None:
                asked(scope, Asker(error.client.tenant, "unknown", error.client.id))
            refused(scope, Unauthorized(error.description))
        case "invalid_scope":
            refused(scope, Forbidden(error.description))
        case _:
            pass


def metadata(path: str, origin: str) -> Answer:
    """What RFC 8414 asks for, of the tenant whose path follows the well-known one.

    Raises:
        NotFound: no tenant could be called so.
    """
    below = path.removeprefix(WELL_KNOWN)
    if below and _NAME.fullmatch(below) is None:
        raise NotFound(f"there is no endpoint {path[:100]!r}")
    issuer = f"{origin}{below}"
    body: dict[str, Any] = {
        "issuer": issuer,
        "token_endpoint": f"{issuer}{TOKEN_PATH}",
        "response_types_supported": [],
        "grant_types_supported": [GRANT],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic", "client_secret_post", "private_key_jwt",
        ],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": [READ, WRITE, USERS, GROUPS],
    }  # fmt: skip
    return Answer(200, dump(body), ((b"cache-control", b"max-age=60"),), JSON)


async def _form(request: Request) -> Mapping[str, str]:
    """The parameters of the body, each there once (RFC 6749 §3.2).

    Raises:
        OauthError: they are of another form, or stand in the URL, where secrets get into logs.
        PayloadTooLarge, RequestTimeout: the body is too large, or too slow.
    """
    if request.scope.get("query_string"):
        raise OauthError("invalid_request", "parameters belong into the body, not into the URL")
    if (request.header(b"content-type") or "").partition(";")[0].strip().lower() != _FORM:
        raise OauthError("invalid_request", f"the body must be {_FORM}")
    raw = await read_body(request, Most(_MOST_BYTES), _SECONDS)
    try:
        pairs = parse_qsl(raw.decode("ascii"), max_num_fields=_MOST_PARAMETERS, errors="strict")
    except ValueError:
        raise OauthError("invalid_request", "the body cannot be read as a form") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise OauthError("invalid_request", "a parameter is there twice")
    return form


def _basic(request: Request) -> tuple[str, str] | None:
    """Client id and secret of the header, form-encoded each (RFC 6749 §2.3.1)."""
    header = request.header(b"authorization")
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    try:
        name, colon, secret = base64.b64decode(value.strip(), validate=True).decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        colon = name = secret = ""
    if scheme.lower() != "basic" or not colon:
        raise OauthError(
            "invalid_client", "the header Authorization has to be Basic, with client id and secret"
        )
    return unquote_plus(name), unquote_plus(secret)


def _refusal(error: OauthError) -> Answer:
    """The answer of RFC 6749 §5.2."""
    body = {"error": error.error, "error_description": _UNPRINTABLE.sub(" ", error.description)}
    is_unknown = error.error == "invalid_client"
    return Answer(
        401 if is_unknown else 400, dump(body), (*_UNSTORED, *((_BASIC,) if is_unknown else ())), JSON
    )
