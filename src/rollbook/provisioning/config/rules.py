"""Rules of the file → rules of the model: names looked up, expressions compiled, types compared.

Every mistake becomes a problem of the document; a rule with a mistake is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rollbook.protocol import compare
from rollbook.protocol.attributes import Type
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.config.document import Document, Place
from rollbook.provisioning.config.fit import (
    Wanted,
    has_many,
    is_reference,
    readable_by_expression,
    referenced,
    unfillable,
    unreadable,
)
from rollbook.provisioning.config.problems import Mark
from rollbook.provisioning.expressions import (
    Expression,
    ExpressionRefused,
    Gives,
    Subject,
    compile_expression,
)
from rollbook.provisioning.mapping import Computed, Conditional, Constant, CopyAttribute, CopyColumn, Unique
from rollbook.provisioning.model import Apply, Assignment, Clear, ObjectMapping, Rule, Way
from rollbook.provisioning.names import Names
from rollbook.provisioning.tables import NO_TABLES, Tables

_BESIDE = frozenset({"default", "when", "apply", "clear"})
"""Keys that may stand beside the one a rule is."""
_APPLIES: Mapping[JsonValue, Apply] = {str(one): one for one in Apply}
CLEARS: Mapping[JsonValue, Clear] = {None: Clear.NULL, **{str(one): one for one in Clear}}
"""Without quotes, null is YAML's, and means the same."""


@dataclass(frozen=True)
class Use:
    """A column that is read, and where the file says so; `optional` if its absence is coped with."""

    column: str
    mark: Mark
    optional: bool = False


@dataclass
class RuleReader:
    """Reads the rules of one source, or of one kind of object of a target.

    `names` are those of the attributes that are filled. `subject` is what rules read: records, or users or
    groups, whose names are `inputs`.
    """

    document: Document
    names: Names
    subject: Subject
    inputs: Names | None = None
    tables: Tables = NO_TABLES
    clear: Clear = Clear.REMOVE
    """What is sent for a value that is gone where the rule does not say it."""
    uses: list[Use] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    """Attributes that have a rule, be it a wrong one, or a misspelt name near theirs."""

    def mapping(self, place: Place, raw: JsonValue) -> ObjectMapping:
        """The rules under `attribute: rule` keys."""
        taken: dict[str, Place] = {}
        assignments: list[Assignment] = []
        for name, rule in raw.items() if isinstance(raw, dict) else ():
            path = self._path(name, (*place, name))
            if path is not None and self._free(path, (*place, name), taken):
                assignments += self._assignments(path, (*place, name), rule)
        return ObjectMapping(tuple(assignments))

    def rule(self, place: Place, raw: JsonValue, wanted: Wanted) -> Rule | None:
        """One rule, or None if it is not one that fits."""
        if not isinstance(raw, dict):
            return None
        if "unique" in raw:
            mark = self.document.key((*place, "unique"))
            self._misfit(mark, wanted.path, "is not chosen here: only single texts of a source's users are")
            return None
        bare = self._bare(place, {key: held for key, held in raw.items() if key not in _BESIDE}, wanted)
        default, when = self._default(place, raw, wanted), self._when(place, raw, wanted)
        if bare is None or (default is None and when is None):
            return bare
        return Conditional(bare, None if default is None else default.value, when)

    def refuse_way(self, place: Place, raw: JsonValue) -> None:
        """Report what is said of writing where nothing is written by the rule alone."""
        for key in ("apply", "clear"):
            if isinstance(raw, dict) and key in raw:
                mark = self.document.key((*place, key))
                self.document.report("RB109", f"{key} has no meaning here", mark, "leave it out")

    def _bare(self, place: Place, raw: JsonValue, wanted: Wanted) -> Rule | None:
        match raw:
            case {"from": str() as name, **rest} if name and not rest:
                return self._from((*place, "from"), name, wanted)
            case {"value": str() | bool() | int() | float() as value, **rest} if not rest:
                return self._value((*place, "value"), value, wanted)
            case {"expr": str() as text, **rest} if text and not rest:
                return self._expr((*place, "expr"), text, wanted)
            case _:
                return None  # told by the check of the structure

    def _default(self, place: Place, raw: JsonObject, wanted: Wanted) -> Constant | None:
        value = raw.get("default")
        if value is None:
            return None
        if "value" in raw:
            mark = self.document.key((*place, "default"))
            self._misfit(mark, wanted.path, "always has that value", "leave default out")
        return self._value((*place, "default"), value, wanted)

    def _when(self, place: Place, raw: JsonObject, wanted: Wanted) -> Computed | None:
        text = raw.get("when")
        if not isinstance(text, str) or not text:
            return None
        here = (*place, "when")
        expression = self._expression(here, text)
        if expression is None:
            return None
        if expression.gives not in {Gives.BOOLEAN, Gives.ANYTHING}:
            label = f"is true or false; the expression gives {expression.gives}"
            self.document.report("RB109", "when is no condition", self.document.value(here), f"when {label}")
            return None
        return Computed(expression, wanted.path.text)

    def _may_be_chosen(self, path: AttributePath) -> bool:
        many = path.attribute.multi_valued or path.leaf.multi_valued
        return path.leaf.type is Type.STRING and not many and not is_reference(path)

    def _unique(self, path: AttributePath, place: Place, raw: JsonObject) -> Iterator[Assignment]:
        """A name nobody else has; it is written while there is none, whatever else is said."""
        for key in sorted(_BESIDE & raw.keys()):
            mark = self.document.key((*place, key))
            self._misfit(mark, path, "is chosen once, then kept", f"leave {key} out")
        texts = raw["unique"]
        wanted, found = Wanted(path, many=False), []
        for index, text in enumerate(texts if isinstance(texts, list) else ()):
            rule = (
                self._expr((*place, "unique", index), text, wanted)
                if isinstance(text, str) and text
                else None
            )
            if isinstance(rule, Computed):
                found.append(rule)
        if found:
            yield Assignment(path, Unique(tuple(found)), way=Way(Apply.EMPTY))

    def _way(self, place: Place, path: AttributePath, raw: JsonValue) -> Way:
        """How the rule is kept up."""
        said = raw if isinstance(raw, dict) else {}
        clear = self.clear
        if "clear" in said:
            clear = CLEARS.get(said["clear"], clear)
            self._check_clear((*place, "clear"), path, clear)
        return Way(_APPLIES.get(said.get("apply"), Apply.ALWAYS), clear)

    def _check_clear(self, place: Place, path: AttributePath, clear: Clear) -> None:
        mark = self.document.value(place)
        if self.subject is Subject.RECORD and clear in {Clear.NULL, Clear.EMPTY}:
            self._misfit(mark, path, "is in the hub, where no value is no value", "write remove or keep")
        elif clear is Clear.EMPTY and not path.attribute.multi_valued and path.leaf.type is not Type.STRING:
            self._misfit(
                mark, path, "is no text and no list, so it has nothing empty", 'write "null" or remove'
            )

    def _shared_way(self, path: AttributePath, place: Place, items: list[JsonValue]) -> Way:
        """How a list is kept up: as a whole, whichever rule in it says so. Two that differ are a mistake."""
        said: dict[str, Any] = {}
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                continue
            parts = {None: item} if not path.leaf.is_complex else item
            for name, part in parts.items():
                here = (*place, index) if name is None else (*place, index, name)
                for key in ("apply", "clear") if isinstance(part, dict) else ():
                    if key in part and said.setdefault(key, part[key]) != part[key]:
                        label = f"another rule of the list says {said[key]}"
                        self._misfit(self.document.value((*here, key)), path, "is kept up as a whole", label)
        return self._way(place, path, said) if said else Way(clear=self.clear)

    def require(self, place: Place) -> None:
        """Report what the resource type requires and no rule was meant for."""
        for attribute in self.names.resource_type.schema.attributes:
            if attribute.required and attribute.name not in self.named:
                label = f"every {self.names.resource_type.name} has one"
                title = f"{attribute.name} is required and has no rule"
                self.document.report("RB104", title, self.document.key(place), label)

    def _assignments(self, path: AttributePath, place: Place, raw: JsonValue) -> Iterator[Assignment]:
        if isinstance(raw, list):
            if not path.leaf.multi_valued:
                self._misfit(self.document.key(place), path, "has one value: write one rule, not a list")
                return
            way = self._shared_way(path, place, raw)
            for index, item in enumerate(raw):
                for one in self._element(path, (*place, index), item, index):
                    yield replace(one, way=way)
            return
        if self.subject is Subject.RECORD:
            path = referenced(path)
            if isinstance(raw, dict) and "unique" in raw and self._may_be_chosen(path):
                yield from self._unique(path, place, raw)
                return
        rule = self.rule(place, raw, Wanted(path, path.leaf.multi_valued))
        if rule is not None:
            yield Assignment(path, rule, way=self._way(place, path, raw))

    def _element(self, path: AttributePath, place: Place, raw: JsonValue, index: int) -> Iterator[Assignment]:
        if not path.leaf.is_complex:
            rule = self.rule(place, raw, Wanted(path, many=False))
            if rule is not None:
                yield Assignment(path, rule, index)
            return
        for name, part in raw.items() if isinstance(raw, dict) else ():
            sub = path.attribute.sub(name)
            if sub is None:
                self._no_part(path, (*place, name), name)
                continue
            whole = path._replace(sub=sub)
            rule = self.rule((*place, name), part, Wanted(whole, sub.multi_valued))
            if rule is not None:
                yield Assignment(whole, rule, index)

    def _path(self, name: str, place: Place) -> AttributePath | None:
        """The attribute a key names, if it is one that may be filled."""
        mark = self.document.key(place)
        path = self.names.find(name)
        if path is None:
            self._unknown(name, self.names, mark)
            self.named.add(str(self.names.suggest(name)))
            return None
        self.named.add(path._replace(sub=None).text)
        reason = unfillable(path, self.names.resource_type)
        if reason:
            self.document.report("RB108", f"{name} cannot be mapped", mark, reason)
            return None
        if path.sub is not None and path.attribute.multi_valued:
            attribute, sub = path.attribute.name, path.sub.name
            self._misfit(mark, path, f"is part of each of many values: write {attribute}: [{{{sub}: …}}]")
            return None
        return path

    def _free(self, path: AttributePath, place: Place, taken: dict[str, Place]) -> bool:
        whole = path._replace(sub=None).text
        rivals = (
            [path.text, whole] if path.sub else [text for text in taken if f"{text}.".startswith(f"{whole}.")]
        )
        clash = next((text for text in rivals if text in taken), None)
        if clash is None:
            taken[path.text] = place
            return True
        label = f"the other is in line {self.document.key(taken[clash]).line}"
        self.document.report(
            "RB109", f"{self.names.written(path)} has two rules", self.document.key(place), label
        )
        return False

    def _from(self, place: Place, name: str, wanted: Wanted) -> Rule | None:
        mark = self.document.value(place)
        if self.inputs is None:
            return self._from_column(mark, name, wanted)
        path = self.inputs.find(name)
        if path is None:
            self._unknown(name, self.inputs, mark)
            return None
        reason = unreadable(path, self.inputs.resource_type)
        if reason:
            self.document.report("RB108", f"{name} cannot be read", mark, reason)
            return None
        if not wanted.accepts(path):
            label = f"takes {wanted.called}; {name} is {Wanted(path, has_many(path)).called}"
            self._misfit(mark, wanted.path, label, "use expr to make the one of the other")
            return None
        return CopyAttribute(self.subject, path)

    def _from_column(self, mark: Mark, column: str, wanted: Wanted) -> Rule | None:
        self.uses.append(Use(column, mark))
        if not wanted.takes_columns:
            label = f"takes {wanted.called}; a column is text"
            self._misfit(mark, wanted.path, label, f"try: {wanted.column_hint(column)}")
            return None
        return CopyColumn(column)

    def _value(self, place: Place, value: JsonValue, wanted: Wanted) -> Constant | None:
        mark = self.document.value(place)
        if wanted.many or wanted.path.leaf.is_complex:
            self._misfit(mark, wanted.path, f"takes {wanted.called}, not one value")
            return None
        try:
            compare.key(wanted.path.leaf, value)
        except InvalidValue as error:
            self._misfit(mark, wanted.path, f"takes {wanted.called}", error.detail)
            return None
        return Constant(value)

    def _expr(self, place: Place, text: str, wanted: Wanted) -> Rule | None:
        expression = self._expression(place, text)
        if expression is None:
            return None
        if expression.gives not in wanted.gives | {Gives.ANYTHING, Gives.NOTHING}:
            label = f"takes {wanted.called}; the expression gives {expression.gives}"
            hint = "string(…) makes text of it" if Gives.TEXT in wanted.gives else None
            self._misfit(self.document.value(place), wanted.path, label, hint)
            return None
        return Computed(expression, wanted.path.text)

    def _expression(self, place: Place, text: str) -> Expression | None:
        try:
            expression = compile_expression(text, self.subject, self.tables)
        except ExpressionRefused as refused:
            for fault in refused.faults:
                mark = self.document.inside(place, fault.place, fault.length)
                title = "the expression cannot be compiled"
                self.document.report("RB110", title, mark, fault.reason, fault.advice)
            return None
        self._check_reads(place, expression)
        return expression

    def _check_reads(self, place: Place, expression: Expression) -> None:
        spared = {read.name for read in expression.reads if read.optional}  # has(record.x) ? record.x : …
        for read in expression.reads:
            if read.variable != self.subject or not read.name:
                continue
            mark = self.document.inside(place, read.place, read.length)
            if self.inputs is None:
                column = read.name if read.indexed else read.first
                self.uses.append(Use(column, mark, read.optional or read.name in spared))
                continue
            known, reason = readable_by_expression(read.name, self.inputs)
            if not known:
                self._unknown(read.name, self.inputs, mark)
            elif reason:
                self.document.report("RB108", f"{read.name} cannot be read like this", mark, reason)

    def _unknown(self, name: str, names: Names, mark: Mark) -> None:
        near = names.suggest(name)
        urns = ", ".join(schema.id for schema in names.resource_type.urns.values())
        note = f"did you mean: {near}" if near else f"the schemas are: {urns}"
        self.document.report("RB107", f"{names.resource_type.name} has no attribute {name}", mark, "", note)

    def _no_part(self, path: AttributePath, place: Place, name: str) -> None:
        parts = ", ".join(sub.name for sub in path.attribute.sub_attributes)
        title = f"{self.names.written(path)} has no part {name}"
        self.document.report("RB107", title, self.document.key(place), "", f"it has: {parts}")

    def _misfit(self, mark: Mark, path: AttributePath, label: str, *notes: str | None) -> None:
        name = self.names.written(path)
        self.document.report("RB109", f"the rule does not fit {name}", mark, f"{name} {label}", *notes)
