"""Outside issuers of tokens as stored, and what may be asked of the table of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class IssuerRecord:
    """An issuer's row. `told` is JSON: how its tokens are checked and read (`operations.issuers`)."""

    tenant: int
    name: str
    url: str
    audience: str
    created: int
    told: str = "{}"


class Issuers(Protocol):
    """The table of issuers. Every method may raise `StoreUnavailable`."""

    async def of_url(self, url: str) -> Sequence[IssuerRecord]:
        """All entries with that issuer, of whatever tenant; they have different audiences."""

    async def of_tenant(self, tenant: int) -> Sequence[IssuerRecord]:
        """Those of a tenant, by name."""

    async def put(self, record: IssuerRecord, *, new: bool) -> None:
        """Keep an entry, a `new` one or in the place of the one with its name; every process follows within a second.

        Raises:
            Uniqueness: the name is in use, or the issuer with this audience is, by whatever tenant.
            NotFound: there is none to replace.
        """

    async def remove(self, tenant: int, name: str) -> bool:
        """Take an entry away; whether there was one."""
