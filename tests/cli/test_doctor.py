"""`rollbook doctor`: what it finds, what it says to do, and that it changes nothing."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.blackbox.tls_server import Authority
from tests.cli.command import run
from tests.postgres_server import database as new_database
from tests.postgres_server import make_tables

from rollbook.cli import doctor_checks
from rollbook.cli.doctor_advice import advice_for, time_in_words
from rollbook.cli.doctor_checks import State
from rollbook.storage.sql.files import opened
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Profile, ScriptedTarget

CONFIG = """
version: 1
sources:
  hr: {type: csv, path: people.csv, key: id, users: {userName: {from: mail}}}
targets:
  wiki: {type: scim, url: "URL", token: "${WIKI_TOKEN}", users: {userName: {from: userName}}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a sound database, for its owner only."""
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    monkeypatch.chdir(place)
    monkeypatch.setenv("ROLLBOOK_DATABASE", f"sqlite:///{place}/rollbook.db")
    assert run("database", "migrate")[0] == 0
    return place


def _found(*arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and each check's last finding."""
    code, out, _ = run("doctor", "--json", *arguments)
    return code, {each["check"]: each for each in json.loads(out)["findings"]}


def test_all_is_well(home: Path) -> None:
    """A sound database: nothing to do, nothing changed, exit code 0."""
    before = {path: path.read_bytes() for path in home.iterdir() if path.suffix == ".db"}
    code, found = _found()
    assert code == 0
    assert {each["state"] for each in found.values()} == {"ok"}
    assert {"database", "migrations", "contents", "clock", "disk", "file system", "files"} <= set(found)
    assert {path: path.read_bytes() for path in home.iterdir() if path.suffix == ".db"} == before


@pytest.mark.parametrize(
    ("check", "state", "statement"),
    [
        ("migrations", "warn", "UPDATE alembic_version SET version_num = '0020'"),
        ("migrations", "fail", "UPDATE alembic_version SET version_num = '9999'"),
        (
            "clock",
            "fail",
            "INSERT INTO change (tenant, sequence, type, id, operation, version, author, at, detail) VALUES (1, 1, 'User', 'u', 'create', 'v', 'hr', 99999999999999, x'')",
        ),
    ],
)
def test_a_database_that_is_not_well(home: Path, check: str, state: str, statement: str) -> None:
    """What is wrong is named, with what to do; and left as it is."""
    connection = opened(home / "rollbook.db")
    connection.run(statement)
    connection.close()
    code, found = _found()
    assert (code, found[check]["state"]) == (int(state == "fail"), state)
    assert found[check]["advice"]


def test_a_database_of_an_earlier_version_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is brought up to date, also where there is a configuration to look at, whose schemas would be in the database."""
    monkeypatch.setenv("WIKI_TOKEN", "marker")
    (home / "rollbook.yaml").write_text(CONFIG.replace("URL", "https://wiki.example.com/v2"), "utf-8")
    connection = opened(home / "rollbook.db")
    connection.run("UPDATE alembic_version SET version_num = '0020'")
    connection.close()
    code, found = _found()
    assert (code, found["migrations"]["state"], found["config"]["state"]) == (0, "warn", "ok")
    assert "without the schemas in the database" in found["config"]["text"]
    connection = opened(home / "rollbook.db")
    assert connection.one("SELECT version_num FROM alembic_version") == ("0020",)
    connection.close()


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("connection to server at 127.0.0.1, port 1 failed: Connection refused", "start the database server"),
        ('FATAL:  database "rollbok" does not exist', "createdb"),
        ('FATAL:  role "rolbook" does not exist', "createuser"),
        ('FATAL:  password authentication failed for user "rollbook"', "~/.pgpass"),
        ("the database cannot be written: its file or directory is read-only", "make the disk writable"),
        ("the file is not a SQLite database", "rollbook database restore"),
        ("something new", "try again"),
    ],
)
def test_what_to_do_about_a_database(words: str, advice: str) -> None:
    """Each way in which a database cannot be opened has its own advice."""
    assert advice in advice_for(words)


def test_a_database_server_that_is_away(home: Path) -> None:
    """The server that was asked is named with its port, and what to do."""
    code, found = _found("--database", "postgresql://rollbook@127.0.0.1:1/rollbook")
    assert (code, found["database"]["state"]) == (1, "fail")
    assert found["database"]["text"].startswith("postgresql://rollbook@127.0.0.1:1/rollbook: ")
    assert found["database"]["advice"].startswith("start the database server")


@pytest.mark.parametrize(
    ("seconds", "words"), [(90, "90 s"), (7_000, "117 minutes"), (90_000, "25 hours"), (864_000, "10 days")]
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    """A clock is said to be off in units that people read."""
    assert time_in_words(seconds) == words


def test_a_file_of_another_program(home: Path) -> None:
    """It is no database of ours: said in words, and not touched."""
    (home / "rollbook.db").write_bytes(b"something else, " * 100)
    code, found = _found()
    assert (code, found["database"]["state"]) == (1, "fail")
    assert (home / "rollbook.db").read_bytes().startswith(b"something else")


def test_an_index_that_lost_a_row(home: Path) -> None:
    """A sample of the newest resources is compared with their indexes."""
    people = home / "people.jsonl"
    people.write_text('{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann"}\n')
    assert run("import", str(people))[0] == 0
    assert _found()[0] == 0
    connection = opened(home / "rollbook.db")
    connection.run("DELETE FROM unique_value")
    connection.close()
    code, found = _found()
    assert (code, found["contents"]["state"]) == (1, "fail")
    assert "rollbook database check" in found["contents"]["advice"]


@pytest.mark.parametrize(("mode", "state"), [(0o600, "ok"), (0o640, "warn"), (0o644, "fail")])
def test_t_91_who_may_read_the_database(home: Path, mode: int, state: str) -> None:
    """T-91: a database that others may read is told, with the command that closes it."""
    (home / "rollbook.db").chmod(mode)
    code, found = _found()
    assert (code, found["files"]["state"]) == (int(state == "fail"), state)
    assert state == "ok" or found["files"]["advice"].startswith("chmod go-rwx")


@pytest.mark.parametrize(("kind", "state"), [("ext4", "ok"), ("nfs4", "fail"), ("cifs", "fail")])
def test_t_91_a_disk_over_the_network(tmp_path: Path, kind: str, state: str) -> None:
    """T-91: SQLite's locks do not hold there; the deepest mount point above the file counts."""
    table = tmp_path / "mounts"
    table.write_text(f"dev / ext4 rw 0 0\ndev {tmp_path} {kind} rw 0 0\ndev {tmp_path}/x nfs rw 0 0\n")
    assert doctor_checks._file_system(tmp_path, str(table)).state == state


@pytest.mark.parametrize(
    ("free", "state"), [(5_000_000_000, State.OK), (500_000_000, State.WARN), (5_000, State.FAIL)]
)
def test_room_on_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: State) -> None:
    """Little room is a warning, hardly any a failure (FS-06)."""
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert doctor_checks._room(tmp_path).state is state


def _certificate(file: Path, days: int, begun: int = 100) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scim.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=begun))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize(("days", "state"), [(90, "ok"), (10, "warn"), (-1, "fail"), (None, "fail")])
def test_certificates_end(home: Path, days: int | None, state: str) -> None:
    """One that ends within 30 days is told, one that has ended or is none fails."""
    file = home / "chain.pem"
    if days is None:
        file.write_text("nothing of the kind")
    else:
        _certificate(file, days)
    code, found = _found("--certificate", str(file))
    assert (code, found["TLS"]["state"]) == (int(state == "fail"), state)


def test_a_certificate_that_has_not_begun(home: Path) -> None:
    """The server would refuse it, so it fails here, too."""
    code, found = _found("--certificate", str(_certificate(home / "chain.pem", days=90, begun=-1)))
    assert (code, found["TLS"]["state"]) == (1, "fail")
    assert "valid from" in found["TLS"]["text"]


@pytest.mark.parametrize(("days", "state"), [(1, "ok"), (-1, "fail"), (None, "fail")])
def test_lists_of_revoked_certificates_are_due(home: Path, days: int | None, state: str) -> None:
    """One that is overdue fails, as servers take nobody's certificate by it; so does what only looks like one."""
    authority = Authority(home)
    authority.revoke(due=timedelta(days=days or 1))
    if days is None:
        (home / "crl.pem").write_text("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
    code, found = _found("--certificate", str(home / "crl.pem"))
    assert (code, found["TLS"]["state"]) == (int(state == "fail"), state)


@pytest.mark.parametrize(
    ("commands", "state", "words"),
    [
        (["create --expires 300d"], "ok", "none ends"),
        (["create --expires 1d"], "ok", "none ends"),  # it was meant to be short
        (["create --expires 90d", "later"], "warn", "'token' of tenant default ends in 10 days"),
        (["create --expires 90d", "later", "rotate"], "ok", "none ends"),
        (["create --expires 90d", "later", "revoke"], "ok", "none ends"),
    ],
)
def test_a_66_tokens_end(
    home: Path, monkeypatch: pytest.MonkeyPatch, commands: list[str], state: str, words: str
) -> None:
    """A-66: whoever uses a token that ends soon needs the next one; the advice is a command that makes it."""
    monkeypatch.setenv("ROLLBOOK_TENANT", "default")  # what --tenant sets for the process is gone afterwards
    first: dict[str, Any] = {}
    for command in commands:
        if command == "later":
            connection = opened(home / "rollbook.db")
            connection.run("UPDATE token SET created = created - 6912000000, expires = expires - 6912000000")
            connection.close()
            continue
        name, *options = command.split()
        which = [first["id"]] if first else []
        code, out, _ = run("token", name, *which, *options, *(["--json"] if name != "revoke" else []))
        assert code == 0
        first = first or json.loads(out)
    _, found = _found()
    assert found["tokens"]["state"] == state
    assert words in found["tokens"]["text"]
    if state == "warn":
        advice = found["tokens"]["advice"]
        assert advice.startswith(f"rollbook --tenant default token rotate {first['id']} ")
        assert run(*advice.partition(";")[0].split()[1:])[0] == 0


def test_configuration_and_targets(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistakes are counted, the first is shown, a source's file that is not there is told; with --targets each is asked, and one that refuses us is a failure. No secret is shown."""
    file = home / "rollbook.yaml"
    with served(ScriptedTarget(Profile(token="marker-secret"))) as url:
        file.write_text(CONFIG.replace("URL", f"{url}/v2"), "utf-8")
        code, found = _found()
        assert (code, found["config"]["state"]) == (1, "fail")
        assert "1 mistake, the first in line 6: the variable WIKI_TOKEN is not set" in found["config"]["text"]
        monkeypatch.setenv("WIKI_TOKEN", "marker-secret")
        code, found = _found("--targets")
        assert (code, found["config"]["state"], found["target"]["state"]) == (0, "ok", "ok"), found
        assert "no mistakes (1 source, 1 target)" in found["config"]["text"]
        assert (found["source"]["state"], "people.csv" in found["source"]["text"]) == ("warn", True)
        (home / "people.csv").write_text("id,mail\n", "utf-8")
        assert "source" not in _found()[1]
        monkeypatch.setenv("WIKI_TOKEN", "marker-wrong")
        code, out, _ = run("doctor", "--targets")
        assert code == 1
        assert "fail  target" in out
        assert "marker" not in out


def test_on_postgres(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of a PostgreSQL database; of the disk its server has nothing is said."""
    with new_database(postgres) as url:
        monkeypatch.setenv("ROLLBOOK_DATABASE", url)
        code, found = _found()
        assert (code, found["migrations"]["state"]) == (1, "fail")
        make_tables(url)
        code, found = _found()
        assert (code, found["clock"]["state"], found["contents"]["state"]) == (0, "ok", "ok")
        assert "PostgreSQL" in found["database"]["text"]
        assert "disk" not in found
