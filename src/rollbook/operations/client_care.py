"""What is done to clients of a tenant's token endpoint, by commands and at /admin/v1 alike: found, made, given other secrets, ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rollbook.operations.oauth_clients import made, rotated
from rollbook.operations.rights import Rights, read_rights, rights_of
from rollbook.operations.token_care import check_token_name
from rollbook.operations.token_endpoint import USUAL_SECONDS
from rollbook.operations.tokens import pepper
from rollbook.protocol.errors import InvalidValue, NotFound
from rollbook.storage.base import Act, Author
from rollbook.storage.oauth_clients import ClientRecord
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.oauth_clients import SqlClients
from rollbook.storage.sql.store import SqlStore

Allow = Callable[[Rights], object]
"""Refuses rights that are not to be handed out."""


@dataclass(frozen=True)
class ClientWish:
    """A client to be made; `keys` are a JWK set, in place of a secret."""

    name: str
    expires: int
    scopes: Sequence[str] = ()
    within: str | None = None
    profile: str | None = None
    seconds: int = USUAL_SECONDS
    keys: str | None = None
    without: Sequence[str] = ()
    hold: Sequence[str] = ()
    own: bool = False


async def clients_of(store: SqlStore, tenant: int) -> Sequence[ClientRecord]:
    """Those of a tenant, oldest first."""
    return await SqlClients(store.database).of_tenant(tenant)


async def client_of(store: SqlStore, tenant: int, id: str) -> ClientRecord:
    """The client of a tenant with that id.

    Raises:
        NotFound: the tenant has none.
    """
    found = await SqlClients(store.database).client(id)
    if found is None or found.tenant != tenant:
        raise NotFound("there is no such client here; rollbook client list shows their ids")
    return found


async def add(
    store: SqlStore, tenant: int, wish: ClientWish, author: Author, allow: Allow = lambda _: None
) -> tuple[ClientRecord, str | None]:
    """Make a client; its secret, if it has one, is shown once.

    Raises:
        InvalidValue: what is wished for cannot be meant.
    """
    name = check_token_name(wish.name)
    catalog = await store.catalog_of(tenant)
    rights = read_rights(
        wish.scopes, wish.within, wish.profile, catalog, without=wish.without, hold=wish.hold, own=wish.own
    )
    allow(rights)
    client, secret = made(
        await pepper(store),
        tenant,
        name,
        rights,
        now=author.at,
        expires=wish.expires,
        seconds=wish.seconds,
        keys=wish.keys,
    )
    await SqlClients(store.database).add(client)
    await _tell(store, "client.add", client, author)
    return client, secret


def needs_keys(client: ClientRecord, keys: str | None) -> bool:
    """Whether it signs what it shows, and no other keys are named."""
    return client.keys is not None and keys is None


async def rotate(
    store: SqlStore,
    client: ClientRecord,
    author: Author,
    *,
    expires: int,
    until: int,
    keys: str | None = None,
    allow: Allow = lambda _: None,
) -> tuple[ClientRecord, str | None]:
    """Give a client a new secret, while the former goes on until then; or other keys, at once.

    Raises:
        InvalidValue: it has keys, and no others were named. NotFound: it is gone.
    """
    allow(rights_of(client.rights))
    secret = None
    if needs_keys(client, keys):
        raise InvalidValue(f"client {client.id} has keys and no secret; name the new ones")
    if keys is not None:
        client = replace(client, keys=keys, digest=None, expires=None, former=None, former_until=None)
    else:
        client, secret = rotated(await pepper(store), client, expires=expires, until=until)
    if not await SqlClients(store.database).change(client):
        raise NotFound(f"client {client.id} is gone")
    await _tell(store, "client.rotate", client, author)
    return client, secret


async def remove(store: SqlStore, client: ClientRecord, author: Author) -> None:
    """End a client and all tokens it has."""
    await SqlClients(store.database).remove(client.tenant, client.id)
    await _tell(store, "client.remove", client, author)


async def _tell(store: SqlStore, name: str, client: ClientRecord, author: Author) -> None:
    told = {"called": client.name, "rights": client.rights}
    await SqlJournal(store.database).write(
        [Act(author, client.tenant, name, "client", client.id, detail=told)]
    )
