"""`rollbook audit verify`, `list` and `export`: what commands have done, and whether the log is what it was (T-87, I-29)."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command import run, within
from tests.postgres_server import empty, tools_first

from rollbook.app import here
from rollbook.protocol import urns
from rollbook.storage.base import Act, Author
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.store import SqlStore

BY = Author("token hr", 1_700_000_000_000, "tok1", "192.0.2.7")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, which the environment names."""
    named = f"sqlite:///{tmp_path}/store.db"
    if request.param == "postgresql":
        named = str(request.getfixturevalue("postgres_database"))
        empty(named)
        monkeypatch.setenv("PATH", tools_first())
    monkeypatch.setenv("ROLLBOOK_DATABASE", named)
    return named


def lines(*arguments: str) -> list[dict[str, Any]]:
    """The lines that `list` shows, oldest first."""
    code, said, wrong = run("audit", "list", "--json", *arguments)
    assert code == 0, wrong
    return [json.loads(line) for line in said.splitlines()][::-1]


def tell(url: str, *acts: Act) -> None:
    """Write acts."""
    within(url, lambda store: SqlJournal(store.database).write(acts))


def test_i_29_commands_tell_who_did_what_from_where(url: str, tmp_path: Path) -> None:
    """Tokens, tenants, schemas, imports, exports, backups: each is a line, with the user of the command line; no secret is in any."""
    secret = json.loads(run("token", "create", "--name", "hr", "--json")[1])["token"]
    own = json.loads(run("token", "list", "--json")[1])[0]["id"]
    rotated = json.loads(run("token", "rotate", own, "--json")[1])["token"]
    assert run("token", "revoke", own)[0] == 0
    assert run("tenant", "create", "acme")[0] == 0
    assert run("tenant", "set", "acme", "profile=entra")[0] == 0
    assert run("tenant", "disable", "acme")[0] == 0
    assert run("tenant", "enable", "acme")[0] == 0
    people = tmp_path / "people.jsonl"
    people.write_text(
        json.dumps({"schemas": [urns.USER], "userName": "ann", "password": "Secret-of-ann-1"}) + "\n"
    )
    assert run("import", str(people))[0] == 0
    assert run("export", str(tmp_path / "out.jsonl"))[0] == 0
    assert run("database", "backup", str(tmp_path / "copy"))[0] == 0
    assert run("tenant", "delete", "acme", "--yes")[0] == 0
    found = lines()
    assert [(line["act"], line["outcome"]) for line in found] == [
        ("token.create", "done"), ("token.rotate", "done"), ("token.revoke", "done"),
        ("tenant.create", "done"), ("tenant.set", "done"), ("tenant.disable", "done"), ("tenant.enable", "done"),
        ("import", "begun"), ("import", "done"), ("export", "done"), ("database.backup", "done"),
        ("tenant.delete", "done"), ("create", "done"),
    ]  # fmt: skip
    assert {line["from"] for line in found} == {here()}
    assert here().startswith("command line: ")
    assert [line["who"] for line in found[:4]] == [*["rollbook token"] * 3, "rollbook tenant"]
    assert found[1]["detail"]["former"] == found[0]["id"] == own
    whole = json.dumps(found)
    assert not any(text in whole for text in (secret, rotated, secret.split("_")[3], "Secret-of-ann"))
    code, said, _ = run("audit", "verify")
    assert code == 0
    assert "the audit log holds: 13 lines" in said


def test_t_87_verify_says_which_line_and_what_to_do(url: str) -> None:
    """Exit codes, the lines at fault, what to do; a head that was kept finds a tail that was cut off."""
    for number in range(3):
        tell(url, Act(BY, 1, "export", detail={"number": number}))
        run("audit", "verify")
    code, said, _ = run("audit", "verify", "--json")
    assert code == 0
    verdict = json.loads(said)
    assert (verdict["holds"], verdict["lines"], verdict["faults"]) == (True, 3, [])
    kept = verdict["head"]
    assert (
        run("audit", "verify", "--head", kept)[0]
        == run("audit", "verify", "--head", kept.split(":")[1])[0]
        == 0
    )

    def spoil(statement: str) -> None:
        async def work(store: SqlStore) -> None:
            def do(connection: Connection) -> int:
                return connection.run(statement)

            await store.database.write(1, do)

        within(url, work)

    spoil("UPDATE act SET author = 'nobody' WHERE number = 2")
    code, said, _ = run("audit", "verify")
    assert code == 1
    assert "line 2: altered" in said
    assert "What to do:" in said
    code, said, _ = run("audit", "verify", "--json")
    assert code == 1
    assert json.loads(said)["faults"] == [{"first": 2, "last": 2, "what": "altered"}]
    spoil("UPDATE act SET author = 'token hr' WHERE number = 2")
    spoil("DELETE FROM act WHERE number = 3")
    spoil("DELETE FROM seal WHERE number = 3")
    code, said, _ = run("audit", "verify")
    assert (code, "line 2: removed: act 3" in said) == (1, True), (
        "a tail that was cut off is seen by its count"
    )
    code, said, _ = run("audit", "verify", "--head", kept)
    assert code == 1
    assert "line 2: the head that was kept is not in the log" in said
    code, _, wrong = run("audit", "verify", "--head", "nonsense")
    assert code == 3
    assert "that is no head" in wrong


def test_t_87_lists_are_filtered_and_paged(url: str) -> None:
    """By time, who, act, outcome and tenant; newest first, a page at a time; control characters are shown, not sent."""
    run("tenant", "create", "acme")
    tell(
        url,
        Act(BY, 1, "export"),
        Act(Author("evil\x1b[2J\ncreate", 1_800_000_000_000, None, "192.0.2.8"), 1, "request", outcome="refused", times=3),
    )  # fmt: skip
    assert [line["act"] for line in lines()] == ["export", "tenant.create", "request"]
    assert [line["act"] for line in lines("--who", "HR")] == ["export"]
    assert [line["act"] for line in lines("--who", "tok1")] == ["export"]
    assert [line["act"] for line in lines("--act", "tenant")] == ["tenant.create"]
    assert [line["act"] for line in lines("--outcome", "refused")] == ["request"]
    assert [line["act"] for line in lines("--tenant", "acme")] == ["tenant.create"]
    assert [line["act"] for line in lines("--until", "2024-01-01")] == ["export"]
    assert [line["act"] for line in lines("--since", "24h")] == ["tenant.create", "request"]
    assert [line["line"] for line in lines("--limit", "1")] == [3]
    assert [line["line"] for line in lines("--before", "3")] == [1, 2]
    code, said, _ = run("audit", "list")
    assert code == 0
    assert "\x1b" not in said
    assert "refused" in said
    code, _, wrong = run("audit", "list", "--outcome", "maybe")
    assert (code, "there are done, refused, begun, failed" in wrong) == (3, True)
    code, _, wrong = run("audit", "list", "--since", "yesterday")
    assert (code, "write 24h" in wrong) == (3, True)
    code, _, wrong = run("audit", "list", "--tenant", "acmee")
    assert (code, "did you mean acme?" in wrong) == (3, True)


def test_t_87_export_goes_on_where_it_ended_and_masks(url: str, tmp_path: Path) -> None:
    """A file is added to; mail addresses and tokens are masked; what was exported before is not exported again."""
    token = "rb_live_0123456789AB_" + "x" * 49
    tell(
        url,
        Act(
            Author("token ann@example.com", 1, "tok1", "192.0.2.7"),
            1,
            "export",
            detail={"filter": [f"a {token}"]},
        ),
    )
    file = tmp_path / "audit.jsonl"
    code, said, _ = run("audit", "export", str(file), "--json")
    assert (code, json.loads(said)) == (0, {"lines": 1, "last": 1})
    assert file.stat().st_mode & 0o777 == 0o600
    tell(url, Act(BY, 1, "import"))
    code, said, _ = run("audit", "export", str(file), "--after", "1", "--json")
    assert (code, json.loads(said)) == (0, {"lines": 1, "last": 2})
    written = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["line"] for line in written] == [1, 2]
    assert written[0]["who"] == "token (mail)"
    assert written[0]["detail"] == {"filter": ["a (token)"]}
    code, said, wrong = run("audit", "export")
    assert code == 0
    assert len(said.splitlines()) == 2
    assert "2 lines; go on later with --after 2" in wrong


class Server:
    """A log server that keeps what it is sent."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.sent = kind, b""
        self._socket = socket.socket(
            socket.AF_UNIX if kind == "unix" else socket.AF_INET,
            socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM,
        )
        place = str(folder / "log")
        self._socket.bind(place if kind == "unix" else ("127.0.0.1", 0))
        self._socket.settimeout(5)
        self.address = place if kind == "unix" else f"{kind}://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread: threading.Thread | None = None
        if kind == "tcp":
            self._socket.listen(1)
            self._thread = threading.Thread(target=self._take)
            self._thread.start()

    def _take(self) -> None:
        connection, _ = self._socket.accept()
        while some := connection.recv(65536):
            self.sent += some
        connection.close()

    def messages(self, number: int) -> list[str]:
        """What was sent."""
        if self._thread is not None:
            self._thread.join()
            return self.sent.decode("ascii").splitlines()
        return [self._socket.recv(65536).decode("ascii") for _ in range(number)]

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture(params=["udp", "tcp", "unix"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A log server."""
    made = Server(request.param, tmp_path)
    yield made
    made.close()


RFC_5424 = re.compile(
    r"<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z [!-~]{1,255} rollbook \d+ ([!-~]{1,32}) - (\{.*\})"
)


def test_t_87_export_to_a_log_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """Messages as RFC 5424 has them, one each; no control character, nothing too long, refused ones as warnings."""
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("ROLLBOOK_DATABASE", url)
    tell(
        url,
        Act(Author("bad\nname\x1b", 1, None, "192.0.2.7"), 1, "request", outcome="refused", times=9),
        Act(BY, 1, "export", detail={"long": "ü" * 9000}),
    )
    code, _, wrong = run("audit", "export", "--syslog", server.address)
    assert code == 0, wrong
    found = [RFC_5424.fullmatch(message) for message in server.messages(2)]
    assert all(found)
    told = [(match[1], match[2], json.loads(match[3])) for match in found if match]
    assert [(priority, name) for priority, name, _ in told] == [
        (str(13 * 8 + 4), "request"),
        (str(13 * 8 + 6), "export"),
    ]
    assert told[0][2]["who"] == "bad\nname\x1b"
    assert (told[1][2]["shortened"], "detail" in told[1][2]) == (True, False)


@pytest.mark.parametrize(
    ("address", "said"),
    [("nowhere", "write udp://"), ("http://x", "write udp://"), ("/no/such/socket", "No such file"), ("tcp://127.0.0.1:1", "refused")],
)  # fmt: skip
def test_a_log_server_that_is_none_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    """In words, with an exit code."""
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("ROLLBOOK_DATABASE", url)
    tell(url, Act(BY, 1, "export"))
    code, _, wrong = run("audit", "export", "--syslog", address)
    assert code == 3
    assert said in wrong


CONFIG = """
version: 1
targets:
  wiki: {type: scim, url: "http://127.0.0.1:1/scim/v2", token: "${WIKI_TOKEN}", users: {userName: {from: userName}}}
  verify: {type: scim, url: "http://127.0.0.1:1/scim/v2", token: "${WIKI_TOKEN}", users: {userName: {from: userName}}}
"""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["wiki"], {"wiki"}), ([], {"wiki", "verify"}), (["--fix", "wiki"], {"wiki"}), (["target", "verify"], {"verify"})],
)  # fmt: skip
def test_audit_still_takes_names_of_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: set[str]
) -> None:
    """As it always did; one that is called as a command of the log is meant by `audit target NAME`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIKI_TOKEN", "x")
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/store.db")
    Path("rollbook.yaml").write_text(CONFIG)
    run("audit", *arguments)
    (begun,) = [line for line in lines("--act", "target") if line["outcome"] == "begun"]
    assert set(begun["id"].split(", ")) == named
    assert begun.get("detail") == ({"fix": True} if "--fix" in arguments else None)


def test_i_29_acts_on_targets_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pause, resume, reset and apply: at which targets, with what was said; an apply that fails is told as failed, with its run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIKI_TOKEN", "x")
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{tmp_path}/store.db")
    Path("rollbook.yaml").write_text(CONFIG)
    assert run("pause", "wiki", "--reason", "they move")[0] == 0
    assert run("resume", "wiki")[0] == 0
    assert run("reset", "wiki", "--accounts")[0] == 0
    run("apply", "wiki", "--retry")
    told = [
        (line["act"], line["id"], line["outcome"], line.get("detail")) for line in lines("--act", "target")
    ]
    said = {"retry": True, "sources": True}
    assert told == [
        ("target.pause", "wiki", "done", {"reason": "they move"}),
        ("target.resume", "wiki", "done", None),
        ("target.reset", "wiki", "done", {"accounts": True}),
        ("target.apply", "wiki", "begun", said),
        ("target.apply", "wiki", told[-1][2], said),
    ]
    assert lines("--act", "target")[-1]["run"] == 1


def test_t_87_old_lines_are_forgotten(url: str) -> None:
    """What is older than is wanted; the log holds as before, and says what went."""
    assert run("token", "create", "--name", "hr")[0] == 0
    tell(url, *(Act(BY, 0, "export") for _ in range(3)))
    head = json.loads(run("audit", "verify", "--json")[1])["head"]
    code, said, _ = run("audit", "forget", "--older-than", "365d", "--json")
    assert (code, json.loads(said)) == (0, {"lines": 3})
    assert "0 lines" in run("audit", "forget", "--older-than", "365d")[1]
    found = [line["act"] for line in lines()]
    assert "export" not in found
    assert {"token.create", "audit.forget"} <= set(found)
    assert run("audit", "verify", "--head", head)[0] == 0
    code, _, wrong = run("audit", "forget", "--older-than", "1h")
    assert (code, "at least 1d" in wrong) == (3, True)
