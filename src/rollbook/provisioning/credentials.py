"""When what a target takes us by comes to its end, and when people are told of it beforehand. Pure."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import orjson

from rollbook.provisioning import model

DAY = 86_400_000
"""Milliseconds."""

WARN_DAYS = (0, 1, 7, 30)
"""How many days before the end people are told, once each; and once when it has come."""

_JWT_PARTS = 3


def end_of_token(token: str) -> int | None:
    """When a bearer token ends that is a JWT and says it (RFC 7519 §4.1.4), in milliseconds; None otherwise.

    It is not verified: whoever gave it to us decides, and all we do is warn.
    """
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    said = claims.get("exp") if isinstance(claims, dict) else None
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 < said < _LATEST:
        return None
    return int(said * 1000)


_LATEST = 253_402_300_800
"""Seconds: the year 10000, which no clock shows."""


def earliest(ends: Iterable[int | None]) -> int | None:
    """The first of several ends, None if none is known."""
    return min((one for one in ends if one is not None), default=None)


def days_told(ends: int | None, now: int) -> int | None:
    """Which of the warnings is due by now, by its days; None for none yet."""
    if ends is None:
        return None
    return next((days for days in WARN_DAYS if ends - now <= days * DAY), None)


def warning_of(target: model.Target, now: int) -> str | None:
    """What people are told of a target's credentials now, None if nothing."""
    ends, due = target.ends, days_told(target.ends, now)
    if ends is None or due is None:
        return None
    what, verb = ("token", "ends") if target.token else ("credentials", "end")
    at = f"{datetime.fromtimestamp(ends / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    if ends <= now:
        return f"its {what} ended on {at}"
    days = (ends - now) // DAY
    left = {0: "less than a day", 1: "1 day"}.get(days, f"{days} days")
    return f"its {what} {verb} on {at}, in {left}"


ADVICE = "get a new one, put it in place of the old one, and send SIGHUP to rollbook"
"""What to do about it."""


def warnings_of(targets: Iterable[model.Target], now: int) -> Iterator[str]:
    """What is worth saying of all targets' credentials; also that an end is not known which there must be."""
    for target in targets:
        told = warning_of(target, now)
        if told is not None:
            yield f"{target.name}: {told}; {ADVICE}"
        elif target.ends is None and target.profile.token_lifetime:
            life = target.profile.token_lifetime
            yield f"{target.name}: tokens of {target.profile.title} end after {life}; write expires: beside it to be told in time"
