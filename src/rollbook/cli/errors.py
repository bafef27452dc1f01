"""Errors → a message on stderr and an exit code. The only place of the command line that catches."""

import os
import secrets
import sys
import traceback

from rollbook.desk.errors import DeskError
from rollbook.protocol.errors import ScimError
from rollbook.settings import SettingsError
from rollbook.storage.keyring import KeyUnknown

FAILED = 1
PENDING = 2
"""Changes are pending: said by `plan`, not an error."""
MISCONFIGURED = 3


def exit_code(error: Exception) -> int | None:
    """Say what went wrong and return the exit code; None for what must be seen by a developer."""
    match error:
        case SettingsError() | DeskError():
            _say(str(error))
            return MISCONFIGURED
        case KeyUnknown():
            _say(error.detail)
            return MISCONFIGURED
        case ScimError():
            _say(error.detail)
            return FAILED
        case BrokenPipeError():
            # The reader of our output has gone; there is nobody to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        case OSError():
            _say(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
            return FAILED
        case _:
            return _mistakes(error) or _unexpected(error)


def _mistakes(error: Exception) -> int | None:
    """Say what is wrong in the configuration, if that is it."""
    # Imported last: all that reads configurations comes with it, and what is wrong is mostly something else.
    from rollbook.provisioning.config import ConfigError

    if not isinstance(error, ConfigError):
        return None
    print(_plain(error.render()), file=sys.stderr)
    return MISCONFIGURED


def _unexpected(error: Exception) -> int | None:
    if os.environ.get("ROLLBOOK_DEBUG"):
        return None
    incident = secrets.token_hex(6)
    where = traceback.extract_tb(error.__traceback__)[-1]
    _say(
        f"something unexpected happened ({type(error).__name__} at {where.name}, incident {incident}).\n"
        "Run it again with ROLLBOOK_DEBUG=1 to see where, and please report it."
    )
    return FAILED


def _say(text: str) -> None:
    print(f"error: {_plain(text)}", file=sys.stderr)


def _plain(text: str) -> str:
    """The text, which may repeat what was given, without anything that a terminal would act on (T-89)."""
    return "".join(one if one in "\n\t" or one.isprintable() else f"\\u{ord(one):04x}" for one in text)
