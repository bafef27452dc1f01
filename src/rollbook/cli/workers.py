"""Several serving processes on one port: the system spreads connections over them, the database keeps them in step."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollbook.settings import Settings

SOON = 5.0
"""Seconds within which a process that ends has hardly begun: it would do so again."""

PATIENCE = 10.0
"""Seconds that processes get to end, once they are asked to (FS-24)."""

Work = Callable[["Settings"], None]


@dataclass(frozen=True)
class Post:
    """What a process is there for. If a `vital` one hardly begins before it ends, nothing goes on without it."""

    name: str
    work: Work
    vital: bool = True
    hears_hup: bool = False
    """Whether SIGHUP is passed on to it."""


@dataclass
class _Crew:
    """The processes, each with its post and when it began; and posts that are empty, with when they are filled again."""

    settings: "Settings"
    begun: dict[SpawnProcess, tuple[Post, float]] = field(default_factory=dict)
    empty: list[tuple[float, Post]] = field(default_factory=list)

    def fill(self, now: float) -> None:
        """Start whoever is due."""
        due = [post for at, post in self.empty if at <= now]
        self.empty = [(at, post) for at, post in self.empty if at > now]
        for post in due:
            self.begun[_start(self.settings, post.work)] = (post, now)

    def replace(self, process: SpawnProcess, now: float) -> bool:
        """Replace one that has ended; False if there is no use in it."""
        post, began = self.begun.pop(process)
        soon = now - began < SOON
        next_step = "; another one takes its place"
        if soon:
            next_step = " soon after its start" + ("; stopping" if post.vital else "; it is tried again")
        print(f"{post.name} ended ({process.exitcode}){next_step}", file=sys.stderr, flush=True)
        self.empty.append((now + SOON if soon else now, post))
        return not (soon and post.vital)

    def pass_on(self, sign: signal.Signals) -> None:
        """Tell those that hear it."""
        for process, (post, _) in self.begun.items():
            if post.hears_hup and process.pid is not None and process.is_alive():
                os.kill(process.pid, sign)


def run(settings: "Settings", posts: Sequence[Post]) -> int:
    """Keep a process at each post until asked to end; one that dies is replaced. The exit code.

    They end by themselves when this process is gone, however it ended. SIGHUP is passed on.
    """
    asked: list[int] = []
    hung_up: list[int] = []

    def ask(sign: int, _: FrameType | None) -> None:
        (hung_up if sign == signal.SIGHUP else asked).append(sign)

    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, ask)
    crew = _Crew(settings, empty=[(0.0, post) for post in posts])
    failed = False
    while not asked and not failed:
        crew.fill(time.monotonic())
        multiprocessing.connection.wait([process.sentinel for process in crew.begun], timeout=0.5)
        if hung_up:
            hung_up.clear()
            crew.pass_on(signal.SIGHUP)
        dead = [process for process in crew.begun if not asked and not process.is_alive()]
        for process in dead:
            failed |= not crew.replace(process, time.monotonic())
    _end(list(crew.begun), PATIENCE + settings.drain)
    return 1 if failed else 0


def _start(settings: "Settings", work: Work) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=work, args=(settings,))
    process.start()
    return process


def _end(processes: list[SpawnProcess], patience: float) -> None:
    for process in processes:
        process.terminate()
    until = time.monotonic() + patience
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
