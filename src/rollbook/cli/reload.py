"""SIGHUP: what is read again while everything goes on. The one place that listens for it."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress


class Reload:
    """What to do at SIGHUP, in the order in which it was asked for. Nothing asked for, nothing happens."""

    def __init__(self) -> None:
        self._acts: list[Callable[[], None]] = []

    def listen(self) -> None:
        """Hear SIGHUP from now on, where there is such a signal."""
        with suppress(NotImplementedError, ValueError, AttributeError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.now)

    def add(self, act: Callable[[], None]) -> None:
        """Do this, too; it must neither take long nor raise: begin a task, or set an event."""
        self._acts.append(act)

    def now(self) -> None:
        """Do everything."""
        for act in self._acts:
            act()
