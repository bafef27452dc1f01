"""Other definitions for a database with data: every resource they concern is judged before they are taken.

The survey reads one snapshot beside running writes. Taking them is one transaction: what was written since the
survey is judged there, values nobody defines any more are dropped if that was agreed to, the index is made anew.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rollbook.protocol import compare
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import Conflict, DefinitionsChanged, InvalidValue
from rollbook.protocol.match import values
from rollbook.protocol.resource import Change, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.schema_change import Fault, Finding, Judged, judge
from rollbook.storage.base import Author, Decide, References, Rules
from rollbook.storage.documents import decode
from rollbook.storage.sql import layout, memberships, writes
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.editions import edition_of
from rollbook.storage.sql.index import Layout, indexed_paths, is_unique
from rollbook.storage.sql.memberships import Container
from rollbook.storage.sql.writes import Target

EACH = """
    SELECT pk, tenant, id, body, extra FROM resource WHERE tenant = ? AND type = ? AND pk > ? ORDER BY pk LIMIT 500
"""
NUMBER = "SELECT resources FROM counter WHERE tenant = ? AND type = ? AND resources > 0"
TYPES = "SELECT type FROM counter WHERE tenant = ? AND resources > 0"
LAST = "SELECT change FROM sequence WHERE tenant = ?"
SINCE = "SELECT DISTINCT id FROM change WHERE tenant = ? AND sequence > ?"
ONE = "SELECT pk, tenant, id, body, extra, type FROM resource WHERE tenant = ? AND id = ?"
HAS_MEMBERS = "SELECT 1 FROM membership WHERE tenant = ? AND container = ? LIMIT 1"
NOTE_KEYS = "CREATE TEMP TABLE IF NOT EXISTS unique_key (tenant BIGINT, path TEXT, key BYTEA, PRIMARY KEY (tenant, path, key))"
FORGET_KEYS = "DELETE FROM unique_key"
NOTE_KEY = "INSERT INTO unique_key (tenant, path, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"

EXAMPLES = 3
"""How many ids are told of each finding."""

AS_IT_IS = Rules(References.TOLERANT)
"""What references lead to is not asked while values are dropped."""

Progress = Callable[[int, int], None]
"""Told from time to time how many resources of how many have been looked at."""


def quietly(_done: int, _of: int) -> None:
    """Progress that nobody watches."""


@dataclass
class Survey:
    """What was found when every resource was judged by `catalog`: how often, and of which resources for example."""

    tenant: int
    catalog: Catalog
    edition: int
    looked_at: int = 0
    counts: Counter[tuple[str, Finding]] = field(default_factory=Counter)
    examples: dict[tuple[str, Finding], list[str]] = field(default_factory=dict)
    until: dict[int, int] = field(default_factory=dict)
    """Tenant → the last change of its log that was seen."""

    def note(self, type_name: str, id: str, findings: Iterable[Finding]) -> None:
        """Count what was found of one resource."""
        for finding in findings:
            self.counts[type_name, finding] += 1
            told = self.examples.setdefault((type_name, finding), [])
            if len(told) < EXAMPLES:
                told.append(id)

    @property
    def is_lossless(self) -> bool:
        """Whether the definitions can be taken and nothing is lost."""
        return not self.counts

    @property
    def only_drops(self) -> bool:
        """Whether nothing is wrong but values that would be dropped."""
        return all(finding.fault is Fault.DROPPED for _, finding in self.counts)


def survey(
    connection: Connection, tenant: int, known: Layout, catalog: Catalog, progress: Progress
) -> Survey:
    """Judge every resource of the types that other definitions of a tenant change."""
    governed = layout.governed(connection, tenant)
    found = Survey(tenant, catalog, edition_of(connection, tenant), until=_ends(connection, governed))
    concerned = list(_concerned(connection, governed, known.catalog, catalog))
    whole = sum(_number(connection, one, name) for name, _, _ in concerned for one in governed)
    connection.run(NOTE_KEYS)
    for name, kind, unique in concerned:
        for row in _each(connection, governed, name):
            findings = _judge(connection, kind, row).findings
            found.note(name, row[2], [*findings, *_clashes(connection, kind, unique, row)])
            found.looked_at += 1
            if found.looked_at % 500 == 0:
                progress(found.looked_at, whole)
    connection.run(FORGET_KEYS)
    progress(found.looked_at, whole)
    return found


def _ends(connection: Connection, tenants: list[int]) -> dict[int, int]:
    """The last change of each tenant's log."""
    return {one: row[0] for one in tenants for row in connection.all(LAST, (one,))}


def _number(connection: Connection, tenant: int, type_name: str) -> int:
    return sum(number for (number,) in connection.all(NUMBER, (tenant, type_name)))


def _concerned(
    connection: Connection, tenants: list[int], before: Catalog, after: Catalog
) -> Iterator[tuple[str, ResourceType | None, list[str]]]:
    """Types with resources that are defined otherwise then, and their attributes that would newly be unique."""
    for name in sorted({name for one in tenants for (name,) in connection.all(TYPES, (one,))}):
        old, new = before.resource_type(name), after.resource_type(name)
        if new is None or old != new:
            was = {path.text for path in indexed_paths(old) if is_unique(path)} if old else set()
            unique = [path.text for path in indexed_paths(new) if is_unique(path)] if new else []
            yield name, new, [text for text in unique if text not in was]


def _each(connection: Connection, tenants: list[int], type_name: str) -> Iterator[Row]:
    for tenant in tenants:
        after = 0
        while batch := connection.all(EACH, (tenant, type_name, after)):
            yield from batch
            after = batch[-1][0]


def _judge(connection: Connection, kind: ResourceType | None, row: Row) -> Judged:
    pk, tenant, _, body, extra = row[:5]
    document = decode(body, extra)
    if kind is None:
        return Judged((Finding(Fault.NO_TYPE, ""),), document)
    has_members = kind.memberships is None and connection.one(HAS_MEMBERS, (tenant, pk)) is not None
    return judge(document, kind, has_members=has_members)


def _clashes(
    connection: Connection, kind: ResourceType | None, unique: list[str], row: Row
) -> Iterator[Finding]:
    """The attributes of which another resource, seen before, has the same value."""
    _, tenant, _, body, extra = row[:5]
    document = decode(body, extra) if kind and unique else {}
    for text in unique:
        path = kind.find(text) if kind else None
        for _, value in values(path, document) if path else ():
            try:
                key = compare.key(path.leaf, value) if path else b""
            except InvalidValue:
                continue  # unfit: told already
            if connection.run(NOTE_KEY, (tenant, f"{kind.name if kind else ''} {text}", key)) == 0:
                yield Finding(Fault.NOT_UNIQUE, text)


def take(
    connection: Connection,
    known: Layout,
    found: Survey,
    author: Author,
    *,
    drop: bool,
    progress: Progress,
) -> tuple[Layout, int]:
    """Take the definitions of a survey; the layout they need, and how many resources lost values.

    Raises:
        Conflict: something would no longer be valid, or values would be dropped and `drop` does not say so.
        DefinitionsChanged: the database keeps other definitions by now.
    """
    if edition_of(connection, found.tenant) != found.edition:
        raise DefinitionsChanged(
            "the schemas were changed by somebody else just now; look at them and try again"
        )
    newer = _newer(connection, found)
    for each in (found, newer):
        if not each.is_lossless and not (drop and each.only_drops):
            raise Conflict("resources would no longer be valid, or would lose values; nothing was changed")
    dropping = sorted({name for each in (found, newer) for name, _ in each.counts})
    changed = 0
    for name in dropping:
        changed += _drop(connection, known, found, name, author, progress)
    return layout.fitted(connection, found.tenant, found.catalog), changed


def _newer(connection: Connection, found: Survey) -> Survey:
    """The same of what was written since the survey; uniqueness is decided by the index itself."""
    newer = Survey(found.tenant, found.catalog, found.edition)
    for tenant in layout.governed(connection, found.tenant):
        for (identifier,) in connection.all(SINCE, (tenant, found.until.get(tenant, 0))):
            row = connection.one(ONE, (tenant, identifier))
            if row is not None:
                kind = found.catalog.resource_type(row[5])
                newer.note(row[5], identifier, _judge(connection, kind, row).findings)
    return newer


def _drop(
    connection: Connection, known: Layout, found: Survey, name: str, author: Author, progress: Progress
) -> int:
    """Rewrite the resources of a type without what is not defined any more, by the definitions that held so far."""
    old, new = known.catalog.resource_type(name), found.catalog.resource_type(name)
    if old is None or new is None:
        return 0
    changed = 0
    for row in _each(connection, layout.governed(connection, found.tenant), name):
        judged = _judge(connection, new, row)
        if not judged.findings:
            continue
        pk, tenant, identifier = row[:3]
        if new.memberships is None:
            memberships.remove_all(connection, Container(tenant, pk, old))
        target = Target(tenant, old, identifier, None)
        change = _always(Change(judged.document))
        writes.Update(target, change, Scope(), author, AS_IT_IS)(connection, known)
        changed += 1
        if changed % 500 == 0:
            progress(changed, changed)
    return changed


def _always(change: Change) -> Decide:
    return lambda _: change
