"""Basic credentials, where a tenant has switched them on: a client with its secret, or a user with their password (RFC 7617; T-04, T-08, T-33).

A password is hashed when it is first seen, and again when what is kept of it has changed or it was not seen for a
while: what was found right is remembered as a keyed digest that has the kept hash in it. Whether there is such a user
shows in no word, and in no time: for nobody a hash is made, too.
"""

import hashlib
from dataclasses import dataclass, field

from rollbook.operations.context import Tenant
from rollbook.operations.passwords import PasswordHasher
from rollbook.operations.rights import rights_of
from rollbook.operations.token_endpoint import OauthError, Shown, TokenEndpoint
from rollbook.operations.tokens import REFUSED, Credential
from rollbook.operations.users import user_id
from rollbook.protocol.errors import Unauthorized
from rollbook.protocol.resource import Change, Present, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import Author, Store
from rollbook.storage.documents import decode

PROVEN_MS = 600_000
"""For how long a password that was found right is not hashed again."""

_REMEMBERED = 10_000
_RENEWED = "password hash renewed"


@dataclass
class BasicVerifier:
    """Says whom Basic credentials stand for at a tenant. `passwords` has threads of its own: guesses keep nobody else waiting."""

    store: Store
    endpoint: TokenEndpoint
    key: bytes
    passwords: PasswordHasher = field(default_factory=lambda: PasswordHasher(threads=1, most=16))
    _proven: dict[bytes, int] = field(default_factory=dict)
    _is_used: bool = False

    async def verify(self, tenant: Tenant | None, name: str, password: str, now: int) -> Credential:
        """Who sends these credentials to a tenant; None is one that there is not.

        Raises:
            Unauthorized: nobody known here, in the same words whatever is wrong.
            TooManyRequests: as many passwords as may wait are waiting.
        """
        if tenant is None or not tenant.settings.basic:
            if (
                self._is_used
            ):  # a closed tenant that has Basic on is not told from others by the time it takes
                await self.passwords.matches(None, password)
            raise Unauthorized(REFUSED)
        self._is_used = True
        client = await self._client(tenant, name, password, now)
        if client is not None:
            return client
        found = await self._user(tenant, name, password, now)
        if found is None:
            raise Unauthorized(REFUSED)
        return Credential(tenant.number, f"user {found}", found)

    def close(self) -> None:
        """Let the threads go."""
        self.passwords.close()

    async def _client(self, tenant: Tenant, name: str, secret: str, now: int) -> Credential | None:
        try:
            found, _ = await self.endpoint.client(Shown(name, secret=secret), tenant, frozenset(), now)
        except OauthError:
            return None
        rights = rights_of(found.rights)
        return Credential(tenant.number, f"client {found.name}", None, found.id, rights, found.expires)

    async def _user(self, tenant: Tenant, name: str, password: str, now: int) -> str | None:
        kind = tenant.catalog.resource_type("User")
        found = None if kind is None else await user_id(self.store, tenant.number, kind, "userName", name)
        if kind is None or found is None:
            await self.passwords.matches(None, password)
            return None
        record = await self.store.get(tenant.number, kind, found, members=False, groups=False)
        document = {} if record is None else decode(record.body, record.extra)
        kept = document.get(str(kind.secret))
        if not isinstance(kept, str) or document.get("active") is False:
            await self.passwords.matches(None, password)
            return None
        proof = self._proof(tenant.number, found, kept, password)
        if now < self._proven.get(proof, 0):
            return found
        if not await self.passwords.matches(kept, password):
            return None
        if self.passwords.is_outdated(kept):
            kept = await self._renewed(tenant, kind, found, kept, password, now)
            proof = self._proof(tenant.number, found, kept, password)
        if len(self._proven) >= _REMEMBERED:
            self._proven.clear()
        self._proven[proof] = now + PROVEN_MS
        return found

    async def _renewed(
        self, tenant: Tenant, kind: ResourceType, id: str, kept: str, password: str, now: int
    ) -> str:
        """What is kept of the password from now on: a hash of today's cost, if nobody has changed it meanwhile."""
        fresh = await self.passwords.anew(password)
        name = str(kind.secret)

        def decide(present: Present) -> Change:
            if present.document.get(name) != kept:
                return Change()
            return Change(document=present.document | {name: fresh})

        await self.store.update(tenant.number, kind, id, decide, Scope(), Author(_RENEWED, now))
        return fresh

    def _proof(self, tenant: int, id: str, kept: str, password: str) -> bytes:
        parts = (str(tenant), id, kept, password)
        text = b"".join(
            len(raw).to_bytes(8, "big") + raw
            for raw in (part.encode(errors="surrogatepass") for part in parts)
        )
        return hashlib.blake2b(text, key=self.key, digest_size=32, person=b"rollbook basic").digest()
