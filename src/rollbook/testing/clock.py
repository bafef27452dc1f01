"""A clock that tests move."""


class Clock:
    """Milliseconds since 1970; waiting moves it and takes no time."""

    def __init__(self, start: int = 1_795_424_000_000) -> None:
        self.milliseconds = start
        self.waits: list[float] = []

    def now(self) -> int:
        """The time."""
        return self.milliseconds

    async def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.waits.append(seconds)
        self.milliseconds += max(int(seconds * 1000), 1)
