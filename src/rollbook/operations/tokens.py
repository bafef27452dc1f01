"""Bearer tokens: our own are made, recognised and verified; a JWT is `jwt_tokens`'s to judge (P-7-02, P-7-03, T-02, T-03).

A token reads `rb_live_<id>_<secret><checksum>`: the prefix and the checksum let scanners find leaks, the id
finds the row, and only a keyed hash of the whole is stored.
"""

import asyncio
import hashlib
import hmac
import secrets
import zlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from rollbook.operations.base62 import ALPHABET, ID_LENGTH, base62
from rollbook.operations.context import Caller, Tenant
from rollbook.operations.cursors import KEY_BYTES
from rollbook.operations.jwt_tokens import UNKNOWN, JwtVerifier, shown
from rollbook.operations.pins import CERTIFICATE, Presented, pin_digest, pin_id
from rollbook.operations.rights import ALL, Rights, rights_of
from rollbook.protocol.errors import Conflict, NotFound, Unauthorized
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Act, Author, TokenRecord, TokenStore
from rollbook.storage.tenants import DEFAULT

PREFIX = "rb_live_"
YEAR = 365 * 24 * 3600 * 1000
"""Default life of a token in milliseconds (A-66)."""

_SECRET_LENGTH, _CHECKSUM_LENGTH = 43, 6
_LENGTH = len(PREFIX) + ID_LENGTH + 1 + _SECRET_LENGTH + _CHECKSUM_LENGTH
_REMEMBERED = 10_000
_REMEMBER_MS = 5_000
_MINUTE = 60_000
_NOTE_SECONDS = 30.0


def new_id() -> str:
    """A public id."""
    return "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))


def new_token(id: str | None = None) -> tuple[str, str]:
    """A fresh token and its public id, a new one unless it is given; the secret has 256 random bits."""
    token_id = new_id() if id is None else id
    secret = base62(int.from_bytes(secrets.token_bytes(32), "big"), _SECRET_LENGTH)
    body = f"{PREFIX}{token_id}_{secret}"
    return body + _checksum(body), token_id


def token_id(text: str) -> str | None:
    """The public id of a well-formed token, None for anything else."""
    if len(text) != _LENGTH or not text.startswith(PREFIX) or not text.isascii():
        return None
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    return text[len(PREFIX) : len(PREFIX) + ID_LENGTH] if _checksum(body) == checksum else None


class TokenState(StrEnum):
    """Whether a token can be used, and if not why."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


def state(record: TokenRecord, now: int) -> TokenState:
    """Whether a token can be used then."""
    if record.revoked is not None:
        return TokenState.REVOKED
    is_over = record.expires is not None and record.expires <= now
    return TokenState.EXPIRED if is_over else TokenState.VALID


async def pepper(store: TokenStore) -> bytes:
    """The key of token digests, made once for each store."""
    return await store.secrets.kept("token-pepper", secrets.token_bytes(32))


async def cursor_key(store: TokenStore) -> bytes:
    """The key of cursors, made once for each store."""
    return await store.secrets.kept("cursor-key", secrets.token_bytes(KEY_BYTES))


def digest(key: bytes, token: str) -> bytes:
    """What is stored of a token: its keyed BLAKE2b hash. 256 random bits need no slow hash."""
    return hashlib.blake2b(token.encode(errors="surrogateescape"), key=key, digest_size=32).digest()


async def issue(
    store: TokenStore,
    tenant: int,
    name: str,
    *,
    now: int,
    expires: int | None,
    user: str | None = None,
    rights: Rights = ALL,
    author: Author | None = None,
) -> str:
    """Make and keep a token; the text returned is shown once and kept nowhere. `author` is who makes it, for the audit log."""
    text, record = await _made(
        store, TokenRecord("", tenant, name, b"", now, expires, user, None, rights.text)
    )
    await store.add_token(record, _act(author, record, "token.create"))
    return text


async def admit(store: TokenStore, like: TokenRecord, pin: str, author: Author | None = None) -> str:
    """Let a certificate stand for a token; the id of that.

    Raises:
        Conflict: it does so already, here or elsewhere, or did.
    """
    identifier, kept = pin_id(pin), pin_digest(await pepper(store), pin)
    if await store.token(identifier) is not None:
        raise Conflict(
            f"this certificate stands or stood for token {identifier} already; give the client another key"
        )
    record = replace(like, id=identifier, digest=kept, origin=CERTIFICATE)
    await store.add_token(record, _act(author, record, "token.create"))
    return identifier


def _act(author: Author | None, token: TokenRecord, name: str, former: str | None = None) -> Act | None:
    """What the audit log tells of a token: never what it is."""
    if author is None:
        return None
    about: JsonObject = {"name": token.name, "expires": token.expires, "user": token.user}
    about |= {"rights": token.rights} | ({} if former is None else {"former": former})
    return Act(author, token.tenant, name, "token", token.id, detail=about)


async def revoke(store: TokenStore, token: TokenRecord, author: Author) -> bool:
    """End a token at once; False if it has ended already."""
    act = Act(author, token.tenant, "token.revoke", "token", token.id, detail={"name": token.name})
    return await store.revoke_token(token.tenant, token.id, author.at, act)


async def rotate(
    store: TokenStore,
    former: TokenRecord,
    *,
    now: int,
    expires: int | None,
    until: int,
    author: Author | None = None,
) -> str:
    """Make a token with the name and rights of another, which goes on until then; shown once.

    Raises:
        Conflict: the other has ended already, stands for a certificate, or is of a client.
    """
    if former.origin == CERTIFICATE:
        raise Conflict(
            f"{former.id} stands for a certificate; name another one with: rollbook token create --certificate FILE"
        )
    if former.origin:
        raise Conflict(
            f"{former.id} is of a client, which asks for the next one itself; see rollbook client rotate"
        )
    text, record = await _made(store, replace(former, created=now, expires=expires, used=None))
    act = _act(author, record, "token.rotate", former.id)
    if not await store.rotate_token(record, former.id, until, act):
        raise Conflict(f"token {former.id} has ended already; make a new one with: rollbook token create")
    return text


async def _made(store: TokenStore, like: TokenRecord) -> tuple[str, TokenRecord]:
    text, identifier = new_token()
    return text, replace(like, id=identifier, digest=digest(await pepper(store), text))


@dataclass(frozen=True, slots=True)
class Credential:
    """What a verified token says: of which tenant it is, what it is called, and for which user it acts, if any."""

    tenant: int
    name: str
    user: str | None = None
    token_id: str = ""
    rights: Rights = ALL
    expires: int | None = None

    def caller(self, tenant: Tenant, origin: str | None = None) -> Caller:
        """Who asks, given the tenant that is asked, and from where.

        Raises:
            NotFound: the token is of another one; the words are those for a tenant that there is not (T-10, A-61).
        """
        if self.tenant != tenant.number:
            raise no_such_tenant()
        return Caller(tenant, self.name, self.user, self.token_id, self.rights, origin)


def no_such_tenant() -> NotFound:
    """The answer to a valid token at a tenant that is another's, or nobody's."""
    return NotFound("there is no such tenant, or this token is not one of it")


REFUSED = "these Basic credentials are not taken here"
"""Whatever is wrong with them, and also where Basic is switched off."""


class BasicChecks(Protocol):
    """Knows Basic credentials (`operations.basic`)."""

    async def verify(self, tenant: Tenant | None, name: str, password: str, now: int) -> Credential:
        """As `Verifier.verify_basic`."""

    def close(self) -> None:
        """Let threads go."""


@dataclass
class Verifier:
    """Says who a bearer token speaks for, of whatever tenant. Verified tokens are remembered for five seconds."""

    store: TokenStore
    key: bytes
    bootstrap: bytes | None = None
    """Digest of a token from the environment that has all rights on the default tenant."""
    outside: JwtVerifier | None = None
    """Knows tokens of outside issuers."""
    basic: BasicChecks | None = None
    """Knows Basic credentials."""
    generation: int = 0
    """Counts how often everything was forgotten: what was verified before may hold no longer."""
    _known: dict[bytes, tuple[int, Credential]] = field(default_factory=dict)
    _used: dict[str, int] = field(default_factory=dict)

    async def keep_noting(self) -> None:
        """Write now and then when tokens were last used, for as long as this runs; while the store cannot, later."""
        while True:
            await asyncio.sleep(_NOTE_SECONDS)
            with suppress(Exception):
                await self.note_uses()

    async def note_uses(self) -> None:
        """Write when the tokens were last used that were used since the last time."""
        used, self._used = self._used, {}
        if used:
            await self.store.note_token_uses(used)

    async def check(self, credential: Credential, now: int) -> None:
        """Look anew whether a token that was verified still holds, for what must not happen with one that has ended.

        Raises:
            Unauthorized: it does not.
        """
        if credential.token_id:
            record = await self.store.token(credential.token_id)
            if record is None or state(record, now) is not TokenState.VALID:
                raise Unauthorized(
                    f"token {credential.token_id} has ended; make a new one with: rollbook token create"
                )

    def forget(self) -> None:
        """Look every token and issuer up anew."""
        self.generation += 1
        self._known.clear()
        if self.outside is not None:
            self.outside.forget()

    async def verify(self, text: str, now: int) -> Credential:
        """What a token stands for.

        Raises:
            Unauthorized: unknown, expired or revoked; the words do not say which exists.
            InsufficientScope: of an outside issuer, and for nothing that there is here.
        """
        presented = digest(self.key, text)
        known = self._known.get(presented)
        if known is not None and now < known[0]:
            return known[1]
        generation = self.generation
        found = await self._look_up(text, presented, now)
        return self._remembered(presented, found, now) if generation == self.generation else found

    def _remembered(self, presented: bytes, found: Credential, now: int) -> Credential:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        until = now + _REMEMBER_MS
        self._known[presented] = (until if found.expires is None else min(until, found.expires), found)
        if found.token_id:
            self._used[found.token_id] = now - now % _MINUTE
        return found

    async def verify_basic(self, tenant: Tenant | None, name: str, password: str, now: int) -> Credential:
        """What Basic credentials stand for at a tenant, None for one that there is not.

        Raises:
            Unauthorized: nobody who is known there. TooManyRequests: too many wait for that.
        """
        if self.basic is None:
            raise Unauthorized(REFUSED)
        return await self.basic.verify(tenant, name, password, now)

    async def verify_certificate(self, certificate: Presented, now: int) -> Credential:
        """What a certificate stands for that whoever ended TLS has checked.

        Raises:
            Unauthorized: for nothing here, or it is not in its time.
        """
        if not certificate.begins <= now <= certificate.ends:
            raise Unauthorized("the client's certificate is not in its time")
        generation = self.generation
        for pin in certificate.pins:
            presented = pin_digest(self.key, pin)
            known = self._known.get(presented)
            if known is not None and now < known[0]:
                return known[1]
            record = await self.store.token(pin_id(pin))
            if record is None or record.origin != CERTIFICATE or state(record, now) is not TokenState.VALID:
                continue
            if hmac.compare_digest(presented, record.digest):
                found = _credential(record)
                return self._remembered(presented, found, now) if generation == self.generation else found
        raise Unauthorized("the client's certificate is not known here")

    async def _look_up(self, text: str, presented: bytes, now: int) -> Credential:
        if self.bootstrap is not None and hmac.compare_digest(presented, self.bootstrap):
            return Credential(DEFAULT, "bootstrap")
        if self.outside is not None and (token := shown(text)) is not None:
            grant = await self.outside.verify(token, text, now)
            return Credential(grant.tenant, grant.name, grant.user, "", grant.rights, grant.ends)
        identifier = token_id(text)
        record = await self.store.token(identifier) if identifier else None
        # An unknown id is compared too, so that it takes as long as a wrong secret (T-03).
        fits = hmac.compare_digest(presented, record.digest if record else bytes(32))
        if record is None or not fits:
            raise Unauthorized(UNKNOWN)
        if state(record, now) is not TokenState.VALID:
            raise Unauthorized(f"token {record.id} has ended; make a new one with: rollbook token create")
        return _credential(record)


def _credential(record: TokenRecord) -> Credential:
    # The tokens of one client are one caller: a list goes on with the next one, and rates are its own.
    client = record.origin.removeprefix("client ") if record.origin.startswith("client ") else None
    name = f"token {record.name}" if client is None else f"client {record.name}"
    rights = rights_of(record.rights)
    return Credential(record.tenant, name, record.user, client or record.id, rights, record.expires)


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)
