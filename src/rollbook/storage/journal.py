"""The audit log as it is read: lines in the order in which they were sealed, keys of seals, and what a check finds."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rollbook.protocol.values import JsonObject


class Line(NamedTuple):
    """One line. `tenant` is a number, 0 for none; times are milliseconds since 1970.

    `act` is create, update, delete or erase of a resource, or the name of another act. `version` is that of a resource.
    """

    number: int
    sealed: int
    at: int
    tenant: int
    author: str
    credential: str | None
    origin: str | None
    run: int | None
    act: str
    type: str
    subject: str
    outcome: str
    times: int
    version: str | None
    detail: JsonObject


DIGEST_BYTES = 32
SIGNS = "+"
"""How the name of a key ends by which lines are signed as they are written; seals of earlier versions have another."""


@dataclass(frozen=True)
class SealKeys:
    """The keys that seals and lines are signed with, by name, and which of them is used now: "" for none.

    Without a key anybody who can write the database can make the seals anew; who has kept a head finds that.
    """

    current: str = ""
    keys: Mapping[str, bytes] = field(default_factory=dict)

    def knows(self, key: str) -> bool:
        """Whether seals by that key can be made and judged here."""
        return not key or key in self.keys

    @staticmethod
    def signs(key: str) -> bool:
        """Whether lines have been signed by that key before they were sealed."""
        return key.endswith(SIGNS)

    @property
    def former(self) -> "SealKeys":
        """The same, to seal what was written before lines were signed."""
        return SealKeys(self.current.removesuffix(SIGNS), self.keys)

    def digest(self, key: str, text: bytes) -> bytes:
        """32 bytes that stand for a text, by a key of that name."""
        if key:
            return hmac.digest(self.keys[key], text, "sha256")
        return hashlib.sha256(text).digest()


NO_KEYS = SealKeys()


class Head(NamedTuple):
    """The last line that is sealed, and the hash that stands for the whole log up to it."""

    number: int
    hash: bytes

    @property
    def text(self) -> str:
        """What people keep elsewhere."""
        return f"{self.number}:{self.hash.hex()}"


class Fault(NamedTuple):
    """What a check has found of lines `first` to `last`."""

    first: int
    last: int
    what: str


@dataclass(slots=True)
class Verdict:
    """What came of a check: how much was looked at, and what is wrong, as far as there is room for it."""

    head: Head
    lines: int = 0
    seals: int = 0
    removed: int = 0
    """Lines that were forgotten as told: their seals hold, and a line says that they went."""
    waiting: int = 0
    """Lines that are not sealed yet."""
    without_key: int = 0
    signed_from: int | None = None
    """The first line that was signed when it was written; None if none was that is sealed."""
    faults: list[Fault] = field(default_factory=list)
    more: int = 0
    """Faults that are counted only."""

    def note(self, first: int, last: int, what: str) -> None:
        """Add a fault; to the last one if it goes on where that ended."""
        if self.faults and not self.more:
            before = self.faults[-1]
            if before.what == what and before.last == first - 1:
                self.faults[-1] = before._replace(last=last)
                return
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(first, last, what))
        else:
            self.more += 1


MOST_FAULTS = 100
"""Faults that are named."""
