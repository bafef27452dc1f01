"""Every difference between the SQL databases we speak to, as one table; today it has one row."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one database writes what the others write differently.

    `table` and `clustered` end a CREATE TABLE: the second for tables that lie in the order of their primary
    key. `each_number` and `each_text` are sub-selects of the values in one parameter, which `listed` makes.
    `contains` takes the searched bytes, `ends_with` their length as a negative number and then the bytes.
    `references` makes rows one JSON array of arrays. `walk` is an inner join whose
    left side is walked first: where the database keeps no statistics, the order is ours to choose.
    """

    name: str
    integer: str
    text: str
    blob: str
    table: str
    clustered: str
    each_number: str
    each_text: str
    begin_write: str
    contains: str
    ends_with: str
    references: str
    greater: str
    walk: str


SQLITE = Dialect(
    name="sqlite",
    integer="INTEGER",
    text="TEXT",
    blob="BLOB",
    table=" STRICT",
    clustered=" STRICT, WITHOUT ROWID",
    each_number="SELECT value FROM json_each(?)",
    each_text="SELECT value FROM json_each(?)",
    begin_write="BEGIN IMMEDIATE",
    contains="instr({column}, ?) > 0",
    ends_with="substr({column}, ?) = ?",
    references="json_group_array(json_array({columns}))",
    greater="max({one}, {other})",
    walk="CROSS JOIN",
)

BY_NAME = {SQLITE.name: SQLITE}
