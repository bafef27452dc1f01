"""rollbook.yaml as text → plain data, and the place of every key and value in it.

Knows YAML, not what the keys mean. Reads the tree of nodes rather than objects, so that no tag of the file
can make any (T-69) and every mistake can be shown where it stands.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.config.problems import Mark, Problem

Place = tuple[str | int, ...]
"""Keys and positions from the top of the document to one of its values."""

_MOST_NODES = 100_000
_DEEPEST = 20
_TAG = "tag:yaml.org,2002:"
_KINDS = frozenset({"null", "bool", "int", "float", "str", "timestamp", "map", "seq"})
"""What a value may be; dates stay text. Whatever else a tag asks for is not made."""
_SECRET_KEY = re.compile(r"(?!\w*_url\Z)\w*(?:token|secret|password|webhook)\w*\Z", re.IGNORECASE)
"""What a secret stands under, also where the name is misspelt."""
_URL_SECRET = re.compile(r"://[^/@\s]*:[^/@\s]*@")
"""A password in a URL, whatever the key is called."""
_SECRET_LINE = re.compile(r"(?:token|secret|password|webhook)\w*[\"']?\s*:\s*(.+)", re.IGNORECASE)
SECRET_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}\Z|file:(.+)\Z|command:(.+)\Z", re.DOTALL)
"""How a secret is named: `${VARIABLE}`, `file:/path` or `command:program argument …`."""


@dataclass(frozen=True)
class Spot:
    """Where a value stands: the node of its key (None in a list) and its own."""

    key: ScalarNode | None
    value: Any


@dataclass
class Document:
    """The file: its data without what could not be read, its places, and the problems found so far."""

    path: str
    text: str
    data: JsonValue = None
    spots: dict[Place, Spot] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    secrets: bool = True
    """Whether secrets are looked up; else each is taken to be there, and empty."""
    said: dict[str, str | None] = field(default_factory=dict, repr=False)
    """What commands for secrets have said, so that each is asked once."""
    hidden: list[tuple[int, int, int]] = field(default_factory=list)
    """Parts of lines (line, from, to; all from 0) that hold secrets and are never shown."""

    def report(self, code: str, title: str, mark: Mark, label: str = "", *notes: str | None) -> None:
        """Note a problem; notes that are None are left out."""
        text = self._line(mark.line)
        kept = tuple(note for note in notes if note)
        problem = Problem(code, title, self.path, mark, text, label, kept)
        if problem not in self.problems:
            self.problems.append(problem)

    def key(self, place: Place) -> Mark:
        """Where the key at a place stands; for an element of a list, its value."""
        spot = self._spot(place)
        return _mark(spot.key if spot.key is not None else spot.value) if spot else Mark(1, 1)

    def value(self, place: Place) -> Mark:
        """Where the value at a place stands; its key if there is nothing to see of it."""
        spot = self._spot(place)
        empty = spot is not None and spot.value.start_mark.index == spot.value.end_mark.index
        return self.key(place) if empty or spot is None else _mark(spot.value)

    def inside(self, place: Place, offset: int, width: int = 1) -> Mark:
        """Where the character `offset` of the text at a place stands in the file."""
        node = self.spots[place].value
        at = _raw_index(node, self.text, offset)
        if at is None:
            return _mark(node)
        line = self.text.count("\n", 0, at)
        return Mark(line + 1, at - (self.text.rfind("\n", 0, at) + 1) + 1, width)

    def _spot(self, place: Place) -> Spot | None:
        while place and place not in self.spots:
            place = place[:-1]
        return self.spots.get(place)

    def _line(self, number: int) -> str:
        lines = self.text.split("\n")
        text = lines[number - 1].rstrip("\r") if number <= len(lines) else ""
        for line, start, end in self.hidden:
            if line == number - 1:
                text = text[:start] + "•" * (len(text[:end]) - start) + text[end:]
        return text


def read_document(path: str, text: str) -> Document:
    """The data and places of a YAML text; what is wrong with it is in `problems`."""
    document = Document(path, text)
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        _hide_by_sight(document)
        at = error.problem_mark or error.context_mark
        mark = Mark(at.line + 1, at.column + 1) if at else Mark(1, 1)
        document.report("RB101", "the file is not YAML", mark, str(error.problem or error.context or ""))
        return document
    except (YAMLError, ValueError) as error:
        document.report("RB101", "the file is not YAML", Mark(1, 1), str(error).partition("\n")[0])
        return document
    if root is not None:
        document.spots[()] = Spot(None, root)
        try:
            document.data = _Reader(document).read(root, ())
        except _TooLarge as error:
            document.report("RB101", "too large: aliases repeat or contain each other", _mark(error.args[0]))
    return document


class _TooLarge(Exception):
    """Aliases that repeat or contain each other; the argument is the node where it was too much."""


class _Reader:
    """Turns nodes into data; counts them, since aliases can make a small file large."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0

    def read(self, node: Any, place: Place) -> JsonValue:
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(place) > _DEEPEST:
            raise _TooLarge(node)
        if node.tag.removeprefix(_TAG) not in _KINDS:
            self._report(node, f"the tag {node.tag} is not read", "leave the tag out")
            return None
        match node:
            case MappingNode():
                return self._mapping(node, place)
            case SequenceNode():
                return [self._child(None, item, (*place, index)) for index, item in enumerate(node.value)]
            case _:
                return _scalar(node)

    def _mapping(self, node: MappingNode, place: Place) -> JsonObject:
        found: JsonObject = {}
        for key, value in node.value:
            name = self._name(key)
            if name is None:
                continue
            if name in found:
                first = self._document.key((*place, name)).line
                self._document.report("RB102", f"{name} stands twice", _mark(key), f"first in line {first}")
                continue
            for text in value.value if isinstance(value, SequenceNode) else (value,):
                if isinstance(text, ScalarNode) and (
                    _SECRET_KEY.match(name) or _URL_SECRET.search(text.value)
                ):
                    self._hide(text)
            found[name] = self._child(key, value, (*place, name))
        return found

    def _child(self, key: ScalarNode | None, value: Any, place: Place) -> JsonValue:
        self._document.spots[place] = Spot(key, value)
        return self.read(value, place)

    def _name(self, key: Any) -> str | None:
        if isinstance(key, ScalarNode) and key.tag != f"{_TAG}merge":
            return str(key.value)
        self._report(key, "a key must be plain text", "write out what is merged" if _is_merge(key) else None)
        return None

    def _hide(self, node: ScalarNode) -> None:
        if SECRET_REFERENCE.match(str(node.value)):
            return
        first, last = node.start_mark, node.end_mark
        for line in range(first.line, last.line + 1):
            start = first.column if line == first.line else 0
            end = last.column if line == last.line else len(self._document.text)
            self._document.hidden.append((line, start, end))

    def _report(self, node: Any, reason: str, *notes: str | None) -> None:
        self._document.report("RB101", reason, _mark(node), "", *notes)


def _hide_by_sight(document: Document) -> None:
    """Without nodes, what follows `token:` in its line is taken for a secret."""
    for line, text in enumerate(document.text.split("\n")):
        found = _SECRET_LINE.search(text)
        if found:
            document.hidden.append((line, found.start(1), found.end(1)))


def _is_merge(key: Any) -> bool:
    return bool(key.tag == f"{_TAG}merge")


def _scalar(node: ScalarNode) -> JsonValue:
    text = str(node.value)
    match str(node.tag).removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return _whole(text)
        case "float":
            return float(text.replace("_", "")) if re.search(r"\d", text) else text
        case _:
            return text


def _whole(text: str) -> JsonValue:
    plain = text.replace("_", "")
    try:
        return int(plain, 0 if re.match(r"[-+]?0[box]", plain) else 10)
    except ValueError:  # more digits than Python reads
        return text


def _mark(node: Any) -> Mark:
    start, end = node.start_mark, node.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return Mark(start.line + 1, start.column + 1, max(width, 1))


def _raw_index(node: ScalarNode, text: str, offset: int) -> int | None:
    """Where in the file the character `offset` of a scalar stands; None where lines were folded."""
    start = int(node.start_mark.index)
    raw = text[start : int(node.end_mark.index)]
    if node.style == "|":
        return _block_index(raw, start, str(node.value), offset)
    if node.style == ">" or "\n" in raw:
        return None
    for count, index in enumerate(_characters(raw, str(node.style or ""))):
        if count == offset:
            return start + index
    return start + len(raw) - 1


def _characters(raw: str, quote: str) -> Iterator[int]:
    """The index of each character of a one-line scalar in its raw form, quotes and escapes counted in."""
    index, end = len(quote), len(raw) - len(quote)
    while index < end:
        yield index
        if quote == "'" and raw.startswith("''", index):
            index += 2
        elif quote == '"' and raw[index] == "\\":
            index += {"x": 4, "u": 6, "U": 10}.get(raw[index + 1], 2)
        else:
            index += 1


def _block_index(raw: str, start: int, value: str, offset: int) -> int:
    """The same for a literal block: line n of the value is line n + 1 of the block, less its indentation."""
    line = value.count("\n", 0, offset)
    column = offset - (value.rfind("\n", 0, offset) + 1)
    lines = raw.split("\n")
    before = sum(len(one) + 1 for one in lines[: line + 1])
    wanted = value.split("\n")[line]
    found = lines[line + 1] if line + 1 < len(lines) else ""
    return start + before + max(len(found.rstrip("\r")) - len(wanted), 0) + column
