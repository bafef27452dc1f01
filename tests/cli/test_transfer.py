"""`rollbook import` and `rollbook export`: round trips, what is refused, and going on after any end."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.cli.command import run, within
from tests.postgres_server import empty

from rollbook.protocol import urns
from rollbook.storage.base import Author
from rollbook.storage.sql.sqlite import SqliteConnection
from rollbook.storage.sql.store import SqlStore

AUTHOR = Author("test", 1_700_000_000_000)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, which the environment names."""
    named = f"sqlite:///{tmp_path}/store.db"
    if request.param == "postgresql":
        named = str(request.getfixturevalue("postgres_database"))
        empty(named)
    monkeypatch.setenv("ROLLBOOK_DATABASE", named)
    return named


@pytest.fixture
def other(tmp_path: Path) -> str:
    """A second database."""
    return f"sqlite:///{tmp_path}/other.db"


def checked(url: str) -> list[str]:
    """What does not hold."""
    return list(within(url, lambda store: store.check()))


def user(name: str, **attributes: object) -> dict[str, object]:
    """A line with a user."""
    return {"schemas": [urns.USER], "userName": name, **attributes}


def group(name: str, *members: str, **attributes: object) -> dict[str, object]:
    """A line with a group."""
    values = [{"value": member} for member in members]
    return {"schemas": [urns.GROUP], "displayName": name, "members": values, **attributes}


def write(path: Path, *lines: object) -> str:
    """A file of JSON lines; texts stand as they are."""
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return str(path)


def exported(url: str, *arguments: str) -> list[dict[str, Any]]:
    """The lines of an export, without the head."""
    code, said, words = run("export", "--database", url, *arguments)
    assert code == 0, words
    return [json.loads(line) for line in said.splitlines()][1:]


def ordered(file: Path) -> list[Any]:
    """The lines of a file; members have no order of their own."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        line.get("members", []).sort(key=lambda member: member["value"])
    return lines


PEOPLE = (
    user("ann", id="a", externalId="1", emails=[{"value": "ann@corp.example", "type": "work"}]),
    group("all", "a", "b", "inner", id="all"),  # members stand before and after it
    group("inner", "b", id="inner"),
    user("bob", id="b", active=False, password="correct horse"),
    group("without an id", "a"),
    user("cleo"),
)


def test_a_round_trip(url: str, other: str, tmp_path: Path) -> None:
    """What an export wrote comes back the same: ids, versions, times, members and hashes, in another database too."""
    assert run("import", write(tmp_path / "in.jsonl", *PEOPLE))[:2] == (0, "6 created, 5 members added\n")
    first = tmp_path / "first.jsonl"
    assert run("export", str(first), "--secrets")[0] == 0
    assert run("import", str(first), "--database", other)[0] == 0
    second = tmp_path / "second.jsonl"
    assert run("export", str(second), "--secrets", "--database", other)[0] == 0
    assert ordered(second) == ordered(first)
    assert first.stat().st_mode & 0o077 == 0
    assert b"$argon2id$" in first.read_bytes()
    assert b"correct horse" not in first.read_bytes()
    assert checked(url) == checked(other) == []


def test_secrets_stay(url: str, tmp_path: Path) -> None:
    """Without being asked an export has no password hashes, and says what it left out."""
    run("import", write(tmp_path / "in.jsonl", *PEOPLE))
    _, said, words = run("export", "--database", url)
    assert "argon2" not in said
    assert "left out: passwords of 1" in words


def test_parts(url: str, tmp_path: Path) -> None:
    """Types and a filter say which resources are written."""
    run("import", write(tmp_path / "in.jsonl", *PEOPLE))
    assert [line["userName"] for line in exported(url, "--filter", 'userName sw "b"', "--type", "User")] == [
        "bob"
    ]
    assert {line["displayName"] for line in exported(url, "--type", "Group")} == {
        "all",
        "inner",
        "without an id",
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{not json", "not JSON"),
        ("[]", "must be a JSON object"),
        ({"userName": "x"}, "schemas: name the base schema"),
        (user(""), "userName"),
        (user("x", emails="x"), "emails"),
        (user("x", password="short"), "password: must have at least 8 characters"),
        (user("x", id="bulkId:1"), "id: must have neither"),
        (user("x", id="a"), "id: 'a' is in use"),
        (user("ANN"), "userName: another User has this value"),
        (group("g", "nobody", id="g"), "there is no resource with id 'nobody'"),
        (group("g", "nobody"), "there is no resource with id 'nobody'"),
        ({**group("g", id="g"), "members": [{"type": "User"}]}, "value"),
        ({**group("g", id="g"), "members": "a"}, "members: must be an array"),
    ],
)
def test_a_bad_line_is_told(tmp_path: Path, line: object, words: str) -> None:
    """Each line that is refused is named with the reason; the others go in, and the command ends with 1."""
    url, report = f"sqlite:///{tmp_path}/store.db", tmp_path / "report"
    file = write(tmp_path / "in.jsonl", user("ann", id="a"), "", line, user("bob"))
    code, said, told = run("import", file, "--database", url, "--report", str(report))
    assert code == 1
    assert "in.jsonl, line 3: " in told
    assert words in told
    assert "1 refused" in said
    assert [json.loads(each)["line"] for each in report.read_text().splitlines()] == [3]
    assert {each["userName"] for each in exported(url, "--type", "User")} == {"ann", "bob"}
    assert checked(url) == []


@pytest.mark.parametrize(
    ("policy", "code", "titles", "said"),
    [
        ("fail", 1, {"ann": "old", "bob": "old"}, "1 created, 2 refused"),
        ("skip", 0, {"ann": "old", "bob": "old"}, "1 created, 2 left as they are"),
        ("update", 0, {"ann": "new", "bob": "new"}, "1 created, 2 updated"),
    ],
)
def test_what_is_there_already(
    url: str, tmp_path: Path, policy: str, code: int, titles: dict[str, str], said: str
) -> None:
    """A line whose resource is there, by id or by a unique value, is refused, left, or an update."""
    run("import", write(tmp_path / "a", user("ann", id="a", title="old"), user("bob", id="b", title="old")))
    file = write(tmp_path / "b", user("ann", id="a", title="new"), user("BOB", title="new"), user("new"))
    assert run("import", file, "--on-conflict", policy)[:2] == (code, said + "\n")
    found = {line["userName"].lower(): line.get("title") for line in exported(url)}
    assert found == {**titles, "new": None}
    assert checked(url) == []


def test_a_dry_run_changes_nothing(url: str, tmp_path: Path) -> None:
    """All is tried on a copy: the same words, and nothing is there afterwards."""
    file = write(tmp_path / "in.jsonl", *PEOPLE, user("ann"))
    code, said, told = run("import", file, "--dry-run")
    assert (code, said) == (1, "on a copy: 6 created, 5 members added, 1 refused\n")
    assert "line 7" in told
    assert exported(url) == []


def test_a_strict_import_is_all_or_nothing(url: str, tmp_path: Path) -> None:
    """One bad line, and nothing is imported; without it everything is."""
    bad = write(tmp_path / "bad.jsonl", *PEOPLE, user("ann"))
    code, said, _ = run("import", bad, "--strict")
    assert code == 1
    assert "nothing was imported" in said
    assert exported(url) == []
    assert run("import", write(tmp_path / "good.jsonl", *PEOPLE), "--strict")[0] == 0
    assert len(exported(url)) == 6


CSV = """userName,active,name.givenName,"emails[type eq ""work""].value","emails[type eq ""work""].primary",\
urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department
ann,yes,"Ann
Maria",ann@corp.example,true,Ping-pong
bob,no,,,,
"""


def test_csv(url: str, tmp_path: Path) -> None:
    """Columns are attributes; empty cells are no values; what is written is read again."""
    (tmp_path / "people.csv").write_bytes(b"\xef\xbb\xbf" + CSV.encode())
    assert run("import", str(tmp_path / "people.csv"))[:2] == (0, "2 created\n")
    ann, bob = exported(url)
    assert ann["name"] == {"givenName": "Ann\nMaria"}
    assert ann["emails"] == [{"type": "work", "value": "ann@corp.example", "primary": True}]
    assert ann[urns.ENTERPRISE_USER] == {"department": "Ping-pong"}
    assert bob["active"] is False
    assert "emails" not in bob
    _, said, _ = run("export", "--format", "csv", "--columns", CSV.split("\n", maxsplit=1)[0])
    assert said == CSV.replace("yes", "true").replace("bob,no", "bob,false")


def test_t_69_formulas_in_cells_are_told(tmp_path: Path) -> None:
    """A CSV export keeps values as they are, for an import, and says which columns a spreadsheet would compute."""
    url = f"sqlite:///{tmp_path}/store.db"
    people = "userName,title\n=cmd|' /C calc'!A0,@x\nann,a=b\n-bob,\n"
    (tmp_path / "people.csv").write_text(people)
    assert run("import", str(tmp_path / "people.csv"), "--database", url)[0] == 0
    asked = ("export", "--format", "csv", "--columns", "userName,title", "--database", url)
    code, said, told = run(*asked)
    assert (code, said) == (0, people)
    assert "3 cells begin as formulas do (2 in userName, 1 in title)" in told
    assert json.loads(run(*asked, "--json")[2])["formulas"] == 3
    _, _, told = run(*asked, "--filter", 'userName eq "ann"')
    assert "formulas" not in told


def test_what_an_export_leaves_out_is_told(tmp_path: Path) -> None:
    """A table says which attributes it lacks; the head of JSON lines says of what it is a part, and what is never in one."""
    url = f"sqlite:///{tmp_path}/store.db"
    ann = {
        "userName": "ann", "nickName": "a", "name": {"givenName": "Ann", "middleName": "M"},
        "emails": [{"value": "a@x.example", "type": "work"}, {"value": "b@x.example", "type": "home"}],
        urns.ENTERPRISE_USER: {"department": "IT", "costCenter": "7"}, "schemas": [urns.USER, urns.ENTERPRISE_USER],
    }  # fmt: skip
    people = [ann, {"userName": "bob", "nickName": "b", "schemas": [urns.USER]}]
    (tmp_path / "people.jsonl").write_text("\n".join(map(json.dumps, people)))
    assert run("import", str(tmp_path / "people.jsonl"), "--database", url)[0] == 0
    asked = ("export", "--format", "csv", "--database", url)
    told = json.loads(run(*asked, "--json")[2])["withoutColumn"]
    assert told == {"nickName": 2, "name.middleName": 1, "emails": 1, "costCenter": 1}
    words = (
        "left out: costCenter of 1, emails of 1, name.middleName of 1, nickName of 2; --columns takes more"
    )
    assert words in run(*asked)[2]
    assert (
        "left out"
        not in run(*asked, "--columns", "userName,nickName,active", "--filter", 'userName eq "bob"')[2]
    )
    heads = [
        json.loads(run("export", "--database", url, *more)[1].splitlines()[0])["leftOut"]
        for more in ((), ("--type", "User", "--filter", 'userName eq "ann"', "--secrets"))
    ]
    assert heads == [
        "tokens, issuers, clients, history, audit log, links, hashes of passwords",
        "tokens, issuers, clients, history, audit log, links, resources of type Group, what the filter does not find",
    ]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("userNam,title\na,b\n", 1, "column 'userNam' is no attribute of User; did you mean userName?"),
        ("userName,name\na,b\n", 1, "say which part of it"),
        ("userName,userName\na,b\n", 1, "is there twice"),
        ("userName,title\na\nb,c\n", 1, "line 2: 1 cells, but the first line has 2 columns"),
        ("userName,active\na,maybe\n", 1, "line 2: active"),
        ('userName,title\n"a,b\n', 1, "not CSV"),
    ],
)
def test_csv_that_is_wrong(tmp_path: Path, text: str, code: int, words: str) -> None:
    """A wrong column stops the import, a wrong row is told with its line."""
    (tmp_path / "people.csv").write_text(text)
    found = run("import", str(tmp_path / "people.csv"), "--database", f"sqlite:///{tmp_path}/store.db")
    assert found[0] == code
    assert words in found[2]


def test_packed_and_piped(tmp_path: Path) -> None:
    """.gz is unpacked and packed; standard input and output work."""
    url = f"sqlite:///{tmp_path}/store.db"
    text = "".join(json.dumps(line) + "\n" for line in PEOPLE).encode()
    with gzip.open(tmp_path / "in.jsonl.gz", "wb") as packed:
        packed.write(text)
    assert run("import", str(tmp_path / "in.jsonl.gz"), "--database", url)[0] == 0
    assert run("export", str(tmp_path / "out.jsonl.gz"), "--database", url)[0] == 0
    with gzip.open(tmp_path / "out.jsonl.gz") as packed:
        assert len(packed.readlines()) == 7
    assert run("import", "-", "--database", f"sqlite:///{tmp_path}/b.db", given=text)[0] == 0


def test_other_definitions_come_along(tmp_path: Path, url: str) -> None:
    """An empty database takes the schemas of the export; one with resources says what it lacks."""
    source = f"sqlite:///{tmp_path}/university.db"
    examples = Path(__file__).parents[2] / "examples" / "university" / "schemas"
    assert run("schema", "add", str(examples), "--database", source)[0] == 0
    file = tmp_path / "out.jsonl"
    run("export", str(file), "--database", source)
    filled = f"sqlite:///{tmp_path}/filled.db"
    run("import", write(tmp_path / "one", user("ann")), "--database", filled)
    code, _, words = run("import", str(file), "--database", filled)
    assert code == 1
    assert "not served here" in words
    assert run("import", str(file))[0] == 0
    assert {kind.name for kind in within(url, _catalog).resource_types} > {"User", "Group"}


async def _catalog(store: SqlStore) -> Any:
    return store.catalog


def _come_to(path: Path) -> tuple[int, int]:
    """The stage and line that the import into a file has come to."""
    if not path.exists():
        return 0, 0
    connection = SqliteConnection(path)
    try:
        row = connection.one("SELECT value FROM setting WHERE name LIKE 'import %'")
    except apsw.SQLError:  # not made yet
        row = None
    finally:
        connection.close()
    progress = json.loads(row[0]) if row else {"stage": 0, "line": 0}
    return progress["stage"], progress["line"]


@pytest.mark.slow
@pytest.mark.parametrize("at", [(0, 0), (1, 1_001), (1, 4_001), (1, 6_001), (2, 20)])
def test_a_killed_import_goes_on(tmp_path: Path, at: tuple[int, int]) -> None:
    """After kill -9 at any point the same command goes on: nothing is missing, nothing is there twice."""
    count, path = 8_000, tmp_path / "store.db"
    url = f"sqlite:///{path}"
    lines = [user(f"u{number}", id=f"u{number}") for number in range(count)]
    groups = [group(f"g{at}", *(f"u{at * 80 + each}" for each in range(80))) for at in range(100)]
    file = write(tmp_path / "in.jsonl", *groups, *lines)
    command = [sys.executable, "-m", "rollbook", "import", file, "--database", url]
    environment = {**os.environ, "HOME": str(tmp_path)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and _come_to(path) < at:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the import was over before it could be killed"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = exported(url)
    assert sum("userName" in line for line in found) == count
    members = [member["value"] for line in found for member in line.get("members", ())]
    assert sorted(members) == sorted(f"u{number}" for number in range(count))
    assert checked(url) == []


def test_t_90_an_export_follows_no_link(tmp_path: Path) -> None:
    """T-90: a link laid where it writes leads nowhere; whatever was there before, the file is its owner's only."""
    url = f"sqlite:///{tmp_path}/store.db"
    kept = tmp_path / "kept"
    kept.write_text("mine", "utf-8")
    out = tmp_path / "out.jsonl"
    for laid in (out, tmp_path / "out.jsonl.part"):
        laid.symlink_to(kept)
    assert run("database", "migrate", "--database", url)[0] == 0
    assert run("export", str(out), "--database", url)[0] == 0
    assert kept.read_text("utf-8") == "mine"
    assert not out.is_symlink()
    assert out.stat().st_mode & 0o777 == 0o600
    out.chmod(0o666)
    assert run("export", str(out), "--database", url)[0] == 0
    assert out.stat().st_mode & 0o777 == 0o600
