"""Loggers for modules that commands load, too: the library behind them comes with the first line, not with the import."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Log:
    """The logger of that name; structlog brings rich with it, a fifth of a second of every start."""

    name: str

    def info(self, event: str, **values: Any) -> None:
        """Tell what happened."""
        self._logger().info(event, **values)

    def warning(self, event: str, **values: Any) -> None:
        """Tell what somebody should look at."""
        self._logger().warning(event, **values)

    def error(self, event: str, **values: Any) -> None:
        """Tell what does not work."""
        self._logger().error(event, **values)

    def _logger(self) -> Any:
        import structlog

        return structlog.get_logger(self.name)
