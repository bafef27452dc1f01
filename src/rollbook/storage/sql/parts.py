"""Parts of texts, three characters long: what `co` and `ew` look up, so that they need not read every key (architecture §2).

SQLite: one full-text row for each resource, its columns shared by the attributes. A row may have the parts and not
the text, so whoever asks looks at the documents. PostgreSQL has an index of its own on the keys instead, where the
extension that it needs may be made (`migrations`), and needs nothing of this.
"""

from collections.abc import Container
from contextlib import suppress

from rollbook.protocol import compare
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.match import values
from rollbook.protocol.values import JsonObject
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.index import Indexed, TypeIndex

COLUMNS = 16
"""Columns of the table; attributes take them in turn by their numbers."""

LENGTH = 3
"""Characters of a part: shorter texts are looked for in the keys."""

_NAMES = ", ".join(f"c{number}" for number in range(COLUMNS))

PUT = f"INSERT INTO part (rowid, {_NAMES}) VALUES ({', '.join('?' * (COLUMNS + 1))})"
DROP = "DELETE FROM part WHERE rowid = ?"
HAS = "SELECT 1 FROM part WHERE part MATCH ? AND rowid = ?"
NUMBER = "SELECT count(*) FROM part_docsize"
FIND = "SELECT rowid AS pk FROM part WHERE part MATCH ? AND rowid BETWEEN ? AND ?"
MERGE = "INSERT INTO part (part) VALUES ('optimize')"
"""Parts of texts that are gone lie about until then, and could be put together again."""

Texts = tuple[str | None, ...]
"""What each column has; all None where there is nothing to look for."""

NONE: Texts = (None,) * COLUMNS


def is_in_parts(indexed: Indexed) -> bool:
    """Whether an attribute's texts are looked up by their parts."""
    return compare.searches_key(indexed.path.leaf)


def texts(index: TypeIndex, document: JsonObject) -> Texts:
    """The texts of a document, by column."""
    found: dict[int, list[str]] = {}
    for indexed in index.attributes:
        if is_in_parts(indexed):
            for text in _texts(indexed, document):
                found.setdefault(indexed.number % COLUMNS, []).append(text)
    if not found:
        return NONE
    return tuple("\n".join(found[number]) if number in found else None for number in range(COLUMNS))


def _texts(indexed: Indexed, document: JsonObject) -> list[str]:
    path = indexed.path
    holder = document.get(path.urn) if path.urn else document
    if not holder or path.attribute.name not in holder:
        return []
    found = []
    for _, value in values(path, document):
        with suppress(InvalidValue):  # stored before its attribute changed type
            found.append(compare.key(path.leaf, value).decode())
    return found


def concerns(index: TypeIndex, changed: Container[str]) -> bool:
    """Whether a change of those top-level attributes changes texts."""
    return any(indexed.name in changed for indexed in index.attributes if is_in_parts(indexed))


def write(connection: Connection, pk: int, before: Texts, after: Texts) -> None:
    """Turn the parts of a resource into those of another text."""
    if not connection.has_parts or before == after:
        return
    if before != NONE:
        connection.run(DROP, (pk,))
    if after != NONE:
        connection.run(PUT, (pk, *after))


def lacks(connection: Connection, pk: int, wanted: Texts) -> bool:
    """Whether a resource is not found by the beginnings of its texts."""
    beginnings = ((number, text.partition("\n")[0][:32]) for number, text in enumerate(wanted) if text)
    queries = (_query(number, text) for number, text in beginnings)
    return any(each and connection.one(HAS, (each, pk)) is None for each in queries)


def query(indexed: Indexed, text: str) -> str | None:
    """What is looked up for a text within an attribute; None if it is too short."""
    return _query(indexed.number % COLUMNS, text)


def _query(column: int, text: str) -> str | None:
    if len(text) < LENGTH or "\0" in text:
        return None
    wanted = dict.fromkeys(text[at : at + LENGTH] for at in range(len(text) - LENGTH + 1))
    terms = " AND ".join('"' + part.replace('"', '""') + '"' for part in wanted)
    return f"c{column} : ({terms})"
