"""The suite of sources on queries, of SQLite and of PostgreSQL, and that nothing is ever written."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.provisioning.sources.conformance import *  # noqa: F403 - the suite
from tests.provisioning.sources.conformance import PEOPLE, Make

from rollbook.provisioning.sources.base import Source, SourceError
from rollbook.provisioning.sources.sql import shown_url, sql

QUERY = "SELECT id, name, mail FROM people ORDER BY id"


def _fill(url: str, records: Sequence[dict[str, str]]) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS people"))
        connection.execute(text("CREATE TABLE people (id varchar(9), name varchar(99), mail varchar(99))"))
        for one in records:
            row = {"mail": None, **one}
            connection.execute(text("INSERT INTO people VALUES (:id, :name, :mail)"), row)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def make_source(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A table with these records."""
    if request.param == "sqlite":
        url = filled = f"sqlite:///{tmp_path / 'hr.db'}"
    else:
        url = request.getfixturevalue("postgres_database")
        filled = "postgresql+psycopg://" + url.removeprefix("postgresql://")

    def make(records: Sequence[dict[str, str]], needed: tuple[str, ...] = ()) -> Source:
        _fill(filled, records)
        return sql(url, QUERY, "id", needed)

    return make


@pytest.mark.parametrize(
    ("url", "query", "words"),
    [
        ("sqlite:///{folder}/hr.db", "DELETE FROM people", "must begin with SELECT or WITH"),
        ("sqlite:///{folder}/hr.db", "SELECT * FROM nobody", "no such table: nobody"),
        ("sqlite:///{folder}/hr.db", "WITH x AS (SELECT 1) DELETE FROM people", "readonly"),
        ("sqlite:///{folder}/none.db", QUERY, "unable to open database file"),
        ("nonsense", QUERY, "not a database URL"),
        ("mysql+pymysql://u@127.0.0.1/x", QUERY, "pip install pymysql"),
        ("oracles://u@127.0.0.1/x", QUERY, "not a database URL"),
        ("postgresql://u:secret@127.0.0.1:1/x", QUERY, "postgresql://u:•••@127.0.0.1:1/x: "),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, url: str, query: str, words: str) -> None:
    """Clear words, no password in them, and nothing is made or changed."""
    _fill(f"sqlite:///{tmp_path / 'hr.db'}", PEOPLE)
    with pytest.raises(SourceError) as refused:
        sql(url.format(folder=tmp_path), query, "id", ()).open()
    assert words in refused.value.detail
    assert "secret" not in refused.value.detail
    assert not (tmp_path / "none.db").exists()
    left = sql(f"sqlite:///{tmp_path / 'hr.db'}", QUERY, "id", ()).open()
    assert len(list(left.rows())) == len(PEOPLE)
    left.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:•••@h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("mssql+pyodbc://u:p%40x@h/d?driver=x", "mssql+pyodbc://u:•••@h/d?driver=x"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    """A URL as people see it."""
    assert shown_url(url) == shown


def test_a_source_without_sql_does_not_load_it() -> None:
    """SQLAlchemy takes a quarter of a second: only who has such a source pays."""
    code = "import sys, rollbook.provisioning.sources, rollbook.provisioning.config; print('sqlalchemy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
