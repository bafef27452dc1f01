"""The tokens of filters and paths (RFC 7644 figures 1 and 7).

Knows characters only, not grammar. It never refuses: what cannot be a token becomes one of kind BAD, so that
the parser can say what it expected in that place. One pass; no character is looked at again (T-43).
"""

import re
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What a token is."""

    WORD = "word"
    STRING = "string"
    SINGLE = "single-quoted text"
    OPEN = "("
    CLOSE = ")"
    OPEN_BRACKET = "["
    CLOSE_BRACKET = "]"
    END = "the end"
    BAD = "bad"


class Token(NamedTuple):
    """A token as written, quotes included, and where it starts and ends, counted from 0."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def shown(self) -> str:
        """The token as an error message quotes it."""
        if self.kind is Kind.END:
            return "the end"
        if self.kind is Kind.BAD and self.text[0] in "\"'":
            return f"a quotation mark ({self.text[0]}) without its partner"
        text = self.text[:40] if self.kind is not Kind.BAD else self.text[0]
        return text if text.isprintable() and text[0] == '"' else repr(text)


_TOKEN = re.compile(
    r"""
    \x20*+ (?:
        ([^\s()\[\]"'][^\s()\[\]"]*+)                                       # word: name, operator, number
      | ("[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+")                     # JSON string
      | (\() | (\)) | (\[) | (\])
      | ('[^'"\\]*+'(?=[\x20)\]]|\Z))                                       # 'text', for lenient mode
      | (\Z)
      | (.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_KINDS = (
    Kind.BAD, Kind.WORD, Kind.STRING, Kind.OPEN, Kind.CLOSE, Kind.OPEN_BRACKET, Kind.CLOSE_BRACKET,
    Kind.SINGLE, Kind.END, Kind.BAD,
)  # fmt: skip


def tokenize(text: str) -> list[Token]:
    """The tokens of text, spaces dropped; the last one is END, after a BAD one if there is one."""
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        group = match.lastindex or 0
        start, end = match.span(group)
        kind = _KINDS[group]
        found.append(Token(kind, match[group], start, end))
        if kind is Kind.END:
            return found
        if kind is Kind.BAD:
            break
    found.append(Token(Kind.END, "", len(text), len(text)))
    return found
