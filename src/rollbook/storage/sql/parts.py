"""Parts of texts, three characters long: what `co` and `ew` look up, so that they need not read every key (architecture §2).

SQLite: one full-text row for each resource, its columns shared by the attributes. A row may have the parts and not
the text, so whoever asks looks at the documents. PostgreSQL has an index of its own on the keys instead, where the
extension that it needs may be made (`migrations`), and needs nothing of this.
"""

from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.index import COLUMNS, NO_TEXTS, Indexed, Texts

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


def write(connection: Connection, pk: int, before: Texts, after: Texts) -> None:
    """Turn the parts of a resource into those of another text."""
    if not connection.has_parts or before == after:
        return
    if before != NO_TEXTS:
        connection.run(DROP, (pk,))
    if after != NO_TEXTS:
        connection.run(PUT, (pk, *after))


def lacks(connection: Connection, pk: int, wanted: Texts) -> bool:
    """Whether a resource is not found by the beginnings of its texts."""
    beginnings = ((number, text.partition("\n")[0][:32]) for number, text in enumerate(wanted) if text)
    queries = (_query(number, text) for number, text in beginnings)
    return any(each and connection.one(HAS, (each, pk)) is None for each in queries)


def query(indexed: Indexed, text: str) -> str | None:
    """What is looked up for a text within an attribute; None if it is too short."""
    return None if indexed.column is None else _query(indexed.column, text)


def _query(column: int, text: str) -> str | None:
    if len(text) < LENGTH or "\0" in text:
        return None
    wanted = dict.fromkeys(text[at : at + LENGTH] for at in range(len(text) - LENGTH + 1))
    terms = " AND ".join('"' + part.replace('"', '""') + '"' for part in wanted)
    return f"c{column} : ({terms})"
