"""`rollbook pull --changes` and `--full`, and another Rollbook as a source, as a user runs them."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from tests.provisioning.sources.test_rollbook_store import People
from typer.testing import CliRunner

from rollbook.cli.main import app

CONFIG = """
version: 1
sources:
  hr:
    type: sql
    url: sqlite:///FOLDER/hr.db
    query: SELECT id, mail, changed FROM people
    changes: {column: changed}
    key: id
    users: {externalId: {from: id}, userName: {from: mail}}
  other:
    type: rollbook
    database: sqlite:///FOLDER/other.db
    changes: {}
    key: id
    missing: delete
    users: {externalId: {from: id}, userName: {from: userName}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration, and a database with three people."""
    (tmp_path / "rollbook.yaml").write_text(CONFIG.replace("FOLDER", str(tmp_path)), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path / 'hub.db'}")
    execute(tmp_path, "CREATE TABLE people (id text, mail text, changed integer)")
    execute(tmp_path, "INSERT INTO people VALUES ('1', 'a@x', 1), ('2', 'b@x', 2), ('3', 'c@x', 3)")
    return tmp_path


def execute(folder: Path, statement: str) -> None:
    """Change the database of the source."""
    engine = create_engine(f"sqlite:///{folder / 'hr.db'}")
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def pulled(*arguments: str) -> dict[str, Any]:
    """What a pull says of the first source."""
    done = CliRunner().invoke(app, ["pull", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    (report,) = json.loads(done.stdout)["sources"]
    return {name: report[name] for name in ("partial", "rows", "created", "disabled", "deleted")}


def test_changes_and_everything(folder: Path) -> None:
    """Changes see who is new, and not who is gone; everything sees both, and is what pull does without a word."""
    assert pulled("hr") == {"partial": False, "rows": 3, "created": 3, "disabled": 0, "deleted": 0}
    execute(folder, "INSERT INTO people VALUES ('4', 'd@x', 4)")
    execute(folder, "DELETE FROM people WHERE id = '1'")
    changes = {"partial": True, "rows": 2, "created": 1, "disabled": 0, "deleted": 0}
    assert pulled("hr", "--changes") == changes
    assert pulled("hr", "--full") == {"partial": False, "rows": 3, "created": 0, "disabled": 1, "deleted": 0}
    told = CliRunner().invoke(app, ["pull", "hr", "--changes"])
    assert "source hr: 1 changes read" in told.stdout


def test_rules_that_have_changed(folder: Path) -> None:
    """The first reading by other rules has everybody."""
    pulled("hr")
    rules = (folder / "rollbook.yaml").read_text("utf-8")
    (folder / "rollbook.yaml").write_text(
        rules.replace("userName: {from: mail}", "userName: {from: id}"), "utf-8"
    )
    assert pulled("hr", "--changes")["partial"] is False


def test_what_is_pushed_into_another_rollbook_comes_here(folder: Path) -> None:
    """By its change log: who is new, who has changed, who is gone."""
    people = People(f"sqlite:///{folder / 'other.db'}")
    for name in ("ann", "bob", "cy"):
        people.put(name, f"{name}@example.com")
    assert pulled("other") == {"partial": False, "rows": 3, "created": 3, "disabled": 0, "deleted": 0}
    people.put("dee", "dee@example.com")
    people.drop("ann")
    assert pulled("other", "--changes") == {
        "partial": True, "rows": 1, "created": 1, "disabled": 0, "deleted": 1,
    }  # fmt: skip
    assert pulled("other", "--changes")["rows"] == 0
    people.close()
