"""TLS of `rollbook serve`: its certificate is read at start, and again whenever it changes."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollbook.cli.reload import Reload
    from rollbook.server.listening import Listener, Pair
    from rollbook.settings import Settings


def pair_of(settings: "Settings") -> "Pair | None":
    """The certificate and key to serve with, None to serve in clear text.

    Raises:
        SettingsError: they cannot be served with; says why.
    """
    from rollbook.server.listening import TlsError, read_pair
    from rollbook.settings import SettingsError

    if settings.tls is None:
        return None
    try:
        return read_pair(*settings.tls, datetime.now(UTC))
    except TlsError as error:
        raise SettingsError(str(error)) from None


async def keep_fresh(
    settings: "Settings", listener: "Listener", pair: "Pair | None", reload: "Reload"
) -> None:
    """Serve with the certificate that the files hold by now, for as long as this runs; SIGHUP looks at once."""
    from rollbook.server.listening import TlsWatch

    if settings.tls is None or pair is None:
        return
    watch = TlsWatch(*settings.tls, listener.renew, pair)
    reload.add(watch.look.set)
    await watch.run()
