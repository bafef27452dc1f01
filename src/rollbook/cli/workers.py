"""Several serving processes on one port: the system spreads connections over them, the database keeps them in step."""

import multiprocessing
import multiprocessing.connection
import signal
import sys
import time
from collections.abc import Callable
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


def run(settings: "Settings", number: int, work: Work) -> int:
    """Keep so many processes at work until asked to end; one that dies is replaced. The exit code.

    They end by themselves when this process is gone, however it ended.
    """
    asked: list[int] = []

    def ask(sign: int, _: FrameType | None) -> None:
        asked.append(sign)

    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, ask)
    begun = {_start(settings, work): time.monotonic() for _ in range(number)}
    failed = False
    while not asked and not failed:
        multiprocessing.connection.wait([process.sentinel for process in begun], timeout=0.5)
        for process in [process for process in begun if not asked and not process.is_alive()]:
            failed = time.monotonic() - begun.pop(process) < SOON
            next_step = " soon after its start; stopping" if failed else "; another one takes its place"
            print(f"a serving process ended ({process.exitcode}){next_step}", file=sys.stderr, flush=True)
            if failed:
                break
            begun[_start(settings, work)] = time.monotonic()
    _end(list(begun))
    return 1 if failed else 0


def _start(settings: "Settings", work: Work) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=work, args=(settings,))
    process.start()
    return process


def _end(processes: list[SpawnProcess]) -> None:
    for process in processes:
        process.terminate()
    until = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
