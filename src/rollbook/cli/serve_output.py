"""What `rollbook serve` says at its start."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollbook.app import Application
    from rollbook.settings import ClientCertificates, Settings


async def first_token(settings: "Settings", application: "Application") -> str | None:
    """A token for a store that has none; nothing when one comes from the environment."""
    from rollbook.app import by, now
    from rollbook.operations import tokens

    store, tenant = application.store, application.tenant.number
    if settings.bootstrap_token is not None or await store.tokens(tenant):
        return None
    at = now()
    return await tokens.issue(
        store, tenant, "first", now=at, expires=at + tokens.YEAR, author=by("rollbook serve")
    )


def _shown(settings: "Settings", application: "Application") -> str:
    """The database as it was named, or without the password it may have been named with."""
    name = application.store.database.name
    return settings.database if settings.database.startswith("sqlite:") else name


async def about_keys(application: "Application") -> list[str]:
    """What is new, or not as it should be, of the keys of secrets."""
    made = application.store.secrets.made
    if made is not None:
        return [f"  key      {made} is made: it seals the secrets of the database; keep a copy elsewhere"]
    if await application.store.secrets.are_in_clear():
        return ["  key      NONE: secrets stand in clear in the database; make one: rollbook key create FILE"]
    return []


def announce(
    settings: "Settings",
    application: "Application",
    *,
    is_new: bool,
    token: str | None,
    works: bool,
    keys: list[str],
) -> None:
    """Say what was chosen and why."""
    from rollbook import __version__

    origin = settings.public_url or settings.origin
    state = "new" if is_new else "found"
    types = ", ".join(kind.endpoint for kind in application.tenant.catalog.resource_types)
    source = (
        f"from {settings.schemas}"
        if settings.schemas
        else "as the database keeps them; change with rollbook schema"
    )
    exposure = "bound to this machine only" if not settings.is_public else "told so by --insecure-http"
    lines = [
        f"rollbook {__version__}",
        f"  store    {_shown(settings, application)} ({settings.database_origin}, {state})",
        f"  serving  {types} ({source})",
        f"  TLS      {f'from {settings.tls[0]}' if settings.tls else f'off: {exposure}'}",
        f"  SCIM     {origin.rstrip('/')}/scim/v2",
    ]
    if settings.clients is not None:
        lines.append(f"  clients  {_asked(settings.clients)}")
    lines += keys
    if settings.config is not None:
        lines.append(f"  targets  {'kept in step' if works else 'not kept in step here'} ({settings.config})")
    if token is not None:
        lines += [f"  token    {token}", "           shown this once; valid for one year"]
    elif settings.bootstrap_token is not None:
        lines += ["  token    the one in ROLLBOOK_BOOTSTRAP_TOKEN"]
    else:
        lines += ["  token    make more with: rollbook token create"]
    print("\n".join(lines), flush=True)


def _asked(clients: "ClientCertificates") -> str:
    revoked = f", none that {clients.crl} revokes" if clients.crl else "; none is looked up as revoked"
    return f"certificates of {clients.ca} ({clients.demand}{revoked})"
