"""What an expression reads, found in its text: for checking names against columns and schemas, and for explain.

Knows the words of CEL only as far as that needs: texts, comments, variables and what follows their dots.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Read:
    """One place where an expression reads a variable: `name` is what follows it, `a.b` for `user.a.b`.

    `place` and `length` say where the name stands, from 0. `optional` marks a read that copes with absence.
    """

    variable: str
    name: str
    place: int
    length: int
    optional: bool = False
    indexed: bool = False
    """Written `record["name"]`, where a dot in the name is only a character."""

    @property
    def first(self) -> str:
        """The first step of the name."""
        return self.name.partition(".")[0]


_SILENT = re.compile(
    r"""//[^\n]* | [rRbB]*(\"{3}|'{3}).*?(?:\1|\Z)
      | [rR][bB]?"[^"\n]*" | [rR][bB]?'[^'\n]*'
      | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Lookup:
    """One call of `lookup`: the table it names, None if that is no text as it stands; its place, from 0."""

    table: str | None
    place: int
    length: int


_LOOKUP = re.compile(r"(?<![\w.])lookup\s*\(\s*")
_NAME = re.compile(r"\"([^\"\\\n]*)\"\s*,|'([^'\\\n]*)'\s*,")


def find_lookups(text: str) -> tuple[Lookup, ...]:
    """Every call of `lookup`, in order."""
    quiet = _SILENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    return tuple(_lookup(found, text) for found in _LOOKUP.finditer(quiet))


def _lookup(found: re.Match[str], text: str) -> Lookup:
    # Blanks that follow in the quiet text may have been the name itself.
    start = found.start() + len("lookup")
    start = text.index("(", start) + 1
    start += len(text[start:]) - len(text[start:].lstrip())
    name = _NAME.match(text, start)
    if name is None:
        return Lookup(None, found.start(), len("lookup"))
    group = 1 if name[1] is not None else 2
    return Lookup(name[group], name.start(group), len(name[group]))


_STEP = r"\s*\.\s*\??\s*[A-Za-z_]\w*+(?!\s*\()"
_INDEX = re.compile(r"\s*\[\s*(\??)\s*(?:\"([^\"\\\n]*)\"|'([^'\\\n]*)')\s*\]")


def find_reads(text: str, variables: tuple[str, ...]) -> tuple[Read, ...]:
    """Every read of one of the variables, and of `today`, in order; methods are not part of a name."""
    quiet = _SILENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    words = "|".join((*variables, "today"))
    pattern = re.compile(rf"(?<![\w.])(?<!\.\?)(has\s*\(\s*)?\b({words})\b((?:{_STEP})*)")
    return tuple(_read(found, text, quiet) for found in pattern.finditer(quiet))


def named_in(text: str, variable: str, reads: Iterable[Read]) -> frozenset[str] | None:
    """The parts of a variable that an expression can look at, given its reads; None if it may look at any.

    Counted against every mention of the word, also in texts and comments: one that no read accounts for
    (the variable by itself, an index that is worked out) leaves the whole in reach.
    """
    named = [read for read in reads if read.variable == variable]
    mentions = len(re.findall(rf"\b{variable}\b", text))
    if mentions != len(named) or not all(read.name for read in named):
        return None
    return frozenset(read.name if read.indexed else read.first for read in named)


def _read(found: re.Match[str], text: str, quiet: str) -> Read:
    steps = found[3]
    if not steps and quiet[found.end() :].lstrip().startswith("["):
        index = _INDEX.match(text, found.end())
        if index:
            group = 2 if index[2] is not None else 3
            return Read(
                found[2],
                index[group],
                index.start(group),
                len(index[group]),
                bool(index[1] or found[1]),
                indexed=True,
            )
    name = re.sub(r"[\s?]", "", steps).removeprefix(".")
    start = found.start(3) + len(steps) - len(steps.lstrip(" \t\n.?"))
    length = len(steps.lstrip(" \t\n.?")) if steps else len(found[2])
    return Read(found[2], name, start if steps else found.start(2), length, "?" in steps or bool(found[1]))
