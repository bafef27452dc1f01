"""A program of whoever runs the server that judges new passwords, such as one that knows a list of leaked ones.

It gets the password as its input and nothing else: no shell, no argument that others could see, and a time limit.
"""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePath

from rollbook.operations.logs import Log
from rollbook.protocol.errors import InvalidValue, StoreUnavailable

log = Log("rollbook.passwords")

SECONDS = 5.0
"""How long it may take for one password."""

AT_ONCE = 4
_REFUSES = 1
_LONGEST = 200
_UNJUDGED = "passwords cannot be judged now; send this again later"


class PasswordCheck:
    """Asks the program. Exit code 0: the password may be used; 1: it may not, and the first line printed says why."""

    def __init__(self, words: Sequence[str], seconds: float = SECONDS) -> None:
        self._words = tuple(words)
        self._seconds = seconds
        self._places = asyncio.Semaphore(AT_ONCE)

    async def judge(self, password: str) -> None:
        """Let a password pass, or not.

        Raises:
            InvalidValue: the program refuses it; in its own words.
            StoreUnavailable: it does not say: then nothing is written.
        """
        async with self._places:
            code, said = await self._ask(password)
        if code == _REFUSES:
            line = said.decode("utf-8", "replace").strip().partition("\n")[0][:_LONGEST]
            words = "".join(each for each in line if each.isprintable())
            told = words if words and password not in words else "it is not allowed here"
            raise InvalidValue(f"password: {told}")
        if code:
            raise self._unjudged(
                f"ended with {code}; 0 is for a password that may be used, 1 for one that may not"
            )

    async def _ask(self, password: str) -> tuple[int, bytes]:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise self._unjudged(f"cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(self._seconds):
                said, _ = await process.communicate(password.encode())
        except TimeoutError:
            raise self._unjudged(f"took more than {self._seconds:g} seconds") from None
        finally:
            await _end(process)
        return process.returncode or 0, said

    def _unjudged(self, why: str) -> StoreUnavailable:
        detail = f"the program that judges passwords, {PurePath(self._words[0]).name}, {why}"
        log.error("passwords are not judged", reason=detail)
        return StoreUnavailable(detail, public=_UNJUDGED)


async def _end(process: Process) -> None:
    """End the program and what it has started, if it goes on."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
