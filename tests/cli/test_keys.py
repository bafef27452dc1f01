"""`rollbook key`, and what other commands say of keys (I-32, FS-09)."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command import run, within

from rollbook.operations import tokens
from rollbook.storage.keyring import new_key, read_keys
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Profile, ScriptedTarget

SECRETS = 3


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a database whose secrets are sealed by the key beside it."""
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/rollbook.db")
    assert run("token", "create")[0] == 0
    return tmp_path


def said(*arguments: str) -> Any:
    """What a command prints as JSON."""
    code, out, wrong = run("key", *arguments, "--json")
    assert code == 0, wrong
    return json.loads(out)


def finding(check: str) -> dict[str, Any]:
    """What doctor finds."""
    found = json.loads(run("doctor", "--json")[1])["findings"]
    return next(each for each in found if each["check"] == check)


def test_a_first_key_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made with the first secret and not before; the command says where."""
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/rollbook.db")
    assert run("database", "migrate")[0] == 0
    assert run("token", "list")[0] == 0
    assert not (tmp_path / "rollbook.db.key").exists()
    assert finding("keys")["state"] == "ok"
    assert f"{tmp_path}/rollbook.db.key is made" in run("token", "create")[2]
    assert "is made" not in run("token", "create")[2]


def test_a_life(home: Path) -> None:
    """Shown, rotated, rotated back by hand; tokens stay valid all the while, and no key is ever shown."""
    before = said("show")
    assert before["keys"] == {before["seals"]: 2}
    assert said("rotate")["is_new"] is True
    after = said("show")
    assert after["keys"] == {before["seals"]: 0, after["seals"]: 2}
    lines = (home / "rollbook.db.key").read_text().splitlines()
    keys = [line for line in lines if line.startswith("rb_key_")]
    (home / "rollbook.db.key").write_text("\n".join(reversed(keys)))
    assert finding("keys")["advice"] == "rollbook key rotate"
    assert said("rotate") == {
        "key": before["seals"],
        "is_new": False,
        "secrets": 2,
        "source": str(home / "rollbook.db.key"),
    }
    shown = run("key", "show")[1] + run("key", "rotate")[1] + run("doctor")[1]
    assert before["seals"] in shown
    assert "rb_key_" not in shown


def test_create(tmp_path: Path) -> None:
    """Printed, or written to a file that is its owner's only and is never replaced."""
    text = run("key", "create")[1].strip()
    assert read_keys(text, "out")[0].text == text
    file = tmp_path / "key"
    made = said("create", str(file))
    assert read_keys(file.read_text(), "file")[0].id == made["key"]
    assert file.stat().st_mode & 0o777 == 0o600
    code, _, wrong = run("key", "create", str(file))
    assert code == 3
    assert "stays as it is" in wrong


@pytest.mark.parametrize("is_wrong", [False, True])
def test_fs_09_a_key_that_is_not_here(home: Path, is_wrong: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """FS-09: missing or another one: no start, one line that names the key that is wanted; none is made; doctor says so too."""
    wanted = said("show")["seals"]
    kept = (home / "rollbook.db.key").rename(home / "away")
    if is_wrong:
        monkeypatch.setenv("ROLLBOOK_KEY", new_key().text)
    done = subprocess.run(
        [sys.executable, "-m", "rollbook", "serve", "--port", "1"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1
    assert wanted in done.stderr
    assert "rollbook key forget" in done.stderr
    assert not (home / "rollbook.db.key").exists()
    assert run("token", "create")[0] == 3
    assert (finding("keys")["state"], wanted in finding("keys")["text"]) == ("fail", True)
    code, shown, _ = run("key", "show")
    assert (code, f"{wanted}  2 secrets, MISSING" in shown) == (1, True)
    assert run("key", "rotate")[0] == 3
    monkeypatch.delenv("ROLLBOOK_KEY", raising=False)
    monkeypatch.setenv("ROLLBOOK_KEY_FILE", str(kept))
    assert run("token", "create")[0] == 0


def test_a_key_that_is_lost_for_ever(home: Path) -> None:
    """Given up only when it is not here, and when told: every token ends, and all begins anew."""
    lost = said("show")["seals"]
    assert "so nothing is lost" in run("key", "forget", lost, "--yes")[2]
    (home / "rollbook.db.key").unlink()
    assert run("key", "forget", lost, given=b"n\n")[0] == 1
    assert said("forget", lost, "--yes") == {"secrets": 2, "tokens": 1}
    assert run("token", "create")[0] == 0
    states = [row["state"] for row in json.loads(run("token", "list", "--json")[1])]
    assert sorted(states) == ["revoked", "valid"]


@pytest.mark.parametrize("source", ["ROLLBOOK_KEY", "ROLLBOOK_KEY_FILE", "ROLLBOOK_KEY_COMMAND"])
def test_where_a_key_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """By each of the three ways; two at once are refused; no file is made beside the database then."""
    file = tmp_path / "keys"
    key = new_key()
    file.write_text(key.text)
    value = {"ROLLBOOK_KEY": key.text, "ROLLBOOK_KEY_FILE": str(file), "ROLLBOOK_KEY_COMMAND": f"cat {file}"}
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/rollbook.db")
    monkeypatch.setenv(source, value[source])
    assert run("token", "create")[0] == 0
    assert said("show")["keys"] == {key.id: 2}
    assert not (tmp_path / "rollbook.db.key").exists()
    if source != "ROLLBOOK_KEY_FILE":
        assert "put a new one behind it" in run("key", "rotate")[1]
        monkeypatch.setenv("ROLLBOOK_KEY_FILE", str(file))
        code, _, wrong = run("key", "show")
        assert (code, "by one of them" in wrong) == (3, True)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("ROLLBOOK_KEY", "hunter2", "ROLLBOOK_KEY, line 1: this is no whole key"),
        ("ROLLBOOK_KEY_FILE", "/nowhere/key", "No such file"),
        ("ROLLBOOK_KEY_COMMAND", "false", "failed with exit code 1"),
    ],
)
def test_what_is_no_key(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    """The message says where, and repeats nothing."""
    monkeypatch.setenv(variable, value)
    code, _, wrong = run("token", "create")
    assert (code, says in wrong, "hunter2" in wrong) == (3, True, False)
    assert finding("keys")["state"] == "fail"


def test_doctor_looks_at_the_key(home: Path) -> None:
    """Its mode, and whether each value opens where it stands."""
    (home / "rollbook.db.key").chmod(0o644)
    assert finding("key file")["advice"] == f"chmod 600 {home}/rollbook.db.key"

    async def spoil(store: SqlStore) -> None:
        await store.database.write(
            0, lambda conn: conn.run("UPDATE secret SET name = 'elsewhere' WHERE name = 'token-pepper'")
        )

    within(os.environ["ROLLBOOK_DATABASE"], spoil)
    assert (finding("keys")["state"], "does not open" in finding("keys")["text"]) == ("fail", True)


def test_i_32_backups_are_without_the_key(home: Path, tmp_path: Path) -> None:
    """`backup` says which key is needed besides; `restore` and `copy` say if it is not here."""
    wanted = said("show")["seals"]
    code, out, _ = run("database", "backup", str(home / "copy"))
    assert code == 0
    assert f"sealed by key {wanted}, which is not in it" in out
    text = read_keys((home / "rollbook.db.key").read_text(), "")[0].text
    assert text.encode() not in (home / "copy").read_bytes()
    other = f"sqlite:///{tmp_path}/other.db"
    out = run("database", "restore", str(home / "copy"), "--database", other)[1]
    assert f"sealed by key {wanted}, which is not here" in out
    out = run("database", "copy", f"sqlite:///{tmp_path}/third.db")[1]
    assert f"sealed by key {wanted}, which is not here" in out
    out = run("database", "restore", str(home / "copy"), "--replace")[1]
    assert "not here" not in out


CONFIG = """
version: 1
sources:
  hr: {type: csv, path: people.csv, key: id, users: {userName: {from: mail}}}
  desk: {type: webhook, key: id, secret: "${DESK_SECRET}", users: {userName: {from: mail}}}
targets:
  wiki: {type: scim, url: "URL/v2", token: "${WIKI_TOKEN}", users: {userName: {from: userName}}}
  chat: {type: scim, url: "URL/v2", token: "command:cat chat-token", users: {userName: {from: userName}}}
"""


def test_i_32_secrets_of_targets_are_never_stored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After plans, runs and refused credentials no file has a target's token or a webhook's secret: they are named, not kept."""
    secrets = {"WIKI_TOKEN": "marker-of-wiki", "DESK_SECRET": f"whsec_{'marker+of+desk+' * 3}AAA"}
    (home / "secrets").mkdir()
    monkeypatch.chdir(home)
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    (home / "people.csv").write_text("id,mail\n1,ada@x\n")
    target = ScriptedTarget(Profile(token="marker-of-wiki"))
    with served(target) as url:
        (home / "rollbook.yaml").write_text(
            CONFIG.replace("URL", url).replace("chat-token", "secrets/chat"), "utf-8"
        )
        (home / "secrets" / "chat").write_text("marker-of-chat")  # the target does not take this one
        assert run("pull", "hr")[0] == 0
        run("plan", "--output", "plan.json")
        run("apply")
        assert [user["userName"] for user in target.resources["Users"].values()] == ["ada@x"]
        assert run("database", "backup", "copy")[0] == 0
    data = {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}
    assert {"rollbook.db", "copy"} <= set(data)
    assert b"wiki" in data["copy"]  # what is known of the target is there
    assert [name for name, found in data.items() if b"marker-of" in found or b"marker+of" in found] == []


KILLED = """
import os, signal, sys
from rollbook.storage.sql import rotation
from rollbook.storage.sql.sqlite_file import SqliteFile
step, when = int(sys.argv.pop(1)), sys.argv.pop(1)
steps = 0
def blow(work):
    def done(*arguments):
        global steps
        steps += 1
        if (steps, when) == (step, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        result = work(*arguments)
        if (steps, when) == (step, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return done
rotation.BATCH = 1
rotation.add_key = blow(rotation.add_key)
SqliteFile.wiping = blow(SqliteFile.wiping)
from rollbook.cli.main import run
run()
"""
"""The command, killed before or after one of its steps: the key that is written, then each secret."""


@pytest.mark.parametrize("step", range(1, SECRETS + 2))
@pytest.mark.parametrize("when", ["before", "after"])
def test_i_32_rotation_that_is_killed_goes_on(home: Path, step: int, when: str) -> None:
    """Killed before or after the key is written, or before or after any secret is sealed anew: nothing is lost, and it goes on."""
    url = os.environ["ROLLBOOK_DATABASE"]

    async def fill(store: SqlStore) -> bytes:
        for number in range(1, SECRETS):
            await store.secrets.put("client", b"a secret", number)
        return await tokens.pepper(store)

    async def look(store: SqlStore) -> tuple[bytes, set[bytes | None]]:
        return await tokens.pepper(store), {
            await store.secrets.get("client", each) for each in range(1, SECRETS)
        }

    pepper = within(url, fill)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(step), when, "key", "rotate"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert within(url, look) == (pepper, {b"a secret"})
    said("rotate")
    found = said("show")
    assert found["keys"][found["seals"]] == SECRETS + 1  # and what others are derived from
    assert found["missing"] == {}
    assert within(url, look) == (pepper, {b"a secret"})
