"""Passwords become Argon2id hashes before they reach the store (P-7-10, T-32, T-33)."""

import asyncio
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from rollbook.operations.password_check import PasswordCheck
from rollbook.operations.tenant_settings import LEAST_CHARACTERS
from rollbook.protocol.errors import InvalidValue, TooManyRequests

T = TypeVar("T")

COST: Mapping[str, Any] = {"time_cost": 3, "memory_cost": 64 * 1024, "parallelism": 4}
"""Of a hash: rounds, KiB, lanes; what RFC 9106 recommends second. Only our tests say less, where it is not what they are about."""

MOST_BYTES = 1024
MOST_WAITING = 64
"""How many requests may be hashing or wait for it: a few seconds of work. More are refused at once (T-33)."""


class PasswordHasher:
    """Hashes passwords a few at a time: one hash takes 64 MiB and much of a processor for a while."""

    def __init__(
        self, threads: int = 2, most: int = MOST_WAITING, check: PasswordCheck | None = None
    ) -> None:
        self._judge = check
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._most = most
        self._waiting = 0
        self._hasher: Any = None
        self._nobody = ""

    async def hashes(self, passwords: list[str], least: int = LEAST_CHARACTERS) -> dict[str, str]:
        """Check each password against the policy, and with the program that judges if there is one, and hash it.

        Raises:
            InvalidValue: too short (less than `least` characters) or too long (A-68), or refused; never says what was sent.
            TooManyRequests: as many as may wait are waiting. StoreUnavailable: the program does not say.
        """
        prepared = {password: opaque(password) for password in passwords}
        for text in prepared.values():
            _check_policy(text, least)
        with self._turn():
            if self._judge is not None:
                for text in prepared.values():
                    await self._judge.judge(text)
            return {password: await self._run(self._compute, text) for password, text in prepared.items()}

    async def matches(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one that a hash was made of; None for nobody's, which takes as long.

        Raises:
            TooManyRequests: as many as may wait are waiting.
        """
        text = opaque(password[:MOST_BYTES])
        with self._turn():
            return await self._run(self._check, kept, text) and len(password) <= MOST_BYTES

    def is_outdated(self, kept: str) -> bool:
        """Whether a hash was made at another cost than those of today."""
        return bool(self._argon().check_needs_rehash(kept))

    async def anew(self, password: str) -> str:
        """A hash of today's cost of a password that was found right.

        Raises:
            TooManyRequests: as many as may wait are waiting.
        """
        with self._turn():
            return await self._run(self._compute, opaque(password))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._waiting >= self._most:
            raise TooManyRequests("too many passwords wait to be hashed; send this again later")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _run(self, work: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *given)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _compute(self, password: str) -> str:
        return str(self._argon().hash(password))

    def _check(self, kept: str | None, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        if kept is None:
            self._nobody = self._nobody or self._compute("nobody")
        try:
            self._argon().verify(kept or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    def _argon(self) -> Any:
        if self._hasher is None:
            from argon2 import PasswordHasher as Argon2

            self._hasher = Argon2(**COST)
        return self._hasher


def opaque(password: str) -> str:
    """The form in which passwords are compared: other spaces as the ASCII one, composed (RFC 8265 §4.2; P-5-01)."""
    spaced = "".join(" " if unicodedata.category(each) == "Zs" else each for each in password)
    return unicodedata.normalize("NFC", spaced)


def _check_policy(password: str, least: int) -> None:
    if len(password) < least:
        raise InvalidValue(f"password: must have at least {least} characters")
    if any(unicodedata.category(each) == "Cc" for each in password):
        raise InvalidValue("password: control characters cannot be typed again; leave them out")
    if len(password.encode()) > MOST_BYTES:
        raise InvalidValue(f"password: must have at most {MOST_BYTES} bytes in UTF-8")
