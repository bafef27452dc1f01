"""`rollbook token`: made, listed, rotated and revoked by the command."""

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.cli.command import run
from tests.server.test_basic import certificate

from rollbook.operations.tokens import token_id


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is made when it is needed."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/store.db")


def token(*arguments: str | None) -> Any:
    """What a command prints as JSON."""
    code, said, wrong = run("token", *map(str, arguments), "--json")
    assert code == 0, wrong
    return json.loads(said)


def test_a_life(tmp_path: Path) -> None:
    """Made with rights, rotated with an overlap, revoked by the whole token: each state is told, no secret is."""
    made = token("create", "--name", "hr", "--scope", "users", "--within", 'userType eq "guest"')["token"]
    identifier = token_id(made)
    assert identifier is not None
    newer = token("rotate", identifier)
    assert newer["former"] == identifier
    assert token("revoke", newer["token"]) == {"id": token_id(newer["token"]), "revoked": True}
    assert token("revoke", newer["token"])["revoked"] is False
    gone = token("create")["token"]
    assert token("rotate", token_id(gone), "--overlap", "0h")["former"] == token_id(gone)
    rows = {row["id"]: row for row in token("list")}
    assert rows[identifier]["state"] == "valid"
    assert rows[identifier]["expires"] < rows[token_id(newer["token"])]["expires"]
    assert rows[identifier]["scopes"] == "write users"
    assert rows[token_id(newer["token"])]["state"] == "revoked"
    assert rows[token_id(gone)]["state"] == "expired"
    code, said, _ = run("token", "list")
    assert code == 0
    assert identifier in said  # not cut off in the width of a terminal
    for secret in (made, newer["token"], gone):
        assert secret[-49:].encode() not in b"".join(
            file.read_bytes() for file in tmp_path.iterdir() if file.is_file()
        )


def test_what_a_program_needs_of_a_new_token() -> None:
    """Its id and its end stand beside it, so that it can be revoked and rotated without being taken apart."""
    made = token("create", "--expires", "1h")
    assert made["id"] == token_id(made["token"])
    newer = token("rotate", made["id"])
    assert newer["id"] == token_id(newer["token"])
    ends = {row["id"]: row["expires"] for row in token("list")}
    assert ends == {made["id"]: made["expires"], newer["id"]: newer["expires"]}
    assert newer["former_until"] == made["expires"]  # within the hour, though the overlap is a day
    _, said, _ = run("token", "list")
    assert made["expires"][11:16] in said  # to the minute, in UTC


@pytest.mark.parametrize("words", [("list",), ("rotate", "x"), ("revoke", "x")])
def test_no_database_is_made_to_look_into(words: tuple[str, ...], tmp_path: Path) -> None:
    """A mistyped place is told, and nothing is left there."""
    code, _, wrong = run("token", *words, "--database", f"sqlite:///{tmp_path}/other.db")
    assert (code, "there is no database" in wrong) == (3, True)
    assert not (tmp_path / "other.db").exists()


def test_the_checksum_is_as_the_docs_say() -> None:
    """CRC-32 of all before it, in base 62 (0-9, A-Z, a-z), six digits: a secret scanner can do without us."""
    text = token("create")["token"]
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for digit in text[-6:]:
        number = number * 62 + digits.index(digit)
    assert number == zlib.crc32(text[:-6].encode())


def test_t_30_attributes_are_held_back() -> None:
    """Listed as the schema has them, in lists and as text; a rotated token has them too."""
    made = token("create", "--without", "ROLES,department", "--hold", "userName", "--hold", "active")["token"]
    token("rotate", token_id(made))
    for row in token("list"):
        assert row["without"] == [
            "roles",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        ]
        assert row["hold"] == ["active", "userName"]
        assert "without roles, urn:" in row["bounds"]
        assert row["bounds"].endswith("; hold active, userName")


def test_t_26_only_what_it_has_made() -> None:
    """Listed, and kept by rotation; what cannot make anything is refused."""
    token("rotate", token_id(token("create", "--own", "--without", "title")["token"]))
    assert [(row["own"], row["bounds"]) for row in token("list")] == [(True, "own; without title")] * 2
    for wrong in (("--scope", "read"), ("--scope", "admin"), ("--user", "x")):
        code, _, said = run("token", "create", "--own", *wrong)
        assert (code != 0, "made nothing" in said or "makes nothing" in said) == (True, True), wrong


def test_a_certificate_stands_for_a_token(tmp_path: Path) -> None:
    """Named by its file; listed as any token, and revoked by its id; a text is never made."""
    file = tmp_path / "okta.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    file.write_bytes(certificate("okta", "Our CA", key))
    made = token("create", "--certificate", str(file), "--scope", "read")
    assert "token" not in made
    (row,) = token("list")
    assert (row["id"], row["kind"], row["scopes"]) == (made["id"], "certificate", "read")
    code, said, wrong = run("token", "create", "--certificate", str(file))
    assert (code != 0, said, "another key" in wrong) == (True, "", True)
    assert token("create", "--certificate", str(file), "--pin", "names")["id"] != made["id"]
    code, _, wrong = run("token", "rotate", made["id"])
    assert (code != 0, "--certificate" in wrong) == (True, True)
    assert token("revoke", made["id"])["revoked"] is True
    file.write_text("nothing")
    code, _, wrong = run("token", "create", "--certificate", str(file))
    assert (code != 0, "no certificate" in wrong) == (True, True)
    assert run("token", "create", "--certificate", str(tmp_path / "nowhere"))[0] != 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "--scope", "everything"), "read, write"),
        (("create", "--within", "nope pr"), "no attribute"),
        (("create", "--without", "rolls"), "did you mean roles?"),
        (("create", "--hold", "username,id"), "every resource shows id"),
        (("create", "--profile", "nobody"), "choose one of"),
        (("create", "--user", "nobody"), "no user with that id"),
        (("create", "--expires", "yesterday"), "90d"),
        (("create", "--expires", "99999999d"), "90d"),
        (("create", "--expires", f"{'0' * 9}{'9' * 5_000}d"), "90d"),
        (("rotate", "nobody"), "rollbook token list"),
        (("rotate", "nobody", "--overlap", "soon"), "24h"),
        (("revoke", "nobody"), "rollbook token list"),
    ],
)
def test_what_cannot_be_done_says_what_can(arguments: tuple[str, ...], says: str) -> None:
    """Nothing is made, and the message has the way out."""
    before = token("create")["id"]
    code, said, wrong = run("token", *arguments)
    assert code != 0
    assert said == ""
    assert says in wrong
    assert [row["id"] for row in token("list")] == [before]
