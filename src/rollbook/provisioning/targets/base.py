"""What the engine asks of a target, whatever it is."""

from collections.abc import Sequence
from typing import Protocol

from rollbook.client import ScimResource
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.wanted import Kind


class Target(Protocol):
    """Accounts and groups at a far side.

    Every method may raise `RequestError` and `TargetError`. None repeats a call by itself.
    """

    @property
    def writes(self) -> int:
        """How many calls were made that could change something."""

    async def read(self, kind: Kind, remote_id: str) -> ScimResource | None:
        """The account without its members, None if the target says there is none."""

    async def read_members(self, kind: Kind, remote_id: str) -> Sequence[str]:
        """The remote ids of a group's members."""

    async def find(self, kind: Kind, path: AttributePath, value: str) -> Sequence[ScimResource]:
        """The accounts with exactly that value."""

    async def create(self, kind: Kind, body: JsonObject) -> ScimResource:
        """Make an account."""

    async def update(self, kind: Kind, present: ScimResource, differences: Sequence[Difference]) -> None:
        """Take the differences away."""

    async def members_per_call(self) -> int:
        """How many member changes to give at once."""

    async def change_members(
        self, kind: Kind, remote_id: str, add: Sequence[str], remove: Sequence[str]
    ) -> None:
        """Change a group's members; ones that are there already, or not, do no harm."""

    async def delete(self, kind: Kind, present: ScimResource) -> None:
        """Remove the account in the version that was read; none being there is as good."""

    async def close(self) -> None:
        """Let go of all connections."""
