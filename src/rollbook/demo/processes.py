"""Starts the demo's programs, each in a process group of its own, and sees to it that none outlives the demo."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

START_TIMEOUT = 30.0
STOP_TIMEOUT = 5.0
COMMAND_TIMEOUT = 120.0
_POLL = 0.05
_PORTS = (20_000, 30_000)


class DemoError(Exception):
    """The demo cannot go on, or has found something that should not be; the text says what."""


@dataclass(frozen=True)
class Finished:
    """What a command printed, how it ended, and how long it took."""

    code: int
    output: str
    errors: str
    seconds: float


@dataclass
class Processes:
    """Every process the demo has started; leaving the `with` block ends them all.

    They are kept only if that was asked for and nothing was raised.
    """

    logs: Path
    environment: Mapping[str, str]
    keep: bool = False
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.keep or kind is not None:
            self.stop()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a server; what it prints goes to its own log."""
        with (self.logs / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command,
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, name: str, answers: Callable[[], bool]) -> None:
        """Wait until the server answers.

        Raises:
            DemoError: it ended, or did not answer in time; with the end of its log.
        """
        end = time.monotonic() + START_TIMEOUT
        while not answers():
            code = self.running[name].poll()
            if code is not None:
                raise DemoError(f"{name} ended with code {code} before it answered\n{self.last_words(name)}")
            if time.monotonic() > end:
                raise DemoError(
                    f"{name} did not answer within {START_TIMEOUT:.0f} s\n{self.last_words(name)}"
                )
            time.sleep(_POLL)

    def last_words(self, name: str) -> str:
        """The last lines of a server's log."""
        lines = (self.logs / f"{name}.log").read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-15:])

    def run(self, command: Sequence[str], environment: Mapping[str, str], directory: Path) -> Finished:
        """Run a command to its end."""
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            env={**self.environment, **environment},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=COMMAND_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{' '.join(command)} did not end within {COMMAND_TIMEOUT:.0f} s") from None
        finally:
            end([process])
        seconds = time.monotonic() - started
        return Finished(process.returncode, output.decode(), errors.decode(), seconds)

    def stop(self) -> None:
        """End every server: first asked, then forced."""
        end(list(self.running.values()))
        self.running.clear()


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the process groups of all these: SIGTERM, and SIGKILL for what is still there after a while."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    until = time.monotonic() + STOP_TIMEOUT
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))
    for process in processes:
        _signal(process, signal.SIGKILL)
        process.wait()
    until = time.monotonic() + STOP_TIMEOUT
    while any(_signal(process, 0) for process in processes) and time.monotonic() < until:
        time.sleep(_POLL)  # children that a killed process left are being cleared away by the system


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    """Signal a process group; False if there is nobody in it."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now.

    They lie below those that systems hand out by themselves, so that nobody gets one of them by chance before
    the server that is to have it has started.
    """
    found: list[int] = []
    for port in random.sample(range(*_PORTS), 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise DemoError(f"no free ports between {_PORTS[0]} and {_PORTS[1]} on this machine")
