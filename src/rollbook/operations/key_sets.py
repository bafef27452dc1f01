"""JWK sets of outside issuers: found, fetched within limits, kept, and fetched anew (RFC 7517, RFC 8414; T-05, T-07).

Keys are fetched again after `FRESH_SECONDS`, so that a removed one stops by then; and when a token names one that is not
known, at most once in `FLOOR_SECONDS`. While an issuer does not answer its known keys go on, until they are
`LIMIT_SECONDS` old: then its tokens are refused.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from rollbook.operations.issuers import Issuer
from rollbook.operations.logs import Log
from rollbook.protocol.errors import TargetError

log = Log("rollbook.issuers")

FRESH_SECONDS = 600.0
FLOOR_SECONDS = 60.0
FIRST_FLOOR_SECONDS = 5.0
"""As the floor, while there are no keys at all."""
LIMIT_SECONDS = 86_400.0
FETCH_SECONDS = 5.0
"""For all that it takes to fetch keys."""

_MOST_KEYS = 100
_MOST_ISSUERS = 10_000
_MOST_TEXTS = 512
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


@lru_cache(maxsize=_MOST_TEXTS)
def keys_of(text: str) -> KeySet:
    """The keys of a JWK set that is kept as text; the same text is read once, as whoever has proven nothing asks for it.

    Raises:
        KeyFault: it is no JWK set.
        ValueError: it is no JSON.
    """
    return tuple(read_keys(orjson.loads(text)))


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
    from joserfc import jwk

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
    fetching: asyncio.Task[None] | None = None

    def has(self, identifier: str | None) -> bool:
        """Whether a token with that key's id, None without one, may be signed by a key that is known."""
        return any(identifier in {None, key.id} for key in self.keys or ())


Fetch = Callable[[Issuer], Awaitable[KeySet]]


async def _fetched(issuer: Issuer) -> KeySet:
    from rollbook.operations.key_fetching import (
        fetched,  # loads an HTTP client, which most servers never need
    )

    return await fetched(issuer)


@dataclass
class KeySets:
    """The keys of all issuers, in memory; each serving process has its own."""

    fetch: Fetch = _fetched
    clock: Callable[[], float] = time.monotonic
    _held: dict[tuple[object, ...], _Held] = field(default_factory=dict)

    async def key(self, issuer: Issuer, identifier: str | None, algorithm: str) -> Key | None:
        """The key of that id, fetched if need be; None if the issuer has none that fits.

        Raises:
            KeyFault: the issuer's keys are not known.
        """
        if issuer.keys is not None:
            return pick(keys_of(issuer.keys), identifier, algorithm)
        held = self._of(issuer)
        is_first = held.fetching is None and self._wants(held, identifier)
        if is_first:
            held.fetching = asyncio.create_task(self._fetch(issuer, held))
        # Whoever has no use for the keys that are known waits for what somebody else has asked for; and if that one goes, it goes on.
        if held.fetching is not None and (is_first or not held.has(identifier)):
            await asyncio.shield(held.fetching)
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
        return not is_fresh or not held.has(identifier)

    async def _fetch(self, issuer: Issuer, held: _Held) -> None:
        held.tried = self.clock()
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                held.keys = await self.fetch(issuer)
            held.at = self.clock()
        except (KeyFault, TargetError, TimeoutError) as error:
            held.fault = str(error) or f"no answer within {FETCH_SECONDS:g} s"
            log.warning("keys of an issuer could not be fetched", issuer=issuer.name, reason=held.fault)
        finally:
            held.fetching = None
