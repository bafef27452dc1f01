"""Mapping rules: one object in, one document out. Only what a rule assigns gets into the document (I-12).

Pure. Where rules come from is the business of `config`; what happens to the document, of `directory` and `plan`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rollbook.protocol.attributes import Attribute
from rollbook.protocol.places import put
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.expressions import Expression, ExpressionError, Inputs, Subject
from rollbook.provisioning.model import MappingError, ObjectMapping, Rule
from rollbook.provisioning.names import Names


@dataclass(frozen=True)
class CopyColumn:
    """`from` in a source: the text in that column of the record."""

    column: str

    def evaluate(self, inputs: Mapping[str, JsonValue]) -> JsonValue:
        """The text, None if the record has no such column."""
        return inputs[Subject.RECORD].get(self.column)


@dataclass(frozen=True)
class CopyAttribute:
    """`from` in a target: the value of that attribute of the hub's user or group."""

    subject: Subject
    path: AttributePath

    def evaluate(self, inputs: Mapping[str, JsonValue]) -> JsonValue:
        """The value as it is in the document, None if it has none."""
        return read(inputs[self.subject], self.path)


@dataclass(frozen=True)
class Constant:
    """`value`: always the same."""

    value: JsonValue

    def evaluate(self, inputs: Mapping[str, JsonValue]) -> JsonValue:  # noqa: ARG002 - the Rule interface
        """The constant."""
        return self.value


@dataclass(frozen=True)
class Computed:
    """`expr`: the result of an expression; `attribute` is the path it fills, for errors."""

    expression: Expression
    attribute: str

    def evaluate(self, inputs: Mapping[str, JsonValue]) -> JsonValue:
        """The expression's value on these inputs.

        Raises:
            MappingError: the expression failed.
        """
        try:
            return self.expression.evaluate(inputs)
        except ExpressionError as error:
            raise MappingError(self.attribute, f"{error} (in: {self.expression.text})") from None


@dataclass(frozen=True)
class Unique:
    """`unique`: expressions for a name that nobody else has, best first."""

    candidates: tuple[Computed, ...]

    def evaluate(self, inputs: Mapping[str, JsonValue]) -> JsonValue:
        """The names they give, each once; one without a letter or digit is none.

        Raises:
            MappingError: an expression failed, or gives no text.
        """
        found: list[str] = []
        for candidate in self.candidates:
            value = candidate.evaluate(inputs)
            if not isinstance(value, str | None):
                raise MappingError(candidate.attribute, f"a name is text, not {json.dumps(value)[:40]}")
            if value and any(map(str.isalnum, value)) and value not in found:
                found.append(value)
        return found


@dataclass(frozen=True)
class Conditional:
    """A rule with `when`, `default` or both. While the condition is false there is no value, and no default either."""

    rule: Rule
    default: JsonValue = None
    when: Computed | None = None

    def applies(self, inputs: Mapping[str, JsonValue]) -> bool:
        """Whether the condition holds.

        Raises:
            MappingError: it failed, or gives neither true nor false.
        """
        if self.when is None:
            return True
        found = self.when.evaluate(inputs)
        if not isinstance(found, bool):
            text = "null" if found is None else type(found).__name__
            raise MappingError(self.when.attribute, f"when gives {text}, not true or false")
        return found

    def evaluate(self, inputs: Mapping[str, JsonValue]) -> JsonValue:
        """The rule's value, else the default; None while the condition is false.

        Raises:
            MappingError: the condition or the rule failed.
        """
        if not self.applies(inputs):
            return None
        value = self.rule.evaluate(inputs)
        return self.default if tidy(value) is None else value


def plain(rule: Rule) -> Rule:
    """The rule without what says when it counts."""
    return rule.rule if isinstance(rule, Conditional) else rule


def expressions(rule: Rule) -> tuple[Expression, ...]:
    """Every expression in a rule, its condition's first."""
    match rule:
        case Computed(expression):
            return (expression,)
        case Unique(candidates):
            return tuple(one.expression for one in candidates)
        case Conditional(inner, _, when):
            return (*(() if when is None else expressions(when)), *expressions(inner))
        case _:
            return ()


def describe(rule: Rule) -> str:
    """The rule as the file writes it: for explain, and for telling whether rules have changed."""
    match rule:
        case Conditional(inner, default, when):
            parts = [describe(inner)]
            parts += [] if default is None else [f"default: {json.dumps(default, ensure_ascii=False)}"]
            parts += [] if when is None else [f"when: {when.expression.text}"]
            return ", ".join(parts)
        case CopyColumn(column):
            return f"from: {column}"
        case CopyAttribute(_, path):
            return f"from: {path.text}"
        case Constant(value):
            return f"value: {json.dumps(value, ensure_ascii=False)}"
        case Computed(expression, _):
            return f"expr: {expression.text}"
        case Unique(candidates):
            return f"unique: {json.dumps([one.expression.text for one in candidates], ensure_ascii=False)}"
        case _:
            return repr(rule)


def record_inputs(record: Mapping[str, str], today: datetime) -> Inputs:
    """What the rules of a source may read."""
    return Inputs({Subject.RECORD: record, "today": today})


def resource_inputs(
    names: Names,
    subject: Subject,
    document: JsonObject,
    today: datetime,
    named: frozenset[str] | None = None,
) -> Inputs:
    """What the rules of a target may read of a hub resource: attributes, extensions by URN and short name.

    `named` are those that its expressions look at, None if they may look at any.
    """
    seen = names.with_short(document)
    derived = names.resource_type.derived
    if derived is not None and derived not in seen:
        seen = {**seen, derived: []}  # who is in no group is in none: no error to read
    return Inputs({subject: seen, "today": today}, named)


def named_by(mapping: ObjectMapping) -> frozenset[str] | None:
    """The parts of an object that the mapping's expressions look at, None if one of them may look at any."""
    found: frozenset[str] = frozenset()
    for assignment in mapping.assignments:
        for expression in expressions(assignment.rule):
            if expression.named is None:
                return None
            found |= expression.named
    return found


def day(moment: datetime) -> datetime:
    """The start of the day a moment is in, in UTC: what expressions call `today`."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def mapped_paths(mapping: ObjectMapping) -> frozenset[str]:
    """The paths that the mapping may fill: the allow list of what leaves (I-12)."""
    return frozenset(assignment.path.text for assignment in mapping.assignments)


def apply_mapping(mapping: ObjectMapping, inputs: Mapping[str, JsonValue]) -> JsonObject:
    """The document that the rules make of the inputs; what has no value is not in it.

    A value built of parts is left out when its `value` part is empty, or when nothing but constants is
    left of it. The document may share values with the inputs.

    Raises:
        MappingError: a rule failed; names the attribute.
    """
    document: JsonObject = {}
    elements: dict[tuple[str | None, str, int], _Element] = {}
    for assignment in mapping.assignments:
        path, rule, number = assignment.path, assignment.rule, assignment.element
        value = tidy(rule.evaluate(inputs))
        if number is None:
            write(document, path, value)
            continue
        key = (path.urn, path.attribute.name, number)
        element = elements.get(key)
        if element is None:
            element = elements[key] = _Element(AttributePath(path.urn, path.attribute))
        element.add(path.sub, rule, value)
    for element in elements.values():
        if element.stands:
            write(document, element.path, [*read(document, element.path, []), element.held])
    return document


class _Element:
    """One value of a multi-valued attribute, while its parts are gathered."""

    def __init__(self, path: AttributePath) -> None:
        self.path = path
        self.held: JsonValue = {} if path.attribute.is_complex else None
        self._lacks_value = False
        self._rules = 0
        self._constants = 0
        self._variable_values = 0

    def add(self, sub: Attribute | None, rule: Rule, value: JsonValue) -> None:
        """Take one part, or the whole of a simple value."""
        constant = isinstance(plain(rule), Constant)
        self._rules += 1
        self._constants += constant
        self._variable_values += not constant and value is not None
        if sub is None:
            self.held = value
        elif value is not None:
            self.held[sub.name] = value
        self._lacks_value |= value is None and (sub is None or sub.name == "value")

    @property
    def stands(self) -> bool:
        """Whether there is anything worth keeping."""
        if self.held in (None, {}):
            return False
        return not self._lacks_value and (self._variable_values > 0 or self._constants == self._rules)


_OBJECTS = (dict, Mapping)


def tidy(value: JsonValue) -> JsonValue:
    """The value without empty texts, nulls, empty lists and empty objects inside; None if nothing is left."""
    if value is None or isinstance(value, str):  # most are
        return value or None
    if isinstance(value, list):
        kept = [item for item in map(tidy, value) if item is not None]
        return kept or None
    if not isinstance(value, _OBJECTS):
        return value
    parts = {name: item for name, part in value.items() if (item := tidy(part)) is not None}
    return parts or None


def read(document: Mapping[str, JsonValue], path: AttributePath, default: JsonValue = None) -> JsonValue:
    """The value at a path in canonical spelling; a part of a multi-valued attribute is a list of parts."""
    holder: Any = document.get(path.urn, {}) if path.urn else document
    value = holder.get(path.attribute.name)
    if value is not None and path.sub is not None:
        if isinstance(value, list):
            value = [item[path.sub.name] for item in value if path.sub.name in item]
        else:
            value = value.get(path.sub.name)
    return default if value is None or value == [] else value


def write(document: JsonObject, path: AttributePath, value: JsonValue) -> None:
    """Set the value at a path, or take it away if the value is None; objects left empty go too."""
    if path.urn is None and path.sub is None:  # most are: nothing above them can be left empty
        if value is None:
            document.pop(path.attribute.name, None)
        else:
            document[path.attribute.name] = value
        return
    steps = [step for step in (path.urn, path.attribute.name, path.sub and path.sub.name) if step]
    holders: list[JsonObject] = [document]
    for step in steps[:-1]:
        if value is None and step not in holders[-1]:
            return
        holders.append(holders[-1].setdefault(step, {}))
    if value is None:
        holders[-1].pop(steps[-1], None)
    else:
        holders[-1][steps[-1]] = value
    _drop_empty(holders, steps)


def _drop_empty(holders: list[JsonObject], steps: list[str]) -> None:
    for depth in range(len(holders) - 1, 0, -1):
        if not holders[depth]:
            del holders[depth - 1][steps[depth - 1]]


def overlay(present: JsonObject, paths: Iterable[AttributePath], wanted: JsonObject) -> JsonObject:
    """The present document with the values at the paths as they are wanted, or gone; all else stays."""
    for path in paths:
        present = put(present, path, read(wanted, path))
    return present
