"""A whole database into another one, table by table: tokens, change log and links too, every key as it is."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.sql import migrate
from rollbook.storage.sql.connection import Backend, Connection, Row

ROWS = 5_000
"""Rows that are read and written together."""

_TABLE = re.compile(r"CREATE TABLE (\w+) \(([^;]*?)\s*\) STRICT")
_KEY = re.compile(r"PRIMARY KEY \(([\w, ]+)\)")

Progress = Callable[[str, int], None]
"""Told the table, and how many of its rows are done."""


class Table(NamedTuple):
    """A table: its columns, and those of its primary key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


_COMMA = re.compile(r",(?![^(]*\))")
"""One between columns, not one in parentheses. Columns that were added later stand in one line."""


@cache
def tables() -> tuple[Table, ...]:
    """Our tables, as the snapshot of the migrations has them; both databases have the same."""
    found = []
    for name, body in _TABLE.findall(migrate.snapshot()):
        lines = [line.strip() for line in _COMMA.split(body) if line.strip()]
        columns = [line.split()[0] for line in lines if line[0].islower()]
        keys = [part for line in lines for part in _KEY.findall(line)] or [
            line.split()[0] for line in lines if line.endswith("PRIMARY KEY")
        ]
        found.append(Table(name, tuple(columns), tuple(keys[0].split(", ") if keys else ())))
    return tuple(table for table in found if table.name != "alembic_version")


def copy(source: Backend, destination: Backend, progress: Progress) -> dict[str, int]:
    """Copy every row of one moment, in one transaction of the destination; how many of each table.

    Raises:
        StoreUnavailable: the destination has resources, tokens or targets already, or the source is older than this
            program.
    """
    done: dict[str, int] = {}
    with source.snapshot() as connection, destination.alone() as other:
        if not migrate.is_current(migrate.revision(connection)):
            raise StoreUnavailable(
                f"{source.name} is of an earlier version; bring it up to date first: rollbook database migrate"
            )
        for name in ("resource", "token", "target"):
            if other.one(f"SELECT 1 FROM {name} LIMIT 1") is not None:
                raise StoreUnavailable(f"{destination.name} is not empty: it has rows in table {name}")
        for name in (
            "setting",
            "tenant",
            "definition",
            "act",
            "seal",
            "tally",
            "secret",
        ):  # of an empty database that was opened
            other.run(f"DELETE FROM {name}")
        for table in tables():
            places = f"({', '.join('?' * len(table.columns))})"
            insert = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES {places}"
            done[table.name] = 0
            for rows in _batches(connection, table):
                other.many(insert, rows)
                done[table.name] += len(rows)
                progress(table.name, done[table.name])
        # What is not copied is made anew of the documents when a tenant is first used.
        other.run("UPDATE tenant SET indexed = '{}'")
    return done


def _batches(connection: Connection, table: Table) -> Iterator[list[Row]]:
    """The rows in the order of the key, which carries on where it was."""
    if table.key == ("pk",) and not connection.lies_by_row_key:
        table = table._replace(key=("tenant", "pk"))
    ordered, at = ", ".join(table.key), [table.columns.index(part) for part in table.key]
    select = f"SELECT {', '.join(table.columns)} FROM {table.name}"
    rows = connection.all(f"{select} ORDER BY {ordered} LIMIT {ROWS}")
    while rows:
        yield rows
        last = [rows[-1][place] for place in at]
        beyond = f"({ordered}) > ({', '.join('?' * len(at))})"
        rows = connection.all(f"{select} WHERE {beyond} ORDER BY {ordered} LIMIT {ROWS}", last)
