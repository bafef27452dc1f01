"""Which failures are tried again, when, and which are given up: the table of client.md 8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.protocol import errors
from rollbook.provisioning.items import NeedsPerson
from rollbook.provisioning.model import MappingError
from rollbook.provisioning.outgoing import Withheld
from rollbook.provisioning.retry import BACKOFF_SECONDS, CONFLICT_ATTEMPTS, Verdict, explain, hint, judge

NOW = 1_000_000


def unavailable(status: int | None = None, wait: float | None = None) -> errors.TargetUnavailable:
    """A failure of the far side."""
    return errors.TargetUnavailable("down", http_status=status, retry_after=wait)


VERDICTS: dict[str, tuple[Exception, Verdict]] = {
    "no-answer": (unavailable(), Verdict("down", NOW + 1000, 1, far_side=True)),
    "500": (unavailable(500), Verdict("down", NOW + 1000, 1, far_side=True)),
    "html": (errors.TargetRefused("HTML"), Verdict("HTML", NOW + 1000, 1, far_side=True)),
    "429-with-time": (
        unavailable(429, 30.0),
        Verdict("down", NOW + 30_000, 0, pause=NOW + 30_000, far_side=True),
    ),
    "429-without": (unavailable(429), Verdict("down", NOW + 15_000, 0, pause=NOW + 15_000, far_side=True)),
    "503": (unavailable(503), Verdict("down", NOW + 15_000, 0, pause=NOW + 15_000, far_side=True)),
    "500-with-time": (unavailable(500, 5.0), Verdict("down", NOW + 5000, 0, pause=NOW + 5000, far_side=True)),
    "401": (errors.Unauthorized("no"), Verdict("401: no", NOW, 0, stop=True, far_side=True)),
    "403": (errors.Forbidden("no"), Verdict("403: no", NOW + 300_000, 5, far_side=True)),
    "400-value": (errors.InvalidValue("long"), Verdict("400 invalidValue: long")),
    "400-mutability": (errors.Mutability("no"), Verdict("400 mutability: no")),
    "404": (errors.NotFound("no"), Verdict("404: no", NOW + 300_000, 5, far_side=True)),
    "409-uniqueness": (errors.Uniqueness("taken"), Verdict("409 uniqueness: taken")),
    "409": (errors.Conflict("race"), Verdict("409: race", NOW + 1000, 1)),
    "412": (errors.PreconditionFailed("race"), Verdict("412: race", NOW + 1000, 1)),
    "mapping": (MappingError("title", "no"), Verdict("title: no")),
    "withheld": (Withheld("title"), Verdict("title is not in the target's mapping and was not sent")),
    "ambiguous": (NeedsPerson("two"), Verdict("two")),
    "ours": (RecursionError("deep"), Verdict("RecursionError in Rollbook itself")),
}


@pytest.mark.parametrize(("error", "verdict"), VERDICTS.values(), ids=VERDICTS.keys())
def test_c_8_first_failure(error: Exception, verdict: Verdict) -> None:
    """Each class of failure has its own treatment at the first time."""
    assert judge(error, 0, NOW, 0.0) == verdict


def test_backoff_grows_and_ends() -> None:
    """Waits grow from a second to hours, then the link is parked with how often it was tried."""
    waits = []
    for attempts in range(len(BACKOFF_SECONDS)):
        again = judge(unavailable(500), attempts, NOW, 0.0).again
        assert again is not None
        waits.append((again - NOW) / 1000)
    assert waits == list(BACKOFF_SECONDS)
    assert waits == sorted(waits)
    last = judge(unavailable(500), len(BACKOFF_SECONDS), NOW, 0.0)
    assert (last.again, last.reason) == (None, f"down (tried {len(BACKOFF_SECONDS) + 1} times)")


def test_lost_races_end_sooner() -> None:
    """Somebody who writes the same account all the time is not fought (C-6-11)."""
    assert judge(errors.PreconditionFailed("x"), CONFLICT_ATTEMPTS - 1, NOW, 0.0).again is not None
    assert judge(errors.PreconditionFailed("x"), CONFLICT_ATTEMPTS, NOW, 0.0).again is None


@pytest.mark.parametrize(
    "error", [unavailable(500), errors.InvalidValue("x"), errors.PreconditionFailed("x")]
)
def test_fe_34_a_leaver_is_never_given_up(error: Exception) -> None:
    """Taking access away is tried again for ever, at the longest wait in the end."""
    verdict = judge(error, 1000, NOW, 0.0, leaving=True)
    assert verdict.again == NOW + BACKOFF_SECONDS[-1] * 1000


@given(st.integers(0, 7), st.floats(0, 1, exclude_max=True))
def test_spread_only_lengthens(attempts: int, spread: float) -> None:
    """Retries are pulled apart by at most a quarter, and never come early."""
    again = judge(unavailable(500), attempts, NOW, spread).again
    assert again is not None
    assert BACKOFF_SECONDS[attempts] * 1000 <= again - NOW <= BACKOFF_SECONDS[attempts] * 1250


@pytest.mark.parametrize("error", [row[0] for row in VERDICTS.values()], ids=VERDICTS.keys())
def test_every_failure_says_why_and_what_to_try(error: Exception) -> None:
    """Each failure has one line of reason without a traceback, and something to try."""
    assert "\n" not in explain(error)
    assert hint(error)
