"""Bringing an earlier version of a resource back, as one change within a transaction that the caller holds.

It is written as any other change is: by the definitions that hold now, with unique values and members looked at.
"""

from typing import NamedTuple

from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.schema_change import Fault, judge
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Author, Rules
from rollbook.storage.sql import history, load, writes
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.history import LATEST, Version
from rollbook.storage.sql.index import Layout
from rollbook.storage.sql.log import version_number
from rollbook.storage.sql.reads import referred
from rollbook.storage.sql.writes import Target


class Lost(NamedTuple):
    """What did not come back: members that are gone, references to what is gone, attributes nobody defines any more."""

    members: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


def restore(
    connection: Connection,
    layout: Layout,
    target: Target,
    wanted: Version,
    author: Author,
    rules: Rules,
) -> Lost:
    """Make a resource what it was; see `Archive.restore`. `wanted` has a document."""
    tenant, kind = target.tenant, target.resource_type
    document, dropped = _defined(kind, wanted.document or {})
    document, broken = _leading_somewhere(connection, tenant, kind, document)
    known = referred(connection, tenant, wanted.members) if wanted.members else {}
    members = [Member(member) for member in wanted.members if member in known] if kind.memberships else []
    if writes.present(connection, layout, target) is None:
        _revive(connection, layout, target, Change(document, tuple(members)), author, rules)
    else:
        _turn_back(connection, layout, target, Change(document, tuple(members)), author, rules)
    return Lost(tuple(member for member in wanted.members if member not in known), broken, dropped)


def _defined(kind: ResourceType, document: JsonObject) -> tuple[JsonObject, tuple[str, ...]]:
    """The document as far as the definitions have it now, without its password, and what they do not have any more.

    Raises:
        InvalidValue: what is left would not be valid.
    """
    judged = judge({name: value for name, value in document.items() if name != kind.secret}, kind)
    wrong = [
        f"{each.where} is {_WRONG[each.fault]}"
        for each in judged.findings
        if each.fault in _WRONG and each.where != kind.secret
    ]
    if wrong:
        raise InvalidValue(f"by the schemas that hold now that version is not valid: {'; '.join(wrong)}")
    return judged.document, tuple(each.where for each in judged.findings if each.fault is Fault.DROPPED)


_WRONG = {Fault.UNFIT: "of another kind", Fault.MISSING: "required"}


def _leading_somewhere(
    connection: Connection, tenant: int, kind: ResourceType, document: JsonObject
) -> tuple[JsonObject, tuple[str, ...]]:
    """The document without references to resources that were deleted (A-37), and the ids of these.

    What was never a resource of ours stays: it was taken as sent.
    """
    named = kind.references.ids(document)
    there = referred(connection, tenant, sorted(named)) if named else {}
    broken = []
    for gone in sorted(named - there.keys()):
        if last := history.entries(connection, tenant, gone, LATEST, 1):
            document = kind.references.without(document, last[0].resource_type, gone)
            broken.append(gone)
    return document, tuple(broken)


def _turn_back(
    connection: Connection, layout: Layout, target: Target, wanted: Change, author: Author, rules: Rules
) -> None:
    kind, document = target.resource_type, wanted.document or {}
    ids = {member.value for member in wanted.add_members}

    def decide(now: Present) -> Change:
        secret = kind.secret
        kept = {secret: now.document[secret]} if secret in now.document else {}
        come = tuple(member for member in wanted.add_members if member.value not in now.members)
        return Change(
            {**document, **kept}, come, tuple(member for member in now.members if member not in ids)
        )

    scope = Scope(all=kind.memberships is not None)
    writes.Update(target, decide, scope, author, rules)(connection, layout)


def _revive(
    connection: Connection, layout: Layout, target: Target, wanted: Change, author: Author, rules: Rules
) -> None:
    tenant, own = target.tenant, target.id
    (last,) = history.entries(connection, tenant, own, LATEST, 1)
    new = writes.new(layout, target.resource_type, own, wanted)
    writes.insert(connection, layout, tenant, new, author, rules)
    version = version_number(last.version) + 1  # none is given twice
    load.keep(connection, layout, tenant, own, load.Kept(version, author.at, author.at))
