"""A few of the rounds of `make crash-server` (tests/crash/server.py)."""

import random
from pathlib import Path

import pytest
from tests.crash.server import Fault, Lost, freeze, kill, postgres, rounds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_i_01_fs_20_a_server_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """I-01, I-02, FS-01, FS-02, FS-20 on SQLite, killed and frozen: what was acknowledged is there, exactly; the rest is whole or absent."""
    assert rounds(f"sqlite:///{tmp_path / 'store.db'}", tmp_path, [kill, freeze], random.Random(1)) > 20


def test_i_01_a_database_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """The same on PostgreSQL, where a process of the database, and with it all connections, and the server are killed."""
    with postgres() as server:
        faults: list[Fault] = [server.end_a_backend, kill]
        assert rounds(server.url, tmp_path, faults, random.Random(2)) > 20


def test_the_search_finds_what_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rounds can fail: a database that is put back to an earlier moment is told."""
    file = tmp_path / "store.db"

    def forget(server: object) -> bool:
        kill(server)  # type: ignore[arg-type]
        for each in tmp_path.glob("store.db*"):
            each.unlink()
        return True

    with pytest.raises((Lost, AssertionError, KeyError, TypeError)):
        rounds(f"sqlite:///{file}", tmp_path, [forget], random.Random(4))
