"""The program that judges new passwords: its word holds, and without one nothing is written (T-33, A-68)."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rollbook.app import running
from rollbook.operations.password_check import PasswordCheck
from rollbook.operations.tenant_settings import read_settings
from rollbook.protocol import urns
from rollbook.protocol.errors import InvalidValue, StoreUnavailable
from rollbook.settings import Settings, SettingsError, choose_password_check
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

LEAKED = "correct horse"
JUDGE = f"""
import os, sys
sent = sys.stdin.buffer.read().decode()
assert len(sys.argv) == 1 and not any(sent in value for value in os.environ.values())
if sent == {LEAKED!r}:
    print("it is on a list of\\x1b leaked ones\\nand more")
    sys.exit(1)
"""

Program = Callable[[str], tuple[str, ...]]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Makes a program of Python text."""

    def make(text: str) -> tuple[str, ...]:
        path = tmp_path / "judge.py"
        path.write_text(text)
        return (sys.executable, str(path))

    return make


async def test_its_word_holds(program: Program) -> None:
    """0 lets a password pass, 1 refuses it in the first line of its words, without what a terminal would obey."""
    check = PasswordCheck(program(JUDGE))
    await check.judge("another one")
    with pytest.raises(InvalidValue, match=r"^password: it is on a list of leaked ones$"):
        await check.judge(LEAKED)


@pytest.mark.parametrize(
    "text", ["print(input()); raise SystemExit(1)", "raise SystemExit(1)"], ids=["repeats it", "says nothing"]
)
async def test_a_password_is_not_repeated(program: Program, text: str) -> None:
    """A refusal says something in any case, and never the password."""
    with pytest.raises(InvalidValue, match="it is not allowed here"):
        await PasswordCheck(program(text)).judge(LEAKED)


@pytest.mark.parametrize("text", ["raise SystemExit(2)", "1 / 0", "import os; os.kill(os.getpid(), 9)"])
async def test_what_is_not_judged_is_not_taken(program: Program, text: str) -> None:
    """Any other end is no word: 503, and which program it was stands in the log only. An uncaught error of Python ends with 1."""
    expected = InvalidValue if text == "1 / 0" else StoreUnavailable
    with pytest.raises(expected) as refused:
        await PasswordCheck(program(text)).judge(LEAKED)
    assert LEAKED not in refused.value.detail
    with pytest.raises(StoreUnavailable, match="cannot be run"):
        await PasswordCheck(("/nowhere/judge",)).judge(LEAKED)


async def test_one_that_hangs_is_ended(program: Program) -> None:
    """After its time it is killed, with what it has started."""
    check = PasswordCheck(program("import subprocess; subprocess.run(['sleep', '60'])"), seconds=0.5)
    began = time.monotonic()
    told = await asyncio.gather(*(check.judge(LEAKED) for _ in range(4)), return_exceptions=True)
    assert {type(each) for each in told} == {StoreUnavailable}
    assert "took more than 0.5 seconds" in str(told[0])
    assert time.monotonic() - began < 20


async def test_a_server_asks_it(program: Program, tmp_path: Path) -> None:
    """POST, PUT and PATCH with a refused password change nothing; a tenant may ask for longer ones besides."""
    settings = Settings(
        database=f"sqlite:///{tmp_path}/store.db",
        bootstrap_token="token-of-this-test",
        tenant=read_settings(["password-length=12"]),
        password_check=program(JUDGE),
    )
    async with running(settings) as application:
        call = AsgiCaller(application.asgi, "token-of-this-test")
        body = {"schemas": [urns.USER], "userName": "ann"}
        for password, says in ((LEAKED, "leaked"), ("elevenchars", "at least 12")):
            answer = await call("POST", "/scim/v2/Users", {**body, "password": password})
            assert (answer.status, answer.json["scimType"]) == (400, "invalidValue")
            assert says in answer.json["detail"]
        made = await call("POST", "/scim/v2/Users", {**body, "password": "twelve chars"})
        assert made.status == 201
        own = f"/scim/v2/Users/{made.json['id']}"
        operation = {"op": "replace", "path": "password", "value": LEAKED}
        assert (await call("PUT", own, {**body, "title": "x", "password": LEAKED})).status == 400
        assert (
            await call("PATCH", own, {"schemas": [urns.PATCH_OP], "Operations": [operation]})
        ).status == 400
        assert (await call("GET", own)).json["meta"]["version"] == made.json["meta"]["version"]


def test_there_must_be_such_a_program() -> None:
    """One that is not there is told at start, not with the first password."""
    assert choose_password_check({}) == ()
    assert choose_password_check({"ROLLBOOK_PASSWORD_CHECK": "true --with 'an argument'"})[1:] == (
        "--with",
        "an argument",
    )
    for wrong in ("/nowhere/judge", "'"):
        with pytest.raises(SettingsError, match="ROLLBOOK_PASSWORD_CHECK"):
            choose_password_check({"ROLLBOOK_PASSWORD_CHECK": wrong})
