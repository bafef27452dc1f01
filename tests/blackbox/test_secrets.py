"""A password that is marked, sent by every way there is, and then looked for in every byte (T-32, I-13)."""

import re
import urllib.request
from pathlib import Path

import pytest
from tests.blackbox.rollbook_process import free_port, run, serving

from rollbook.protocol import urns

pytestmark = pytest.mark.slow

MARKS = ("MARKED-one-Aa1!", "MARKED-two-Aa1!", "MARKED-three-Aa1!", "MARKED-four-Aa1!", "MARKED-wrong")


def _patch(**operation: object) -> dict[str, object]:
    return {"schemas": [urns.PATCH_OP], "Operations": [operation]}


def test_t_32_a_password_is_nowhere(tmp_path: Path) -> None:
    """Not in an answer, a line of the log, a figure, the history, an export, a difference, nor anywhere in the database's files."""
    database = f"sqlite:///{tmp_path / 'store.db'}"
    place = ("--database", database)
    said: list[object] = []
    figures = free_port()
    arguments = (*place, "--access-log", "--metrics", f"127.0.0.1:{figures}")
    with serving(tmp_path, *arguments) as server:

        def ask(method: str, path: str, body: object = None) -> tuple[int, dict[str, str]]:
            answer = server.request(method, path, body)
            said.append(answer)
            return answer

        body: dict[str, object] = {"schemas": [urns.USER], "userName": "ann", "password": MARKS[0]}
        status, made = ask("POST", "/Users?attributes=password,userName", body)
        assert status == 201
        user = f"/Users/{made['id']}"
        assert ask("PUT", user, body | {"password": MARKS[1], "title": "x"})[0] == 200
        assert ask("PATCH", user, _patch(op="replace", path="password", value=MARKS[2]))[0] in {200, 204}
        bulk = {"method": "PATCH", "path": user, "data": _patch(op="add", value={"password": MARKS[3]})}
        assert ask("POST", "/Bulk", {"schemas": [urns.BULK_REQUEST], "Operations": [bulk]})[0] == 200
        wrong = (
            ("POST", "/Users", {"schemas": [urns.USER], "password": MARKS[4]}),
            ("POST", "/Users", body | {"password": [MARKS[4], MARKS[4]]}),
            ("POST", "/Users", body | {"password": {"value": MARKS[4]}}),
            ("POST", "/Users", body | {"userName": "bob", "password": MARKS[4] * 100}),
            ("PATCH", user, _patch(op="replace", path="password", value=[MARKS[4], "x"])),
            ("PATCH", user, _patch(op="replace", path=f'password[value eq "{MARKS[4]}"]', value="x")),
            ("GET", f"/Users?filter=password%20eq%20%22{MARKS[4]}%22", None),
            (
                "POST",
                "/Users/.search",
                {"schemas": [urns.SEARCH_REQUEST], "filter": f'password eq "{MARKS[0]}"'},
            ),
            ("GET", "/Users?sortBy=password", None),
        )
        refused = [ask(*each)[0] for each in wrong]
        assert max(refused) < 500
        for path in (user, "/Users?attributes=password", "/Users?excludedAttributes=userName"):
            ask("GET", path)
        outputs = [
            run(tmp_path, *command, *place)
            for command in (
                ("history", "ann", "--values"),
                ("export",),
                ("export", "--secrets"),
                ("doctor",),
                ("database", "check"),
            )
        ]
        with urllib.request.urlopen(f"http://127.0.0.1:{figures}/metrics", timeout=10) as answer:
            said.append(answer.read().decode())
        assert server.stop() == 0
        assert server.process.stdout is not None
        log = server.process.stdout.read()
    assert '"/scim/v2/Users' in log or "/Users" in log, "the log of requests is looked through"
    texts = [repr(said), log, *(output.stdout + output.stderr for output in outputs)]
    for text in texts:
        # The refused filter is the caller's own text: what it asked for may be named, never what somebody's password is.
        assert not re.search("MARKED-(one|two|three|four)", text), text[:2000]
    assert "MARKED" not in log
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"MARKED" not in file.read_bytes(), file
    assert "argon2" not in "".join(texts[:4] + texts[5:])
