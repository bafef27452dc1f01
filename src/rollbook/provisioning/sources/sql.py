"""People from a query of any database that SQLAlchemy speaks: read-only, in one transaction, streamed."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.spool import Fields, Problem, SpooledSource

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

FETCHED = 1_000
"""Rows that are in memory at a time."""

_READS = re.compile(r"\s*(?:--[^\n]*\n\s*)*(select|with|table|values)\b", re.IGNORECASE)


def sql(url: str, query: str, key: str, needed: tuple[str, ...]) -> SpooledSource:
    """The source that a query gives."""
    return SpooledSource(shown_url(url), key, needed, lambda: _records(url, query))


def shown_url(url: str) -> str:
    """The URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:•••@", url)


def _records(url: str, query: str) -> Iterator[Fields | Problem]:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    label = shown_url(url)
    if not _READS.match(query):
        raise SourceError(f"{label}: the query must begin with SELECT or WITH: a source is only read")
    engine = _engine(url, label)
    try:
        with engine.connect() as connection:
            _only_read(connection)
            rows = connection.execution_options(stream_results=True, yield_per=FETCHED).execute(text(query))
            names = list(rows.keys())
            for row in rows:
                yield {
                    name: _text(value) for name, value in zip(names, row, strict=True) if value is not None
                }
    except SQLAlchemyError as error:
        raise SourceError(f"{label}: {_words(error)}") from None
    finally:
        engine.dispose()


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
