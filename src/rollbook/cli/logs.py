"""How a running server logs: one JSON object a line, or columns where a person watches; never local values."""

import re
import sys
from collections.abc import MutableMapping
from typing import Any

_MASKED = (
    (re.compile(r"\brb_[a-z]+_[A-Za-z0-9_-]+"), "(token)"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+"), r"\1 (credential)"),
    (re.compile(r"(?<=://)[^/\s@:]*:[^/\s@]*(?=@)"), "(credential)"),
    (re.compile(r"[^\s@<>\"'(),;:/=]{1,256}@[^\s@<>\"'(),;:/=]+\.[^\s@<>\"'(),;:/=]+"), "(mail)"),
)
"""What has the look of a secret or of somebody's address, wherever it stands, and what stands there instead. Bounded: a long text costs no more than its length."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LINES = frozenset({"traceback", "exception", "mistakes"})
"""Fields with lines of ours, where ends of lines stay."""


def masked(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put words in the place of tokens, credentials and mail addresses (T-32, T-94)."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = mask(value)
    return event


def mask(text: str) -> str:
    """The text without what has the look of a secret or of a mail address."""
    for pattern, instead in _MASKED:
        text = pattern.sub(instead, text)
    return text


def escaped(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Show control characters instead of sending them to a terminal or beginning a line by them (T-89)."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _CONTROL.sub(_kept_lines if key in _LINES else _shown, value)
    return event


def visible(text: str) -> str:
    """The text with control characters shown (T-89)."""
    return _CONTROL.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _kept_lines(found: re.Match[str]) -> str:
    return found[0] if found[0] == "\n" else _shown(found)


def configure_logs() -> None:
    """Send structured logs to standard error."""
    import structlog

    watched = sys.stderr.isatty()
    render: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if watched
        else [structlog.processors.JSONRenderer()]
    )
    first: list[Any] = [] if watched else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *first,
            masked,
            escaped,
            *render,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
