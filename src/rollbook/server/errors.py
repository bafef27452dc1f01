"""Any exception → a SCIM Error answer. The only place on the server that catches (RFC 7644 §3.12)."""

import re
import secrets
import traceback
from typing import Protocol

import structlog

from rollbook.protocol.errors import (
    InsufficientScope,
    InternalError,
    MethodNotAllowed,
    ScimError,
    StoreUnavailable,
    TooManyRequests,
    Unauthorized,
)
from rollbook.protocol.messages import error_body
from rollbook.server.refusals import CASE, Case, Refusals
from rollbook.server.requests import AsgiApp, Message, Receive, Scope, Send
from rollbook.server.responses import Answer, dump, send_answer

log = structlog.get_logger("rollbook.server")

_BASIC = (b"www-authenticate", b'Basic realm="rollbook", charset="UTF-8"')
_SCOPE = re.compile(r"[A-Za-z0-9 :._-]+", re.ASCII)


class Tell(Protocol):
    """Makes the answer for an error; `with_bearer`: the request had a bearer token, so that a 401 is about it."""

    def __call__(self, error: ScimError, *, with_bearer: bool = False) -> Answer:
        """The answer."""


class ErrorBoundary:
    """ASGI middleware: whatever is raised below becomes one Error answer; once an answer has begun, its end.

    `answer` makes what is sent of an error; without, it is an Error of SCIM. `refusals` are told of refused requests.
    """

    def __init__(self, app: AsgiApp, answer: "Tell | None" = None, refusals: Refusals | None = None) -> None:
        self.app = app
        self._answer = answer or error_answer
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer for what it raises."""
        has_begun, method = False, scope["method"]

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        case = None if self._refusals is None else Case(self._refusals)
        scope[CASE] = case
        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if has_begun:  # too late for an answer: the server cuts the connection
                log.error("answer cut off", method=method, **where(error))  # noqa: TRY400 - as below
                raise
            failure = as_scim_error(error, method=method)
            if case is not None:
                case.refused(scope, failure)
            answer = self._answer(failure, with_bearer=sent_bearer(scope))
            await send_answer(send, answer, head=method == "HEAD")


def as_scim_error(error: Exception, **about: object) -> ScimError:
    """The error as callers may see it; one that nobody expected is in the log, under the incident it names (P-3.12-18)."""
    if isinstance(error, StoreUnavailable) and error.public != error.detail:
        log.warning("database unavailable", detail=error.detail, **about)
        return StoreUnavailable(error.public)
    if isinstance(error, ScimError):
        return error
    incident = secrets.token_hex(6)
    # Not log.exception: that shows the message, and in some set-ups local values.
    log.error("request failed", incident=incident, **about, **where(error))
    return InternalError(f"something unexpected happened; the log has it under incident {incident}")


def where(error: Exception) -> dict[str, str]:
    """What a log may tell of an error nobody expected: its kind and the lines it passed, no message and no values (A-67)."""
    lines = "".join(traceback.format_tb(error.__traceback__))
    return {"error": type(error).__name__, "traceback": lines}


def error_answer(error: ScimError, *, with_bearer: bool = False) -> Answer:
    """The answer for an error: status, body with `status` as a string, and the headers its status asks for.

    `with_bearer`: the request had a bearer token, so that a 401 is about it.
    """
    return Answer(error.status, dump(error_body(error)), error_headers(error, with_bearer=with_bearer))


def sent_bearer(scope: Scope) -> bool:
    """Whether a request has a bearer token."""
    value = next((value for name, value in scope.get("headers", ()) if name == b"authorization"), b"")
    return bool(value[:7].lower() == b"bearer " and value[7:].strip())


def error_headers(error: ScimError, *, with_bearer: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that an error's status asks for."""
    match error:
        case Unauthorized():  # RFC 6750 §3: an error is named only if there was a token
            named = b', error="invalid_token"' if with_bearer else b""
            bearer = (b"www-authenticate", b'Bearer realm="rollbook"' + named)
            return (bearer, _BASIC) if error.offers_basic else (bearer,)
        case InsufficientScope():
            needed = f', scope="{error.scope}"' if _SCOPE.fullmatch(error.scope) else ""
            return (
                (
                    b"www-authenticate",
                    f'Bearer realm="rollbook", error="insufficient_scope"{needed}'.encode(),
                ),
            )
        case MethodNotAllowed():
            return ((b"allow", ", ".join(error.allow).encode()),)
        case TooManyRequests():
            return _rate_headers(error)
        case StoreUnavailable():
            return ((b"retry-after", b"5"),)
        case _:
            return ()


def _rate_headers(error: TooManyRequests) -> tuple[tuple[bytes, bytes], ...]:
    """When to ask again; and which limit it is, as the RateLimit header fields have it."""
    later = (b"retry-after", str(error.retry_after).encode())
    if error.quota is None:
        return (later,)
    name, quota = error.quota
    left = f'"{name}";r=0;t={error.retry_after}'.encode()
    return (later, (b"ratelimit-policy", f'"{name}";q={quota};w=1'.encode()), (b"ratelimit", left))
