"""Signatures of tokens, by the library: a module of its own, since only who checks one waits for it to be loaded."""

from typing import Any

from joserfc import jws
from joserfc.errors import JoseError


class _Pinned(jws.JWSRegistry):
    """The library's algorithms, those that are named only; it warns of EdDSA by its older name, which issuers use."""

    def get_alg(self, name: str) -> Any:
        """The algorithm of that name."""
        if name not in (self.allowed or ()):
            raise ValueError("that algorithm is not the issuer's")
        return self.algorithms[name]


def signed(text: str, key: Any, algorithm: str) -> bytes:
    """What a key of the library has signed by that algorithm.

    Raises:
        ValueError: it has not.
    """
    registry = _Pinned(algorithms=[algorithm], strict_check_header=False)
    try:
        return jws.deserialize_compact(text, key, algorithms=[algorithm], registry=registry).payload
    except (JoseError, TypeError) as error:
        raise ValueError("it is not signed so") from error
