"""Tenants as stored, and what may be asked of the table of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rollbook.protocol.catalog import Catalog

DEFAULT = 1
"""Number of the tenant that every database has."""

DEFAULT_NAME = "default"


class TenantState(StrEnum):
    """Whether a tenant is served."""

    OPEN = "open"
    DISABLED = "disabled"
    """Nothing of it can be reached, and nothing of it is gone."""
    DELETING = "deleting"
    """It cannot be reached, and is going; begun once, it is only ever finished."""


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A tenant's row. `number` is never used again; `edition` grows with each change of it or of its definitions.

    `settings` are the texts `NAME=VALUE` it was told, `host` the name it is served under beside `/t/{name}`.
    """

    number: int
    name: str
    state: TenantState
    created: int
    settings: tuple[str, ...] = ()
    host: str | None = None
    edition: int = 0


class Tenants(Protocol):
    """The table of tenants. Every method may raise `StoreUnavailable`."""

    async def by_name(self, name: str) -> TenantRecord | None:
        """The tenant of that name, in whatever state, or None."""

    async def by_host(self, host: str) -> TenantRecord | None:
        """The tenant served under that host name, or None."""

    async def by_number(self, number: int) -> TenantRecord | None:
        """The tenant of that number, in whatever state, or None."""

    async def page(self, after: str, limit: int) -> Sequence[TenantRecord]:
        """Tenants by name, those behind `after`."""

    async def create(
        self,
        name: str,
        at: int,
        catalog: Catalog,
        settings: Sequence[str] = (),
        host: str | None = None,
    ) -> TenantRecord:
        """A new tenant that serves that catalog.

        Raises:
            Uniqueness: the name or the host is taken, also by a tenant that is being deleted.
        """

    async def change(
        self,
        number: int,
        *,
        state: TenantState,
        settings: Sequence[str],
        host: str | None,
        edition: int | None = None,
    ) -> TenantRecord:
        """Say anew what a tenant is told; one that is being deleted stays so.

        Raises:
            PreconditionFailed: an edition was named, and it has another by now.
            NotFound: there is no such tenant. Uniqueness: the host is taken. Conflict: it is being deleted.
        """

    async def delete(self, number: int, at: int = 0, *, edition: int | None = None) -> bool:
        """Take away a part of a tenant, of bounded size, after it was made unreachable; whether anything is left.

        Raises:
            PreconditionFailed: an edition was named, and it has another by now.
            Conflict: it is the default tenant, or a worker has accounts of it in hand at that time.
        """
