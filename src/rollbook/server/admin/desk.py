"""What the handlers of /admin/v1 work with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rollbook.operations.tenant_care import TenantCare
from rollbook.server.tenants import Address
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.links import SqlLinks
from rollbook.storage.sql.store import SqlStore

PREFIX = "/admin/v1"


@dataclass(frozen=True)
class Desk:
    """What handlers work with. `finish` carries on in the background what was begun."""

    store: SqlStore
    care: TenantCare
    links: SqlLinks
    address: Address
    now: Callable[[], int]
    finish: Callable[[Awaitable[object]], None]
    journal: SqlJournal
