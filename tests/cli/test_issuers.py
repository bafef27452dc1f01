"""`rollbook issuer`: named, changed, shown, tried and removed by the command."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command import run
from tests.server.outside_issuer import AUDIENCE, OutsideIssuer, outside_issuer, rsa


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is made when it is needed."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("ROLLBOOK_TENANT", "")
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/store.db")


@pytest.fixture
def outside() -> Iterator[OutsideIssuer]:
    """An issuer that is served."""
    with outside_issuer() as made:
        yield made


def issuer(*arguments: str) -> Any:
    """What a command prints as JSON."""
    code, said, wrong = run("issuer", *arguments, "--json")
    assert code == 0, wrong
    return json.loads(said)


def test_a_life(tmp_path: Path, outside: OutsideIssuer) -> None:
    """Added, shown, changed in what is named and nothing else, and gone."""
    made = issuer(
        "add", "idp", "--url", outside.url, "--audience", AUDIENCE, "--scope", "read", "--scope", "users",
        "--map", "SCIM.Write=write users", "--typ", "JWT", "--within", 'userType eq "x"',
    )  # fmt: skip
    assert (made["scopes"], made["words"], made["types"]) == (
        ["read", "users"],
        ["SCIM.Write=write users"],
        ["JWT"],
    )
    changed = issuer("set", "idp", "--scope", "write", "--within", "", "--user-claim", "email")
    differs = {name for name in made if made[name] != changed[name]}
    assert differs == {"scopes", "within", "user"}
    held = issuer("set", "idp", "--without", "roles", "--hold", "userName")
    assert (held["without"], held["hold"], held["scopes"]) == (["roles"], ["userName"], changed["scopes"])
    assert issuer("set", "idp", "--without", "", "--hold", "") == changed
    code, _, wrong = run("issuer", "set", "idp", "--own")
    assert (code != 0, "act for a user" in wrong) == (True, True)
    nobodys = issuer("set", "idp", "--user-claim", "")
    assert issuer("set", "idp", "--own") == nobodys | {"own": True}
    assert issuer("set", "idp", "--scope", "write")["own"] is True
    assert issuer("set", "idp", "--no-own", "--user-claim", "email") == changed
    assert (changed["scopes"], changed["user"]) == (["write"], "email=userName")
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [rsa("one").as_dict(private=False)]}))
    assert issuer("set", "idp", "--jwks-file", str(file), "--user-claim", "")["keys"] == "of a file"
    assert issuer("set", "idp", "--jwks-url", "https://x.example/k")["keys"] == "https://x.example/k"
    assert issuer("list") == [issuer("show", "idp")]
    code, said, _ = run("issuer", "list")
    assert (code, outside.url in said) == (0, True)
    assert run("issuer", "show", "idp")[0] == 0
    assert issuer("remove", "idp") == {"name": "idp", "removed": True}
    assert issuer("list") == []


def test_a_token_is_tried(outside: OutsideIssuer) -> None:
    """What it is taken for, or which claim, key or setting is in the way; nothing of the token itself."""
    issuer("add", "idp", "--url", outside.url, "--audience", AUDIENCE)
    for token, says in (
        (outside.token(), "idp svc"),
        (outside.token(header={"typ": "JWT"}), "rollbook issuer set --typ"),
        (outside.token(rsa("other")), "no key 'other'"),
        (outside.token(aud="else"), "rollbook issuer list"),
        (outside.token(scope="openid"), "scopes read and write"),
        (outside.token(exp=1), "expired"),
        ("rb_live_x", "form of a signed JWT"),
    ):
        code, said, wrong = run("issuer", "check", given=token.encode())
        assert says in said + wrong
        assert (code == 0) is (says == "idp svc")
        assert token.rpartition(".")[2] not in wrong or "." not in token
    outside.fails = _broken
    code, _, wrong = run("issuer", "check", given=outside.token().encode())
    assert (code != 0, "answers with 500" in wrong) == (True, True)


async def _broken(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_a_tenant_has_its_own(outside: OutsideIssuer) -> None:
    """What one tenant has said another neither sees nor takes."""
    assert run("tenant", "create", "acme")[0] == 0
    assert (
        run("--tenant", "acme", "issuer", "add", "idp", "--url", outside.url, "--audience", AUDIENCE)[0] == 0
    )
    os.environ["ROLLBOOK_TENANT"] = ""
    assert issuer("list") == []
    code, _, wrong = run("issuer", "add", "idp", "--url", outside.url, "--audience", AUDIENCE)
    assert (code != 0, "audience of its own" in wrong) == (True, True)
    code, _, wrong = run("issuer", "check", given=outside.token().encode())
    assert (code != 0, "no issuer of this tenant" in wrong) == (True, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "idp", "--url", "http://x.example", "--audience", "a"), "https://"),
        (("add", "idp", "--url", "https://x.example", "--audience", "a", "--algorithm", "HS256"), "RS256"),
        (("add", "idp", "--url", "https://x.example", "--audience", "a", "--map", "x"), "WORD=SCOPE"),
        (("add", "idp", "--url", "https://x.example", "--audience", "a", "--scope", "all"), "read, write"),
        (
            ("add", "idp", "--url", "https://x.example", "--audience", "a", "--jwks-file", "nowhere"),
            "No such file",
        ),
        (
            ("add", "idp", "--url", "https://x.example", "--audience", "a", "--jwks-file", __file__),
            "--jwks-file",
        ),
        (("set", "nobody", "--typ", "JWT"), "rollbook issuer list"),
        (("remove", "nobody"), "rollbook issuer list"),
    ],
)
def test_what_cannot_be_done_says_what_can(arguments: tuple[str, ...], says: str) -> None:
    """Nothing is kept, and the message has the way out."""
    issuer("add", "first", "--url", "https://first.example", "--audience", "a")
    code, _, wrong = run("issuer", *arguments)
    assert (code != 0, says in wrong) == (True, True), wrong
    assert [each["name"] for each in issuer("list")] == ["first"]
