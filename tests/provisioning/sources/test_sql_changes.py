"""The suite of changes on queries: by a number that grows, by a time, by a query of their own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from tests.provisioning.sources.changes import *  # noqa: F403 - the suite
from tests.provisioning.sources.changes import read

from rollbook.provisioning.sources.base import Source, SourceError
from rollbook.provisioning.sources.sql import Since, shown_url, sql

QUERY = "SELECT name AS id, mail, changed FROM people;"
OWN = "SELECT name AS id, mail, changed FROM people WHERE changed >= :since"


class Table:
    """A table with a column of when a row was changed."""

    mail = "mail"
    sees_departures = False

    def __init__(self, url: str, engine: Engine, since: Since, *, times: bool) -> None:
        self._url, self._engine, self._since, self._times = url, engine, since, times
        self._ticks = count(1)
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS people"))
            kind = "timestamp" if times else "integer"
            connection.execute(
                text(f"CREATE TABLE people (name varchar(9) PRIMARY KEY, mail varchar(99), changed {kind})")
            )

    def put(self, name: str, mail: str) -> str:
        """Make or change somebody."""
        tick = next(self._ticks)
        moment = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None) + timedelta(minutes=tick)
        time = str(moment) if self._engine.dialect.name == "sqlite" else moment
        row = {"name": name, "mail": mail, "changed": time if self._times else tick}
        with self._engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO people VALUES (:name, :mail, :changed) ON CONFLICT (name)"
                    " DO UPDATE SET mail = excluded.mail, changed = excluded.changed"
                ),
                row,
            )
        return name

    def drop(self, name: str) -> None:
        """Remove somebody."""
        with self._engine.begin() as connection:
            connection.execute(text("DELETE FROM people WHERE name = :name"), {"name": name})

    def source(self) -> Source:
        """The source."""
        return sql(self._url, QUERY, "id", ("mail",), self._since)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Engine]]:
    """A database."""
    if request.param == "sqlite":
        url = made = f"sqlite:///{tmp_path / 'hr.db'}"
    else:
        url = request.getfixturevalue("postgres_database")
        made = "postgresql+psycopg://" + url.removeprefix("postgresql://")
    engine = create_engine(made)
    yield url, engine
    engine.dispose()


@pytest.fixture(params=["number", "time", "query"])
def feed(request: pytest.FixtureRequest, engine: tuple[str, Engine]) -> Table:
    """People in it."""
    query = OWN if request.param == "query" else None
    return Table(*engine, Since("changed", query), times=request.param == "time")


def test_what_was_written_late_is_read_again(engine: tuple[str, Engine]) -> None:
    """A transaction that began before the mark and ended after it has an older time: the overlap covers it."""
    url, made = engine
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no times, only texts; its transactions do not overlap")
    table = Table(url, made, Since("changed", overlap=120_000), times=True)
    for name in ("ann", "bob", "cy", "dee"):
        table.put(name, "x@example.com")
    mark = read(table).extent.mark
    assert set(read(table, mark).mails) == {"bob", "cy", "dee"}


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    """Says which key of the file names it."""
    url = f"sqlite:///{tmp_path / 'hr.db'}"
    engine = create_engine(url)
    Table(url, engine, Since("changed"), times=False).put("ann", "a@example.com")
    engine.dispose()
    with pytest.raises(SourceError, match=r'changes\.column: the query gives no column "updated"'):
        sql(url, QUERY, "id", (), Since("updated")).open()


def test_a_column_whose_values_have_no_order(tmp_path: Path) -> None:
    """Of another kind than the mark: everything is read; of several kinds: says so."""
    url = f"sqlite:///{tmp_path / 'hr.db'}"
    engine = create_engine(url)
    table = Table(url, engine, Since("changed"), times=False)
    table.put("ann", "a@example.com")
    with engine.begin() as connection:
        connection.execute(text("UPDATE people SET changed = 'later'"))
    found = read(table, "number 1")
    assert (found.extent.partial, found.extent.mark) == (False, "text later")
    assert "another kind" in str(found.extent.remark)
    table.put("bob", "b@example.com")
    engine.dispose()
    with pytest.raises(SourceError, match="values of several kinds"):
        table.source().open()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:pw@db/hr", "postgresql://ann:•••@db/hr"),
        ("mysql+pymysql://ann:p/w@db/hr", "mysql+pymysql://ann:•••@db/hr"),
        ("postgresql://db/hr?user=ann&password=p/w&a=b", "postgresql://db/hr?user=ann&password=•••&a=b"),
        ("mssql+pyodbc://@db/hr?PWD=pw", "mssql+pyodbc://@db/hr?PWD=•••"),
        ("sqlite:////var/a:b/hr.db", "sqlite:////var/a:b/hr.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """Wherever drivers look for it."""
    assert shown_url(url) == shown


def test_a_query_that_breaks_in_the_middle_is_refused(tmp_path: Path) -> None:
    """T-71: rows that came before the error are no reading."""
    url = f"sqlite:///{tmp_path / 'hr.db'}"
    engine = create_engine(url)
    table = Table(url, engine, Since("changed"), times=False)
    for number in range(50):
        table.put(f"p{number:02}", "x@example.com")
    engine.dispose()
    broken = (
        "SELECT name AS id, abs(CASE name WHEN 'p40' THEN -9223372036854775807 - 1 ELSE 1 END) FROM people"
    )
    with pytest.raises(SourceError, match="integer overflow"):
        sql(url, broken, "id", ()).open()
