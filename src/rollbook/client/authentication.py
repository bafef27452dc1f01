"""How a client proves who it is: one object per scheme, asked before each request."""

import base64
from dataclasses import dataclass, field
from typing import Protocol


class Authentication(Protocol):
    """Makes the value of the Authorization header."""

    async def header(self) -> str:
        """The value to send now."""

    async def renew(self) -> bool:
        """Fetch new credentials after a 401; False if there are no others (C-1-04)."""


@dataclass(frozen=True)
class Bearer:
    """A static bearer token (RFC 6750)."""

    token: str = field(repr=False)

    async def header(self) -> str:
        """`Bearer` and the token."""
        return f"Bearer {self.token}"

    async def renew(self) -> bool:
        """A static token stays what it is."""
        return False


@dataclass(frozen=True)
class Basic:
    """User name and password; only for services that offer nothing better (C-1-03)."""

    user: str
    password: str = field(repr=False)

    async def header(self) -> str:
        """`Basic` and both in base64 of their UTF-8 (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")

    async def renew(self) -> bool:
        """A password stays what it is."""
        return False
