"""`rollbook tenant`, and `--tenant` for the commands that are for one."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command import run

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann"}
COLOUR = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
    "id": "urn:example:colour:1.0:User",
    "name": "Colour",
    "attributes": [{"name": "colour"}],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a database that is made when it is needed."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.delenv("ROLLBOOK_TENANT", raising=False)
    (tmp_path / "people.jsonl").write_text(json.dumps(USER) + "\n")
    return tmp_path


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `--tenant` puts into the environment of this process ends with the test."""
    monkeypatch.setenv("ROLLBOOK_TENANT", "")


def told(*arguments: str) -> Any:
    """What a command prints as JSON."""
    code, said, wrong = run(*arguments, "--json")
    assert code == 0, wrong
    return json.loads(said)


def for_tenant(name: str, *arguments: str) -> tuple[int, str, str]:
    """A command for one tenant."""
    try:
        return run("--tenant", name, *arguments)
    finally:
        os.environ["ROLLBOOK_TENANT"] = ""


def test_a_life(folder: Path) -> None:
    """Made, filled, told, switched off and on, exported into another, deleted; the default one knows nothing of it."""
    definitions = folder / "schemas"
    definitions.mkdir()
    (definitions / "colour.json").write_text(json.dumps(COLOUR))
    made = told("tenant", "create", "acme", "--set", "profile=entra", "--schemas", str(definitions))
    assert made == {
        "name": "acme",
        "state": "open",
        "where": "/t/acme/scim/v2",
        "settings": ["profile=entra"],
    }
    code, _, wrong = for_tenant("acme", "import", str(folder / "people.jsonl"))
    assert code == 0, wrong
    assert told("tenant", "show", "acme")["resources"] == {"User": 1}
    assert told("tenant", "show", "default")["resources"] == {}
    assert COLOUR["id"] in told("tenant", "show", "acme")["schemas"]
    assert told("tenant", "set", "acme", "profile=", "history=30d")["settings"] == ["history=30d"]
    assert told("tenant", "disable", "acme")["state"] == "disabled"
    assert told("tenant", "enable", "acme")["state"] == "open"
    out = folder / "acme.jsonl"
    code, _, wrong = run("tenant", "export", "acme", str(out))
    assert code == 0, wrong
    assert "tokens" in json.loads(out.read_text().splitlines()[0])["leftOut"]
    assert told("tenant", "create", "second", "--from", str(out))["settings"] == ["history=30d"]
    code, _, wrong = for_tenant("second", "import", str(out))
    assert code == 0, wrong
    assert told("tenant", "show", "second")["resources"] == {"User": 1}
    assert [each["name"] for each in told("tenant", "list")] == ["acme", "default", "second"]
    assert told("tenant", "delete", "acme", "--yes") == {"name": "acme", "deleted": {"User": 1}}
    assert [each["name"] for each in told("tenant", "list")] == ["default", "second"]
    assert told("database", "check")["faults"] == []


def test_tokens_are_a_tenants(folder: Path) -> None:
    """A token is made, listed and revoked for the tenant that is named, and for no other."""
    told("tenant", "create", "acme")
    code, text, _ = for_tenant("acme", "token", "create", "--name", "hr")
    assert (code, text[:8]) == (0, "rb_live_")
    assert told("token", "list") == []
    code, _, wrong = run("token", "revoke", text.strip())
    assert (code, "no such token" in wrong) == (1, True)
    assert told("tenant", "show", "acme")["tokens"] == 1
    code, said, _ = for_tenant("acme", "token", "revoke", text.strip())
    assert (code, "is revoked" in said) == (0, True)
    assert told("tenant", "show", "acme")["tokens"] == 0  # those that open something


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_an_import_goes_by_what_the_tenant_was_told(folder: Path, dry: tuple[str, ...]) -> None:
    """Its settings hold without being said again; what is said with the command comes over them."""
    told("tenant", "create", "acme", "--set", "password-length=20")
    short = folder / "short.jsonl"
    short.write_text(json.dumps({**USER, "password": "only twelve."}) + "\n")
    code, _, wrong = for_tenant("acme", "import", str(short), *dry)
    assert (code, "at least 20 characters" in wrong) == (1, True)
    code, _, wrong = for_tenant(
        "acme", "import", str(short), "--set", "password-length=12", "--restart", *dry
    )
    assert code == 0, wrong
    assert run("import", str(short), *dry)[0] == 0  # the default tenant was told nothing


def test_deleting_asks(folder: Path) -> None:
    """Without the name written once more nothing is deleted."""
    told("tenant", "create", "acme")
    code, _, wrong = run("tenant", "delete", "acme", given=b"acmee\n")
    assert code != 0
    assert "not its name" in wrong
    assert told("tenant", "show", "acme")["state"] == "open"
    code, said, _ = run("tenant", "delete", "acme", given=b"acme\n")
    assert (code, "is deleted" in said) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tenant", "create", "Acme"), "a-z"),
        (("tenant", "create", "default"), "another name"),
        (("tenant", "create", "acme", "--set", "profil=rfc"), "did you mean profile?"),
        (("tenant", "create", "acme", "--host", "http://x"), "host name"),
        (("tenant", "create", "acme", "--schemas", "nowhere"), "no such directory"),
        (("tenant", "show", "zebra"), "rollbook tenant list"),
        (("tenant", "show", "defalt"), "did you mean default?"),
        (("tenant", "set", "default"), "name a setting"),
        (("tenant", "delete", "default", "--yes"), "disable it"),
        (("tenant", "disable", "zebra"), "no tenant"),
    ],
)
def test_what_cannot_be_done_says_what_can(folder: Path, arguments: tuple[str, ...], says: str) -> None:
    """The message has the way out, and nothing was made."""
    told("token", "create")
    code, _, wrong = run(*arguments)
    assert code != 0
    assert says in wrong
    assert [each["name"] for each in told("tenant", "list")] == ["default"]
