"""Why somebody is at a target, or is not, and why every attribute there is what it is."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.filters import And, Filter, render
from rollbook.protocol.match import matches
from rollbook.protocol.places import get
from rollbook.protocol.quirks import RFC, Leniency
from rollbook.protocol.resolve import resolve
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.mapping import (
    Conditional,
    CopyColumn,
    describe,
    expressions,
    plain,
    record_inputs,
    resource_inputs,
    tidy,
)
from rollbook.provisioning.masking import MASK, is_sensitive, shown
from rollbook.provisioning.model import Apply, Assignment, Clear, MappingError, Rule
from rollbook.provisioning.wanted import Kind, kinds_of, left_because
from rollbook.provisioning.work import Engine, document_of, grace_ends
from rollbook.storage.links import Link
from rollbook.storage.runs import Delivered

_TOLD = 5
"""Deliveries that are told of each target."""


@dataclass(frozen=True)
class RuleResult:
    """One rule on one object: the attribute it fills, the rule as the file has it, and what came of it."""

    attribute: str
    rule: str
    value: JsonValue
    error: str | None = None
    when: bool | None = None
    """Whether its condition holds, None if it has none."""
    defaulted: bool = False
    """Whether the value is the default."""
    apply: Apply = Apply.ALWAYS
    clear: Clear = Clear.REMOVE


@dataclass(frozen=True)
class ScopeTerm:
    """One condition of a scope, and whether it holds."""

    text: str
    holds: bool


@dataclass(frozen=True)
class TargetView:
    """One person at one target. `left` says why an account has no right to be there, None if it has."""

    target: str
    left: str | None
    scope: tuple[ScopeTerm, ...]
    rules: tuple[RuleResult, ...]
    link: Link | None = None
    deliveries: tuple[Delivered, ...] = ()
    stopped: str | None = None
    paused_until: int | None = None
    paused_because: str | None = None
    flat_members: int | None = None
    """How many people are in a group, directly or by way of others, where that makes them its members there."""
    deleted_at: int | None = None
    """When the account of somebody who has left will be deleted, if it is spared until then."""


def rule_results(
    assignments: Sequence[Assignment], inputs: JsonObject, sensitive: Collection[str]
) -> tuple[RuleResult, ...]:
    """What each rule makes of the inputs."""
    return tuple(_result(one, inputs, sensitive) for one in assignments)


def record_rules(
    source: model.Source,
    record: JsonObject,
    today: datetime,
    sensitive: Collection[str],
    present: JsonObject | None = None,
) -> tuple[RuleResult, ...]:
    """What the rules of a source make of a record; a name is the one that was chosen, else what it may become."""
    inputs = record_inputs(record, today)
    every = (*source.users.assignments, *source.references)
    chosen = (
        _with_choice(_result(one, inputs, sensitive), one.path, present or {}, sensitive)
        for one in source.names
    )
    return (*chosen, *rule_results(every, inputs, sensitive))


def _with_choice(
    told: RuleResult, path: AttributePath, present: JsonObject, sensitive: Collection[str]
) -> RuleResult:
    value = get(present, path)
    return (
        told if value is None else replace(told, value=shown(Difference(path, None, value), value, sensitive))
    )


def masked_record(source: model.Source, record: JsonObject, sensitive: Collection[str]) -> JsonObject:
    """The record without the columns that anything sensitive is made of."""
    every = (*source.users.assignments, *source.references, *source.names)
    hidden = {name for one in every if is_sensitive(one.path, sensitive) for name in _columns(one.rule)}
    return {
        name: MASK if value and (name in hidden or _EVERYTHING in hidden) else value
        for name, value in record.items()
    }


_EVERYTHING = ""
"""A read of the record as a whole."""


def _columns(rule: Rule) -> Iterator[str]:
    copied = plain(rule)
    if isinstance(copied, CopyColumn):
        yield copied.column
    for expression in expressions(rule):
        for read in expression.reads:
            if read.variable == expression.subject:
                yield read.name if read.indexed else read.first


def resource_rules(
    kind: Kind, document: JsonObject, today: datetime, sensitive: Collection[str]
) -> tuple[RuleResult, ...]:
    """What the rules of a target make of a hub resource."""
    inputs = resource_inputs(kind.names, kind.subject, document, today, kind.named)
    return rule_results(kind.mapping.assignments, inputs, sensitive)


def scope_terms(kind: Kind, document: JsonObject) -> tuple[ScopeTerm, ...]:
    """The conditions of a scope one by one; none if everybody is in it."""
    if not kind.scope_text:
        return ()
    strict = Leniency(RFC)
    tree = parse_filter(kind.names.expand_filter(kind.scope_text).text, strict)
    terms: Sequence[Filter] = tree.terms if isinstance(tree, And) else (tree,)
    return tuple(
        ScopeTerm(
            kind.names.abbreviate(render(term)), matches(resolve(term, kind.resource_type, strict), document)
        )
        for term in terms
    )


async def explain_at(
    engine: Engine, target: model.Target, type_name: str, id: str, history: Sequence[Delivered]
) -> TargetView | None:
    """How a resource stands at a target; None if its type does not go there."""
    kind = kinds_of(target, engine.catalog).get(type_name)
    if kind is None:
        return None
    document = await document_of(engine, kind, id)
    progress = await engine.links.target(engine.tenant, target.name)
    number = progress.number if progress else 0
    left = left_because(kind, document)
    link = await engine.links.link(engine.tenant, number, id) if progress else None
    spared = link is not None and link.left_at is not None and link.remote_id is not None
    paused = progress.paused_until if progress and progress.paused_until > engine.now() else None
    return TargetView(
        target.name,
        left,
        () if document is None else scope_terms(kind, document),
        () if document is None else resource_rules(kind, document, engine.today, target.sensitive),
        link,
        tuple(one for one in history if progress and one.target == number)[:_TOLD],
        progress.stopped if progress else None,
        paused,
        progress.error if progress and paused else None,
        len(await engine.links.people_in(engine.tenant, id)) if kind.members and target.is_flat else None,
        grace_ends(link, left, target, engine.now()) if link is not None and spared else None,
    )


def _result(one: Assignment, inputs: JsonObject, sensitive: Collection[str]) -> RuleResult:
    name = one.path._replace(urn=None).text if one.element is None else _numbered(one.path, one.element)
    told = RuleResult(name, describe(one.rule), None, apply=one.way.apply, clear=one.way.clear)
    try:
        if isinstance(one.rule, Conditional):
            holds = one.rule.applies(inputs)
            defaulted = (
                holds and one.rule.default is not None and tidy(one.rule.rule.evaluate(inputs)) is None
            )
            told = replace(told, when=None if one.rule.when is None else holds, defaulted=defaulted)
        value = tidy(one.rule.evaluate(inputs))
    except MappingError as error:
        hidden = is_sensitive(one.path, sensitive)
        return replace(told, error="failed; what it was about is masked" if hidden else error.reason)
    return replace(told, value=shown(Difference(one.path, None, value), value, sensitive))


def _numbered(path: AttributePath, element: int) -> str:
    sub = f".{path.sub.name}" if path.sub else ""
    return f"{path.attribute.name}[{element + 1}]{sub}"
