"""`rollbook history`, `restore`, `erase` and `database compact` as a person uses them."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.cli.command import run

from rollbook.app import running
from rollbook.operations import tokens
from rollbook.protocol import urns
from rollbook.settings import Settings
from rollbook.testing.asgi import AsgiCaller


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database in which ann was created, changed twice and put into a group, and bob was deleted."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("ROLLBOOK_DATABASE", url)
    asyncio.run(_fill(url))
    return url


async def _fill(url: str) -> None:
    async with running(Settings(database=url, database_origin="test")) as served:
        token = await tokens.issue(served.store, 1, "hr", now=served.services.now(), expires=None)
        call = AsgiCaller(served.asgi, token)
        body = {
            "schemas": [urns.USER],
            "userName": "ann",
            "externalId": "7",
            "title": "Keeper",
            "password": "correct horse",
        }
        ann = (await call("POST", "/scim/v2/Users", body)).json["id"]
        bob = (await call("POST", "/scim/v2/Users", {"schemas": [urns.USER], "userName": "bob"})).json["id"]
        for title in ("Chief keeper", "Head"):
            operation = {"op": "replace", "path": "title", "value": title}
            await call(
                "PATCH", f"/scim/v2/Users/{ann}", {"schemas": [urns.PATCH_OP], "Operations": [operation]}
            )
        await call(
            "POST",
            "/scim/v2/Groups",
            {"schemas": [urns.GROUP], "displayName": "all", "members": [{"value": ann}]},
        )
        await call("DELETE", f"/scim/v2/Users/{bob}")


@pytest.mark.parametrize("who", ["ann", "ANN", "7"])
def test_history(database: str, who: str) -> None:
    """A user is found by userName or externalId; each version has who, when and what, without values."""
    code, said, _ = run("history", who)
    assert code == 0
    assert [line.split()[1] for line in said.splitlines() if "hr" in line] == ["3", "2", "1"]
    assert "update" in said
    assert "title" in said
    assert "keeper" not in said.lower()
    assert "$argon2" not in run("history", who, "--values")[1]


def test_values_and_versions(database: str) -> None:
    """Old and new values are shown when asked for; a version can be seen whole, without the password."""
    for wanted in ("--values", "--diff"):
        assert '"Keeper" → "Chief keeper"' in run("history", "ann", wanted)[1]
    whole = json.loads(run("history", "ann", "--version", "1")[1])
    assert (whole["userName"], whole["title"]) == ("ann", "Keeper")
    assert "password" not in whole
    group = json.loads(run("history", "all", "--type", "Group", "--json")[1])
    assert group["versions"][0]["membersAdded"] == 1
    rows = json.loads(run("history", "ann", "--json", "--limit", "1")[1])["versions"]
    assert [row["version"] for row in rows] == [3]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("history", "nobody"), 1, "there is no User nobody"),
        (("history", "ann", "--type", "Robot"), 3, "there are User, Group"),
        (("history", "ann", "--version", "9"), 1, "has no version 9"),
        (("restore", "ann", "--version", "9"), 1, "has no version 9"),
        (("erase", "ann"), 3, "cannot be undone; say --yes"),
        (("history",), 3, "name one user, or say --deleted"),
        (("history", "ann", "--deleted"), 3, "name one user, or say --deleted"),
        (("history", "ann", "--by", "title"), 3, "a User is found by id, userName, externalId"),
        (("history", "ann", "--by", "externalId"), 1, "there is no User ann"),
        (("history", "all", "--type", "Group", "--by", "userName"), 3, "a Group is found by id, displayName"),
        (("database", "compact", "--older-than", "soon"), 3, "write 365d or 12h"),
        (("history", "ann", "--database", "sqlite:///none.db"), 3, "there is no database"),
    ],
)
def test_what_cannot_be_done(database: str, arguments: tuple[str, ...], code: int, words: str) -> None:
    """The message says what is wrong and what would be right."""
    found = run(*arguments)
    assert found[0] == code
    assert words in found[2]


def test_restore(database: str) -> None:
    """The difference is shown first; a dry run changes nothing; a restore is a version of its own."""
    code, said, _ = run("restore", "ann", "--version", "1", "--dry-run")
    assert (code, said) == (0, 'title: "Head" → "Keeper"\nnothing was changed\n')
    assert run("restore", "ann", "--version", "1")[0] == 0
    rows = json.loads(run("history", "ann", "--json")[1])["versions"]
    assert (rows[0]["version"], rows[0]["who"], rows[0]["operation"]) == (4, "rollbook restore", "update")
    assert json.loads(run("history", "ann", "--version", "4")[1])["title"] == "Keeper"


def test_the_deleted_and_the_erased(database: str) -> None:
    """Who was deleted comes back by id; who was erased does not, and the log says so."""
    log = json.loads(run("history", "ann", "--json")[1])
    bob = next(entry["id"] for entry in _log(database) if entry["operation"] == "delete")
    assert run("restore", bob, "--version", "1")[0] == 0
    assert json.loads(run("history", "bob", "--json")[1])["versions"][0]["version"] == 2
    assert json.loads(run("erase", "ann", "--yes", "--json")[1]) == {"id": log["id"], "formerVersions": 3}
    rows = json.loads(run("history", log["id"], "--json")[1])["versions"]
    assert (rows[0]["operation"], rows[0]["who"]) == ("erase", "rollbook erase")
    assert run("restore", log["id"], "--version", "1")[0] == 1
    assert run("database", "check")[0] == 0


def _log(database: str) -> list[dict[str, str]]:
    async def read() -> list[dict[str, str]]:
        async with running(Settings(database=database, database_origin="test")) as served:
            return [
                {"id": each.id, "operation": each.operation} for each in await served.store.changes(1, 0, 100)
            ]

    return asyncio.run(read())


def test_the_deleted_are_listed(database: str) -> None:
    """Those deleted last are found with what they were called, since only their id leads to them."""
    (bob,) = json.loads(run("history", "--deleted", "--json")[1])["deleted"]
    assert (bob["name"], bob["version"], bob["who"]) == ("bob", 1, "token hr")
    shown = run("history", "--deleted")[1]
    assert bob["id"] in shown
    assert "bob" in shown
    assert "has none" in run("restore", "--help")[1]
    assert run("restore", bob["id"], "--version", "1")[0] == 0
    assert "nobody was deleted" in run("history", "--deleted")[1]


def test_who_is_meant(database: str) -> None:
    """A name that two have is refused with what each is; of another type nothing is shown, brought back or erased."""
    asyncio.run(_add(database, "/Users", {"schemas": [urns.USER], "userName": "7"}))
    code, _, words = run("erase", "7", "--yes")
    assert code == 3
    assert "7 may be" in words
    assert "by its userName, " in words
    assert run("history", "7", "--by", "externalId")[2].endswith("by its externalId\n")
    assert run("history", "7", "--by", "userName", "--json")[0] == 0
    group = json.loads(run("history", "all", "--type", "Group", "--json")[1])["id"]
    for command in (("history", group), ("restore", group, "--version", "1"), ("erase", group, "--yes")):
        code, _, words = run(*command)
        assert (code, words) == (3, f"{group} is a Group; say --type Group")
    assert json.loads(run("history", group, "--type", "Group", "--json")[1])["versions"][0]["version"] == 1


async def _add(url: str, path: str, body: dict[str, object]) -> None:
    async with running(Settings(database=url, database_origin="test")) as served:
        token = await tokens.issue(served.store, 1, "hr", now=served.services.now(), expires=None)
        await AsgiCaller(served.asgi, token)("POST", f"/scim/v2{path}", body)


def test_what_does_not_come_back_is_said(database: str) -> None:
    """Members that are gone are named, in a dry run too."""
    ann = json.loads(run("history", "ann", "--json")[1])["id"]
    run("erase", "ann", "--yes")
    for more in (("--dry-run",), (), ("--json",)):
        code, said, words = run("restore", "all", "--type", "Group", "--version", "1", *more)
        assert code == 0
        assert f"these members are gone: {ann}" in words or json.loads(said)["missing"] == [ann]


def test_compact(database: str) -> None:
    """Former versions go, the last change of each resource stays."""
    assert json.loads(run("database", "compact", "--older-than", "0h", "--json")[1])["forgotten"] == 3 + 3
    rows = json.loads(run("history", "ann", "--json")[1])["versions"]
    assert [row["version"] for row in rows] == [3]
    assert run("database", "check")[0] == 0


def test_old_versions_are_forgotten_by_a_server(database: str) -> None:
    """`--set history=1d` is obeyed in the background; the default keeps everything."""
    from rollbook.app import forget_old
    from rollbook.settings import tenant_settings

    async def serve(*settings: str) -> int:
        wanted = Settings(database=database, database_origin="test", tenant=tenant_settings(settings))
        async with running(wanted) as served:
            return await forget_old(served, served.services.now() + 2 * 86_400_000)

    assert asyncio.run(serve()) == 0
    assert asyncio.run(serve("history=1d")) == 6
