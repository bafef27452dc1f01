"""Where keys are kept: files of them, and what else can be read."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rollbook.storage.keyring import Key, KeyUnknown, read_keys

_HEAD = "# Keys of Rollbook's secrets. The last one seals, all open. Keep a copy elsewhere, and not with backups.\n"


@dataclass(frozen=True)
class KeySource:
    """Where the keys are. `read` gives their text, None if nothing is there yet; it may take a while.

    `file` can be added to; `makes` says that it is made when the first secret is sealed, and at no other time.
    """

    name: str
    read: Callable[[], str | None]
    file: Path | None = None
    makes: bool = False

    def present(self) -> tuple[Key, ...]:
        """The keys, none if there are none yet.

        Raises:
            KeyUnknown: they cannot be read.
        """
        text = self.read()
        return () if text is None else read_keys(text, self.name)


NOWHERE = KeySource("no key is given", lambda: None)
"""For a database that has no place beside it."""


def beside(path: Path) -> KeySource:
    """The file of keys beside a database file, for those who say nothing else."""
    file = path.with_name(f"{path.name}.key")
    return KeySource(str(file), lambda: read_file(file) if file.exists() else None, file, makes=True)


def read_file(file: Path) -> str:
    """The text of a file of keys.

    Raises:
        KeyUnknown: it cannot be read.
    """
    try:
        return file.read_text("ascii")
    except UnicodeDecodeError:
        raise KeyUnknown(f"{file} is no file of keys; make one with: rollbook key create {file}") from None
    except OSError as error:
        raise KeyUnknown(
            f"{file}: {error.strerror}; the keys of the database's secrets should be there"
        ) from error


def make_file(file: Path, key: Key) -> bool:
    """Make a file with a key, for its owner only; False if there is a file already, which stays as it is.

    Raises:
        KeyUnknown: it cannot be written.
    """
    building = file.with_name(f"{file.name}.new-{secrets.token_hex(4)}")
    try:
        number = os.open(building, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(number, "w", encoding="ascii") as out:
            out.write(f"{_HEAD}{key.text}\n")
            out.flush()
            os.fsync(out.fileno())
        return _moved(building, file)
    except OSError as error:
        raise _unwritable(file, error) from error
    finally:
        building.unlink(missing_ok=True)


def add_key(file: Path, key: Key) -> None:
    """Add a key to a file, as the one that seals from now on. None is ever taken away: old ones open old backups.

    Raises:
        KeyUnknown: it cannot be written.
    """
    try:
        number = os.open(file, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(number, "a", encoding="ascii") as out:
            # One write: two at once do not mix. A line of its own, also behind one that was never ended.
            out.write(f"\n{key.text}\n")
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> KeyUnknown:
    return KeyUnknown(
        f"{file}: {error.strerror}; a key has to be written there. Or make one with rollbook key create, and give it"
        " in ROLLBOOK_KEY_FILE, ROLLBOOK_KEY_COMMAND or ROLLBOOK_KEY"
    )


def _moved(building: Path, file: Path) -> bool:
    """Give a file its name, unless there is one of that name."""
    try:
        os.link(building, file)  # unlike a rename, it never replaces what is there
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if file.exists():
            return False
        building.rename(file)
    with suppress(OSError):  # no such thing on Windows
        directory = os.open(file.absolute().parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
    return True
