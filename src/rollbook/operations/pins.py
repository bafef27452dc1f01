"""What stands for a client's certificate among the tokens: its key, or its issuer and subject together (T-20; RFC 8705)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from rollbook.operations.base62 import ID_LENGTH, base62

CERTIFICATE = "certificate"
"""The origin of a token that stands for one."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A certificate that was checked by whoever ended TLS: what it is pinned by, and when it is good. Milliseconds."""

    pins: Sequence[str]
    begins: int
    ends: int


def by_key(key_sha256: str) -> str:
    """The pin of a key, which a certificate keeps when it is renewed with it."""
    return f"key {key_sha256}"


def by_names(issuer: str, subject: str) -> str:
    """The pin of two names; a subject alone would be any authority's to give."""
    return f"names {len(issuer)} {issuer}\n{subject}"


def pin_id(pin: str) -> str:
    """The public id of what a pin stands for."""
    number = int.from_bytes(hashlib.sha256(pin.encode(errors="surrogatepass")).digest(), "big")
    return base62(number, ID_LENGTH)[::-1]  # as the ids are that databases have already


def pin_digest(key: bytes, pin: str) -> bytes:
    """What is kept of a pin: a digest of another kind than those of tokens, so that no text is taken for a certificate."""
    raw = pin.encode(errors="surrogatepass")
    return hashlib.blake2b(raw, key=key, digest_size=32, person=b"rollbook pin").digest()
