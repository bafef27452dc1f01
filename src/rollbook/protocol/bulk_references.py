"""`bulkId:x` in the place of an id: found and replaced in data, paths and filters (RFC 7644 §3.7.2; A-53).

Knows no schemas: which attributes hold references it is told.
"""

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.filter_parser import LIMITS
from rollbook.protocol.lexer import Kind, Token, tokenize
from rollbook.protocol.values import JsonValue

MARK = "bulkId:"
"""What a reference begins with."""

_IN_URI = "/" + MARK
_EITHER = frozenset({"$ref", "path"})
"""Where a URI is a reference too."""

_DEEPEST = 16
"""Levels of data that are looked at: no attribute of any schema lies deeper."""

_PATH_DEPTH = 3
"""Where `path` stands in a PatchOp message: in an operation, in Operations, in the message."""


@dataclass(slots=True)
class Resolver:
    """Replaces the references of one operation by ids, and notes the bulkIds it met in `refers`.

    `ids` has the id of each resource that the request creates, by bulkId.
    """

    ids: Mapping[str, str]
    refers: set[str] = field(default_factory=set)

    def value(self, value: JsonValue, names: Container[str]) -> JsonValue:
        """The data of POST or PUT; `names` are attributes that hold references, in lower case.

        Raises:
            InvalidValue: a reference to a bulkId that no POST of the request has, where a reference is due.
        """
        return self._walk(value, "", _Where(names))

    def patch(self, message: JsonValue, names: Container[str]) -> JsonValue:
        """The data of PATCH: values as above, and the filters in paths.

        Raises:
            InvalidValue: as above.
        """
        return self._walk(message, "", _Where(names, in_patch=True))

    def text(self, text: str, name: str, names: Container[str] = ()) -> str:
        """One string, the value of the attribute `name`.

        Raises:
            InvalidValue: as above.
        """
        head, mark, bulk_id = (
            ("", MARK, text[len(MARK) :]) if text.startswith(MARK) else text.partition(_IN_URI)
        )
        if not mark:
            return text
        if bulk_id in self.ids:
            self.refers.add(bulk_id)
            return self.ids[bulk_id] if mark == MARK else f"{head}/{self.ids[bulk_id]}"
        last = name.lower().rpartition(".")[2].rpartition(":")[2]
        if last in _EITHER or (mark == MARK and (last == "value" or last in names)):
            raise InvalidValue(
                f"{name[:100]}: no POST of this request has bulkId {bulk_id[:64]!r} (P-3.7-21)"
            )
        return text

    def path(self, text: str) -> str:
        """A PATCH path: the values its filter compares with.

        Raises:
            InvalidValue: as above.
        """
        if len(text) > LIMITS.length:  # refused as a path anyway
            return text
        parts, end = [], 0
        for token in tokenize(text):
            parts += [text[end : token.start], self._token(token)]
            end = token.end
        return "".join((*parts, text[end:]))

    def _token(self, token: Token) -> str:
        match token.kind:
            case Kind.STRING:
                content = _content(token)
                found = self.text(content, "path")
                return token.text if found == content else json.dumps(found)
            case Kind.SINGLE:
                return f"'{self.text(token.text[1:-1], 'path')}'"
            case Kind.WORD if token.text.startswith(MARK):
                return self.text(token.text, "path")
            case _:
                return token.text

    def _walk(self, value: JsonValue, name: str, where: "_Where", depth: int = 0) -> JsonValue:
        kind = type(value)
        if kind is str:
            if MARK not in value:
                return value
            if where.in_patch and depth == _PATH_DEPTH and name.lower() == "path":
                return self.path(value)
            return self.text(value, name, where.names)
        if depth >= _DEEPEST:
            return value
        if kind is dict:
            return {key: self._walk(part, key, where, depth + 1) for key, part in value.items()}
        if kind is list:
            return [self._walk(part, name, where, depth + 1) for part in value]
        return value


@dataclass(frozen=True, slots=True)
class _Where:
    """Where in which kind of data a reference may stand."""

    names: Container[str]
    in_patch: bool = False


def _content(token: Token) -> str:
    try:
        text: str = json.loads(token.text)
    except ValueError:  # refused as a path later, in words
        return token.text[1:-1]
    return text
