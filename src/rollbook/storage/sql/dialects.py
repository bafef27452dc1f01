"""Every difference between the SQL databases we speak to, as one table.

Statements are written as SQLite takes them, of phrases from its row where databases differ; `translation` turns
such a text into another database's, and its driver keeps what came of it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Words:
    """How a database defines tables.

    `short` is for numbers below two thousand millions. `table` and `clustered` end a CREATE TABLE: the second
    for tables that lie in the order of their primary key. Texts are compared byte by byte.
    """

    name: str
    integer: str
    short: str
    text: str
    blob: str
    table: str
    clustered: str
    row_key: str


@dataclass(frozen=True, slots=True)
class Phrases:
    """How a database writes what the others write differently; what is in braces differs from use to use.

    `among_numbers` and `among_texts` compare with each of the values in one parameter, which `reads.listed` makes;
    `each_number` is the sub-select of them.
    `contains` takes the searched bytes, `ends_with` their length as a negative number and then the bytes.
    `key_contains` and `key_ends_with` are the same of keys, which may be looked up by their parts.
    `references` makes rows one JSON array of arrays. `walk` is an inner join whose left side is walked first.
    `unindexed` keeps SQLite from looking a column up where it should only be compared.
    """

    among_numbers: str
    among_texts: str
    each_number: str
    contains: str
    ends_with: str
    key_contains: str
    key_ends_with: str
    references: str
    greater: str
    walk: str
    no_bytes: str
    unindexed: str


WORDS = {
    words.name: words
    for words in (
        Words(
            name="sqlite",
            integer="INTEGER",
            short="INTEGER",
            text="TEXT",
            blob="BLOB",
            table=" STRICT",
            clustered=" STRICT, WITHOUT ROWID",
            row_key=" PRIMARY KEY",
        ),
        Words(
            name="postgresql",
            integer="BIGINT",
            short="INTEGER",
            text='TEXT COLLATE "C"',
            blob="BYTEA",
            table="",
            clustered="",
            row_key="",
        ),
    )
}
"""By the names that Alembic has for databases."""

SQLITE = Phrases(
    among_numbers="IN (SELECT value FROM json_each(?) AS number)",
    among_texts="IN (SELECT value FROM json_each(?) AS word)",
    each_number="SELECT value FROM json_each(?) AS number",
    contains="instr({column}, ?) > 0",
    ends_with="substr({column}, ?) = ?",
    key_contains="instr({column}, ?) >= 1",
    key_ends_with="substr({column}, ?) IS ?",
    references="json_group_array(json_array({columns}))",
    greater="max({one}, {other})",
    walk="CROSS JOIN",
    no_bytes="X''",
    unindexed="+{column}",
)

_PARTS = (
    r"encode({column}, 'escape') LIKE '%' || replace(replace(replace(encode(CAST(?^ AS bytea), 'escape'),"
    r" '\', '\\'), '%', '\%'), '_', '\_') || '%'"
)
"""What the index of parts serves (`migrations`); `?^` is the last parameter once more."""

POSTGRES = Phrases(
    # An array that is made once is looked up in an index value by value; a sub-select would be joined, as a whole.
    among_numbers="= ANY (ARRAY(SELECT CAST(value AS bigint) FROM jsonb_array_elements_text(CAST(? AS jsonb)) AS number (value)))",
    among_texts="= ANY (ARRAY(SELECT value FROM jsonb_array_elements_text(CAST(? AS jsonb)) AS word (value)))",
    each_number="SELECT CAST(value AS bigint) AS value FROM jsonb_array_elements_text(CAST(? AS jsonb)) AS number (value)",
    contains="position(? IN {column}) > 0",
    ends_with="substr({column}, CAST(length({column}) + 1 + ? AS integer)) = ?",
    key_contains=f"(position(? IN {{column}}) > 0 AND {_PARTS})",
    key_ends_with=f"(substr({{column}}, CAST(length({{column}}) + 1 + ? AS integer)) = ? AND {_PARTS})",
    references="coalesce(CAST(json_agg(json_build_array({columns})) AS text), '[]')",
    greater="greatest({one}, {other})",
    walk="JOIN",
    no_bytes="CAST('' AS bytea)",
    unindexed="{column}",
)

TENANT, R_TENANT = SQLITE.unindexed.format(column="tenant"), SQLITE.unindexed.format(column="r.tenant")
"""The tenant of a resource that row keys find: SQLite needs it not, and would sort when it looked it up."""

_SLOTS = {"column": r"[a-z.]+", "columns": r"[^()]*", "one": r"[^(),]+", "other": r"[^(),]+"}
"""What may be in the braces of SQLite's phrases."""


def translation(phrases: Phrases) -> Callable[[str], str]:
    """A function from a text of ours to the same in another database's phrases, with $1, $2, … for parameters."""
    pairs = [
        (_pattern(getattr(SQLITE, field.name)), _replacement(getattr(phrases, field.name)))
        for field in fields(Phrases)
    ]

    def translate(sql: str) -> str:
        for pattern, replacement in pairs:
            sql = pattern.sub(replacement, sql)
        return _numbered(sql)

    return translate


def _numbered(sql: str) -> str:
    """The text with $1, $2, … for its parameters."""
    first, *others = sql.split("?")
    parts, number = [first], 0
    for part in others:
        number += not part.startswith("^")
        parts.append(f"${number}{part.removeprefix('^')}")
    return "".join(parts)


def _pattern(phrase: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", phrase)
    text = "".join(
        re.escape(part) if at % 2 == 0 else f"(?P<{part}>{_SLOTS[part]})" for at, part in enumerate(parts)
    )
    return re.compile(rf"(?<![\w+]){text}")


def _replacement(phrase: str) -> str:
    return re.sub(r"\{(\w+)\}", r"\\g<\1>", phrase.replace("\\", "\\\\"))
