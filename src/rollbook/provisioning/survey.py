"""The first look at a source: is it whole, which records has it, and who is gone? Nothing is written meanwhile.

A million keys fit into 8 MB: they are kept as sorted hashes of 64 bits. Two keys with one hash are expected
once in 40 million readings of that size; they would be reported as the same key, and nothing worse.
"""

import hashlib
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import pairwise

from rollbook.provisioning.sources.base import Found, Gone, Reading, Row, RowProblem, Same, SourceError

FEWEST = 5
"""Fewer bad or missing records than this never stop a run by their share."""


class Keys:
    """A set of keys that is filled, then sealed, then asked."""

    def __init__(self) -> None:
        self._hashes = array("Q")

    def add(self, key: str) -> None:
        """Add a key."""
        self._hashes.append(hashed(key))

    def seal(self) -> frozenset[int]:
        """Sort; returns the hashes that were added more than once."""
        self._hashes = array("Q", sorted(self._hashes))
        return frozenset(one for one, other in pairwise(self._hashes) if one == other)

    def __contains__(self, key: str) -> bool:
        wanted = hashed(key)
        index = bisect_left(self._hashes, wanted)
        return index < len(self._hashes) and self._hashes[index] == wanted

    def __len__(self) -> int:
        return len(self._hashes)


def hashed(key: str) -> int:
    """64 bits that stand for a key."""
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest())


@dataclass
class Survey:
    """What a first reading found."""

    keys: Keys = field(default_factory=Keys)
    """The keys of all rows, also of those that are left out: who is in the file has not left."""
    repeated: frozenset[int] = frozenset()
    rows: int = 0
    bad: list[RowProblem] = field(default_factory=list)
    """Rows to be left out."""
    same: int = 0
    """Records that are there as they were, of which no more was said."""
    partial: bool = False
    """Whether a key that is not here says nothing: these are changes only."""
    gone: list[str] = field(default_factory=list)
    """Keys that the source says are gone."""
    content: int = 0
    """Stands for all that was read, in whatever order; another reading with the same has the same records."""

    def note(self, found: Found) -> None:
        """Count something in."""
        match found:
            case Row():
                text = ascii(("row", found.key, list(found.record.items())))
            case RowProblem():
                text = ascii(("problem", found.key, found.reason))
            case Same() | Gone():
                text = ascii((type(found).__name__, found.key))
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        self.content = (self.content + int.from_bytes(digest)) % 2**128

    def is_repeated(self, key: str) -> bool:
        """Whether more than one row has the key."""
        return bool(self.repeated) and hashed(key) in self.repeated


def survey(reading: Reading, label: str, shrink_limit: float) -> Survey:
    """Read everything once.

    Raises:
        SourceError: there is no row, or more of them are bad than the share that may be missing. Not so for changes: there may be none.
    """
    found = Survey(partial=reading.extent.partial)
    for row in reading.rows():
        found.note(row)
        match row:
            case Row():
                found.rows += 1
                found.keys.add(row.key)
            case Same():
                found.same += 1
                found.keys.add(row.key)
            case Gone():
                found.gone.append(row.key)
            case RowProblem():
                found.bad.append(row)
                if row.key is not None:
                    found.keys.add(row.key)
                if len(found.bad) >= _MOST_BAD and len(found.bad) > found.rows:
                    break
    found.repeated = found.keys.seal()
    _check(found, label, shrink_limit)
    return found


_MOST_BAD = 10_000
"""After so many bad rows, and fewer good ones, it is no use to read on."""


def _check(found: Survey, label: str, shrink_limit: float) -> None:
    if found.partial:
        return
    bad, good = len(found.bad), found.rows + found.same
    if not good and not bad:
        raise SourceError(f"{label} has a header and no rows; nobody is taken to have left because of that")
    if (bad >= FEWEST and bad > shrink_limit * (good + bad)) or not good:
        first = found.bad[0]
        raise SourceError(
            f"{label}: {bad} of {good + bad} rows cannot be used, so nothing was done;"
            f" the first is line {first.line}: {first.reason}"
        )


def check_shrinkage(label: str, known: int, missing: int, shrink_limit: float) -> None:
    """Stop before anything is written if too many are gone at once (FE-11, I-14).

    Raises:
        SourceError: says how many, and which option to change if it is right.
    """
    everyone = missing == known and known > 1
    if not everyone and (missing < FEWEST or missing <= shrink_limit * known):
        return
    share = missing / known
    raise SourceError(
        f"{label}: {missing} of {known} known records are gone ({share:.1%}, limit {shrink_limit:.1%}),"
        " so nothing was done. Is the file whole? If they have really left, set"
        f" shrink_limit: {min(1.0, round(share + 0.005, 2))} for this source, run once, and take it out again."
    )
