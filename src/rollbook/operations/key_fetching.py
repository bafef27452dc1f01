"""Keys of outside issuers over HTTP: where they are, and what may be asked for them (RFC 8414; T-07, T-64)."""

import ipaddress
from urllib.parse import urlsplit

from rollbook.client.addresses import GuardedTransport, fault
from rollbook.client.answers import parse_json
from rollbook.client.transport import HttpRequest, Limits, PyqwestTransport
from rollbook.operations.issuers import LOOPBACK, Issuer, check_url
from rollbook.operations.key_sets import FETCH_SECONDS, KeyFault, KeySet, read_keys
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.values import JsonObject

LIMITS = Limits(connect=3.0, total=FETCH_SECONDS, answer_bytes=256 * 1024, at_once=2)


async def fetched(issuer: Issuer) -> KeySet:
    """The keys an issuer has now. Redirects are not followed, and no call goes where it must not (T-64).

    Raises:
        KeyFault, TargetError: they could not be had.
    """
    transport = GuardedTransport(
        lambda addresses: PyqwestTransport(LIMITS, addresses=addresses, idle_connections=1),
        private=issuer.private,
    )
    try:
        place = issuer.jwks or await _found(issuer, transport)
        return read_keys(await _document(transport, place))
    finally:
        await transport.close()


async def _found(issuer: Issuer, transport: GuardedTransport) -> str:
    """Where the issuer says that its keys are, by RFC 8414 or OpenID Connect Discovery."""
    faults = []
    for place in metadata_places(issuer.url):
        try:
            document = await _document(transport, place)
        except KeyFault as error:
            faults.append(str(error))
            continue
        if document.get("issuer") != issuer.url:
            raise KeyFault(f"{place} is of issuer {str(document.get('issuer'))[:200]}, not of {issuer.url}")
        return _allowed(document.get("jwks_uri"), issuer)
    raise KeyFault("; ".join(faults))


def metadata_places(url: str) -> tuple[str, str]:
    """Where an issuer's metadata are: RFC 8414 §3.1 puts the name before its path, OpenID Connect behind it."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return (
        f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{path}",
        f"{parts.scheme}://{parts.netloc}{path}/.well-known/openid-configuration",
    )


def _allowed(place: object, issuer: Issuer) -> str:
    """The place of keys that metadata name, if a call may go there. They are somebody else's words."""
    if not isinstance(place, str):
        raise KeyFault("the issuer's metadata name no jwks_uri")
    try:
        check_url("jwks_uri", place)
    except InvalidValue as error:
        raise KeyFault(error.detail) from None
    host, own = urlsplit(place).hostname or "", urlsplit(issuer.url).hostname
    if host != own and not issuer.private and (host in LOOPBACK or _fault(host)):
        raise KeyFault(f"jwks_uri {place[:200]} is of an inner network; no call goes there")
    return place


def _fault(host: str) -> str | None:
    """Why no call goes to a host that is written as an address; names are looked at when they are resolved."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return fault(host, private=False)


async def _document(transport: GuardedTransport, url: str) -> JsonObject:
    answer = await transport.send(HttpRequest("GET", url, {"accept": "application/json"}))
    if answer.status != 200:
        raise KeyFault(f"{url} answers with {answer.status}")
    try:
        document = parse_json(answer.content)
    except ValueError:
        raise KeyFault(f"{url} is not JSON") from None
    if not isinstance(document, dict):
        raise KeyFault(f"{url} is no JSON object")
    return document
