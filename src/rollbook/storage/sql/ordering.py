"""An order as index walks: SELECTs of key and row key, in order, that go on after any place (architecture §6).

Those with a value of the attribute are one stretch of an index, those without another: `index` gives each
resource that has none a row of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rollbook.protocol.query import Order
from rollbook.storage.places import Place
from rollbook.storage.sql.connection import Parameter
from rollbook.storage.sql.dialects import R_TENANT, SQLITE
from rollbook.storage.sql.index import Indexed
from rollbook.storage.sql.row_sets import Rows, Scope

_FIRST_MOMENT = -(2**63)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of an order. `source` is FROM and WHERE; `of_resources` if it walks table `resource` as `r`.

    `key` is the expression that orders it, None where all keys are equal; `pk` the row key's. `bind` makes a
    place's key what `key` is compared with, `read` the reverse.
    """

    source: str
    parameters: tuple[Parameter, ...]
    key: str | None
    pk: str
    missing: bool = False
    of_resources: bool = False
    bind: Callable[[bytes], Parameter] = lambda key: key
    read: Callable[[Parameter], bytes] = lambda key: key if isinstance(key, bytes) else b""

    @property
    def is_by_creation(self) -> bool:
        """Whether it is in the order of row keys."""
        return self.key is None and self.of_resources

    def place(self, key: Parameter, pk: int) -> Place:
        """The place of a row."""
        return Place(self.missing, b"" if self.key is None else self.read(key), pk)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text and its parameters."""

    sql: str
    parameters: tuple[Parameter, ...]


def stretches(order: Order | None, scope: Scope) -> tuple[Stretch, ...] | None:
    """The stretches of an order, ascending; None if no index has it."""
    if order is None:
        return (_by_creation(scope),)
    path = order.path
    if path.urn is None and path.attribute.name in _COLUMNS:
        return _COLUMNS[path.attribute.name](order, scope)
    indexed = scope.index.get(path)
    if indexed is None or not order.by_one:
        return None
    return _by_value(indexed, scope)


def walk(
    stretch: Stretch, rows: Rows, at: Place | None, *, forwards: bool, limit: int, offset: int = 0
) -> Statement:
    """The SELECT of keys and row keys of a set in a stretch, beyond a place of it if one is given."""
    if at is not None and stretch.is_by_creation and not rows.is_every and not rows.ordered:
        # What lies before is left out of the set, or the resources of all that are in it would be sought.
        rows = rows._replace(
            select=f"SELECT pk FROM ({rows.select}) AS found WHERE pk {_sign(forwards=forwards)} ?",
            parameters=(*rows.parameters, at.number),
        )
    source, parameters = _restricted(stretch, rows)
    if at is not None:
        bound, values = _beyond(stretch, at, forwards=forwards)
        source, parameters = f"{source} AND {bound}", parameters + values
    way = "ASC" if forwards else "DESC"
    by = f"{stretch.pk} {way}" if stretch.key is None else f"{stretch.key} {way}, {stretch.pk} {way}"
    sql = f"SELECT {stretch.key or 'NULL'} AS key, {stretch.pk} AS pk FROM {source} ORDER BY {by} LIMIT ? OFFSET ?"
    return Statement(sql, (*parameters, limit, offset))


def number_in(stretch: Stretch, rows: Rows) -> Statement:
    """The SELECT of the number of a set's resources in a stretch."""
    source, parameters = _restricted(stretch, rows)
    return Statement(f"SELECT count(*) FROM {source}", parameters)


def _restricted(stretch: Stretch, rows: Rows) -> tuple[str, tuple[Parameter, ...]]:
    """FROM and WHERE of those of the stretch that are in the set."""
    if rows.is_every:
        return stretch.source, stretch.parameters
    if stretch.is_by_creation:  # walk the set, not the resources
        if rows.ordered:
            return f"({rows.select}) r WHERE TRUE", rows.parameters
        return f"resource r WHERE {R_TENANT} = ? AND r.pk IN ({rows.select})", (
            stretch.parameters[0],
            *rows.parameters,
        )
    if stretch.of_resources:
        return f"{stretch.source} AND {rows.check}", stretch.parameters + rows.check_parameters
    tables, _, where = stretch.source.partition(" WHERE ")
    joined = f"{tables} {SQLITE.walk} resource r ON r.tenant = v.tenant AND r.pk = {stretch.pk} WHERE {where} AND {rows.check}"
    return joined, stretch.parameters + rows.check_parameters


def _sign(*, forwards: bool) -> str:
    return ">" if forwards else "<"


def _beyond(stretch: Stretch, at: Place, *, forwards: bool) -> tuple[str, tuple[Parameter, ...]]:
    sign = _sign(forwards=forwards)
    if stretch.key is None:
        return f"{stretch.pk} {sign} ?", (at.number,)
    return f"({stretch.key}, {stretch.pk}) {sign} (?, ?)", (stretch.bind(at.key), at.number)


def _by_creation(scope: Scope) -> Stretch:
    return Stretch(
        "resource r WHERE r.tenant = ? AND r.type = ?", scope.of_type, None, "r.pk", of_resources=True
    )


def _by_value(indexed: Indexed, scope: Scope) -> tuple[Stretch, ...]:
    where = f"{indexed.table} v WHERE v.tenant = ? AND v.attribute = ?"
    present = Stretch(where, (scope.tenant, indexed.number), "v.key", "v.pk")
    if indexed.none is None:
        return (present,)
    without = f"value v WHERE v.tenant = ? AND v.attribute = ? AND v.key = {SQLITE.no_bytes}"
    return present, Stretch(without, (scope.tenant, indexed.none), None, "v.pk", missing=True)


def _by_id(_: Order, scope: Scope) -> tuple[Stretch, ...]:
    source = "resource r WHERE r.tenant = ? AND r.type = ?"
    return (
        Stretch(
            source, scope.of_type, "r.id", "r.pk", of_resources=True,
            bind=lambda key: key.decode(), read=lambda key: str(key).encode(),
        ),
    )  # fmt: skip


def _by_meta(order: Order, scope: Scope) -> tuple[Stretch, ...] | None:
    name = order.path.leaf.name
    if name == "resourceType":
        return (_by_creation(scope),)
    column = {"created": "created", "lastModified": "modified"}.get(name)
    if column is None:
        return None
    return (
        Stretch(
            "resource r WHERE r.tenant = ? AND r.type = ?", scope.of_type, f"r.{column}", "r.pk", of_resources=True,
            bind=lambda key: int.from_bytes(key, "big") + _FIRST_MOMENT,
            read=lambda key: (int(key or 0) - _FIRST_MOMENT).to_bytes(8, "big"),
        ),
    )  # fmt: skip


_COLUMNS: dict[str, Callable[[Order, Scope], tuple[Stretch, ...] | None]] = {"id": _by_id, "meta": _by_meta}
