"""Filters on members and on groups: conditions on rows of `membership`, seen from either side (architecture §3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from rollbook.protocol.filters import Operator
from rollbook.protocol.match import matches_element
from rollbook.protocol.resolved import AllOf, AnyOf, Element, HasValue, NotAny, ResolvedFilter, Test
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject
from rollbook.storage.documents import mentions
from rollbook.storage.sql.conditions import Condition, on_text
from rollbook.storage.sql.connection import Parameter
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.row_sets import Rank, Rows, Scope, listed


@dataclass(frozen=True, slots=True)
class Relation:
    """One side of memberships: `near` is the column of the resource asked about, `far` that of the others."""

    name: str
    near: str
    far: str


def relation_of(path: AttributePath, scope: Scope) -> Relation | None:
    """The side that an attribute shows, None for any other attribute."""
    resource_type = scope.index.resource_type
    if mentions(path, resource_type.memberships):
        return Relation(path.attribute.name, "container", "member")
    if mentions(path, resource_type.derived):
        return Relation(path.attribute.name, "member", "container")
    return None


def related_rows(relation: Relation, node: ResolvedFilter, scope: Scope) -> Rows:
    """Resources with a member, or in a group, that passes."""
    near, far = relation.near, relation.far
    condition = _shown(_condition(node, relation, scope), relation, scope)
    if _pins(node):  # at most a few others: begin with them
        source = f"resource o {SQLITE.walk} membership m ON m.tenant = o.tenant AND m.{far} = o.pk"
        bounds, rank = "o.tenant = ?", Rank.FEW
    else:
        source = f"membership m {SQLITE.walk} resource o ON o.tenant = m.tenant AND o.pk = m.{far}"
        bounds, rank = "m.tenant = ?", Rank.MANY
    select = (
        f"SELECT m.{near} AS pk FROM {source} {SQLITE.walk} resource n ON n.tenant = m.tenant AND n.pk = m.{near}"
        f" WHERE {bounds} AND {condition.sql} AND n.type = ?"
    )
    check = f"EXISTS (SELECT 1 FROM {source} WHERE {bounds} AND m.{near} = r.pk AND {condition.sql})"
    parameters: tuple[Parameter, ...] = (scope.tenant, *condition.parameters)
    name = scope.index.resource_type.name
    if scope.indirect and near == "member":
        return _reached_rows(relation, condition, f"{source} WHERE {bounds}", parameters, scope)
    unserved = () if condition.exact else (relation.name,)
    return Rows(
        select,
        (*parameters, name),
        check,
        parameters,
        rank,
        condition.exact,
        quick=rank is Rank.FEW,
        unserved=unserved,
    )


def _reached_rows(
    relation: Relation, condition: Condition, source: str, parameters: tuple[Parameter, ...], scope: Scope
) -> Rows:
    """Resources in a group that passes, directly or by way of others: everything below the groups that pass."""
    select = f"""SELECT pk FROM (
        WITH RECURSIVE below (tenant, pk) AS (
            SELECT m.tenant, m.member FROM {source} AND {condition.sql}
            UNION
            SELECT m.tenant, m.member
            FROM below {SQLITE.walk} membership m ON m.tenant = below.tenant AND m.container = below.pk
        )
        SELECT n.pk AS pk FROM below {SQLITE.walk} resource n ON n.tenant = below.tenant AND n.pk = below.pk WHERE n.type = ?
    ) AS reached"""
    type_name = scope.index.resource_type.name
    rows = listed(select, (*parameters, type_name), Rank.MANY, exact=condition.exact)
    return rows._replace(unserved=() if condition.exact else (relation.name,))


def _shown(condition: Condition, relation: Relation, scope: Scope) -> Condition:
    """The condition, for those groups only that resources of the type show."""
    if relation.near == "container":
        return condition
    catalog = scope.layout.catalog
    shown = catalog.shown_groups(scope.index.resource_type)
    if all(kind.name in shown for kind in catalog.resource_types if kind.memberships is not None):
        return condition
    of_type = _of_types(sorted(shown))
    sql = f"({of_type.sql} AND {condition.sql})"
    return Condition(sql, of_type.parameters + condition.parameters, condition.exact)


def _of_types(names: Sequence[str]) -> Condition:
    return Condition(f"o.type IN ({', '.join('?' * len(names))})" if names else "FALSE", tuple(names))


def _pins(node: ResolvedFilter) -> bool:
    """Whether only resources of certain ids can pass."""
    match node:
        case Test(path, operator):
            return operator is Operator.EQ and path.leaf.name == "value"
        case AllOf(terms):
            return any(map(_pins, terms))
        case AnyOf(terms):
            return all(map(_pins, terms))
        case HasValue() | NotAny() | Element():
            return False
        case _:
            assert_never(node)


def _condition(node: ResolvedFilter, relation: Relation, scope: Scope) -> Condition:
    """What has to hold for the other resource `o` of a membership."""
    match node:
        case Test():
            return _test(node, relation, scope)
        case HasValue(path):
            return _present(path)
        case NotAny(term):
            condition = _condition(term, relation, scope)
            if not condition.exact:
                return _UNKNOWN
            return Condition(f"NOT ({condition.sql})", condition.parameters)
        case AllOf(terms) | AnyOf(terms):
            word = " AND " if isinstance(node, AllOf) else " OR "
            parts = [_condition(term, relation, scope) for term in terms]
            sql = word.join(f"({part.sql})" for part in parts) or "FALSE"
            parameters = tuple(value for part in parts for value in part.parameters)
            return Condition(f"({sql})", parameters, all(part.exact for part in parts))
        case Element():
            return _UNKNOWN
        case _:
            assert_never(node)


_UNKNOWN = Condition("TRUE", (), exact=False)


def _present(path: AttributePath) -> Condition:
    if path.sub is not None and path.sub.name == "display":
        return Condition("coalesce(o.display, '') <> ''", ())
    return Condition("TRUE", ())


def _test(test: Test, relation: Relation, scope: Scope) -> Condition:
    name = test.path.leaf.name
    if name == "value":
        return on_text("o.id", test.operator, test.key.decode())
    if name != "type":
        return _UNKNOWN
    if relation.near == "member":
        if scope.indirect:
            return _UNKNOWN
        return Condition("TRUE" if matches_element(test, DIRECT) else "FALSE", ())
    return _of_types([kind for kind in scope.layout.indexes if matches_element(test, {name: kind})])


DIRECT: JsonObject = {"type": "direct"}
"""What `groups.type` says where memberships by way of another group are not listed."""
