"""The store: what operations and the engine may ask of it, and what it guarantees.

Guarantees, proved by `rollbook.testing.store_suite` on every backend:

- A write is one transaction: document, value index, memberships, uniqueness, counters and change row are
  all there or none is (I-02). What was acknowledged survives a crash (I-01).
- Writes take effect in the order in which they are asked for, each seeing those before it, also while these
  are not yet acknowledged.
- Unique values are decided by the store, under any concurrency (I-05).
- A write that changes nothing leaves version, lastModified and the change log alone (A-31).
- A removed resource is in no membership and nothing refers to it, unless the rules let that stay; what it was
  a member of, and what referred to it, gets a new version (A-37).
- Memberships do not move the version of a member; whether it may have shown groups is remembered (A-31).
- No call reads or changes anything of another tenant (I-08).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from rollbook.protocol.errors import RequestError, ScimError
from rollbook.protocol.query import Query
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.secrets import Secrets
from rollbook.storage.sight import Sight


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, and when: kept in the change log. `at` is milliseconds since 1970, UTC.

    `credential` is the public id of a token, `origin` from where they ask: an address, or what of this machine.
    `run` is the number of the run that it is part of. `maker` is kept with a resource that is created, for whoever may
    see only what is their own.
    """

    name: str
    at: int
    credential: str | None = None
    origin: str | None = None
    run: int | None = None
    maker: str | None = None


class References(StrEnum):
    """What must exist when it is referred to (A-70), and what a deleted resource leaves behind (A-37)."""

    MEMBERS = "members"
    """Members must exist; other references are taken as sent, and go when their resource is deleted."""
    STRICT = "strict"
    """Every reference must lead to a resource of a type it is for, and goes when that is deleted."""
    TOLERANT = "tolerant"
    """Unknown members are left out; other references are taken as sent, and stay."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a tenant has been told of references between resources.

    `group_cycles`: resources may contain each other in a ring. `indirect_groups`: the groups of a resource are
    also those that it is in by way of others, in records and for filters. `sight` is what the caller sees: what is
    referred to from now on must be there for it, as if nothing else existed; None for all.
    """

    references: References = References.MEMBERS
    group_cycles: bool = False
    indirect_groups: bool = False
    sight: Sight | None = None


USUAL = Rules()
"""What holds where nothing else was said."""


class Record(NamedTuple):
    """A stored resource.

    `body` is a JSON object as bytes: `schemas` and every attribute returned by default, ready to be sent once
    `id`, `meta` and derived attributes are joined to it (architecture §1). `extra` is a JSON object of the
    attributes returned only on request or never. Times are milliseconds since 1970.
    `members` and `groups` are filled only when asked for and only if the type has them. `referred` are the
    resources that references in it lead to, by id, as far as they exist: joined for an answer, by no store.
    A named tuple, since a page has many and these are made three times faster than frozen dataclasses.
    """

    id: str
    resource_type: str
    version: str
    created: int
    modified: int
    body: bytes
    extra: bytes | None = None
    members: Sequence[Member] | None = None
    groups: tuple[Member, ...] | None = None
    referred: Mapping[str, Member] | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    """A resource to be created: its document and members are those of the change."""

    resource_type: ResourceType
    id: str
    change: Change


class StepRefused(ScimError):
    """Of several writes that stand or fall together one was refused, so that none happened.

    `step` counts from 0; `error` is what that write would have raised by itself.
    """

    def __init__(self, step: int, error: RequestError) -> None:
        super().__init__(error.detail)
        self.step = step
        self.error = error


@dataclass(frozen=True, slots=True)
class Updated:
    """The outcome of an update: the record now, and whether anything changed."""

    record: Record
    changed: bool


class Found(NamedTuple):
    """One page of a search: the exact number of matches and the records of the page, in order.

    `total` is None if the query did not want it. In a walk `before` and `after` are the positions from which
    the neighbouring pages are reached, None where there is none.
    """

    total: int | None
    records: Sequence[Record]
    before: bytes | None = None
    after: bytes | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One row of the change log. `operation` is create, update or delete; `detail` says what changed."""

    sequence: int
    resource_type: str
    id: str
    operation: str
    version: str
    author: str
    at: int
    detail: JsonObject = field(default_factory=dict)
    credential: str | None = None
    origin: str | None = None
    run: int | None = None


Decide = Callable[[Present], Change]
"""A pure function of the present state; it may run more than once, and may raise to refuse the write."""


class Store(Protocol):
    """Resources of all types and tenants. `tenant` is the tenant's number, 1 for the default tenant.

    Every method may raise `StoreUnavailable`.
    """

    async def open(self) -> None:
        """Connect; create or migrate the database if that is this store's way."""

    async def close(self) -> None:
        """Finish writes under way and let go of every connection."""

    async def get(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        rules: Rules = USUAL,
        *,
        members: bool = True,
        groups: bool = True,
    ) -> Record | None:
        """The resource, or None. `members` and `groups` say whether to read them along."""

    async def get_many(
        self,
        tenant: int,
        resource_type: ResourceType,
        ids: Sequence[str],
        rules: Rules = USUAL,
        *,
        members: bool = True,
        groups: bool = True,
    ) -> Mapping[str, Record]:
        """Those of the resources that exist and are of that type, by id; in one look."""

    async def search(
        self, tenant: int, query: Query, rules: Rules = USUAL, *, members: bool = True, groups: bool = True
    ) -> Found:
        """One page of matches in the query's order, by creation if it names none.

        Raises:
            TooMany: no index serves filter or order, and the number of resources to look at is over the limit.
        """

    async def referred(
        self, tenant: int, ids: Sequence[str], sight: Sight | None = None
    ) -> Mapping[str, Member]:
        """Those resources of the tenant that exist and are seen, by id, as references to them are shown."""

    async def insert(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        change: Change,
        author: Author,
        rules: Rules = USUAL,
    ) -> Record:
        """Create a resource from `change.document` and `change.add_members`; returns it with its members.

        Raises:
            Uniqueness: a unique value is in use; names the attribute.
            InvalidValue: a member does not exist in this tenant, or something else that must by the rules (A-70).
            Cycle: a member is, or contains, the resource itself, and the rules want no rings.
        """

    async def insert_together(
        self, tenant: int, inserts: Sequence[Insert], author: Author, rules: Rules = USUAL
    ) -> Sequence[Record]:
        """Create resources that may refer to each other, in either direction: all of them or none.

        All are there before the references of any are looked at. Each is new in version and log, as if by `insert`.
        The records have neither members nor groups.

        Raises:
            StepRefused: says which one is at fault, and why; nothing was created.
        """

    async def update(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        decide: Decide,
        scope: Scope,
        author: Author,
        rules: Rules = USUAL,
        *,
        if_match: Callable[[str], bool] | None = None,
        heavy: bool = False,
    ) -> Updated | None:
        """Apply what `decide` says of the present state, in one transaction; None if there is no resource.

        `scope` names the members `decide` has to see. `if_match` judges the present version. `heavy`: the change is of
        a document with many values, or the decision takes its time. The record
        returned has groups but no members: `members` may be large, read them with `get`.

        Raises:
            PreconditionFailed: `if_match` said no.
            Uniqueness, InvalidValue: as for insert; and whatever `decide` raises.
        """

    async def delete(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        author: Author,
        rules: Rules = USUAL,
        *,
        if_match: Callable[[str], bool] | None = None,
    ) -> bool:
        """Remove a resource, leaving a tombstone in the log; False if there is none.

        What refers to it does so no longer, unless the rules are tolerant or its schema requires it (A-37).

        Raises:
            PreconditionFailed: `if_match` said no.
        """

    async def was_member(self, tenant: int, id: str) -> bool:
        """Whether the resource is a member of anything, or was once; True if there is no resource."""

    async def changes(self, tenant: int, after: int, limit: int) -> Sequence[LogEntry]:
        """Log entries with a sequence number above `after`, in order, at most `limit`."""

    async def last_change(self, tenant: int) -> int:
        """The highest sequence number, 0 if there is none."""


@dataclass(frozen=True, slots=True)
class Act:
    """What was done, or refused, that is no change of a resource: a line of the audit log.

    `tenant` is a number, 0 for what concerns the service as a whole. `name` reads `token.create`; `type` and `subject`
    say what it was done to. `times` is more than 1 for refused requests that are told together.
    """

    author: Author
    tenant: int
    name: str
    type: str = ""
    subject: str = ""
    outcome: str = "done"
    times: int = 1
    detail: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A bearer token as stored: everything but the secret. Times are milliseconds since 1970."""

    id: str
    tenant: int
    name: str
    digest: bytes
    created: int
    expires: int | None
    user: str | None = None
    revoked: int | None = None
    rights: str = "{}"
    """What it may do, as JSON (`operations.rights`)."""
    used: int | None = None
    """When it was last used, to the minute."""
    origin: str = ""
    """Who made it: nothing for the command, `client ID` for the token endpoint, `certificate` if it stands for one."""


class QuirkUse(NamedTuple):
    """How often requests with a token needed a quirk. `token` is its public id; times are milliseconds since 1970."""

    tenant: int
    token: str
    quirk: str
    uses: int
    first: int
    last: int


class QuirkStore(Protocol):
    """Counts of the quirks that were needed."""

    async def add_quirk_uses(self, uses: Sequence[QuirkUse]) -> None:
        """Add to what was counted before."""

    async def quirk_uses(self, tenant: int) -> Sequence[QuirkUse]:
        """Everything counted for a tenant, by token and quirk."""


class TokenStore(Protocol):
    """Bearer tokens by their public id."""

    @property
    def secrets(self) -> Secrets:
        """What is kept sealed, such as the pepper of token digests."""

    async def token(self, id: str) -> TokenRecord | None:
        """The token, or None; revoked and expired ones are returned too."""

    async def add_token(self, token: TokenRecord, act: Act | None = None) -> None:
        """Keep a new token, and tell the audit log."""

    async def tokens(self, tenant: int) -> Sequence[TokenRecord]:
        """All tokens of a tenant that a command has made, oldest first."""

    async def revoke_token(self, tenant: int, id: str, at: int, act: Act | None = None) -> bool:
        """End a token of the tenant at once, in every process; False if there is none that could be ended."""

    async def rotate_token(self, token: TokenRecord, former: str, until: int, act: Act | None = None) -> bool:
        """Keep a new token in the place of another of its tenant, which ends then; False if that has ended already."""

    async def note_token_uses(self, uses: Mapping[str, int]) -> None:
        """When tokens were last used, by id."""

    async def setting(self, name: str) -> str | None:
        """A value this store keeps for the service itself; secrets are kept elsewhere (`secrets`)."""

    async def keep_setting(self, name: str, value: str) -> str:
        """Set a value unless there is one; returns the one that holds."""
