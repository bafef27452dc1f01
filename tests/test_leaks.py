"""What is looked for in every test's log is found there (tests/leaks.py)."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.leaks import leaks

from rollbook.operations.tokens import new_token
from rollbook.storage.keyring import new_key

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("token rb_live_abc is refused", False),
        ("authorization: Bearer ***", False),
        ("a user's password has changed", False),
        ('"password": "correct horse"', True),
        ("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA", True),
        ("-----BEGIN EC PRIVATE KEY-----", True),
    ],
)
def test_what_a_secret_looks_like(text: str, is_one: bool) -> None:
    """Hashes, keys and what tests call secrets are; names of tokens are none."""
    assert bool(leaks(text)) == is_one


def test_a_token_looks_like_one() -> None:
    """A token that was just made is found within a line."""
    assert leaks(f"GET /Users?token={new_token()[0]} 401")
    assert leaks(f"opened with {new_key().text}")


SHOWN = """
import logging, sys, pytest, structlog

SECRET = "correct" + " horse"

def test_logged():
    logging.getLogger("x").warning("signed in with %s", SECRET)

def test_printed():
    print(SECRET)

def test_said():
    print(SECRET, file=sys.stderr)

def test_structured():
    structlog.get_logger().info("x", password=SECRET)

def test_not_shown():
    print(SECRET[:8])

@pytest.mark.leaks
def test_meant():
    print(SECRET)
"""


def test_what_would_tell_a_secret_is_seen(tmp_path: Path) -> None:
    """A test that passes but logs or prints a secret fails, by whatever way it goes out, unless it is about that."""
    (tmp_path / "test_it.py").write_text(SHOWN, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = leaks: is meant\n", "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.leaks", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.stdout.count("secrets were logged") >= 4
    assert "4 failed, 2 passed" in done.stdout, done.stdout
