"""JWT access tokens of outside issuers → what they stand for (RFC 9068, RFC 8725; T-05).

A token names its issuer and audience; the two together are known to one tenant at most, so that a token opens one
tenant as ours do. Who shows one that was not signed by such an issuer learns nothing: one sentence for all of them, and
the reason is in the log. Nothing a token says of keys is believed: `kid` is looked up among the issuer's own.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from rollbook.operations.issuers import Issuer, issuer_of
from rollbook.operations.key_sets import Key, KeyFault, KeySets
from rollbook.operations.logs import Log
from rollbook.operations.rights import Rights
from rollbook.operations.users import user_id
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InsufficientScope, InvalidValue, Unauthorized
from rollbook.storage.base import Store
from rollbook.storage.issuers import Issuers

log = Log("rollbook.issuers")

LEEWAY_SECONDS = 60
"""By so much the clocks of an issuer and ours may differ."""

UNKNOWN = "the bearer token is not known here; make one with: rollbook token create"
"""What is said of any token that none of ours and of our issuers is."""

NOBODY = "(nobody)"
"""The user of a token for somebody who is no user here: no resource has that id."""

_MOST = 16 * 1024
_REMEMBERED = 10_000
_FOREIGN_KEYS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"})


class Refused(Exception):
    """A token that is not taken; the text says why."""


class Shown(NamedTuple):
    """What a token says of itself, nothing of it proven."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


@dataclass(frozen=True)
class Grant:
    """What a token stands for that was found right. `ends` is in milliseconds since 1970."""

    tenant: int
    name: str
    user: str | None
    rights: Rights
    ends: int


def shown(text: str) -> Shown | None:
    """What a text says that has the form of a signed JWT, None for others."""
    parts = text.split(".")
    if len(parts) != 3 or not all(parts) or len(text) > _MOST:
        return None
    try:
        header, claims = (orjson.loads(_decoded(part)) for part in parts[:2])
    except (binascii.Error, ValueError):
        return None
    return Shown(header, claims) if isinstance(header, dict) and isinstance(claims, dict) else None


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def check_header(header: Mapping[str, Any], issuer: Issuer) -> None:
    """Whether a token may be looked at further.

    Raises:
        Refused: another kind of token, an algorithm that is not the issuer's, or keys of its own.
    """
    if header.get("alg") not in issuer.algorithms:
        raise Refused(f"alg {str(header.get('alg'))[:40]} is not among those of the issuer")
    check_brought(header)
    kind = header.get("typ", "none")
    plain = kind.lower().removeprefix("application/") if isinstance(kind, str) else ""
    if plain not in {each.lower() for each in issuer.types}:
        raise Refused(f"typ {str(kind)[:40]} is not {' or '.join(issuer.types)} (rollbook issuer set --typ)")


def check_brought(header: Mapping[str, Any]) -> None:
    """Whether a header leaves it to us by which key it is judged.

    Raises:
        Refused: it brings keys, or asks for what is not understood here.
    """
    brought = sorted(_FOREIGN_KEYS & header.keys())
    if brought:
        raise Refused(f"the header has {', '.join(brought)}, which no token may bring along")
    if not isinstance(header.get("kid"), str | None):
        raise Refused("kid is no text")


def check_signature(text: str, key: Key, algorithm: str) -> Mapping[str, Any]:
    """The claims that a key signed.

    Raises:
        Refused: it did not.
    """
    from rollbook.operations.signatures import signed

    try:
        claims = orjson.loads(signed(text, key.key, algorithm))
    except ValueError:
        raise Refused("the signature is not of the issuer's key") from None
    return claims if isinstance(claims, dict) else {}


def check_claims(claims: Mapping[str, Any], issuer: Issuer, now: int) -> int:
    """When a token ends that is for us and in its time; milliseconds, as `now`.

    Raises:
        Refused: it is not.
    """
    if claims.get("iss") != issuer.url or issuer.audience not in audiences(claims):
        raise Refused("issuer or audience is another")
    if claims.get("cnf") is not None:  # without the proof, a thief could use it (RFC 7800, T-22)
        raise Refused("it is bound to a key or a certificate (cnf), and proofs of that are not read here")
    return check_times(claims, now)


def check_times(claims: Mapping[str, Any], now: int) -> int:
    """When what is in its time ends; milliseconds, as `now`.

    Raises:
        Refused: it is not in its time, or has none.
    """
    seconds, leeway = now / 1000, LEEWAY_SECONDS
    ends = _time(claims, "exp")
    if ends is None:
        raise Refused("exp is missing")
    if ends + leeway <= seconds:
        raise Refused("it has expired")
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if begins is not None and begins - leeway > seconds:
            raise Refused(f"{name} is yet to come")
    return int((ends + leeway) * 1000)


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    found = claims.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 10**11:
        raise Refused(f"{name} is no time")
    return float(found)


def audiences(claims: Mapping[str, Any]) -> frozenset[str]:
    """For whom a token is."""
    found = claims.get("aud")
    listed = found if isinstance(found, list) else [found]
    return frozenset(each for each in listed[:100] if isinstance(each, str))


@dataclass
class JwtVerifier:
    """Says what a JWT of an outside issuer stands for. Issuers are remembered until `forget`, keys beyond it."""

    issuers: Issuers
    store: Store
    catalog_of: Callable[[int], Awaitable[Catalog]]
    keys: KeySets = field(default_factory=KeySets)
    _known: dict[str, tuple[Issuer, ...]] = field(default_factory=dict)
    _generation: int = 0

    def forget(self) -> None:
        """Look every issuer up anew."""
        self._known.clear()
        self._generation += 1

    async def verify(self, token: Shown, text: str, now: int) -> Grant:
        """What a token stands for.

        Raises:
            Unauthorized: nobody we know made it, or it is not in its time.
            InsufficientScope: it gives none of the rights that there are here.
        """
        issuer = await self._issuer(token.claims)
        if issuer is None:
            log.info(
                "a token is refused",
                reason="no issuer with its iss and aud is known; see rollbook issuer list",
            )
            raise Unauthorized(UNKNOWN)
        try:
            claims = await self._signed(token, text, issuer)
        except (Refused, KeyFault) as error:
            log.info("a token is refused", issuer=issuer.name, reason=str(error))
            raise Unauthorized(UNKNOWN) from None
        try:
            ends = check_claims(claims, issuer, now)
        except Refused as error:
            raise Unauthorized(f"the token of {issuer.name} is not taken: {error}") from None
        return await self._grant(issuer, claims, ends)

    async def judged(self, text: str, tenant: int, now: int) -> Grant:
        """As `verify`, for whoever runs the server: says why a token is not taken for a token of that tenant.

        Raises:
            InvalidValue, InsufficientScope: it is not.
        """
        token = shown(text)
        if token is None:
            raise InvalidValue("that has not the form of a signed JWT")
        issuer = await self._issuer(token.claims)
        if issuer is None or issuer.tenant != tenant:
            told = f"iss {str(token.claims.get('iss'))[:200]} and aud {str(token.claims.get('aud'))[:200]}"
            raise InvalidValue(f"no issuer of this tenant has its {told}; see rollbook issuer list")
        try:
            claims = await self._signed(token, text, issuer)
            return await self._grant(issuer, claims, check_claims(claims, issuer, now))
        except (Refused, KeyFault) as error:
            raise InvalidValue(f"issuer {issuer.name}: {error}") from None

    async def _issuer(self, claims: Mapping[str, Any]) -> Issuer | None:
        url, wanted = claims.get("iss"), audiences(claims)
        if not isinstance(url, str) or not url.isprintable() or not wanted:
            return None
        known = self._known.get(url)
        if known is None:
            generation = self._generation
            known = tuple(map(issuer_of, await self.issuers.of_url(url)))
            if known and generation == self._generation:  # what strangers invent is not kept
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[url] = known
        meant = [issuer for issuer in known if issuer.audience in wanted]
        # One token for two tenants would be whoever's that is asked.
        return meant[0] if len(meant) == 1 else None

    async def _signed(self, token: Shown, text: str, issuer: Issuer) -> Mapping[str, Any]:
        check_header(token.header, issuer)
        algorithm, identifier = token.header["alg"], token.header.get("kid")
        key = await self.keys.key(issuer, identifier, algorithm)
        if key is None:
            raise Refused(f"the issuer has no key {str(identifier)[:80]!r} for {algorithm}")
        return check_signature(text, key, algorithm)

    async def _grant(self, issuer: Issuer, claims: Mapping[str, Any], ends: int) -> Grant:
        rights = issuer.granted(claims)
        if rights is None:
            raise InsufficientScope(
                f"the token of {issuer.name} has none of the scopes read and write in {' or '.join(issuer.claims)}",
                "read write",
            )
        who = next(
            (claims[name] for name in ("sub", "client_id", "azp") if isinstance(claims.get(name), str)), ""
        )
        name = f"{issuer.name} {''.join(each for each in who if each.isprintable())[:100]}".rstrip()
        user = None
        if issuer.user_claim is not None:
            user = await self._user(issuer, claims.get(issuer.user_claim)) or NOBODY
        return Grant(issuer.tenant, name, user, rights, ends)

    async def _user(self, issuer: Issuer, who: object) -> str | None:
        if not isinstance(who, str) or not who:
            return None
        kind = (await self.catalog_of(issuer.tenant)).resource_type("User")
        if kind is None:
            return None
        return await user_id(self.store, issuer.tenant, kind, issuer.user_attribute, who)
