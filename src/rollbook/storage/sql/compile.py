"""ResolvedFilter → SQL text and parameters over the value index; returns, never runs (architecture §2).

What no index serves becomes every resource, marked inexact: the search then looks at those documents.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, assert_never

from rollbook.protocol import compare
from rollbook.protocol.filters import Operator
from rollbook.protocol.match import matches, matches_element
from rollbook.protocol.resolved import (
    AllOf,
    AnyOf,
    Element,
    HasValue,
    NotAny,
    ResolvedFilter,
    Test,
    paths,
)
from rollbook.protocol.schema import AttributePath
from rollbook.storage.sql import parts
from rollbook.storage.sql.conditions import SYMBOLS, on_key, on_text
from rollbook.storage.sql.connection import Parameter
from rollbook.storage.sql.dialects import R_TENANT, SQLITE
from rollbook.storage.sql.index import TENANT_SHIFT, Indexed, cut
from rollbook.storage.sql.member_filters import related_rows, relation_of
from rollbook.storage.sql.row_sets import (
    Rank,
    Rows,
    Scope,
    all_of,
    any_of,
    every,
    listed,
    not_any,
    nothing,
)

_SUBSTRING = frozenset({Operator.CO, Operator.SW, Operator.EW})


class Plan(NamedTuple):
    """How to find what a filter matches.

    `narrow` is `rows`, or more than that, if that takes only look-ups and is likely to be little: then looking
    at the documents costs less than asking the other sets. `by_parts` says that it is found by parts of texts, which
    may take some time.
    """

    rows: Rows
    narrow: Rows | None = None
    by_parts: bool = False

    @property
    def is_look_up(self) -> bool:
        """Whether there is at most one match, found by a key of its own."""
        return self.narrow is self.rows and self.rows.exact and self.rows.rank is Rank.ONE


def compile_filter(node: ResolvedFilter | None, scope: Scope, maker: str | None = None) -> Plan:
    """The plan for a filter; None matches everything. With a maker, of what that one has made."""
    own = [] if maker is None else [made_by(maker, scope)]
    if node is None:
        return Plan(own[0] if own else every(scope))
    terms = [*(_rows(term, scope) for term in (node.terms if isinstance(node, AllOf) else (node,))), *own]
    rows = terms[0] if len(terms) == 1 else all_of(scope, terms)
    if rows.quick and rows.rank <= Rank.FEW:
        return Plan(rows, rows)
    quick = [term for term in terms if term.quick]
    if any(term.rank <= Rank.FEW for term in quick):
        return Plan(rows, all_of(scope, quick)._replace(exact=False))
    part = next((term.part for term in terms if term.part), None)
    if part is not None:
        return Plan(rows, _by_part(*part, own, scope), by_parts=True)
    return Plan(rows, all_of(scope, quick)._replace(exact=False)) if own else Plan(rows)


def made_by(maker: str, scope: Scope) -> Rows:
    """What somebody has made: `resource_by_maker` has it in order of creation."""
    select = "SELECT pk FROM resource WHERE tenant = ? AND type = ? AND maker = ?"
    check = f"{SQLITE.unindexed.format(column='r.maker')} = ?"
    return Rows(select, (*scope.of_type, maker), check, (maker,), Rank.SOME, ordered=True, quick=True)


def _by_part(select: str, parameters: tuple[Parameter, ...], own: Sequence[Rows], scope: Scope) -> Rows:
    for one in own:
        select = (
            f"SELECT r.pk AS pk FROM resource r WHERE {R_TENANT} = ? AND r.pk IN ({select}) AND {one.check}"
        )
        parameters = (scope.tenant, *parameters, *one.check_parameters)
    return Rows(select, parameters, "", (), Rank.FEW, exact=False, ordered=not own)


def _rows(node: ResolvedFilter, scope: Scope) -> Rows:
    match node:
        case Test(path):
            return _path_rows(path, node, scope)
        case HasValue(path):
            return _path_rows(path, node, scope)
        case Element(path, inner):
            return _element(path, inner, scope)
        case NotAny(NotAny(term)):
            return _rows(term, scope)
        case NotAny(term):
            absent = _absent(term.path, scope) if isinstance(term, HasValue) else None
            return absent or not_any(scope, _rows(term, scope))
        case AllOf(terms):
            return all_of(scope, [_rows(term, scope) for term in terms])
        case AnyOf(terms):
            return any_of(scope, _alternatives(terms, scope))
        case _:
            assert_never(node)


def _alternatives(terms: Sequence[ResolvedFilter], scope: Scope) -> list[Rows]:
    """The terms, with all that ask whether one indexed attribute equals this or that made one."""
    keys: dict[int, list[bytes]] = {}
    others: list[Rows] = []
    for term in terms:
        indexed = scope.index.get(term.path) if isinstance(term, Test) else None
        if isinstance(term, Test) and indexed is not None and term.operator is Operator.EQ:
            keys.setdefault(indexed.number, []).append(cut(term.key))
        else:
            others.append(_rows(term, scope))
    by_number = scope.index.by_number
    return [
        *(_equal(by_number[number], sorted(set(found)), scope) for number, found in keys.items()),
        *others,
    ]


def _path_rows(path: AttributePath, node: Test | HasValue, scope: Scope) -> Rows:
    """Who serves an attribute: a column, the memberships, the index, or nobody."""
    relation = relation_of(path, scope)
    if relation is not None:
        return related_rows(relation, node, scope)
    if path.urn is None and path.attribute.name in _COLUMNS:
        return _COLUMNS[path.attribute.name](node, scope)
    indexed = scope.index.get(path)
    if indexed is None or not _serves(indexed, node):
        return every(scope, path.text)
    if isinstance(node, HasValue):
        return _present(indexed, scope)
    if node.operator is Operator.EQ:
        return _equal(indexed, [cut(node.key)], scope)
    return _compared(indexed, node, scope)


def _serves(indexed: Indexed, node: Test | HasValue) -> bool:
    """Whether keys tell what the test asks."""
    if isinstance(node, HasValue) or node.operator not in _SUBSTRING:
        return True
    return compare.searches_key(indexed.path.leaf)


def _equal(indexed: Indexed, keys: Sequence[bytes], scope: Scope) -> Rows:
    one = len(keys) == 1
    select, check = indexed.equal if one else indexed.equal_to(f"IN ({', '.join('?' * len(keys))})")
    parameters: tuple[Parameter, ...] = (scope.tenant, indexed.number, *keys)
    rank = Rank.ONE if one and not indexed.listed else Rank.FEW
    return Rows(select, parameters, check, parameters, rank, ordered=one and indexed.is_single, quick=True)


def _compared(indexed: Indexed, test: Test, scope: Scope) -> Rows:
    condition = on_key("key", test.operator, test.key)
    select = f"SELECT pk FROM {indexed.table} WHERE tenant = ? AND attribute = ? AND {condition.sql}"
    parameters: tuple[Parameter, ...] = (scope.tenant, indexed.number, *condition.parameters)
    exact = condition.exact
    if test.operator in {Operator.CO, Operator.EW} and scope.has_long(indexed.number):
        select += " UNION ALL SELECT pk FROM value WHERE tenant = ? AND attribute = ?"
        parameters += (scope.tenant, -indexed.number)
        exact = False
    rank = Rank.SOME if test.operator is Operator.SW else Rank.MANY
    rows = listed(select, parameters, rank, exact=exact)._replace(part=_part(indexed, test, scope))
    return rows if exact else rows._replace(unserved=(indexed.path.text,))


def _part(indexed: Indexed, test: Test, scope: Scope) -> tuple[str, tuple[Parameter, ...]] | None:
    """The SELECT of resources with all parts of the text, if they can be looked up."""
    if not scope.has_parts or test.operator not in {Operator.CO, Operator.EW}:
        return None
    wanted = parts.query(indexed, test.key.decode())
    if wanted is None:
        return None
    return parts.FIND, (wanted, scope.tenant << TENANT_SHIFT, (scope.tenant + 1) << TENANT_SHIFT)


def _present(indexed: Indexed, scope: Scope) -> Rows:
    """Those with a value; the key of an empty text is empty, and that is no value (A-16)."""
    select = f"SELECT pk FROM {indexed.table} WHERE tenant = ? AND attribute = ? AND key > ?"
    return listed(select, (scope.tenant, indexed.number, b""), Rank.MANY)


def _absent(path: AttributePath, scope: Scope) -> Rows | None:
    """Those without a value, if the index lists them; an empty text is none, and has an empty key too (A-16)."""
    indexed = scope.index.get(path)
    if indexed is None or indexed.none is None or not indexed.listed:
        return None
    select = f"SELECT pk FROM value WHERE tenant = ? AND attribute IN (?, ?) AND key = {SQLITE.no_bytes}"
    return listed(select, (scope.tenant, indexed.none, indexed.number), Rank.MANY)


def _element(path: AttributePath, inner: ResolvedFilter, scope: Scope) -> Rows:
    relation = relation_of(path, scope)
    if relation is not None:
        return related_rows(relation, inner, scope)
    found = _within(inner, scope)
    return found or every(scope, path.text)


def _within(node: ResolvedFilter, scope: Scope) -> Rows | None:
    """The resources of which some one value may pass; None if the index does not tell.

    Of several conditions on one value only the best is asked of the index: that they hold for the same value
    is seen in the documents.
    """
    match node:
        case Test(path) | HasValue(path):
            indexed = scope.index.get(path)
            found = _path_rows(path, node, scope) if indexed else None
            return None if found is None or found.is_every else found
        case AllOf(terms):
            served = [rows for term in terms if (rows := _within(term, scope)) is not None]
            if not served:
                return None
            best = min(served, key=lambda rows: rows.rank)
            name = next((path.text for path in paths(node)), "")
            return best if len(terms) == 1 else best._replace(exact=False, unserved=(name,))
        case AnyOf(terms):
            parts = [_within(term, scope) for term in terms]
            known = [rows for rows in parts if rows is not None]
            return any_of(scope, known) if len(known) == len(parts) else None
        case NotAny() | Element():
            return None
        case _:
            assert_never(node)


_Column = Callable[["Test | HasValue", Scope], Rows]


def _id(node: Test | HasValue, scope: Scope) -> Rows:
    if isinstance(node, HasValue):
        return every(scope)
    text = node.key.decode()
    inner, condition = on_text("id", node.operator, text), on_text("r.id", node.operator, text)
    select = f"SELECT pk FROM resource WHERE tenant = ? AND type = ? AND {inner.sql}"
    rank = Rank.ONE if node.operator is Operator.EQ else Rank.MANY
    rows = Rows(
        select, scope.of_type + inner.parameters, condition.sql, condition.parameters, rank, quick=True
    )
    return rows._replace(ordered=node.operator is Operator.EQ)


def _schemas(node: Test | HasValue, scope: Scope) -> Rows:
    """The URN of the base schema is every resource's and has no rows."""
    base = {node.path.attribute.name: [scope.index.resource_type.schema.id]}
    if isinstance(node, HasValue) or matches(node, base):
        return every(scope)
    indexed = Indexed(scope.index.schemas, node.path, unique=False, listed=True)
    if node.operator is Operator.EQ:
        return _equal(indexed, [node.key], scope)
    return _compared(indexed, node, scope)._replace(part=None)  # URNs are a few, and not among the texts


def _meta(node: Test | HasValue, scope: Scope) -> Rows:
    if isinstance(node, HasValue):
        return every(scope)
    name = node.path.leaf.name
    if name == "resourceType":
        held = matches_element(node, {name: scope.index.resource_type.name})
        return every(scope) if held else nothing()
    column = _TIMES.get(name)
    if column is None or node.operator in _SUBSTRING:
        return every(scope, node.path.text)
    symbol = SYMBOLS.get(node.operator, "=")
    parameters = (*scope.of_type, int.from_bytes(node.key, "big") + _FIRST_MOMENT)
    select = f"SELECT pk FROM resource WHERE tenant = ? AND type = ? AND {column} {symbol} ?"
    check = f"r.{column} {symbol} ?"
    return Rows(select, parameters, check, parameters[-1:], Rank.MANY, quick=True)


_FIRST_MOMENT = -(2**63)
"""The moment whose key is zero (`compare`)."""

_TIMES = {"created": "created", "lastModified": "modified"}
_COLUMNS: dict[str, _Column] = {"id": _id, "schemas": _schemas, "meta": _meta}
