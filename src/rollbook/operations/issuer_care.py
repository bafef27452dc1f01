"""What is done to outside issuers of a tenant, by commands and at /admin/v1 alike: found, told something, kept, taken away."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rollbook.operations.issuers import Issuer, checked, issuer_of, read_words
from rollbook.operations.key_sets import KeyFault, read_keys
from rollbook.operations.rights import Rights, read_rights
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidValue, NotFound
from rollbook.storage.base import Act, Author
from rollbook.storage.sql.issuers import SqlIssuers
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.store import SqlStore

Allow = Callable[[Rights], object]
"""Refuses rights that are not to be handed out."""


@dataclass(frozen=True)
class IssuerWish:
    """What is said of an issuer; None stands for what is not. An empty text takes back what was said before."""

    url: str | None = None
    audience: str | None = None
    jwks: str | None = None
    keys: str | None = None
    """A JWK set as JSON."""
    algorithms: Sequence[str] | None = None
    types: Sequence[str] | None = None
    scopes: Sequence[str] | None = None
    within: str | None = None
    without: Sequence[str] | None = None
    hold: Sequence[str] | None = None
    own: bool | None = None
    profile: str | None = None
    claims: Sequence[str] | None = None
    words: Iterable[str] | None = None
    """Each as WORD=SCOPE."""
    user_claim: str | None = None
    user_attribute: str | None = None
    private: bool | None = None


async def issuers_of(store: SqlStore, tenant: int) -> list[Issuer]:
    """Those of a tenant, by name."""
    return [issuer_of(record) for record in await SqlIssuers(store.database).of_tenant(tenant)]


async def issuer_called(store: SqlStore, tenant: int, name: str) -> Issuer:
    """The issuer of that name.

    Raises:
        NotFound: the tenant has none.
    """
    found = next((issuer for issuer in await issuers_of(store, tenant) if issuer.name == name), None)
    if found is None:
        raise NotFound(f"there is no issuer {name[:80]!r} here; rollbook issuer list shows them")
    return found


async def add(
    store: SqlStore,
    tenant: int,
    name: str,
    wish: IssuerWish,
    author: Author,
    allow: Allow = lambda _: None,
) -> Issuer:
    """Take an issuer's tokens from now on; it has a URL and an audience.

    Raises:
        InvalidValue: tokens cannot be checked by that. Uniqueness: its name, or it with this audience, is known already.
    """
    new = Issuer(tenant, name, wish.url or "", wish.audience or "")
    made = changed(new, wish, await store.catalog_of(tenant))
    allow(made.rights)
    await _keep(store, made, author, new=True)
    return made


async def tell(
    store: SqlStore, issuer: Issuer, wish: IssuerWish, author: Author, allow: Allow = lambda _: None
) -> Issuer:
    """Change what was said of an issuer; what is not wished for stays.

    Raises:
        InvalidValue, Uniqueness: as for a new one. NotFound: it is gone.
    """
    told = changed(issuer, wish, await store.catalog_of(issuer.tenant))
    allow(told.rights)
    await _keep(store, told, author, new=False)
    return told


async def remove(store: SqlStore, issuer: Issuer, author: Author) -> None:
    """Take an issuer's tokens no more."""
    await SqlIssuers(store.database).remove(issuer.tenant, issuer.name)
    await SqlJournal(store.database).write(
        [Act(author, issuer.tenant, "issuer.remove", "issuer", issuer.name)]
    )


async def _keep(store: SqlStore, issuer: Issuer, author: Author, *, new: bool) -> None:
    record = issuer.record(author.at)
    await SqlIssuers(store.database).put(record, new=new)
    done, told = "issuer.add" if new else "issuer.set", {"url": record.url, "audience": record.audience}
    await SqlJournal(store.database).write(
        [Act(author, issuer.tenant, done, "issuer", record.name, detail=told)]
    )


def changed(issuer: Issuer, wish: IssuerWish, catalog: Catalog) -> Issuer:
    """The issuer with everything that was said.

    Raises:
        InvalidValue: tokens cannot be checked by that.
    """
    if any(getattr(wish, name) is not None for name in _RIGHTS):
        issuer = replace(issuer, rights=_rights(issuer.rights, wish, catalog))
    if wish.words is not None:
        issuer = replace(issuer, words=read_words(wish.words))
    if wish.keys is not None:
        issuer = replace(issuer, keys=check_keys(wish.keys), jwks=None)
    if wish.jwks is not None:
        issuer = replace(issuer, jwks=wish.jwks or None, keys=None)
    said: dict[str, Any] = {name: value for name in _PLAIN if (value := getattr(wish, name)) is not None} | {
        name: tuple(value) for name in _LISTS if (value := getattr(wish, name)) is not None
    }
    issuer = replace(issuer, **said)
    return checked(replace(issuer, user_claim=issuer.user_claim or None), catalog)


def _rights(now: Rights, wish: IssuerWish, catalog: Catalog) -> Rights:
    """The rights with everything that was said; what is empty takes back what bounds them."""

    def newest(name: str) -> Any:
        said = getattr(wish, name)
        return getattr(now, name) if said is None else said

    within, profile = newest("within") or None, newest("profile") or None
    own = now.own is not None if wish.own is None else wish.own
    told = read_rights(
        newest("scopes"), within, profile, catalog, without=newest("without"), hold=newest("hold"), own=own
    )
    return replace(told, own=now.own) if own and now.own is not None else told


_RIGHTS = ("scopes", "within", "without", "hold", "own", "profile")
_PLAIN = ("url", "audience", "user_claim", "user_attribute", "private")
_LISTS = ("algorithms", "types", "claims")


def check_keys(text: str) -> str:
    """The JWK set, if signatures can be checked with it.

    Raises:
        InvalidValue: they cannot.
    """
    try:
        if read_keys(json.loads(text)):
            return text
    except (ValueError, KeyFault) as error:
        raise InvalidValue(str(error)) from None
    raise InvalidValue("there is no public key in it that signatures are checked with")
