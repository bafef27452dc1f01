"""What an HTTP answer means: a JSON body, or the error it stands for (RFC 7644 §3.12; client.md 4 and 8).

Only a SCIM Error speaks about our request. A page of HTML, a gateway's JSON or an empty 404 teaches nothing
about a resource and becomes a `TargetError` (FE-06, C-8-03).
"""

from dataclasses import replace
from email.utils import parsedate_to_datetime

import orjson

from rollbook.client.transport import HttpResponse
from rollbook.protocol import urns
from rollbook.protocol.errors import (
    BY_SCIM_TYPE,
    BY_STATUS,
    RequestError,
    ScimError,
    TargetRefused,
    TargetUnavailable,
)
from rollbook.protocol.values import JsonObject, JsonValue

MOST_PATIENCE = 3600.0
"""The longest Retry-After that is believed, in seconds (T-67)."""

_MAY_PASS = frozenset({408, 425, 429})
_SHORTEST_SECRET = 8
_WORDS = 300  # characters of somebody else's text that an error of ours repeats


def member(document: JsonObject, name: str) -> JsonValue:
    """The value under `name`, compared without case, None if there is none (C-4-02)."""
    if name in document:
        return document[name]
    wanted = name.lower()
    return next((value for key, value in document.items() if key.lower() == wanted), None)


def body_of(answer: HttpResponse) -> JsonValue:
    """The JSON of an answer of success, None if it has no body (C-4-01).

    Raises:
        TargetRefused: what answered did not speak JSON.
    """
    if not answer.content or answer.content.isspace():
        return None
    if _is_html(answer):
        raise TargetRefused("an HTML page came instead of SCIM", http_status=answer.status)
    try:
        return parse_json(answer.content)
    except ValueError as error:
        raise TargetRefused("the answer is not JSON", http_status=answer.status) from error


def check_done(answer: HttpResponse) -> None:
    """Let an answer of success pass whose body does not matter, unless it is about something else (FE-06, T-66).

    Raises:
        TargetRefused: it is a page for people, such as a sign-in form, or a SCIM Error after all.
    """
    if answer.content.strip() and _is_html(answer):
        raise TargetRefused("an HTML page came instead of SCIM", http_status=answer.status)
    document = _scim_error(answer)
    if document is not None:
        raise TargetRefused(_detail(answer, document), http_status=answer.status)


def without(answer: HttpResponse, secret: str) -> HttpResponse:
    """The answer with dots where it repeats our credentials: its words are shown, kept and sent on (I-13)."""
    if len(secret) < _SHORTEST_SECRET:
        return answer
    return replace(answer, content=answer.content.replace(secret.encode(), b"..."))


def error_of(answer: HttpResponse, now: float = 0.0) -> ScimError:
    """The error that an answer outside 2xx stands for; `now` is the time in seconds since 1970."""
    document = _scim_error(answer)
    status = answer.status
    if status in _MAY_PASS or (status >= 500 and status != 501):
        return TargetUnavailable(
            _detail(answer, document), http_status=status, retry_after=retry_after(answer, now)
        )
    if document is not None:
        return _request_error(status, document)
    if status == 401 or (_is_plain(answer) and status in BY_STATUS and status not in {400, 404}):
        return BY_STATUS[status](_detail(answer, document))
    return TargetRefused(_detail(answer, document), http_status=status)


def retry_after(answer: HttpResponse, now: float) -> float | None:
    """Seconds that the service asks to wait, at most an hour; None if it does not say so readably (T-67)."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MOST_PATIENCE)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return min(max(moment.timestamp() - now, 0.0), MOST_PATIENCE)


def parse_json(content: bytes) -> JsonValue:
    """The JSON value of some bytes; a byte order mark is stepped over.

    Raises:
        ValueError: not JSON, or nested too deeply.
    """
    return orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))


def _scim_error(answer: HttpResponse) -> JsonObject | None:
    """The body if it is a SCIM Error: by its URN, or by status and detail where the URN is missing."""
    try:
        document = parse_json(answer.content)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    schemas = member(document, "schemas")
    listed = schemas if isinstance(schemas, list) else [schemas]
    if any(str(urn).lower() == urns.ERROR.lower() for urn in listed):
        return document
    told = str(member(document, "status")) == str(answer.status)
    return document if told and isinstance(member(document, "detail"), str) else None


def _request_error(status: int, document: JsonObject) -> RequestError:
    detail = member(document, "detail")
    text = detail if isinstance(detail, str) and detail else f"HTTP {status}"
    scim_type = member(document, "scimType")
    known = BY_SCIM_TYPE.get(scim_type) if isinstance(scim_type, str) else None
    # Some services put a scimType under another status than its own: the status decides what is done.
    if known is None or known.status != status:
        known = BY_STATUS.get(status, RequestError)
    return known(one_line(text))


def _detail(answer: HttpResponse, document: JsonObject | None) -> str:
    words = member(document, "detail") if document else None
    if isinstance(words, str) and words:
        return f"HTTP {answer.status}: {one_line(words)}"
    kind = "HTML" if _is_html(answer) else "no body" if not answer.content.strip() else "no SCIM Error"
    return f"HTTP {answer.status} with {kind}"


def one_line(text: str) -> str:
    """Somebody else's words as one line that any terminal shows and any database keeps."""
    line = " ".join(text[: 2 * _WORDS].split())
    return "".join(one for one in line if one.isprintable())[:_WORDS]


def _is_html(answer: HttpResponse) -> bool:
    first = answer.content[:1]
    if first not in {b"{", b"["}:
        first = answer.content[:1024].lstrip()[:1]
    return first == b"<" or "html" in answer.headers.get("content-type", "").lower()


def _is_plain(answer: HttpResponse) -> bool:
    """Whether the answer may come from the service itself: empty, or JSON of any shape."""
    if not answer.content.strip():
        return True
    try:
        parse_json(answer.content)
    except ValueError:
        return False
    return True
