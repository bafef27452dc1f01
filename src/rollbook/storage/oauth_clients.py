"""Clients of a tenant's token endpoint as stored, and what may be asked of the table of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from rollbook.storage.base import Act, TokenRecord


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """A client's row: what is known of its secret is a keyed hash, of its keys the public half. Times are milliseconds.

    `rights` are the most its tokens may do, `seconds` how long each lasts. `former` is the secret before, until then.
    """

    id: str
    tenant: int
    name: str
    created: int
    rights: str
    seconds: int
    digest: bytes | None = None
    expires: int | None = None
    former: bytes | None = None
    former_until: int | None = None
    keys: str | None = None


@dataclass(frozen=True, slots=True)
class Assertion:
    """A statement that a client has signed and used: by a hash of its id, and until when it could be used again."""

    jti: bytes
    until: int


class Issuing(Enum):
    """What came of a token that was to be kept."""

    DONE = "kept"
    USED = "the assertion was used before"
    GONE = "the client is another by now, or is gone"


class OauthClients(Protocol):
    """The table of clients. Every method may raise `StoreUnavailable`."""

    async def client(self, id: str) -> ClientRecord | None:
        """The client of that id, of whatever tenant, or None."""

    async def of_tenant(self, tenant: int) -> Sequence[ClientRecord]:
        """Those of a tenant, oldest first."""

    async def add(self, client: ClientRecord) -> None:
        """Keep a new client."""

    async def change(self, client: ClientRecord) -> bool:
        """Keep other secrets or keys of a client; whether it is there."""

    async def remove(self, tenant: int, id: str) -> bool:
        """Take a client away, with all its tokens, in every process; whether there was one."""

    async def issue(
        self, client: ClientRecord, token: TokenRecord, assertion: Assertion | None, most: int, act: Act
    ) -> Issuing:
        """Keep a token of a client, and tell the audit log of it; of those it has by then the `most` newest stay, without those that have ended."""
