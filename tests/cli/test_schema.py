"""`rollbook schema`."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.courses import COURSE, DEFINITIONS
from typer.testing import CliRunner

from rollbook.cli.main import app
from rollbook.protocol import urns
from rollbook.protocol.resource import Change
from rollbook.storage.base import Author
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore

HR = "urn:example:hr:2.0:User"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and a database that is made when it is needed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and error output of the command; what it raises is what `rollbook` would explain."""
    result = CliRunner().invoke(app, ["schema", *arguments])
    said = result.stderr or (str(result.exception) if result.exception else "")
    return result.exit_code, result.stdout, said


def hr(folder: Path, *attributes: dict[str, Any]) -> str:
    """A file with an extension of User."""
    body = {"schemas": [urns.SCHEMA], "id": HR, "name": "HR", "attributes": list(attributes)}
    (folder / "hr.json").write_text(json.dumps(body))
    return "hr.json"


def add_user(folder: Path, **attributes: Any) -> None:
    """Put a user into the database."""

    async def add() -> None:
        store = SqlStore(SqliteFile(folder / "store.db"), None)
        await store.open()
        kind = store.catalog.resource_type("User")
        assert kind is not None
        await store.insert(1, kind, "u1", Change({"userName": "ann", **attributes}), Author("test", 1))
        await store.close()

    asyncio.run(add())


def test_list(folder: Path) -> None:
    """What is served, for people and for programs, with the number of resources."""
    (folder / "course.json").write_text("[]")
    files = folder / "schemas"
    files.mkdir()
    for number, document in enumerate(DEFINITIONS):
        (files / f"{number}.json").write_text(json.dumps(document))
    assert run("add", "schemas")[0] == 0
    add_user(folder)
    code, out, _ = run("list")
    assert code == 0
    assert "/Courses" in out
    assert COURSE in out
    listed = json.loads(run("list", "--json")[1])
    types = {each["name"]: each for each in listed["resourceTypes"]}
    assert types["User"] == {
        "name": "User",
        "endpoint": "/Users",
        "schema": urns.USER,
        "extensions": [{"schema": urns.ENTERPRISE_USER, "required": False}],
        "resources": 1,
        "core": True,
    }
    assert types["Course"]["core"] is False
    assert {each["id"] for each in listed["schemas"] if not each["core"]} >= {COURSE}


def test_list_one(folder: Path) -> None:
    """A definition is printed in the form it is written in, so that it can be changed and added again."""
    assert run("add", hr(folder, {"name": "badge"}))[0] == 0
    code, out, _ = run("list", HR.upper())
    assert (code, json.loads(out)["id"]) == (0, HR)
    (folder / "again.json").write_text(out)
    assert "nothing to change" in run("add", "again.json")[1]
    assert json.loads(run("list", "User")[1])["endpoint"] == "/Users"
    assert run("list", "nobody")[0] == 1


def test_check_changes_nothing(folder: Path) -> None:
    """check says what add would do."""
    code, out, _ = run("check", hr(folder, {"name": "badge"}))
    assert code == 0
    assert f"+ {HR}" in out
    assert "~ resource type User" in out
    assert "every resource stays valid" in out
    assert HR not in run("list")[1]


def test_what_would_not_be_valid(folder: Path) -> None:
    """Findings name attribute, number and an example, with what to do; nothing is taken, the exit code is 1."""
    assert run("add", hr(folder, {"name": "badge"}, {"name": "note"}))[0] == 0
    add_user(folder, **{HR: {"badge": "seven", "note": "n"}})
    changed = hr(folder, {"name": "badge", "type": "integer"})
    code, out, _ = run("add", changed, "--drop-values")
    assert code == 1
    assert f"unfit: User {HR}:badge, 1 of them (such as u1)" in out
    assert "correct the values first" in out
    assert "nothing was changed" in out
    found = json.loads(run("check", changed, "--json")[1])
    assert [(each["fault"], each["count"]) for each in found["findings"]] == [("unfit", 1), ("dropped", 1)]
    assert found["taken"] is False
    assert found["differences"][0] == {"sign": "~", "name": HR, "parts": ["~ badge", "- note"]}
    assert "seven" not in out


def test_values_are_dropped_when_told(folder: Path) -> None:
    """Attributes nobody defines any more go with --drop-values, and only then."""
    assert run("add", hr(folder, {"name": "badge"}, {"name": "note"}))[0] == 0
    add_user(folder, **{HR: {"badge": "7", "note": "n"}})
    smaller = hr(folder, {"name": "badge"})
    assert run("add", smaller)[0] == 1
    code, out, _ = run("add", smaller, "--drop-values")
    assert code == 0
    assert "values were dropped from 1 resources" in out
    code, out, _ = run("remove", HR)
    assert (code, f"dropped: User {HR}, 1 of them" in out) == (1, True)
    assert run("remove", HR, "--drop-values")[0] == 0
    assert HR not in run("list")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["remove", urns.USER], "is one of SCIM's own definitions"),
        (["remove", "User"], "is one of SCIM's own definitions"),
        (["remove", "urn:example:hr:2.0:Usr"], f"did you mean {HR}"),
        (["add", "none.json"], "none.json: No such file or directory"),
        (["add", "broken.json"], "broken.json: not readable as JSON"),
        (["add", "bad.json"], "bad.json: schema urn:x:a, attribute 'b': type must be one of string"),
        (["add", "type.json"], "schema urn:x:none is not defined"),
    ],
)
def test_clear_errors(folder: Path, arguments: list[str], said: str) -> None:
    """What is wrong, where, and what would be accepted."""
    run("add", hr(folder, {"name": "badge"}))
    (folder / "broken.json").write_text("{")
    bad = {"id": "urn:x:a", "attributes": [{"name": "b", "type": "money"}]}
    (folder / "bad.json").write_text(json.dumps(bad))
    (folder / "type.json").write_text(json.dumps({"name": "T", "endpoint": "/T", "schema": "urn:x:none"}))
    code, _, error = run(*arguments)
    assert code != 0
    assert said in error


@pytest.mark.spec("S-11")
def test_an_attribute_of_the_specification_defined_again(folder: Path) -> None:
    """An extension that redefines what its base schema has is taken with a warning."""
    code, out, _ = run("add", hr(folder, {"name": "DisplayName"}, {"name": "badge"}))
    assert code == 0
    assert f"! {HR}:DisplayName has the name of User's own displayName" in out
    assert "badge has the name" not in out
