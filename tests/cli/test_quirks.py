"""`rollbook quirks`."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rollbook.app import running
from rollbook.cli.main import app
from rollbook.operations import tokens
from rollbook.protocol import urns
from rollbook.protocol.quirks import TABLE
from rollbook.settings import Settings
from rollbook.testing.asgi import AsgiCaller


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that is made when it is needed."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("ROLLBOOK_DATABASE", url)
    return url


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    result = CliRunner().invoke(app, ["quirks", *arguments])
    return result.exit_code, result.stdout


def serve(database: str, *bodies: object) -> None:
    """A server that a token named hr asks to change a user, once for each body."""

    async def ask() -> None:
        async with running(Settings(database=database)) as served:
            now = served.services.now()
            token = await tokens.issue(served.store, 1, "hr", now=now, expires=None)
            call = AsgiCaller(served.asgi, token)
            user = await call("POST", "/scim/v2/Users", {"schemas": [urns.USER], "userName": "ann"})
            for body in bodies:
                answer = await call("PATCH", f"/scim/v2/Users/{user.json['id']}", body)
                assert answer.status in {200, 400}

    asyncio.run(ask())


def patch(op: str, path: str, value: object) -> object:
    """A PatchOp of one operation."""
    return {"schemas": [urns.PATCH_OP], "Operations": [{"op": op, "path": path, "value": value}]}


def test_nothing_yet(database: str) -> None:
    """A server whose clients keep to the RFCs has nothing to tell."""
    serve(database, patch("replace", "active", False))
    code, said = run()
    assert code == 0
    assert "no request has needed a quirk" in said
    assert json.loads(run("--json")[1]) == {"tokens": []}


def test_what_was_needed(database: str) -> None:
    """Quirks are counted for each token, across restarts, refused requests too; who sends them is told by their shape."""
    serve(
        database,
        patch("Replace", "active", "False"),
        patch("Replace", "title", ""),
        patch("Add", "nosuch", 1),
    )
    (token,) = json.loads(run("--json")[1])["tokens"]
    assert token["name"] == "hr"
    assert token["looksLike"] == ["entra"]
    assert {row["name"]: row["uses"] for row in token["quirks"]} == {
        "operation-case": 3,
        "string-booleans": 1,
        "empty-string-clears": 1,
    }
    said = run()[1]
    assert [part in said for part in ("hr", "entra", "operation-case")] == [True] * 3


def test_all(database: str) -> None:
    """Every quirk with what it accepts, as it is written, and the profiles that have it on."""
    said = run("--all")[1]
    assert all(quirk in said for quirk in TABLE)
    assert "attr[filter].sub" in said
    rows = json.loads(run("--all", "--json")[1])["quirks"]
    assert {row["name"] for row in rows} == set(TABLE)
    assert next(row for row in rows if row["name"] == "bare-words")["profiles"] == ["auto", "authentik"]


def test_no_database(database: str) -> None:
    """Nothing is made by looking."""
    code, _ = run()
    assert code != 0
    assert not Path(database.removeprefix("sqlite:///")).exists()
