"""`rollbook config`."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML
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


def test_check_warns_of_a_token_that_ends(folder: Path) -> None:
    """It is no mistake: exit code 0, a note for people, and a list for scripts."""
    dated = GOOD.replace("    users:", "    expires: 2020-01-01\n    users:")
    (folder / "rollbook.yaml").write_text(dated)
    code, out, err = run("check")
    assert (code, err) == (0, "")
    assert "note: t: its token ended on 2020-01-01 00:00 UTC; get a new one" in out
    (warning,) = json.loads(run("check", "--json")[1])["warnings"]
    assert warning.startswith("t: its token ended")


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


SHOWN = """\
version: 1
tables: {teams: {a: "1"}}
sources:
  db:
    type: sql
    url: sqlite:///people.db
    query: SELECT 1
    key: id
    users: {userName: {unique: ["slug(record.name)"]}, emails: [{value: {from: mail}, type: {value: work}}]}
targets:
  t:
    type: scim
    url: https://example.com/scim
    token: ${SOME_TOKEN}
    proxy: http://me:hunter2@proxy:3128
    profile: miro
    users: {userName: {from: userName, clear: null}, emails: {from: emails}}
  u:
    type: scim
    url: https://example.com/scim
    oauth: {token_url: "https://example.com/t", client_id: x, client_secret: "command:vault read hunter3"}
    clear: keep
    rate: [{requests: 3}]
    drift: {default: report, userName: overwrite}
    users: {userName: {from: userName}}
"""


def shown(folder: Path, *arguments: str) -> str:
    """What `config show` prints of that file."""
    (folder / "rollbook.yaml").write_text(SHOWN, "utf-8")
    code, out, err = run("show", *arguments)
    assert (code, err) == (0, "")
    return out


def test_show_prints_a_configuration_that_means_the_same(folder: Path) -> None:
    """What is printed can be read again, and has the defaults and what profiles say written out."""
    first = YAML(typ="safe").load(shown(folder))
    assert first["sources"]["db"]["shrink_limit"] == 0.2
    assert first["sources"]["db"]["users"]["userName"] == {"unique": ["slug(record.name)"]}
    assert first["targets"]["t"]["leave"] == "disable"
    assert first["targets"]["t"]["rate"][0]["per"] == "30s"
    assert first["targets"]["t"]["users"]["userName"] == {"from": "userName", "clear": "null"}
    assert (first["targets"]["t"]["clear"], first["targets"]["u"]["clear"]) == ("remove", "keep")
    assert first["targets"]["u"]["drift"] == {"default": "report", "userName": "overwrite"}
    assert json.loads(shown(folder, "--json"))["config"] == first
    first["targets"]["t"]["proxy"] = "http://proxy:3128"
    first["targets"]["u"]["oauth"]["client_secret"] = "${SOME_TOKEN}"
    (folder / "again.yaml").write_text(json.dumps(first), "utf-8")
    assert run("check", "--config", "again.yaml") == (0, "again.yaml: no mistakes found\n", "")
    code, out, _ = run("show", "--config", "again.yaml", "--json")
    assert (code, json.loads(out)["config"]) == (0, first)


def test_show_says_where_each_value_is_from(folder: Path) -> None:
    """File and line, a profile, a default; of secrets where they are kept."""
    origin = json.loads(shown(folder, "--origin", "--json"))["origin"]
    expected = {
        "version": "rollbook.yaml:1",
        "tables.teams.a": "rollbook.yaml:2",
        "sources.db.shrink_limit": "default",
        "sources.db.users.emails.0.value.from": "rollbook.yaml:9",
        "targets.t.token": "rollbook.yaml:14, environment variable SOME_TOKEN",
        "targets.t.rate.0.requests": "profile miro",
        "targets.t.clear": "default",
        "targets.u.clear": "rollbook.yaml:22",
        "targets.u.rate.0.requests": "rollbook.yaml:23",
        "targets.u.oauth.client_secret": "rollbook.yaml:21, command vault",
        "targets.u.oauth.algorithm": "default",
        "keep_days": "default",
    }
    assert {place: origin.get(place) for place in expected} == expected
    text = shown(folder, "--origin")
    assert re.search(
        r"^    token: \$\{SOME_TOKEN\} +# rollbook.yaml:14, environment variable SOME_TOKEN$",
        text,
        re.MULTILINE,
    )


def test_show_shows_no_secret_and_looks_none_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither values nor arguments of commands nor passwords in URLs; it works where secrets are not."""
    monkeypatch.setenv("SOME_TOKEN", "hunter1")
    for text in (shown(folder), shown(folder, "--origin"), shown(folder, "--json", "--origin")):
        assert "hunter" not in text
    monkeypatch.delenv("SOME_TOKEN")
    assert "environment variable SOME_TOKEN, which is not set" in shown(folder, "--origin")


def test_show_tells_mistakes_instead(folder: Path) -> None:
    """As check does."""
    (folder / "rollbook.yaml").write_text(SHOWN.replace("slug(", "slog("), "utf-8")
    code, out, err = run("show")
    assert (code, out) == (3, "")
    assert "error[RB110]" in err
