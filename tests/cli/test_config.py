"""`rollbook config`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rollbook.cli.config import app

GOOD = """\
version: 1
targets:
  t:
    type: scim
    url: https://example.com/scim
    token: ${SOME_TOKEN}
    users: {userName: {from: userName}}
"""
URN = "urn:example:schemas:extension:university:1.0:User"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and no database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/none.db")
    monkeypatch.setenv("SOME_TOKEN", "x")
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and error output of the command."""
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_schema_prints_json_schema() -> None:
    """What editors take."""
    code, out, _ = run("schema")
    assert code == 0
    assert json.loads(out)["title"] == "rollbook.yaml"


def test_check_finds_nothing(folder: Path) -> None:
    """A good file in the working directory, exit code 0."""
    (folder / "rollbook.yaml").write_text(GOOD)
    assert run("check") == (0, "rollbook.yaml: no mistakes found\n", "")


def test_check_prints_mistakes_to_stderr(folder: Path) -> None:
    """Exit code 3, all of them, with their places."""
    (folder / "other.yaml").write_text(GOOD.replace("userName}", "usrName}") + "    x: 1\n")
    code, out, err = run("check", "--config", "other.yaml")
    assert (code, out) == (3, "")
    assert "error[RB107]: User has no attribute usrName" in err
    assert "other.yaml:7:30" in err
    assert err.endswith("2 mistakes; nothing was done.\n")


def test_check_as_json(folder: Path) -> None:
    """For machines: the same problems as data."""
    (folder / "rollbook.yaml").write_text(GOOD + "    x: 1\n")
    code, out, _ = run("check", "--json")
    (problem,) = json.loads(out)["problems"]
    assert (code, problem["code"], problem["mark"]) == (3, "RB103", {"line": 8, "column": 5, "width": 1})


def test_check_without_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file is checked the secrets need not be."""
    monkeypatch.delenv("SOME_TOKEN")
    (folder / "rollbook.yaml").write_text(GOOD)
    assert run("check")[0] == 3
    assert run("check", "--no-secrets")[0] == 0


def test_check_knows_schemas_of_a_directory(folder: Path) -> None:
    """--schemas names further attributes."""
    schema = {"id": URN, "name": "University", "attributes": [{"name": "faculty", "type": "string"}]}
    (folder / "schemas").mkdir()
    (folder / "schemas" / "u.json").write_text(json.dumps(schema))
    text = GOOD.replace("{from: userName}}", "{from: userName}, university.faculty: {value: x}}")
    (folder / "rollbook.yaml").write_text(text)
    assert run("check")[0] == 3
    assert run("check", "--schemas", "schemas")[0] == 0
