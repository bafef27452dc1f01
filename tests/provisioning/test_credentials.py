"""The end of a target's credentials: where it is known from, and that people are told in time, once each."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.provisioning.test_config import TARGET, load, mistakes
from tests.provisioning.test_keeper import kept, until
from tests.provisioning.world import World, target, world

from rollbook.provisioning import keeper
from rollbook.provisioning.alerts import Alert, Kind
from rollbook.provisioning.credentials import DAY, days_told, end_of_token, warning_of, warnings_of

MARCH = int(datetime(2027, 3, 1, tzinfo=UTC).timestamp() * 1000)


def jwt(claims: object) -> str:
    """A token with these claims; nobody looks at its signature here."""
    head, body = (
        base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=")
        for one in ({"alg": "none"}, claims)
    )
    return f"{head}.{body}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("token", "ends"),
    [
        (jwt({"exp": MARCH // 1000}), MARCH),
        (jwt({"exp": MARCH / 1000 + 0.5}), MARCH + 500),
        (jwt({"sub": "x"}), None),
        (jwt({"exp": "soon"}), None),
        (jwt({"exp": True}), None),
        (jwt({"exp": -1}), None),
        (jwt({"exp": 1e300}), None),
        (jwt([]), None),
        ("xoxb-1234", None),
        ("a.b.c", None),
        ("a.ü.c", None),
        ("..", None),
        ("", None),
    ],
)
def test_a_token_may_say_when_it_ends(token: str, ends: int | None) -> None:
    """RFC 7519 §4.1.4; whatever is no JWT says nothing, and is no mistake."""
    assert end_of_token(token) == ends


@pytest.mark.parametrize(
    ("written", "token", "ends"),
    [
        ("2027-03-01", "opaque", MARCH),
        ("2027-03-01T00:00:00Z", "opaque", MARCH),
        ("'2027-03-01T01:00:00+01:00'", "opaque", MARCH),
        ("2027-04-01", jwt({"exp": MARCH // 1000}), MARCH),
        ("2027-03-01", jwt({"exp": MARCH // 1000 + 99}), MARCH),
        (None, jwt({"exp": MARCH // 1000}), MARCH),
        (None, "opaque", None),
    ],
)
def test_the_earlier_end_counts(tmp_path: Path, written: str | None, token: str, ends: int | None) -> None:
    """What is written beside the token, and what the token says itself; what is sent is the same with both."""
    line = f"    expires: {written}\n" if written else ""
    found = load(tmp_path, TARGET.replace("    users:\n", f"{line}    users:\n"), TOKEN=token).targets["t"]
    assert found.ends == ends
    assert found.digest == load(tmp_path, TARGET).targets["t"].digest


def test_an_end_that_is_no_date(tmp_path: Path) -> None:
    """Is a mistake where it stands."""
    (problem,) = mistakes(tmp_path, TARGET.replace("    users:\n", "    expires: next year\n    users:\n"))
    assert (problem.code, problem.mark.line) == ("RB105", 7)
    assert problem.title == "'next year' is no date; write 2027-03-01, or 2027-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("before", "days", "text"),
    [
        (30 * DAY + 1, None, None),
        (30 * DAY, 30, "its token ends on 2027-03-01 00:00 UTC, in 30 days"),
        (7 * DAY + 1, 30, "its token ends on 2027-03-01 00:00 UTC, in 7 days"),
        (7 * DAY, 7, "its token ends on 2027-03-01 00:00 UTC, in 7 days"),
        (DAY, 1, "its token ends on 2027-03-01 00:00 UTC, in 1 day"),
        (DAY - 1, 1, "its token ends on 2027-03-01 00:00 UTC, in less than a day"),
        (0, 0, "its token ended on 2027-03-01 00:00 UTC"),
        (-DAY, 0, "its token ended on 2027-03-01 00:00 UTC"),
    ],
)
def test_when_it_is_told(before: int, days: int | None, text: str | None) -> None:
    """Thirty days, seven, one, and when it is over."""
    now = MARCH - before
    assert (days_told(MARCH, now), warning_of(replace(target(), ends=MARCH), now)) == (days, text)


def test_credentials_that_are_no_token() -> None:
    """Are called so."""
    told = warning_of(replace(target(), token="", ends=MARCH), MARCH - DAY)
    assert told == "its credentials end on 2027-03-01 00:00 UTC, in 1 day"


def test_a_profile_whose_tokens_end(tmp_path: Path) -> None:
    """AWS: nobody can know when, so it is asked for; once it is written nothing is said until the time comes."""
    rules = "".join(
        f"      {name}: {{from: {name}}}\n"
        for name in ("displayName", "name.givenName", "name.familyName", "emails")
    )
    text = TARGET.replace("    users:\n", "    profile: aws-identity-center\n    users:\n") + rules
    (told,) = warnings_of(load(tmp_path, text).targets.values(), MARCH)
    assert told.startswith("t: tokens of AWS IAM Identity Center end after 365 days; write expires:")
    dated = text.replace("    users:\n", "    expires: 2028-03-01\n    users:\n")
    assert list(warnings_of(load(tmp_path, dated).targets.values(), MARCH)) == []


@pytest.fixture
async def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A new world, whose keepers look often."""
    monkeypatch.setattr(keeper, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(keeper, "WARN_SECONDS", 0.01)
    async with world(tmp_path) as made:
        yield made


@pytest.mark.anyio
async def test_people_are_told_once_each(hub: World) -> None:
    """By one of several workers, however often these start; a new token begins anew."""
    ends = hub.clock.now() + 40 * DAY
    app, told = replace(target(), ends=ends), []
    for days_before in (31, 30, 29, 7, 6, 1, 0, -5):
        hub.clock.milliseconds = ends - days_before * DAY
        async with kept(hub, app) as one, kept(hub, app) as other:
            await asyncio.sleep(0.1)
        told += [(days_before, alert) for alert in (*one, *other) if alert.kind is Kind.EXPIRES]
    assert [days for days, _ in told] == [30, 7, 1, 0]
    assert {alert.subject for _, alert in told} == {"app"}
    assert "SIGHUP" in str(told[0][1].hint)
    fresh = replace(app, ends=hub.clock.now() + 3 * DAY)
    async with kept(hub, fresh) as later:
        await until(lambda: bool(later))
    assert [alert.text.rpartition(", ")[2] for alert in later] == ["in 3 days"]


@pytest.mark.anyio
async def test_a_warning_that_could_not_be_sent_is_sent_later(hub: World) -> None:
    """By whichever worker comes first then; once it was sent it never is again, and one way of several is enough."""
    is_down, tried, told = True, 0, list[Alert]()

    async def fails_while_down(_: Alert) -> None:
        nonlocal tried
        tried += 1
        if is_down:
            raise OSError("nobody listens")

    async def works(alert: Alert) -> None:
        told.append(alert)

    app = replace(target(), ends=hub.clock.now() + 3 * DAY)
    async with kept(hub, app, ways=[fails_while_down]), kept(hub, app, ways=[fails_while_down]):
        await until(lambda: tried > 0)
        await asyncio.sleep(0.1)
        assert tried == 1
        is_down = False
        hub.clock.milliseconds += keeper.WARN_AGAIN
        await until(lambda: tried > 1)
        hub.clock.milliseconds += keeper.WARN_AGAIN
        await asyncio.sleep(0.1)
        assert tried == 2
    is_down, fresh = True, replace(app, ends=hub.clock.now() + 2 * DAY)
    async with kept(hub, fresh, ways=[fails_while_down, works]):
        await until(lambda: bool(told))
        hub.clock.milliseconds += keeper.WARN_AGAIN
        await asyncio.sleep(0.1)
    assert (tried, len(told)) == (3, 1)
