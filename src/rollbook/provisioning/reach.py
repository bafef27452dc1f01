"""What decides what a target holds beside the resource itself: the day, and the groups somebody is in. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.resolved import AllOf, AnyOf, Element, HasValue, NotAny, ResolvedFilter, Test
from rollbook.protocol.schema import AttributePath
from rollbook.provisioning.mapping import CopyAttribute, expressions, plain
from rollbook.provisioning.model import Rule, Target
from rollbook.provisioning.wanted import Kind, kinds_of

_DAY = "today"


def reach_digest(target: Target, catalog: Catalog, today: datetime) -> str:
    """The target's digest; a new one each day for a target whose rules ask what day it is."""
    kinds = kinds_of(target, catalog).values()
    asked = any(_DAY in _variables(item.rule) for kind in kinds for item in kind.mapping.assignments)
    return f"{target.digest} {today:%Y-%m-%d}" if asked else target.digest


def groups_count(kind: Kind) -> bool:
    """Whether the groups somebody is in decide what the target holds: by its scope or by a rule."""
    derived = kind.resource_type.derived
    if derived is None:
        return False
    if kind.scope is not None and any(path.attribute.name == derived for path in _paths(kind.scope)):
        return True
    return any(_reads(item.rule, kind, derived) for item in kind.mapping.assignments)


def _reads(rule: Rule, kind: Kind, attribute: str) -> bool:
    copied = plain(rule)
    if isinstance(copied, CopyAttribute) and copied.path.attribute.name == attribute:
        return True
    reads = (read for expression in expressions(rule) for read in expression.reads)
    names = (read.name.partition(".")[0] for read in reads if read.variable == kind.subject)
    return any(name in {attribute, ""} for name in names)  # without a name it reads everything


def _variables(rule: Rule) -> set[str]:
    return {read.variable for expression in expressions(rule) for read in expression.reads}


def _paths(node: ResolvedFilter) -> Iterator[AttributePath]:
    match node:
        case HasValue(path) | Test(path):
            yield path
        case Element(path):
            yield path
        case NotAny(term):
            yield from _paths(term)
        case AllOf(terms) | AnyOf(terms):
            for term in terms:
                yield from _paths(term)
        case _:
            assert_never(node)
