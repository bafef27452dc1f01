"""Passwords become Argon2id hashes before they reach the store (P-7-10, T-32, T-33)."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from rollbook.protocol.errors import InvalidValue, TooManyRequests

LEAST_CHARACTERS = 8
MOST_BYTES = 1024
MOST_WAITING = 64
"""How many requests may be hashing or wait for it: a few seconds of work. More are refused at once (T-33)."""


class PasswordHasher:
    """Hashes passwords a few at a time: one hash takes 64 MiB and much of a processor for a while."""

    def __init__(self, threads: int = 2, most: int = MOST_WAITING) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._most = most
        self._waiting = 0
        self._hash: Callable[[str], str] | None = None

    async def hashes(self, passwords: list[str]) -> dict[str, str]:
        """Check each password against the policy and hash it.

        Raises:
            InvalidValue: too short or too long (A-68); never says what was sent.
            TooManyRequests: as many as may wait are waiting.
        """
        prepared = {password: opaque(password) for password in passwords}
        for text in prepared.values():
            _check_policy(text)
        if self._waiting >= self._most:
            raise TooManyRequests("too many passwords wait to be hashed; send this again later")
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            return {
                password: await loop.run_in_executor(self._pool, self._compute, text)
                for password, text in prepared.items()
            }
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _compute(self, password: str) -> str:
        if self._hash is None:
            from argon2 import PasswordHasher as Argon2

            self._hash = Argon2().hash
        return self._hash(password)


def opaque(password: str) -> str:
    """The form in which passwords are compared: other spaces as the ASCII one, composed (RFC 8265 §4.2; P-5-01)."""
    spaced = "".join(" " if unicodedata.category(each) == "Zs" else each for each in password)
    return unicodedata.normalize("NFC", spaced)


def _check_policy(password: str) -> None:
    if len(password) < LEAST_CHARACTERS:
        raise InvalidValue(f"password: must have at least {LEAST_CHARACTERS} characters")
    if any(unicodedata.category(each) == "Cc" for each in password):
        raise InvalidValue("password: control characters cannot be typed again; leave them out")
    if len(password.encode()) > MOST_BYTES:
        raise InvalidValue(f"password: must have at most {MOST_BYTES} bytes in UTF-8")
