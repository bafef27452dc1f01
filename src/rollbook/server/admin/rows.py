"""What a row of /admin/v1 says of an operation, and what its handler is given."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rollbook.operations.administration import Administrator
from rollbook.operations.tenant_care import TenantCare
from rollbook.protocol.errors import InternalError, PreconditionFailed
from rollbook.protocol.versions import weak_tag
from rollbook.server.admin.desk import Desk
from rollbook.server.admin.shapes import Shape
from rollbook.server.peers import peer
from rollbook.server.requests import Scope
from rollbook.storage.base import Act, Author
from rollbook.storage.tenants import TenantRecord

TENANT = "/tenants/{tenant}"
PAGE, MOST = 100, 1_000


@dataclass(frozen=True)
class Visit:
    """One request of somebody who may administer what it is about."""

    desk: Desk
    who: Administrator
    scope: Scope
    path: Mapping[str, str]
    record: TenantRecord | None = None
    cursor: str = ""
    limit: int = PAGE
    body: Any = None
    condition: Callable[[str], bool] | None = None
    """Whether If-Match admits a version; None without that header."""

    @property
    def tenant(self) -> TenantRecord:
        """The tenant in the path."""
        if self.record is None:
            raise InternalError("this path names no tenant")
        return self.record

    @property
    def sees_everybody(self) -> bool:
        """Whether the token may read all of every resource, so that what is told of one is no more than it could ask for."""
        rights = self.who.rights
        return rights.reads and not (rights.types or rights.is_bound or rights.without)

    def author(self) -> Author:
        """Who writes, and from where, for the audit log (I-29)."""
        who = self.who
        return Author(who.name, self.desk.now(), who.token_id or None, peer(self.scope) or None)

    def care(self) -> TenantCare:
        """What is done to tenants, by whoever asks."""
        return replace(self.desk.care, author=self.author())

    async def tell(self, name: str, type: str, subject: str, **detail: Any) -> None:
        """Tell the audit log of what was done to something of the tenant."""
        act = Act(self.author(), self.tenant.number, name, type, subject, detail=detail)
        await self.desk.journal.write([act])

    def check_version(self, record: TenantRecord) -> None:
        """Whether If-Match admits the tenant as it is.

        Raises:
            PreconditionFailed: it does not.
        """
        if self.condition is not None and not self.condition(tag(record)):
            raise PreconditionFailed(f"tenant {record.name} is another by now; read it again")


def tag(record: TenantRecord) -> str:
    """The version of a tenant: it changes with what it is told, with its definitions, and when a token of it is ended."""
    return weak_tag(str(record.edition))


@dataclass(frozen=True)
class Made:
    """What a handler made."""

    value: Shape | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


Handler = Callable[[Visit], Awaitable[Made]]


@dataclass(frozen=True)
class Row:
    """One operation."""

    method: str
    path: str
    id: str
    group: str
    summary: str
    handler: Handler
    body: type[Shape] | None = None
    answer: type[Shape] | None = None
    status: int = 200
    changes: bool = True
    """Whether it needs the scope admin; a GET never does."""
    for_server: bool = False
    """Whether it is for admin tokens of the default tenant only."""
    is_paged: bool = False
    is_conditional: bool = False
    """Whether it looks at If-Match."""
    needs_match: bool = False
    """Whether it is refused without."""
    refusals: tuple[int, ...] = field(default=())
    """Statuses beside those that follow from all that."""

    @property
    def needs_write(self) -> bool:
        """Whether whoever may only look may not ask it."""
        return self.changes and self.method != "GET"
