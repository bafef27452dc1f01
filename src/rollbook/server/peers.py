"""Who sends a request, and what a proxy that is trusted says of it. From all others such headers say nothing (T-06, T-50).

What is read here is written into the scope, in its own places (`client`, `scheme`, `host`), and the headers are taken
away: nobody behind reads one, whoever sent it.
"""

import re
from collections.abc import Iterable, Sequence

from rollbook.operations.networks import Network, read_address, within
from rollbook.server.certificates import CERTIFICATE, CERTIFICATE_HEADERS, forwarded_certificate
from rollbook.server.requests import Scope

Headers = list[tuple[bytes, bytes]]

_FORWARDING = frozenset(
    {
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-server",
        b"x-real-ip",
        b"x-remote-user",
    }
)
_ID_HEADER = b"x-request-id"
_TOLD = _FORWARDING | CERTIFICATE_HEADERS | {_ID_HEADER}
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

REQUEST_ID = "rollbook.request_id"
"""Where a scope has what a trusted proxy calls the request, if it does."""

_HOST = re.compile(rb"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


def peer(scope: Scope) -> str:
    """The address a request is from: for allow lists, limits and the audit log; empty on a socket without addresses."""
    client = scope.get("client")
    return "" if not client else _plain(client[0])


def _plain(text: str) -> str:
    return text.removeprefix("::ffff:") if text.startswith("::ffff:") and "." in text else text


def settle(scope: Scope, trusted: Sequence[Network]) -> None:
    """Make the scope say who asks, and by which name, as trusted proxies tell; take what anybody told away.

    The certificate of a connection speaks for its client (T-20); not where that is a trusted proxy: it speaks for others, and
    only its header says with which certificate they came.
    """
    headers: Headers = scope["headers"]
    if CERTIFICATE in scope and trusted and within(peer(scope), trusted):
        del scope[CERTIFICATE]
    if not any(name in _TOLD for name, _ in headers):
        return
    scope["headers"] = [pair for pair in headers if pair[0] not in _TOLD]
    if not trusted or not within(peer(scope), trusted):
        return
    way, proto, host = _told(headers)
    found = _first_foreign(way, trusted)
    if found is not None:
        scope["client"] = (found, 0)
    if proto.lower() in {b"http", b"https"}:
        scope["scheme"] = proto.lower().decode()
    if _HOST.fullmatch(host):
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"host"] + [(b"host", host)]
    if _ID.fullmatch(name := _last(headers, _ID_HEADER).decode("latin-1")):
        scope[REQUEST_ID] = name
    certificate = forwarded_certificate(headers)
    if certificate is not None:
        scope[CERTIFICATE] = certificate


def _told(headers: Headers) -> tuple[list[str], bytes, bytes]:
    """The way a request took, and what the nearest proxy says of scheme and host.

    `Forwarded` is read if it is there, else the older headers: a proxy writes one kind and may pass the other on.
    """
    forwarded = [element for element in _values(headers, b"forwarded") if element]
    if forwarded:
        elements = [_pairs(element) for element in forwarded]
        way = [_node(each.get("for", "")) for each in elements]
        return way, elements[-1].get("proto", "").encode(), elements[-1].get("host", "").encode("latin-1")
    way = [_node(each) for each in _values(headers, b"x-forwarded-for")]
    return way, _last(headers, b"x-forwarded-proto"), _last(headers, b"x-forwarded-host")


def _last(headers: Headers, wanted: bytes) -> bytes:
    found = _values(headers, wanted)
    return found[-1].encode("latin-1") if found else b""


def _values(headers: Headers, wanted: bytes) -> list[str]:
    """What stands between the commas of all headers of a name, in order."""
    joined = ",".join(value.decode("latin-1") for name, value in headers if name == wanted)
    return [part.strip() for part in _COMMA.split(joined)] if joined else []


_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_PAIR = re.compile(r'\s*([A-Za-z]+)=("([^"\\]*)"|[^\s";,]*)\s*(?:;|$)')


def _pairs(element: str) -> dict[str, str]:
    """The parameters of one element of `Forwarded` (RFC 7239 §4)."""
    return {
        name.lower(): quoted if value.startswith('"') else value
        for name, value, quoted in _PAIR.findall(element[:1000])
    }


def _node(text: str) -> str:
    """An address without its port, as `for` and X-Forwarded-For have it; what is none is empty."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    address = read_address(text[:64])
    return "" if address is None else str(address)


def _first_foreign(way: list[str], trusted: Iterable[Network]) -> str | None:
    """Where the request entered: the last address that is no trusted proxy's; what lies before it anybody can write.

    None if what stands there is no address: then it is the proxy that asks.
    """
    for address in reversed(way):
        if not address:
            return None
        if not within(address, trusted):
            return address
    return way[0] if way else None
