"""A secret from a command such as `pass show slack`: no shell, a time limit, and its output never told to anybody."""

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePath

SECONDS = 10.0
"""How long a command may take: a vault answers sooner, and a check must not hang on a question nobody sees."""

_LONGEST = 65_536


class CommandError(Exception):
    """Why there is no secret; never holds what the command printed."""

    def __init__(self, title: str, label: str = "", advice: str | None = None) -> None:
        super().__init__(title)
        self.title = title
        self.label = label
        self.advice = advice


def command_name(command: str) -> str:
    """The program's name: all of a command that is told, since arguments may be secrets themselves."""
    return PurePath(command.split(maxsplit=1)[0]).name if command.split() else "the command"


def first_line_of(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """The first line that the command prints, without white space around it.

    Raises:
        CommandError: there is no such program, it failed, took too long, or printed nothing.
    """
    return lines_of(command, folder, environment).partition("\n")[0].strip()


def lines_of(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """All that the command prints, without white space around it.

    Raises:
        CommandError: as above.
    """
    name = command_name(command)
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(f"the command {name} cannot be split into words", str(error)) from None
    if not words:
        raise CommandError("command: names no program", "write command:program argument …")
    # A file, not a pipe: what a killed command has started might hold a pipe open for ever.
    with tempfile.TemporaryFile() as out:
        code = _run(words, out.fileno(), folder, environment, name)
        if code:
            how = f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"
            raise CommandError(f"the command {name} {how}", "", "run it by hand to see what it says")
        out.seek(0)
        text = out.read(_LONGEST).decode("utf-8", "replace").strip()
    if not text:
        raise CommandError(f"the command {name} prints nothing", "the first line it prints is the secret")
    return text


def _run(words: list[str], out: int, folder: Path, environment: Mapping[str, str], name: str) -> int:
    try:
        process = subprocess.Popen(  # noqa: S603 - the configuration names it, as it names hosts; no shell
            words,
            cwd=folder,
            env=dict(environment) or None,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has a zero byte"
        raise CommandError(f"the command {name} cannot be run", str(reason)) from None
    try:
        return process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        advice = "it gets no input: it may be waiting for a question to be answered"
        raise CommandError(f"the command {name} took more than {SECONDS:g} seconds", "", advice) from None
