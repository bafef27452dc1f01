"""HTTP in: headers, parameters and bodies of an ASGI request, read within limits (T-45, T-46, T-52)."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

import orjson

from rollbook.operations.tenant_settings import Limits
from rollbook.protocol.errors import (
    InvalidSyntax,
    InvalidValue,
    NotAcceptable,
    PayloadTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)
from rollbook.protocol.memberships import MAX_MEMBERS
from rollbook.protocol.values import Inexact, JsonValue

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

SCIM = "application/scim+json"
JSON = "application/json"
_BOM = b"\xef\xbb\xbf"

MOST_VALUES = 2 * MAX_MEMBERS + 1_000
"""Members and elements of a body: as many members as a group may be given at once, each an object with its value."""


@dataclass(slots=True)
class Request:
    """One request as handlers see it. `base` is the absolute URI of the service it was sent to."""

    scope: Scope
    receive: Receive
    base: str
    id: str = ""
    """The resource's id from the path, empty where the path has none."""
    _headers: dict[bytes, bytes] = field(default_factory=dict)

    def header(self, name: bytes) -> str | None:
        """A header by its lower-case name; Latin-1, as HTTP has it."""
        if not self._headers:
            self._headers = dict(self.scope["headers"])
            if len(self._headers) < len(self.scope["headers"]):
                _check_single(self.scope["headers"])
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")


_SINGLE = (b"host", b"authorization", b"content-type", b"content-encoding", b"if-match", b"if-none-match")


def _check_single(headers: list[tuple[bytes, bytes]]) -> None:
    """Refuse a request with two opinions on what it is, since a proxy may have read the other one (T-48)."""
    names = [name for name, _ in headers]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise InvalidSyntax(f"the header {name.decode()} is there twice; send it once")


def parameters(request: Request, limits: Limits) -> dict[str, str]:
    """The query parameters; unknown ones are there too, and ignored by whoever asks (P-3.4.2-01).

    Raises:
        InvalidValue: one of ours is repeated, or the query is too long.
    """
    query: bytes = request.scope["query_string"]
    if not query:
        return {}
    if len(query) > limits.query_bytes:
        raise InvalidValue(f"the query string may have at most {limits.query_bytes} bytes")
    try:
        pairs = [_pair(part) for part in query.decode("ascii").split("&") if part]
    except UnicodeDecodeError:
        raise InvalidValue("the query string must be percent-encoded UTF-8") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        for name in ("filter", "attributes", "excludedAttributes", "startIndex", "count"):
            if names.count(name) > 1:
                raise InvalidValue(f"parameter {name} is given twice; send it once")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return _plain(name), _plain(value)


def _plain(text: str) -> str:
    """As `unquote_plus`, but strict, and at once where there is nothing to do."""
    if "+" in text:
        text = text.replace("+", " ")
    return unquote_to_bytes(text).decode() if "%" in text else text


async def read_json(
    request: Request, limits: Limits, most: "Most | None" = None, *, decimals: bool = False
) -> JsonValue:
    """The body as JSON; `most` is for endpoints with a limit of their own.

    With `decimals` there may be numbers in it that are to be kept exactly: those that would not be are `Inexact`.

    Raises:
        UnsupportedMediaType, PayloadTooLarge, RequestTimeout, InvalidSyntax: see RFC 7644 §3.8, §3.12.
    """
    return parsed(await read_json_body(request, limits, most), decimals=decimals)


async def read_json_body(request: Request, limits: Limits, most: "Most | None" = None) -> bytes:
    """The body as it is, if it is said to be JSON. Raises as `read_json`, but for what is in it."""
    _check_content_type(request)
    return await read_body(request, most or Most(limits.body_bytes), limits.body_seconds)


def parsed(raw: bytes, *, decimals: bool = False) -> JsonValue:
    """What a body says; see `read_json`."""
    value = parse_json(raw)
    if decimals and _LONG_NUMBER.search(raw):  # or a text that looks like one: then this says nothing
        return _look_at(raw, parse_float=_number, parse_int=_whole_number)
    return value


_LONG_NUMBER = re.compile(rb"[0-9.]{17}|[eE][+-]?[0-9]{3}")
"""What numbers have in them that a binary number of 64 bits may not hold exactly."""


_LONGEST_INT64 = len(str(-(2**63)))


def _number(text: str) -> float:
    number = float(text)
    try:
        is_exact = Decimal(text) == Decimal(repr(number))
    except ArithmeticError:
        is_exact = False
    return number if is_exact else Inexact(text)


def _whole_number(text: str) -> float:
    if len(text) > _LONGEST_INT64 or not -(2**63) <= int(text) < 2**63:
        return _number(text)
    return int(text)


@dataclass(frozen=True, slots=True)
class Most:
    """How many bytes a body may have, and what SCIM calls the limit if it has a name there."""

    size: int
    name: str = ""

    def check(self, size: int) -> None:
        """Refuse a body that is larger.

        Raises:
            PayloadTooLarge: says which limit it is (P-3.7-23).
        """
        if size > self.size:
            named = f" ({self.name})" if self.name else ""
            raise PayloadTooLarge(f"the body may have at most {self.size} bytes{named}")


def parse_json(raw: bytes) -> JsonValue:
    """One JSON document; a byte-order mark is skipped, repeated names are refused (P-3.8-08).

    Raises:
        InvalidSyntax: not JSON as RFC 8259 has it; says where. PayloadTooLarge: more than `MOST_VALUES`.
    """
    raw = raw.removeprefix(_BOM)
    _check_values(raw)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidSyntax(f"the body is not JSON: {error}") from None
    # orjson keeps the last of repeated names without a word. A name lost means quotes lost.
    try:
        kept = orjson.dumps(value).count(b'"')
    except orjson.JSONEncodeError:  # it reads deeper than it writes
        raise InvalidSyntax(_TOO_DEEP) from None
    if _quotes(raw) != kept:
        if len(raw) <= _LOOKED_AT:
            _look_at(raw, object_pairs_hook=_unique)
        raise InvalidSyntax("the body has a member twice in one object; send it once")
    return value


def _quotes(raw: bytes) -> int:
    """How many quotes a document has, also those that are written in numbers; not so after an escaped backslash."""
    if b"\\u0022" not in raw:
        return raw.count(b'"')
    return raw.count(b'"') + raw.replace(rb"\\", b"").count(b"\\u0022")


def _check_values(raw: bytes) -> None:
    """Refuse what would take seconds to be made into objects, during which nobody else has a turn (T-45)."""
    if len(raw) > MOST_VALUES and raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MOST_VALUES:
        raise PayloadTooLarge(
            f"the body has more than {MOST_VALUES} members and elements; send them in several requests"
        )


def _look_at(raw: bytes, **hooks: Any) -> JsonValue:
    """Read a document once more, by the parser that calls a hook at each thing."""
    try:
        return json.loads(raw.removeprefix(_BOM), **hooks)
    except RecursionError:
        raise InvalidSyntax(_TOO_DEEP) from None


_TOO_DEEP = "the body is nested deeper than any resource is"


_LOOKED_AT = 262_144
"""How long a body is that is read again to say which member is there twice: no more than some milliseconds."""


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonValue:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)  # of all at once: each anew took minutes for a megabyte
        repeated = next(name for name, number in counts.items() if number > 1)
        raise InvalidSyntax(f"the body has the member {repeated[:64]!r} twice in one object; send it once")
    return found


def _check_content_type(request: Request) -> None:
    encoding = request.header(b"content-encoding")
    if encoding not in {None, "", "identity"}:
        raise UnsupportedMediaType(f"Content-Encoding {encoding!r} is not read here; send the body as it is")
    header = request.header(b"content-type")
    if header is None or header in {SCIM, JSON}:
        return
    kind, *rest = (part.strip() for part in header.lower().split(";"))
    if kind not in {SCIM, JSON}:
        raise UnsupportedMediaType(f"Content-Type {kind!r} is not read here; send {SCIM} or {JSON}")
    for parameter in rest:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(" \"'") not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType(f"charset {value!r} is not read here; send UTF-8")


async def read_body(request: Request, most: Most, seconds: float) -> bytes:
    """The body as it is.

    Raises:
        PayloadTooLarge, RequestTimeout: it is too large, or too slow.
    """
    declared = request.header(b"content-length")
    if declared and declared.isdigit():
        most.check(int(declared[:20]))
    message = await _receive(request, seconds)
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        most.check(len(body))
        return body
    return await _read_chunks(request, most, seconds, message)


async def _read_chunks(request: Request, most: Most, seconds: float, message: Message) -> bytes:
    chunks = [message.get("body", b"")]
    size = len(chunks[0])
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while message.get("more_body"):
        message = await _receive(request, deadline - loop.time())
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        most.check(size)
    return b"".join(chunks)


async def _receive(request: Request, seconds: float) -> Message:
    try:
        async with asyncio.timeout(seconds):
            message = await request.receive()
    except TimeoutError:
        raise RequestTimeout("the body did not arrive in time") from None
    if message["type"] == "http.disconnect":
        raise RequestTimeout("the client went away before the body was whole")
    return message


def answer_type(request: Request) -> str:
    """The media type to answer with (P-3.8-02 to P-3.8-05).

    Raises:
        NotAcceptable: the Accept header admits neither SCIM nor JSON.
    """
    header = request.header(b"accept")
    if not header or header in {SCIM, "*/*"}:
        return SCIM
    weights = dict(_weights(header.lower()))
    for kind, ranges in _RANGES.items():
        if next((weights[known] for known in ranges if known in weights), 0.0) > 0:
            return kind
    raise NotAcceptable(f"Accept {header[:80]!r} admits neither {SCIM} nor {JSON}")


_RANGES = {
    SCIM: (SCIM, "application/*", "*/*"),
    JSON: (JSON, "text/json"),
}
"""Media types we answer with, and the ranges that admit them, most specific first."""


def _weights(header: str) -> list[tuple[str, float]]:
    found = []
    for entry in header.split(","):
        kind, *rest = (part.strip() for part in entry.split(";"))
        weight = next((part[2:] for part in rest if part.startswith("q=")), "1")
        try:
            found.append((kind, float(weight)))
        except ValueError:
            found.append((kind, 0.0))
    return found
