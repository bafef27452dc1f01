"""`rollbook client`: made, listed, rotated and removed by the command."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command import run
from tests.server.outside_issuer import ec, rsa

from rollbook.operations.tokens import token_id


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is made when it is needed."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("ROLLBOOK_TENANT", "")
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/store.db")


def client(*arguments: str) -> Any:
    """What a command prints as JSON."""
    code, said, wrong = run("client", *arguments, "--json")
    assert code == 0, wrong
    return json.loads(said)


def test_a_life(tmp_path: Path) -> None:
    """Made with rights, rotated, removed; the secrets carry the client's id, and are nowhere in the database."""
    made = client(
        "add",
        "loader",
        "--scope",
        "read",
        "--scope",
        "users",
        "--without",
        "roles",
        "--seconds",
        "600",
        "--expires",
        "30d",
    )
    assert token_id(made["secret"]) == made["id"]
    assert (made["scopes"], made["seconds"], made["shows"]) == ("read users", 600, "a secret")
    newer = client("rotate", made["id"], "--overlap", "1h")
    assert newer["secret"] != made["secret"]
    assert [row["id"] for row in client("list")] == [made["id"]]
    assert (made["without"], made["hold"]) == (["roles"], [])
    code, said, _ = run("client", "list")
    assert (code, made["id"] in said) == (0, True)
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert [each for each in (made, newer) if each["secret"][-49:].encode() in kept] == []
    code, said, wrong = run("client", "add", "other")
    assert code == 0
    assert "client_secret  rb_live_" in said
    assert "shown this once" in wrong
    assert client("add", "own", "--own")["own"] is True
    assert client("remove", client("list")[-1]["id"])["removed"] is True
    assert client("remove", made["id"]) == {"id": made["id"], "removed": True}
    assert [row["name"] for row in client("list")] == ["other"]


def test_with_a_key(tmp_path: Path) -> None:
    """A client with a key has no secret; its keys are changed by naming others."""
    file = tmp_path / "key.pem"
    file.write_bytes(rsa("a").as_pem(private=False))
    made = client("add", "signer", "--key", str(file))
    assert (made["secret"], made["shows"], made["until"]) == (None, "an assertion", None)
    file.write_text(json.dumps({"keys": [ec("b").as_dict(private=False)]}))
    assert client("rotate", made["id"], "--key", str(file))["secret"] is None
    code, _, wrong = run("client", "rotate", made["id"])
    assert (code != 0, "--key" in wrong) == (True, True)
    code, _, wrong = run("client", "add", "x", "--key", __file__)
    assert (code != 0, "neither a JWK set nor a public key" in wrong) == (True, True)
    assert run("client", "remove", made["id"])[0] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "x", "--scope", "all"), "read, write"),
        (("add", "x", "--seconds", "5"), "60 seconds to a day"),
        (("add", "x", "--seconds", "100000"), "60 seconds to a day"),
        (("add", "x", "--within", "nope pr"), "no attribute"),
        (("add", "x", "--without", "rolls"), "did you mean roles?"),
        (("add", "x", "--key", "nowhere"), "No such file"),
        (("rotate", "nobody"), "rollbook client list"),
        (("remove", "nobody"), "rollbook client list"),
    ],
)
def test_what_cannot_be_done_says_what_can(arguments: tuple[str, ...], says: str) -> None:
    """Nothing is kept, and the message has the way out."""
    client("remove", client("add", "first")["id"])
    code, said, wrong = run("client", *arguments)
    assert (code != 0, said, says in wrong) == (True, "", True), wrong
    assert client("list") == []


def test_clients_of_another_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one tenant has another's commands do not find."""
    made = client("add", "loader")
    assert run("tenant", "create", "acme")[0] == 0
    monkeypatch.setenv("ROLLBOOK_TENANT", "acme")
    assert client("list") == []
    for command in ("rotate", "remove"):
        code, _, wrong = run("client", command, made["id"])
        assert (code != 0, "rollbook client list" in wrong) == (True, True)
