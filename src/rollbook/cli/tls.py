"""TLS of `rollbook serve`: its files are read at start, and again whenever they change."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollbook.cli.reload import Reload
    from rollbook.server.listening import Listener
    from rollbook.server.requests import AsgiApp
    from rollbook.server.tls import Pair, TlsFiles
    from rollbook.settings import Settings


def pair_of(settings: "Settings") -> "Pair | None":
    """What to serve with, None to serve in clear text.

    Raises:
        SettingsError: the files cannot be served with; says why.
    """
    from rollbook.server.tls import TlsError
    from rollbook.settings import SettingsError

    files = _files(settings)
    try:
        return None if files is None else files.read(datetime.now(UTC))
    except TlsError as error:
        raise SettingsError(str(error)) from None


def listener_of(settings: "Settings", app: "AsgiApp", pair: "Pair | None") -> "Listener":
    """The server for this: Granian, or where clients show certificates uvicorn, which can hand them on."""
    if pair is not None and pair.clients is not None:
        from rollbook.server.tls import tell_overdue
        from rollbook.server.uvicorn_listener import UvicornListener

        tell_overdue(pair)
        return UvicornListener(app, settings.host, settings.port, pair)
    from rollbook.server.granian_listener import GranianListener

    return GranianListener(app, settings.host, settings.port, pair)


async def keep_fresh(
    settings: "Settings", listener: "Listener", pair: "Pair | None", reload: "Reload"
) -> None:
    """Serve with what the files hold by now, for as long as this runs; SIGHUP looks at once."""
    from rollbook.server.tls import TlsWatch

    files = _files(settings)
    if files is None or pair is None:
        return
    watch = TlsWatch(files, listener.renew, pair)
    reload.add(watch.look.set)
    await watch.run()


def _files(settings: "Settings") -> "TlsFiles | None":
    from rollbook.server.tls import TlsFiles

    if settings.tls is None:
        return None
    clients = settings.clients
    if clients is None:
        return TlsFiles(*settings.tls)
    return TlsFiles(*settings.tls, clients.ca, clients.crl, clients.is_required)
