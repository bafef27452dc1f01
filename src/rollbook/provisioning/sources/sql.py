"""People from a query of any database that SQLAlchemy speaks: read-only, in one transaction, streamed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.spool import Anew, Course, Fields, SpooledSource

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

FETCHED = 1_000
"""Rows that are in memory at a time."""

_READS = re.compile(r"\s*(?:--[^\n]*\n\s*)*(select|with|table|values)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Since:
    """How changes are asked for: the column that says when a row was changed last, which grows, and a query of their own."""

    column: str
    query: str | None = None
    overlap: int = 0
    """Milliseconds before the mark that are read again, if it is a time: a transaction that was slow wrote an older one."""


def sql(url: str, query: str, key: str, needed: tuple[str, ...], since: Since | None = None) -> SpooledSource:
    """The source that a query gives."""
    return SpooledSource(shown_url(url), key, needed, lambda course: _records(url, query, since, course))


def shown_url(url: str) -> str:
    """The URL without its password, which SQLAlchemy lets have a slash, and drivers take as a parameter too."""
    url = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:•••@", url)
    return re.sub(r"([?&](?:[a-z]*password|passwd|pwd)=)[^&#]*", r"\1•••", url, flags=re.IGNORECASE)


def _records(url: str, query: str, since: Since | None, course: Course) -> Iterator[Fields]:
    from sqlalchemy.exc import SQLAlchemyError

    label = shown_url(url)
    for one in (query, since.query if since else None):
        if one is not None and not _READS.match(one):
            raise SourceError(f"{label}: the query must begin with SELECT or WITH: a source is only read")
    engine = _engine(url, label)
    try:
        with engine.connect() as connection:
            _only_read(connection)
            if since is None:
                course.since = None
                yield from _rows(connection, query, {})
            else:
                yield from _changes(connection, query, since, course)
    except SQLAlchemyError as error:
        if course.since is not None:
            raise Anew(f"the query for changes failed ({_words(error)})") from None
        raise SourceError(f"{label}: {_words(error)}") from None
    finally:
        engine.dispose()


def _rows(connection: "Connection", query: str, parameters: dict[str, Any]) -> Iterator[Fields]:
    for names, row in _raw_rows(connection, query, parameters):
        yield _fields(names, row)


def _raw_rows(
    connection: "Connection", query: str, parameters: dict[str, Any]
) -> Iterator[tuple[list[str], Any]]:
    from sqlalchemy import text

    streamed = connection.execution_options(stream_results=True, yield_per=FETCHED)
    rows = streamed.execute(text(query), parameters)
    names = list(rows.keys())
    for row in rows:
        yield names, row


def _fields(names: list[str], row: Any) -> Fields:
    return {name: _text(value) for name, value in zip(names, row, strict=True) if value is not None}


def _changes(connection: "Connection", query: str, since: Since, course: Course) -> Iterator[Fields]:
    """Everything, or what has changed since the mark; the highest value of the column is the next one."""
    former = None if course.since is None else _value(course.since)
    course.partial = former is not None
    parameters: dict[str, Any] = {}
    if former is not None:
        quoted = connection.dialect.identifier_preparer.quote(since.column)
        query = since.query or _later(query, quoted)
        parameters["since"] = _earlier(former, since.overlap)
    highest = former
    for names, row in _raw_rows(connection, query, parameters):
        if since.column not in names:
            raise SourceError(f'changes.column: the query gives no column "{since.column}"')
        value = row[names.index(since.column)]
        try:
            highest = value if highest is None or (value is not None and value > highest) else highest
        except TypeError:
            raise _unordered(since.column, course) from None
        yield _fields(names, row)
    course.mark = _mark(highest)


def _unordered(column: str, course: Course) -> Exception:
    if course.since is not None:
        return Anew(f'"{column}" has values of another kind than the mark')
    return SourceError(f'changes.column: "{column}" has values of several kinds, of which none is the latest')


def _later(query: str, column: str) -> str:
    inner = query.rstrip().rstrip(";")
    return f"SELECT * FROM ({inner}) AS q WHERE {column} >= :since"  # noqa: S608 - both are the configuration's own


def _earlier(value: Any, overlap: int) -> Any:
    return value - timedelta(milliseconds=overlap) if isinstance(value, datetime) else value


def _mark(value: object) -> str | None:
    """A value of the column as text that `_value` reads; None if it is of no kind that grows."""
    match value:
        case datetime():
            return f"time {value.isoformat()}"
        case int() if not isinstance(value, bool):
            return f"number {value}"
        case str():
            return f"text {value}"
        case bytes():
            return f"bytes {value.hex()}"
        case _:
            return None


def _value(mark: str) -> Any:
    kind, _, text = mark.partition(" ")
    try:
        match kind:
            case "time":
                return datetime.fromisoformat(text)
            case "number":
                return int(text)
            case "text":
                return text
            case "bytes":
                return bytes.fromhex(text)
    except ValueError:
        pass
    raise Anew("the mark cannot be read")


def _engine(url: str, label: str) -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    if url.startswith("postgresql://"):
        url = "postgresql+psycopg://" + url.removeprefix("postgresql://")
    elif (
        url.startswith("sqlite:///") and "mode=" not in url
    ):  # or a misspelt path would become an empty database
        path = url.removeprefix("sqlite:///")
        url = f"sqlite:///file:{path}?mode=ro&uri=true"
    try:
        return create_engine(url, poolclass=NullPool)
    except (ArgumentError, NoSuchModuleError):
        raise SourceError(
            f"{label}: not a database URL; write postgresql://user@host/name, mysql+pymysql://…, mssql+pyodbc://…"
            " or sqlite:////absolute/path.db"
        ) from None
    except ImportError as error:
        raise SourceError(f"{label}: its driver is not installed; pip install {error.name}") from None


def _only_read(connection: "Connection") -> None:
    """Where the database can promise it, nothing is written, and every row is of one moment."""
    if connection.dialect.name == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    elif connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case bytes() | memoryview():
            return bytes(value).hex()
        case list() | tuple():
            return "\n".join(map(_text, value))
        case _:
            return str(value)


def _words(error: Exception) -> str:
    """What the database says, on one line, without the statement and its parameters."""
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())[:300]
