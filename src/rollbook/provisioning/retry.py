"""Failure × attempts × now → again when, or give up: one table (client.md 8). Pure.

The only place in the engine that judges errors. Times are milliseconds since 1970.
"""

from dataclasses import dataclass

from rollbook.protocol import errors
from rollbook.provisioning.items import NeedsPerson, Protected
from rollbook.provisioning.model import MappingError
from rollbook.provisioning.outgoing import Withheld

BACKOFF_SECONDS = (1, 4, 15, 60, 300, 1200, 3600, 10_800)
"""The wait after each failed attempt: a hiccup costs a second, an outage few calls."""

CONFLICT_ATTEMPTS = 3
"""How often a lost race for one version is run again (C-6-11)."""

_LATER = 4
"""Where waits begin for what only a person at the target can change: minutes, not seconds."""

_OVERLOADED = frozenset({429, 503})


@dataclass(frozen=True)
class Verdict:
    """What becomes of a link that failed.

    `again` is when to try again, None to park it. `pause` says how long the whole target wants to be left
    alone. `stop` ends work on the target: every other link would fail alike. `far_side` counts against the
    target: several in a row mean that it is out of order (C-8-01).
    """

    reason: str
    again: int | None = None
    attempts: int = 0
    pause: int | None = None
    stop: bool = False
    far_side: bool = False


def judge(error: Exception, attempts: int, now: int, spread: float, *, leaving: bool = False) -> Verdict:
    """What becomes of a link whose work raised `error` after so many failed attempts before.

    `spread` between 0 and 1 pulls retries apart. Somebody who is `leaving` is never given up (FE-34). Cases:
    1. no credentials; 2. load; 3. no answer or no sense; 4. a lost race; 5. no right, or no such endpoint;
    6. everything else is for people.
    """
    reason = explain(error)
    match error:
        case errors.Unauthorized():
            return Verdict(reason, now, attempts, stop=True, far_side=True)
        case errors.TargetUnavailable(http_status=status, retry_after=wait) if (
            status in _OVERLOADED or wait is not None
        ):
            until = now + _milliseconds(wait if wait is not None else BACKOFF_SECONDS[2], spread)
            return Verdict(reason, until, attempts, pause=until, far_side=True)
        case errors.TargetError():
            return _again(reason, attempts, now, spread, leaving=leaving, far_side=True)
        case errors.PreconditionFailed():
            return _again(reason, attempts, now, spread, leaving=leaving, most=CONFLICT_ATTEMPTS)
        case errors.Conflict() if not isinstance(error, errors.Uniqueness):
            return _again(reason, attempts, now, spread, leaving=leaving, most=CONFLICT_ATTEMPTS)
        case errors.Forbidden() | errors.NotFound():
            return _again(reason, max(attempts, _LATER), now, spread, leaving=leaving, far_side=True)
        case _ if leaving and not isinstance(error, MappingError | Withheld):
            return _again(reason, attempts, now, spread, leaving=True)
        case _:
            return Verdict(reason)


def _again(
    reason: str,
    attempts: int,
    now: int,
    spread: float,
    *,
    leaving: bool,
    most: int = len(BACKOFF_SECONDS),
    far_side: bool = False,
) -> Verdict:
    if attempts >= most and not leaving:
        return Verdict(f"{reason} (tried {attempts + 1} times)", far_side=far_side)
    wait = BACKOFF_SECONDS[min(attempts, len(BACKOFF_SECONDS) - 1)]
    return Verdict(reason, now + _milliseconds(wait, spread), attempts + 1, far_side=far_side)


def _milliseconds(seconds: float, spread: float) -> int:
    # Never earlier than asked for, up to a quarter later, so that a herd does not come back at once.
    return int(seconds * (1 + spread / 4) * 1000)


def explain(error: Exception) -> str:
    """One line for people: the far side's own words where there are some, never a traceback."""
    match error:
        case errors.TargetError(detail=detail):
            return detail
        case errors.ScimError(detail=detail):
            kind = f"{error.status} {error.scim_type}" if error.scim_type else str(error.status)
            return f"{kind}: {detail}"
        case MappingError() | NeedsPerson() | Withheld():
            return str(error)
        case _:
            return f"{type(error).__name__} in Rollbook itself"


HINTS: dict[type[Exception], str] = {
    errors.Uniqueness: "rename or remove the other account at the target, or map a value that is not in use",
    errors.Unauthorized: "check the target's token in rollbook.yaml and whether it has expired",
    errors.Forbidden: "give the token the right to do this at the target",
    errors.NotFound: "check the target's url in rollbook.yaml",
    errors.InvalidValue: "correct the value at its source, or its mapping in rollbook.yaml",
    errors.Mutability: "take the attribute out of the mapping: the target does not let it change",
    errors.TargetRefused: "check the target's url: what answers there does not speak SCIM",
    errors.TargetUnavailable: "nothing: it is tried again with the next apply",
    errors.RequestError: "correct the mapping of what the target complains about in rollbook.yaml",
    Protected: "nothing, if it is right so: leave the person out by scope; else correct protect in rollbook.yaml",
    NeedsPerson: "compare the two at the target, correct what is wrong, then: rollbook apply --retry",
    MappingError: "correct the mapping of this attribute in rollbook.yaml, or the person's data",
}
"""What to try, by class of error; the closest class counts."""


def hint(error: Exception) -> str:
    """What people can do about it."""
    for kind in type(error).__mro__:
        if kind in HINTS:
            return HINTS[kind]
    return "report this: it is a mistake in Rollbook"
