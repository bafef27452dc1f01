"""What is done to tokens of a tenant, by commands and at /admin/v1 alike: wishes checked, tokens found by their ids."""

from collections.abc import Callable
from dataclasses import dataclass

from rollbook.operations.rights import Rights, bound, read_rights
from rollbook.operations.tokens import admit, issue, token_id
from rollbook.protocol.errors import InvalidValue, NotFound
from rollbook.protocol.match import matches
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import Author, TokenRecord
from rollbook.storage.documents import decode
from rollbook.storage.sql.store import SqlStore

LONGEST_NAME = 100


@dataclass(frozen=True)
class Wish:
    """A token to be made; `scopes` as people write them."""

    name: str
    expires: int
    scopes: tuple[str, ...] = ()
    within: str | None = None
    profile: str | None = None
    user: str | None = None
    without: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    own: bool = False
    pin: str | None = None
    """What it is shown by in place of a text: a certificate's (`operations.pins`)."""


def check_token_name(name: str) -> str:
    """The name, if a token may have it.

    Raises:
        InvalidValue: says what one looks like.
    """
    if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
        raise InvalidValue(f"name: write 1 to {LONGEST_NAME} printable characters")
    return name


async def grant(
    store: SqlStore,
    tenant: int,
    wish: Wish,
    author: Author,
    allow: Callable[[Rights], object] = lambda _: None,
) -> str:
    """Make a token; its text is shown once, or it is the id if a certificate stands for it. `allow` refuses rights that are not to be handed out.

    Raises:
        InvalidValue: what is wished for cannot be meant. Conflict: the certificate stands for another token.
    """
    catalog = await store.catalog_of(tenant)
    rights = read_rights(
        wish.scopes,
        wish.within,
        wish.profile,
        catalog,
        may_administer=True,
        without=wish.without,
        hold=wish.hold,
        own=wish.own,
    )
    allow(rights)
    name = check_token_name(wish.name)
    if wish.user is not None:
        if rights.admin:
            raise InvalidValue("a token that acts for a user is not for /admin/v1")
        if wish.own:
            raise InvalidValue("own: a token that acts for a user makes nothing")
        kind = catalog.resource_type("User")
        if kind is None or not await _is_there(store, tenant, kind, wish.user, rights):
            raise InvalidValue(f"user {wish.user[:64]!r}: there is no user with that id")
    if wish.pin is not None:
        like = TokenRecord("", tenant, name, b"", author.at, wish.expires, wish.user, None, rights.text)
        return await admit(store, like, wish.pin, author)
    return await issue(
        store, tenant, name, now=author.at, expires=wish.expires, user=wish.user, rights=rights, author=author
    )


async def _is_there(store: SqlStore, tenant: int, kind: ResourceType, id: str, rights: Rights) -> bool:
    """Whether there is a user of that id, within the bound of the token that is to act for them."""
    found = await store.get(tenant, kind, id) if id.isprintable() else None
    if found is None or rights.within is None:
        return found is not None
    condition = bound(rights, kind)
    return condition is not None and matches(condition, decode(found.body, found.extra))


async def token_of(store: SqlStore, tenant: int, id: str) -> TokenRecord:
    """The token of a tenant with that id; a whole token is taken for its id, and not repeated.

    Raises:
        NotFound: the tenant has none.
    """
    found = await store.token(token_id(id) or id)
    if found is None or found.tenant != tenant:
        raise NotFound("there is no such token here; rollbook token list shows their ids")
    return found
