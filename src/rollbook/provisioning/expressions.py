"""Mapping expressions: CEL behind a type of our own, so that the engine can be changed in this one file.

Knows no schema and no file. The library's traps are met here: an error at run time comes back as a value,
an optional in a result cannot be converted, and converting a map at once may end the process.
Recursion (32) and iterations (10,000) are limited by the library, the length of the text by us; an
expression is as trusted as the configuration it stands in, the data it reads is not (T-69). A zero byte would
cut a text short: neither hub nor sources let one in (S-20).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

from rollbook.protocol.values import JsonValue
from rollbook.provisioning.functions import FUNCTIONS, Function
from rollbook.provisioning.names import suggest
from rollbook.provisioning.reads import Read, find_lookups, find_reads, named_in
from rollbook.provisioning.tables import NO_TABLES, Tables

MOST_CHARACTERS = 4096
"""The longest expression that is read."""


class Subject(StrEnum):
    """What an expression is about: the name of its main variable."""

    RECORD = "record"
    USER = "user"
    GROUP = "group"


_SUBJECTS = tuple(Subject)


class Gives(StrEnum):
    """The kind of value an expression gives, as far as it is known before it runs."""

    TEXT = "text"
    BOOLEAN = "true or false"
    INTEGER = "a whole number"
    DECIMAL = "a number"
    MOMENT = "a date and time"
    LIST = "a list"
    OBJECT = "an object"
    NOTHING = "null"
    ANYTHING = "anything"


class ExpressionError(Exception):
    """An expression failed on its inputs; the message says why."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong in the text of an expression; `place` and `length` count characters from 0."""

    reason: str
    place: int
    length: int = 1
    advice: str | None = None


class ExpressionRefused(Exception):
    """The text is not an expression, or one whose types do not fit."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(fault.reason for fault in faults))
        self.faults = faults


class Inputs(dict[str, JsonValue]):
    """The variables of one object. Expressions on the same object share their conversion.

    `named` are the parts of the object that they look at, None if they may look at any: the library converts
    all it is given, even for an expression that reads a single one.
    """

    __slots__ = ("_made", "_named")

    def __init__(self, variables: Mapping[str, JsonValue], named: frozenset[str] | None = None) -> None:
        super().__init__(variables)
        self._named = named
        self._made: dict[Tables, Any] = {}

    def activation(self, subject: Subject, tables: Tables) -> Any:
        """The variables as the library wants them, for expressions compiled with these tables.

        Made when the first one needs them: those of another environment are not understood.
        """
        found = self._made.get(tables)
        if found is None:
            variables: Mapping[str, JsonValue] = self
            if self._named is not None:
                whole = self[subject]
                variables = {**self, subject: {name: whole[name] for name in self._named if name in whole}}
            found = self._made[tables] = _environment(subject, tables).Activation(variables)
        return found


@dataclass(frozen=True)
class Expression:
    """A compiled expression: its text, what it is about, what it gives and what it reads."""

    text: str
    subject: Subject
    gives: Gives
    reads: tuple[Read, ...]
    unwrap: bool = field(repr=False)
    """Whether the program gives a list of at most one value, made of an optional."""
    program: Any = field(repr=False, compare=False)
    tables: tuple[str, ...] = ()
    """The names of the tables it looks in."""
    home: Tables = field(default=NO_TABLES, repr=False, compare=False)
    """Where these are."""

    @cached_property
    def named(self) -> frozenset[str] | None:
        """The parts of its subject that it can look at, None if it may look at any."""
        return named_in(self.text, self.subject, self.reads)

    def evaluate(self, inputs: Mapping[str, JsonValue]) -> JsonValue:
        """The value on these variables, None for null and for an optional without value.

        Raises:
            ExpressionError: something it reads is not there, or a function refused its arguments.
        """
        known = inputs if isinstance(inputs, Inputs) else Inputs(inputs)
        try:
            value = _plain(self.program.eval(known.activation(self.subject, self.home)))
        except RuntimeError as error:
            raise ExpressionError(_reason(str(error))) from None
        if self.unwrap:
            return value[0] if value else None
        return value


def compile_expression(text: str, subject: Subject, tables: Tables = NO_TABLES) -> Expression:
    """Check and compile an expression about a record, a user or a group, which may look things up in the tables.

    Raises:
        ExpressionRefused: with every fault the compiler found, and where.
    """
    if len(text) > MOST_CHARACTERS:
        raise ExpressionRefused((Fault(f"{len(text)} characters; at most {MOST_CHARACTERS} are read", 0),))
    looked_in = _tables_of(text, tables)
    if not looked_in:
        tables = NO_TABLES  # most look nothing up, and share an environment
    program = _compile(text, subject, tables)
    result = program.return_type().name()
    unwrap = result.startswith("optional_type")
    if unwrap:
        program = _compile(f"[?(\n{text}\n)]", subject, tables)
        result = result.removeprefix("optional_type<").removesuffix(">")
    if "optional_type" in result:
        raise ExpressionRefused((Fault('an optional inside the result; end it with .orValue("")', 0),))
    gives = next((gives for name, gives in _GIVES.items() if result.startswith(name)), None)
    if gives is None:
        raise ExpressionRefused((Fault(f"gives {result}, which no attribute can hold", 0, len(text)),))
    return Expression(text, subject, gives, find_reads(text, _SUBJECTS), unwrap, program, looked_in, tables)


def _tables_of(text: str, tables: Tables) -> tuple[str, ...]:
    """The tables an expression looks in.

    Raises:
        ExpressionRefused: one is not there, or is not named as it stands: what is sent must be known to change with it.
    """
    faults, found = [], []
    for one in find_lookups(text):
        if one.table is None:
            faults.append(
                Fault(
                    'lookup takes the name of a table in quotes first: lookup("table", text)',
                    one.place,
                    one.length,
                )
            )
        elif one.table not in tables.content:
            near = suggest(one.table, tables.content)
            known = ", ".join(tables.content)
            advice = (
                f"did you mean: {near}"
                if near
                else f"there are: {known}"
                if known
                else "write it under tables:"
            )
            faults.append(Fault(f"there is no table {one.table}", one.place, max(one.length, 1), advice))
        else:
            found.append(one.table)
    if faults:
        raise ExpressionRefused(tuple(faults))
    return tuple(dict.fromkeys(found))


_GIVES = {
    "STRING": Gives.TEXT, "BOOL": Gives.BOOLEAN, "INT": Gives.INTEGER, "UINT": Gives.INTEGER,
    "DOUBLE": Gives.DECIMAL, "TIMESTAMP": Gives.MOMENT, "LIST": Gives.LIST, "MAP": Gives.OBJECT,
    "NULL": Gives.NOTHING, "DYN": Gives.ANYTHING,
}  # fmt: skip
"""The library's name of a type, or its beginning → what is given."""


@lru_cache(maxsize=16)
def _environment(subject: Subject, tables: Tables) -> Any:
    every = (*FUNCTIONS, Function(_LOOKUP, 2, tables.lookup), Function(_LOOKUP, 3, tables.lookup_or))
    main = cel.Type.STRING if subject is Subject.RECORD else cel.Type.DYN
    return cel.NewEnv(
        variables={str(subject): cel.Type.Map(cel.Type.STRING, main), "today": cel.Type.TIMESTAMP},
        extensions=[
            ext_strings.ExtStrings(),
            ext_optional.ExtOptional(),
            ext_bindings.ExtBindings(),
            ext_math.ExtMath(),
            ext_encoders.ExtEncoders(),
        ],
        functions=[_declaration(name, every) for name in dict.fromkeys(function.name for function in every)],
    )


_LOOKUP = "lookup"


def _declaration(name: str, every: tuple[Function, ...]) -> Any:
    overloads = [
        cel.Overload(
            f"{name}_{function.takes}",
            cel.Type.TIMESTAMP if function.gives is datetime else cel.Type.STRING,
            [cel.Type.STRING] * function.takes,
            impl=function.call,
        )
        for function in every
        if function.name == name
    ]
    return cel.FunctionDecl(name, overloads)


def _compile(text: str, subject: Subject, tables: Tables) -> Any:
    try:
        return _environment(subject, tables).compile(text)
    except RuntimeError as error:
        raise ExpressionRefused(_faults(str(error), text, subject)) from None


_FAULT = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(-?\d+):(-?\d+): (.*)$", re.MULTILINE)
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")


def _faults(message: str, text: str, subject: Subject) -> tuple[Fault, ...]:
    found: list[Fault] = []
    for line, column, said in _FAULT.findall(message):
        fault = _fault(said, _offset(text, int(line), int(column)), text, subject)
        if fault not in found:
            found.append(fault)
    return tuple(found) or (Fault(_reason(message), 0),)


def _fault(said: str, place: int, text: str, subject: Subject) -> Fault:
    undeclared = _UNDECLARED.search(said)
    if undeclared:
        return _undeclared(undeclared[1], place, text, subject)
    return Fault(_reason(said), place)


def _undeclared(name: str, place: int, text: str, subject: Subject) -> Fault:
    head = name.partition(".")[0]
    start = text.rfind(head, 0, place + len(head))
    known = (str(subject), "today", *(function.name for function in FUNCTIONS), _LOOKUP)
    if head in known:
        return Fault(f"{head} is not called like this", max(start, 0), len(head))
    near = suggest(head, known)
    if near:
        advice = f"did you mean: {near}"
    elif head in tuple(Subject):
        advice = f"here the variable is called {subject}"
    else:
        advice = f"there are: {', '.join(dict.fromkeys(known))}"
    return Fault(f"there is no {head}", max(start, 0), len(head), advice)


def _offset(text: str, line: int, column: int) -> int:
    """The place of a line and column, both counted from 1 in characters; 0 if the library gave none."""
    if line < 1:
        return 0
    before = text.split("\n")[: line - 1]
    return min(sum(len(one) + 1 for one in before) + max(column - 1, 0), len(text))


_REASONS = (
    (r'Key not found in map : "?(.*?)"?$', r'there is no \1; if it may be missing: .?\1.orValue("")'),
    (r"Index error: index=(\d+) size=(\d+)", r"value \1 of a list that has \2; first() gives one if there is one"),
    (r"Exceeded max recursion depth|recursion limit exceeded",
     'more than 32 steps inside each other; join many texts with [a, b, …].join("")'),
    (r"Applying SELECT to non-message", "a value without parts is asked for a part; .? asks only if there is one"),
    (r"Iteration budget exceeded", "more than 10,000 steps over lists"),
    (r"Unimplemented type: 17|Cannot create object", 'an optional is left over; end it with .orValue("")'),
    (r"Syntax error: mismatched input '<EOF>'.*", "the expression ends too early"),
    (r"Syntax error: (extraneous input .*?|mismatched input .*?) expecting.*", r"\1 does not belong here"),
    (r"Syntax error: token recognition error at: (.*)", r"cannot read \1"),
    (r"found no matching overload for '_(.+?)_' applied to '(.*)'", r"\1 does not go with \2"),
    (r"found no matching overload for '(.+?)' applied to '(.*)'", r"\1 does not take \2"),
    (r"No matching overloads found : (.*)", r"does not take these values: \1"),
)  # fmt: skip
"""What the library says → what we say."""


def _reason(said: str) -> str:
    """The library's message without its codes, in plain words where we have them."""
    for pattern, words in _REASONS:
        found = re.search(pattern, said)
        if found:
            return found.expand(words)
    text = re.sub(r"^[A-Z_]+: ", "", said)
    return re.sub(r" \[[A-Z_]+\]$", "", text).partition("\n")[0]


def _plain(value: Any) -> JsonValue:
    """A result as JSON. Item by item: the library's own conversion of a map dies of an optional in it."""
    try:
        kind, held = value.type(), value.value()
    except (TypeError, SystemError):
        raise ExpressionError('an optional is left over; end it with .orValue("")') from None
    if kind == cel.Type.ERROR:
        raise ExpressionError(_reason(str(held)))
    match held:
        case None | bool() | str() | int():
            return held
        case float() if math.isfinite(held):
            return held
        case datetime():
            return held.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case list():
            return [_plain(item) for item in held]
        case dict() if all(isinstance(key, str) for key in held):
            return {key: _plain(item) for key, item in held.items()}
        case float():
            raise ExpressionError(f"gives {held}, which JSON cannot hold")
        case _:
            raise ExpressionError(f"gives {kind.name()}, which no attribute can hold")
