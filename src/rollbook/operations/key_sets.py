"""JWK sets of outside issuers: found, fetched within limits, kept, and fetched anew (RFC 7517, RFC 8414; T-05, T-07).

Keys are fetched again after `FRESH_SECONDS`, so that a removed one stops by then; and when a token names one that is not
known, at most once in `FLOOR_SECONDS`. While an issuer does not answer its known keys go on, until they are
`LIMIT_SECONDS` old: then its tokens are refused.
"""

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from joserfc import jwk

from rollbook.client.addresses import GuardedTransport, fault
from rollbook.client.answers import parse_json
from rollbook.client.transport import HttpRequest, Limits, PyqwestTransport
from rollbook.operations.issuers import LOOPBACK, Issuer, check_url
from rollbook.protocol.errors import InvalidValue, TargetError
from rollbook.protocol.values import JsonObject

log = structlog.get_logger("rollbook.issuers")

FRESH_SECONDS = 600.0
FLOOR_SECONDS = 60.0
FIRST_FLOOR_SECONDS = 5.0
"""As the floor, while there are no keys at all."""
LIMIT_SECONDS = 86_400.0
FETCH_SECONDS = 5.0
"""For all that it takes to fetch keys."""

LIMITS = Limits(connect=3.0, total=FETCH_SECONDS, answer_bytes=256 * 1024, at_once=2)
_MOST_KEYS = 100
_MOST_ISSUERS = 10_000
_LEAST_RSA_BITS = 2048

_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}


class KeyFault(Exception):
    """No keys could be had; the text says why."""


class Key(NamedTuple):
    """A public key as its set has it, and as signatures are checked with it."""

    id: str | None
    type: str
    curve: str | None
    algorithm: str | None
    key: Any

    def fits(self, algorithm: str) -> bool:
        """Whether it is a key for that algorithm (RFC 8725 §3.1)."""
        named = self.algorithm in {None, algorithm} or {self.algorithm, algorithm} == {"EdDSA", "Ed25519"}
        return named and self.type == _TYPES[algorithm[:2]] and _CURVES.get(algorithm) in {None, self.curve}


KeySet = Sequence[Key]


def read_keys(document: object) -> KeySet:
    """The keys of a JWK set that signatures can be checked with; others in it are of no use here, and no fault.

    Raises:
        KeyFault: it is no JWK set.
    """
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list) or len(found) > _MOST_KEYS:
        raise KeyFault(f"that is no JWK set, which has a list `keys` of at most {_MOST_KEYS}")
    return [key for each in found if (key := _key(each)) is not None]


def _key(said: object) -> Key | None:
    if (
        not isinstance(said, dict)
        or said.get("use", "sig") != "sig"
        or said.get("kty") not in _TYPES.values()
    ):
        return None
    if "d" in said or "verify" not in said.get("key_ops", ["verify"]):
        return None
    identifier, algorithm = said.get("kid"), said.get("alg")
    if not isinstance(identifier, str | None) or not isinstance(algorithm, str | None):
        return None
    if said["kty"] == "RSA" and len(str(said.get("n"))) * 6 < _LEAST_RSA_BITS:
        return None
    try:
        key = jwk.import_key({name: value for name, value in said.items() if name in _PARTS})
    except Exception:  # noqa: BLE001 - of a stranger's numbers the library raises many kinds; each means: no key
        return None
    return Key(identifier, said["kty"], said.get("crv"), algorithm, key)


_PARTS = frozenset({"kty", "n", "e", "crv", "x", "y"})


def pick(keys: KeySet, identifier: str | None, algorithm: str) -> Key | None:
    """The one key that a token can be signed with, by its id; without one, if there is no choice."""
    fitting = [key for key in keys if key.fits(algorithm) and (identifier is None or key.id == identifier)]
    return fitting[0] if len(fitting) == 1 else None


@dataclass
class _Held:
    keys: KeySet | None = None
    at: float = 0.0
    tried: float | None = None
    fault: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


Fetch = Callable[[Issuer], Awaitable[KeySet]]


@dataclass
class KeySets:
    """The keys of all issuers, in memory; each serving process has its own."""

    fetch: Fetch | None = None
    clock: Callable[[], float] = time.monotonic
    _held: dict[tuple[object, ...], _Held] = field(default_factory=dict)

    async def key(self, issuer: Issuer, identifier: str | None, algorithm: str) -> Key | None:
        """The key of that id, fetched if need be; None if the issuer has none that fits.

        Raises:
            KeyFault: the issuer's keys are not known.
        """
        if issuer.keys is not None:
            return pick(read_keys(parse_json(issuer.keys.encode())), identifier, algorithm)
        held = self._of(issuer)
        if self._wants(held, identifier):
            async with held.lock:  # whoever waited finds what was fetched meanwhile
                if self._wants(held, identifier):
                    await self._fetch(issuer, held)
        if held.keys is None or self.clock() - held.at > LIMIT_SECONDS:
            raise KeyFault(f"the issuer's keys could not be fetched: {held.fault}")
        return pick(held.keys, identifier, algorithm)

    def _of(self, issuer: Issuer) -> _Held:
        place = (issuer.url, issuer.jwks, issuer.private)
        if place not in self._held and len(self._held) >= _MOST_ISSUERS:
            self._held.clear()
        return self._held.setdefault(place, _Held())

    def _wants(self, held: _Held, identifier: str | None) -> bool:
        now = self.clock()
        floor = FIRST_FLOOR_SECONDS if held.keys is None else FLOOR_SECONDS
        if held.tried is not None and now - held.tried < floor:
            return False
        is_fresh = held.keys is not None and now - held.at < FRESH_SECONDS
        return not is_fresh or not any(identifier in {None, key.id} for key in held.keys or ())

    async def _fetch(self, issuer: Issuer, held: _Held) -> None:
        held.tried = self.clock()
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                held.keys = await (self.fetch or fetched)(issuer)
            held.at = self.clock()
        except (KeyFault, TargetError, TimeoutError) as error:
            held.fault = str(error) or f"no answer within {FETCH_SECONDS:g} s"
            log.warning("keys of an issuer could not be fetched", issuer=issuer.name, reason=held.fault)


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
    if not isinstance(document, Mapping):
        raise KeyFault(f"{url} is no JSON object")
    return dict(document)
