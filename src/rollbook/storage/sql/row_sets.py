"""Sets of resources as SQL: a SELECT of row keys, and how sets are joined (architecture §2).

SQLite keeps no statistics here, so the order in which sets are joined is decided by rank: the set likely to be
smallest is walked, the others are asked about each of its rows. `unindexed` keeps SQLite from turning that round.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from rollbook.storage.sql.connection import Parameter
from rollbook.storage.sql.dialects import R_TENANT, SQLITE
from rollbook.storage.sql.index import Layout, TypeIndex

_PK = SQLITE.unindexed.format(column="r.pk")

MOST_UNITED = 400
"""Selects in one UNION; SQLite takes 500."""


class Rank(IntEnum):
    """How many rows a set is likely to have, in steps."""

    ONE = 0
    FEW = 1
    SOME = 2
    MANY = 3
    ALL = 4


@dataclass(frozen=True, slots=True)
class Scope:
    """What a filter is compiled for.

    `has_long` says whether an attribute number has values with cut keys; `indirect` whether the groups of a
    resource are also those that it is in by way of others; `has_parts` whether parts of texts can be looked up.
    """

    tenant: int
    layout: Layout
    index: TypeIndex
    has_long: Callable[[int], bool]
    indirect: bool = False
    has_parts: bool = False

    @property
    def of_type(self) -> tuple[Parameter, ...]:
        """The parameters that bound a SELECT from `resource` to one tenant and type."""
        return self.tenant, self.index.resource_type.name


class Rows(NamedTuple):
    """A set of resources.

    `select` yields `pk`, perhaps more than once unless `ordered`, then once each and ascending. `check` is the
    same as a condition on a resource `r`; `quick` if that takes no more than a look-up. An inexact set
    has more in it than it should; `unserved` names the attributes that no index serves. `part` is a SELECT of
    little more than the set, ascending, and its parameters, where parts of texts tell (`parts`).
    """

    select: str
    parameters: tuple[Parameter, ...]
    check: str
    check_parameters: tuple[Parameter, ...]
    rank: Rank
    exact: bool = True
    ordered: bool = False
    quick: bool = False
    unserved: tuple[str, ...] = ()
    part: "tuple[str, tuple[Parameter, ...]] | None" = None

    @property
    def is_every(self) -> bool:
        """Whether this is every resource of the type."""
        return self.check == "TRUE"


def every(scope: Scope, *unserved: str) -> Rows:
    """Every resource of the type; inexact if it stands for attributes that no index serves."""
    select = "SELECT pk FROM resource WHERE tenant = ? AND type = ?"
    return Rows(
        select, scope.of_type, "TRUE", (), Rank.ALL, not unserved, ordered=True, quick=True, unserved=unserved
    )


def nothing() -> Rows:
    """No resource."""
    select = "SELECT 0 AS pk WHERE FALSE"
    return Rows(select, (), "FALSE", (), Rank.ONE, ordered=True, quick=True)


def listed(select: str, parameters: tuple[Parameter, ...], rank: Rank, *, exact: bool = True) -> Rows:
    """A set whose condition is to be in it."""
    return Rows(select, parameters, f"{_PK} IN ({select})", parameters, rank, exact)


def filtered(scope: Scope, check: str, parameters: tuple[Parameter, ...], *, exact: bool = True) -> Rows:
    """Those of every resource for which a condition on `r` holds."""
    select = f"SELECT r.pk AS pk FROM resource r WHERE r.tenant = ? AND r.type = ? AND {check}"
    return Rows(select, scope.of_type + parameters, check, parameters, Rank.ALL, exact, ordered=True)


def not_any(scope: Scope, term: Rows) -> Rows:
    """Every resource that is not in the set. Of an inexact set nothing is known to be outside."""
    if not term.exact:
        return every(scope, *term.unserved)
    if term.is_every:
        return nothing()
    return filtered(scope, f"NOT ({term.check})", term.check_parameters)._replace(quick=term.quick)


def all_of(scope: Scope, terms: Sequence[Rows]) -> Rows:
    """What is in every set."""
    unserved = tuple(name for term in terms for name in term.unserved)
    exact = all(term.exact for term in terms)
    narrowing = sorted((term for term in terms if not term.is_every), key=lambda term: term.rank)
    if not narrowing:
        return every(scope, *unserved)
    first, *others = narrowing
    check, check_parameters = _joined(" AND ", narrowing)
    others_check, others_parameters = _joined(" AND ", others)
    if first.rank is Rank.ALL:
        rows = filtered(scope, check, check_parameters)
    elif others:
        select = f"SELECT r.pk AS pk FROM resource r WHERE {R_TENANT} = ? AND r.pk IN ({first.select}) AND {others_check}"
        rows = Rows(
            select, (scope.tenant, *first.parameters, *others_parameters), check, check_parameters, first.rank
        )
    else:
        rows = first
    quick = all(term.quick for term in narrowing)
    return rows._replace(exact=exact, quick=quick, unserved=unserved)


def any_of(scope: Scope, terms: Sequence[Rows]) -> Rows:
    """What is in some set."""
    if not terms:
        return nothing()
    if len(terms) == 1:
        return terms[0]
    unserved = tuple(name for term in terms for name in term.unserved)
    exact = all(term.exact for term in terms)
    everything = next((term for term in terms if term.is_every), None)
    if everything is not None:
        return everything if everything.exact else every(scope, *unserved)
    check, check_parameters = _joined(" OR ", terms)
    quick = all(term.quick for term in terms)
    if any(term.rank is Rank.ALL for term in terms):
        rows = filtered(scope, check, check_parameters)
    else:
        select, parameters = _united(terms)
        rank = max(Rank.FEW, *(term.rank for term in terms))
        rows = Rows(select, parameters, check, check_parameters, rank)
    return rows._replace(exact=exact, quick=quick, unserved=unserved)


def _joined(word: str, terms: Sequence[Rows]) -> tuple[str, tuple[Parameter, ...]]:
    checks = [f"({term.check})" for term in terms]
    return f"({word.join(checks)})", tuple(value for term in terms for value in term.check_parameters)


def _united(terms: Sequence[Rows]) -> tuple[str, tuple[Parameter, ...]]:
    parameters = tuple(value for term in terms for value in term.parameters)
    selects = [term.select for term in terms]
    while len(selects) > 1:
        groups = [selects[at : at + MOST_UNITED] for at in range(0, len(selects), MOST_UNITED)]
        selects = [f"SELECT pk FROM ({' UNION ALL '.join(group)}) AS united" for group in groups]
    return selects[0], parameters
