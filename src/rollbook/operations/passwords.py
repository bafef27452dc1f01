"""Passwords become Argon2id hashes before they reach the store (P-7-10, T-32, T-33)."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from rollbook.protocol.errors import InvalidValue

LEAST_CHARACTERS = 8
MOST_BYTES = 1024


class PasswordHasher:
    """Hashes passwords a few at a time: one hash takes 64 MiB and much of a processor for a while."""

    def __init__(self, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._hash: Callable[[str], str] | None = None

    async def hashes(self, passwords: list[str]) -> dict[str, str]:
        """Check each password against the policy and hash it.

        Raises:
            InvalidValue: too short or too long (A-68); never says what was sent.
        """
        prepared = {password: opaque(password) for password in passwords}
        for text in prepared.values():
            _check_policy(text)
        loop = asyncio.get_running_loop()
        return {
            password: await loop.run_in_executor(self._pool, self._compute, text)
            for password, text in prepared.items()
        }

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
