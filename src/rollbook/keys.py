"""Where keys come from: what the environment says, else the place that is usual for the database."""

import os
from collections.abc import Mapping
from pathlib import Path

from rollbook.storage.key_files import KeySource, read_file
from rollbook.storage.keyring import KeyUnknown

KEY, KEY_FILE, KEY_COMMAND = "ROLLBOOK_KEY", "ROLLBOOK_KEY_FILE", "ROLLBOOK_KEY_COMMAND"


def choose_keys(environment: Mapping[str, str], usual: KeySource) -> KeySource:
    """The source of keys that one of three variables names, or the usual one.

    Raises:
        KeyUnknown: more than one is set.
    """
    told = [name for name in (KEY, KEY_FILE, KEY_COMMAND) if environment.get(name)]
    if len(told) > 1:
        raise KeyUnknown(f"{' and '.join(told)} are set: say where the keys are by one of them")
    if not told:
        return usual
    name, value = told[0], environment[told[0]]
    if name == KEY:
        return KeySource(KEY, lambda: value)
    if name == KEY_COMMAND:
        return KeySource(KEY_COMMAND, lambda: _printed(value, environment))
    file = Path(value)
    return KeySource(f"{KEY_FILE}={file}", lambda: read_file(file), file)


def own_keys(usual: KeySource) -> KeySource:
    """The same by the environment of this process."""
    return choose_keys(os.environ, usual)


def _printed(command: str, environment: Mapping[str, str]) -> str:
    from rollbook.provisioning.config.command import CommandError, lines_of

    try:
        return lines_of(command, Path.cwd(), environment)
    except CommandError as error:
        detail = f": {error.label}" if error.label else ""
        raise KeyUnknown(f"{KEY_COMMAND}: {error.title}{detail}") from None
