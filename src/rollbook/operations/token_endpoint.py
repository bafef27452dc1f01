"""Our own token endpoint: client credentials → a short-lived token of ours (RFC 6749 §4.4, RFC 7523; T-09, T-21).

What it gives out are opaque tokens as all others here: they end at once with their client, in every process, and
there is no signing key to keep.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rollbook.operations.context import Tenant
from rollbook.operations.issuers import ALGORITHMS
from rollbook.operations.jwt_tokens import (
    LEEWAY_SECONDS,
    Refused,
    audiences,
    check_brought,
    check_signature,
    check_times,
    shown,
)
from rollbook.operations.key_sets import keys_of, pick
from rollbook.operations.logs import Log
from rollbook.operations.rights import READ, WRITE, Rights, read_rights, rights_of
from rollbook.operations.tokens import digest, new_token
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Act, Author, TokenRecord
from rollbook.storage.oauth_clients import Assertion, ClientRecord, Issuing, OauthClients

USUAL_SECONDS, LEAST_SECONDS, MOST_SECONDS = 3_600, 60, 86_400
"""How long a token lasts."""

MOST_TOKENS = 100
"""Tokens of one client at once: with another one the oldest ends."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 600
"""The longest life of an assertion: for so long its id is remembered."""

GRANT = "client_credentials"
_MOST_TEXT, _MOST_SCOPE = 8_192, 1_000


class OauthError(Exception):
    """An answer of RFC 6749 §5.2: its `error`, and words for people."""

    def __init__(self, error: str, description: str, client: ClientRecord | None = None) -> None:
        """`client` is the one of the tenant that was named, whether or not it is who asks; for the audit log only."""
        super().__init__(description)
        self.error = error
        self.description = description
        self.client = client


_NOT_KNOWN = "the client is not known here, or what it shows is not right"


log = Log("rollbook.clients")


@dataclass(frozen=True, slots=True)
class Shown:
    """How a client says who it is: with a secret or an assertion."""

    id: str
    secret: str | None = None
    assertion: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A token that was made: its text, for how many seconds it is, and what for."""

    token: str
    seconds: int
    scopes: tuple[str, ...]


def asked_for(form: Mapping[str, str], basic: tuple[str, str] | None) -> Shown:
    """Who asks, by header or form.

    Raises:
        OauthError: no way to tell, or two of them.
    """
    if form.get("grant_type") is None:
        raise OauthError("invalid_request", "grant_type is missing")
    if form["grant_type"] != GRANT:
        raise OauthError("unsupported_grant_type", f"grant_type must be {GRANT}")
    secret, assertion, named = (form.get(name) for name in ("client_secret", "client_assertion", "client_id"))
    if (basic is not None) + (secret is not None) + (assertion is not None) > 1:
        raise OauthError("invalid_request", "the client shows who it is in more than one way")
    if basic is not None:
        if named not in {None, basic[0]}:
            raise OauthError("invalid_request", "client_id is another than that of the header")
        return Shown(basic[0], secret=basic[1])
    if secret is not None and named is not None:
        return Shown(named, secret=secret)
    if assertion is not None:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OauthError("invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}")
        told = shown(assertion)
        subject = told.claims.get("sub") if told else None
        if not isinstance(subject, str) or named not in {None, subject}:
            raise OauthError("invalid_client", _NOT_KNOWN)
        return Shown(subject, assertion=assertion)
    raise OauthError("invalid_client", "the client has to show a secret or an assertion")


@dataclass
class TokenEndpoint:
    """Makes tokens for those who show that they are a client. `key` is that of all digests."""

    clients: OauthClients
    key: bytes

    async def client(
        self, who: Shown, tenant: Tenant | None, places: frozenset[str], now: int
    ) -> tuple[ClientRecord, Assertion | None]:
        """The client that shows itself, and the assertion that is used up by that.

        `tenant` is None where there is none, or one that is not served: that takes the same work, and the same words.

        Raises:
            OauthError: it is no client of this tenant.
        """
        known = await self.clients.client(who.id) if len(who.id) <= 64 and who.id.isalnum() else None
        named = known if known is not None and tenant is not None and known.tenant == tenant.number else None
        assertion = None
        if who.assertion is not None:
            assertion = _proven(known, who.assertion, places, now)
            is_shown = assertion is not None
        else:
            is_shown = self._fits(known, who.secret or "", now)
        if not is_shown or named is None:
            raise OauthError("invalid_client", _NOT_KNOWN, named)
        return named, assertion

    def _fits(self, known: ClientRecord | None, secret: str, now: int) -> bool:
        presented = digest(self.key, secret[:_MOST_TEXT])
        present, former = (known.digest, known.former) if known else (None, None)
        fits = hmac.compare_digest(presented, present or bytes(32)) and present is not None
        fitted = hmac.compare_digest(presented, former or bytes(32)) and former is not None
        if known is None:
            return False
        is_former = fitted and known.former_until is not None and now < known.former_until
        return (fits and (known.expires is None or now < known.expires)) or is_former

    async def give(
        self, client: ClientRecord, tenant: Tenant, scope: str | None, assertion: Assertion | None, by: Author
    ) -> Given:
        """A token for a client, now; the audit log tells who has got it, from where and for what.

        Raises:
            OauthError: it asks for more than it may have, or shows again what it has used.
        """
        rights = wanted(scope, rights_of(client.rights), tenant)
        text, identifier = new_token()
        record = TokenRecord(
            identifier,
            client.tenant,
            client.name,
            digest(self.key, text),
            by.at,
            by.at + client.seconds * 1000,
            rights=rights.text,
            origin=f"client {client.id}",
        )
        about: JsonObject = {"scopes": rights.scopes, "expires": record.expires}
        act = Act(by, client.tenant, "token.give", "token", identifier, detail=about)
        match await self.clients.issue(client, record, assertion, MOST_TOKENS, act):
            case Issuing.USED:
                text = "the assertion was used before; make a new one each time"
                raise OauthError("invalid_client", text, client)
            case Issuing.GONE:
                raise OauthError("invalid_client", _NOT_KNOWN)
            case Issuing.DONE:
                return Given(text, client.seconds, tuple(rights.scopes))


def wanted(scope: str | None, most: Rights, tenant: Tenant) -> Rights:
    """What a token is to be for: all the client may do, or the part that it asks for.

    Raises:
        OauthError: there is no such scope, or it is not the client's.
    """
    words = (scope or "").split(" ")
    words = [word for word in words if word]
    if not words:
        return most
    if len(scope or "") > _MOST_SCOPE:
        raise OauthError("invalid_scope", f"scope has more than {_MOST_SCOPE} characters")
    try:
        asked = read_rights(words, None, None, tenant.catalog)
    except InvalidValue as error:
        raise OauthError("invalid_scope", error.detail) from None
    if not {READ, WRITE} & set(words):
        asked = replace(asked, writes=most.writes)
    asked = replace(most, writes=asked.writes, types=asked.types or most.types)
    if not asked.is_within(most):
        raise OauthError("invalid_scope", f"this client may have {' '.join(most.scopes)} and no more")
    return asked


def _proven(known: ClientRecord | None, text: str, places: frozenset[str], now: int) -> Assertion | None:
    """The assertion, if the client's key has signed it, for us and for now (RFC 7523 §3); else None."""
    told = shown(text)
    if known is None or known.keys is None or told is None:
        return None
    try:
        return _judged(known, known.keys, told.header, text, places, now)
    except Refused as error:
        log.info("an assertion is refused", client=known.id, reason=str(error))
        return None


def _judged(
    known: ClientRecord, keys: str, header: Mapping[str, Any], text: str, places: frozenset[str], now: int
) -> Assertion:
    check_brought(header)
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise Refused("that algorithm proves nothing")
    key = pick(keys_of(keys), header.get("kid"), str(algorithm))
    if key is None:
        raise Refused("the client has no such key")
    claims = check_signature(text, key, str(algorithm))
    ends, jti = check_times(claims, now), claims.get("jti")
    if claims.get("iss") != known.id or claims.get("sub") != known.id:
        raise Refused("it is of another client")
    if not places & audiences(claims):
        raise Refused("it is for another server")
    if not isinstance(jti, str) or not 0 < len(jti) <= 255:
        raise Refused("it has no id, so that it could be used again")
    if ends > now + (ASSERTION_SECONDS + 2 * LEEWAY_SECONDS) * 1000:
        raise Refused("it lasts too long")
    return Assertion(hashlib.sha256(jti.encode(errors="surrogatepass")).digest(), ends)
