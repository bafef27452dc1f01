"""`TokenStore` over SQL: tokens, what they were used for, and what the service keeps for itself; each method is one transaction."""

from collections.abc import Mapping, Sequence

from rollbook.storage.base import Act, QuirkUse, TokenRecord
from rollbook.storage.sql import acts, quirk_uses, tokens
from rollbook.storage.sql.connection import OF_NO_TENANT, Backend, Connection
from rollbook.storage.sql.editions import notice


class SqlTokens:
    """The part of a store that is about tokens."""

    def __init__(self, database: Backend) -> None:
        self.database = database

    async def token(self, id: str) -> TokenRecord | None:
        """The token, or None."""
        return await self.database.read_now(lambda connection: tokens.token(connection, id))

    async def add_token(self, token: TokenRecord, act: Act | None = None) -> None:
        """Keep a new token."""
        await self.database.write(
            token.tenant, acts.told(act, lambda connection: tokens.add_token(connection, token))
        )

    async def tokens(self, tenant: int) -> Sequence[TokenRecord]:
        """All tokens of a tenant, oldest first."""
        return await self.database.read(lambda connection: tokens.tokens(connection, tenant))

    async def revoke_token(self, tenant: int, id: str, at: int, act: Act | None = None) -> bool:
        """End a token at once: every process notices before its next write, and within a second for reads."""

        def revoke(connection: Connection) -> bool:
            return tokens.revoke(connection, tenant, id, at) and notice(connection, tenant)

        return await self.database.write(tenant, acts.told(act, revoke))

    async def rotate_token(self, token: TokenRecord, former: str, until: int, act: Act | None = None) -> bool:
        """Keep a new token in the place of another, which ends then."""
        return await self.database.write(
            token.tenant, acts.told(act, lambda connection: tokens.rotate(connection, token, former, until))
        )

    async def note_token_uses(self, uses: Mapping[str, int]) -> None:
        """When tokens were last used, by id."""
        await self.database.write(OF_NO_TENANT, lambda connection: tokens.note_uses(connection, uses))

    async def add_quirk_uses(self, uses: Sequence[QuirkUse]) -> None:
        """Add to what was counted before."""
        await self.database.write(OF_NO_TENANT, lambda connection: quirk_uses.add(connection, uses))

    async def quirk_uses(self, tenant: int) -> Sequence[QuirkUse]:
        """Everything counted for a tenant, by token and quirk."""
        return await self.database.read(lambda connection: quirk_uses.all_of(connection, tenant))

    async def setting(self, name: str) -> str | None:
        """A value this store keeps for the service itself."""
        return await self.database.read_now(lambda connection: tokens.setting(connection, name))

    async def drop_setting(self, name: str) -> None:
        """Forget a value."""
        await self.database.write(OF_NO_TENANT, lambda connection: tokens.drop_setting(connection, name))

    async def keep_setting(self, name: str, value: str) -> str:
        """Set a value unless there is one; returns the one that holds."""
        return await self.database.write(
            OF_NO_TENANT, lambda connection: tokens.keep_setting(connection, name, value)
        )
