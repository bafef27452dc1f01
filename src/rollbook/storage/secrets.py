"""Secrets that a store keeps for the service and its tenants: sealed at rest, each at its place (I-32)."""

import secrets
from typing import Protocol

from rollbook.storage.keyring import derive

ROOT = "root"
"""The secret that others are derived from; rotation of keys seals it anew and leaves it what it is."""

OF_THE_SERVICE = 0
"""In place of a tenant's number: the secret is the service's own."""


class Secrets(Protocol):
    """Secrets by name, of a tenant or of the service. They end with their tenant.

    Whatever has to be kept in clear to be used (a signing key, a client's secret that is sent on, a pepper) is kept
    here, and so comes along when keys are rotated. Names are paths such as `oauth/signing/2026-11`.
    Every method raises `KeyUnknown` if the key that is needed is not here.
    """

    async def kept(self, name: str, fresh: bytes, tenant: int = OF_THE_SERVICE) -> bytes:
        """The secret of that name; `fresh`, from now on, if there is none. Any number may ask at once, and get the same."""

    async def get(self, name: str, tenant: int = OF_THE_SERVICE) -> bytes | None:
        """The secret of that name, or None."""

    async def put(self, name: str, value: bytes, tenant: int = OF_THE_SERVICE) -> None:
        """Set a secret, whether there is one or not."""

    async def drop(self, name: str, tenant: int = OF_THE_SERVICE) -> None:
        """Forget a secret."""

    async def derived(self, purpose: str) -> bytes:
        """A key of 32 bytes for a purpose such as `audit`; always the same for this store, whatever keys are rotated."""


class MemorySecrets:
    """`Secrets` of a store that is nowhere at rest."""

    def __init__(self) -> None:
        self._values: dict[tuple[int, str], bytes] = {}

    async def kept(self, name: str, fresh: bytes, tenant: int = OF_THE_SERVICE) -> bytes:
        """The secret, or the fresh one."""
        return self._values.setdefault((tenant, name), fresh)

    async def get(self, name: str, tenant: int = OF_THE_SERVICE) -> bytes | None:
        """The secret, or None."""
        return self._values.get((tenant, name))

    async def put(self, name: str, value: bytes, tenant: int = OF_THE_SERVICE) -> None:
        """Set it."""
        self._values[tenant, name] = value

    async def drop(self, name: str, tenant: int = OF_THE_SERVICE) -> None:
        """Forget it."""
        self._values.pop((tenant, name), None)

    async def derived(self, purpose: str) -> bytes:
        """A key for a purpose."""
        return derive(await self.kept(ROOT, new_root()), purpose)


def new_root() -> bytes:
    """A fresh secret to derive others from."""
    return secrets.token_bytes(32)
