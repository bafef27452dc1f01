"""Secrets of the file: named there, kept elsewhere. A token itself in the file is refused (T-72)."""

import re
from collections.abc import Mapping
from pathlib import Path

from rollbook.provisioning.config.command import CommandError, command_name, first_line_of
from rollbook.provisioning.config.document import SECRET_REFERENCE, Document, Place

_LONGEST = 65_536


def read_secret(
    document: Document, place: Place, text: str, folder: Path, environment: Mapping[str, str]
) -> str | None:
    """The secret that `${VARIABLE}`, `file:/path` or `command:…` names, or None with the problem reported.

    A path is relative to `folder`, where commands run too; white space around a secret in a file is not part
    of it, nor around the first line that a command prints.
    """
    found = SECRET_REFERENCE.match(text)
    if found is None:
        key = f"{place[-1]}: " if isinstance(place[-1], str) else ""
        document.report(
            "RB112",
            "a secret must not stand in the file",
            document.value(place),
            "name where it is kept instead",
            f"write {key}${{{_variable(place)}}} and set that variable, or file:/run/secrets/name, or command:…",
            "whoever has seen this file has seen the secret: replace it at its service",
        )
        return None
    if not document.secrets:
        return ""
    secret = _looked_up(document, place, found, folder, environment)
    if secret and secret.isprintable() and secret.isascii() and " " not in secret:
        return secret
    if secret:
        reason = "it has spaces, control characters or letters that no HTTP header can carry"
        what = f"what {command_name(found[3])} prints" if found[3] else text
        document.report("RB113", f"{what} is no token", document.value(place), reason)
    elif found[1]:
        reason = "is empty" if secret == "" else "is not set"
        note = f"try: export {found[1]}=…"
        document.report("RB113", f"the variable {found[1]} {reason}", document.value(place), "", note)
    return None


def _looked_up(
    document: Document, place: Place, found: re.Match[str], folder: Path, environment: Mapping[str, str]
) -> str | None:
    variable, file, command = found.groups()
    if variable:
        return environment.get(variable)
    if file:
        return _from_file(document, place, folder / file)
    if command not in document.said:
        try:
            document.said[command] = first_line_of(command, folder, environment)
        except CommandError as error:
            document.said[command] = None
            document.report("RB113", error.title, document.value(place), error.label, error.advice)
    return document.said[command]


def _variable(place: Place) -> str:
    return "_".join(str(step) for step in place[1:]).upper().replace("-", "_").replace(".", "_")


def _from_file(document: Document, place: Place, path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8") as file:
            secret = file.read(_LONGEST).strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        document.report("RB113", f"the file {path} cannot be read", document.value(place), str(reason))
        return None
    if not secret:
        document.report("RB113", f"the file {path} is empty", document.value(place))
    return secret
