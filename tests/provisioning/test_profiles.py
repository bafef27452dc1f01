"""Profiles of targets and their rates: every file is read and marked, and changes what is sent."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
from tests.provisioning.test_config import TARGET, load, mistakes
from tests.provisioning.world import CATALOG, World, target, world

from rollbook.client import ScimClient
from rollbook.provisioning.items import ADOPTED, Action
from rollbook.provisioning.profile import Profile, Rate, names, profile_named
from rollbook.provisioning.targets.rates import Rates, seconds_for
from rollbook.provisioning.targets.scim import ScimTarget
from rollbook.testing import scripted_target as far
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.clock import Clock


@pytest.mark.parametrize("name", names())
def test_every_file_is_whole(name: str) -> None:
    """It names itself and where it is from; what it calls unverified are cells; its attributes are ones; rates are limits."""
    found = profile_named(name)
    user = CATALOG.resource_type("User")
    assert user is not None
    assert found.title
    assert found.source
    cells = {field.name for field in fields(Profile)}
    assert set(found.unverified) <= cells
    for attribute in (*found.required, *found.forbidden, *found.updatable):
        assert user.find(attribute) is not None, attribute
    for kind, listed in (*found.lookup.items(), *found.fixed.items()):
        named = CATALOG.resource_type(kind)
        assert named is not None, kind
        assert all(named.find(attribute) is not None for attribute in listed), listed
    for rate in found.rate:
        assert rate.per > 0
        assert rate.requests > 0


def test_there_are_those_of_the_issue() -> None:
    """Twelve by name, and the others of the table of targets."""
    assert {
        "aws-identity-center", "slack", "github-emu", "atlassian", "salesforce", "google-cloud-identity", "gitlab",
        "zoom", "databricks", "snowflake", "miro", "hcp-terraform", "jfrog", "sentry", "pingone", "teleport", "fusionauth",
        "wso2-identity-server", "webex", "deel", "zscaler", "configcat", "launchdarkly", "mirantis-mke",
        "posit-connect", "grafana", "keycloak",
    } < set(names())  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "code", "title"),
    [
        ("    profile: slak\n", "RB116", "there is no profile slak"),
        ("    profile: slack\n", "RB117", "Slack demands emails, which has no rule"),
        (
            "    rate: [{requests: 5, per: soon}]\n",
            "RB105",
            "'soon' is no length of time; write 30s, 15m, 6h or 1d",
        ),
        ("    profile: gitlab\n    groups: {}\n", "RB117", "GitLab.com groups has no groups"),
    ],
)
def test_mistakes(tmp_path: Path, rules: str, code: str, title: str) -> None:
    """A profile that is not known, a mapping it would refuse, a rate that is none."""
    text = TARGET.replace("    users:\n", f"{rules}    users:\n")
    found = {(problem.code, problem.title) for problem in mistakes(tmp_path, text)}
    assert (code, title) in found


def test_what_the_configuration_says_comes_first(tmp_path: Path) -> None:
    """Its own rate instead of the profile's; the lower of both numbers of calls at once."""
    text = TARGET.replace(
        "    users:\n", "    profile: databricks\n    rate: [{requests: 9, per: 1m}]\n    users:\n"
    )
    found = load(tmp_path, text).targets["t"]
    assert found.rate == (Rate(9, 60_000),)
    assert found.profile.name == "databricks"
    assert (
        load(tmp_path, text.replace("    rate: [{requests: 9, per: 1m}]\n", "")).targets["t"].rate[1].requests
        == 2
    )


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


def _connect(hub: World, profile: Profile) -> object:
    def connect(configured: object) -> ScimTarget:
        client = ScimClient("http://127.0.0.1:1/v2", "secret", transport=AsgiTransport(hub.service()))
        return ScimTarget(client, profile)

    return connect


@pytest.mark.anyio
async def test_members_in_chunks_and_never_read(hub: World) -> None:
    """AWS: a hundred in a call, and a list of members that is never asked for."""
    aws = replace(profile_named("aws-identity-center"), max_members=2)
    people = [await hub.hire(f"p{number}") for number in range(5)]
    await hub.group("all", *people)
    hub.connect = _connect(hub, aws)  # type: ignore[method-assign, assignment]
    await hub.apply(replace(target(), profile=aws))
    patches = [request for request in hub.service().writes if request.method == "PATCH"]
    assert [len(request.body["Operations"][0]["value"]) for request in patches] == [2, 2, 1]
    reads = [one for one in hub.service().requests if one.method == "GET" and one.path.startswith("/Groups/")]
    assert reads == []


@pytest.mark.anyio
async def test_only_what_can_be_changed_is(hub: World) -> None:
    """GitLab, Sentry: a new title is no change, a leaver is."""
    sentry = profile_named("sentry")
    ada = await hub.hire("ada", title="Analyst")
    hub.connect = _connect(hub, sentry)  # type: ignore[method-assign, assignment]
    app = replace(target(groups=None), profile=sentry)
    await hub.apply(app)
    await hub.change(ada, title="Lead")
    (report,) = await hub.apply(app)
    assert report.writes == 0
    await hub.change(ada, active=False)
    (report,) = await hub.apply(app)
    assert report.counts[Action.DISABLE] == 1
    assert hub.service().requests[-1].body["Operations"] == [
        {"op": "replace", "path": "active", "value": False}
    ]


@pytest.mark.anyio
async def test_pain_point_23_what_cannot_be_renamed_is_told_and_not_sent(hub: World) -> None:
    """JFrog, Miro: a new name is told before and after, never sent, and stops nothing else of the account."""
    jfrog = profile_named("jfrog")
    ada = await hub.hire("ada", title="Analyst")
    team = await hub.group("team", ada)
    hub.connect = _connect(hub, jfrog)  # type: ignore[method-assign, assignment]
    app = replace(target(), profile=jfrog)
    await hub.apply(app)
    await hub.change(ada, userName="countess", title="Lead")
    await hub.rename(team, "all of us")
    planned = {item.resource_type: item for item in (await hub.preview(app))[0]}
    await hub.apply(app)
    done = {item.resource_type: item for item in hub.items}
    for items in (planned, done):
        assert (items["User"].action, [one.attribute for one in items["User"].differences]) == (
            Action.CHANGE,
            ["title"],
        )
        assert items["User"].reason == "userName cannot be changed there, and stays as it is"
        assert items["Group"].action is Action.NOTHING
        assert items["Group"].reason == "displayName cannot be changed there, and stays as it is"
        assert items["Group"].changes  # so that people see it
    account = hub.service().named("Users", "ada")
    assert account["title"] == "Lead"
    assert hub.service().named("Groups", "team")
    assert [one.method for one in hub.service().writes].count(
        "PATCH"
    ) == 2  # the member at first, then the title
    assert not [item for item in (await hub.preview(app))[0] if item.changes]


@pytest.mark.anyio
async def test_taking_over_is_told_beside_what_stays(hub: World) -> None:
    """An account of another name that is found by its externalId."""
    jfrog = profile_named("jfrog")
    hub.service().add("Users", {"userName": "countess", "externalId": "e-ada", "active": True})
    await hub.hire("ada")
    hub.connect = _connect(hub, jfrog)  # type: ignore[method-assign, assignment]
    await hub.apply(replace(target(groups=None), profile=jfrog))
    (item,) = hub.items
    assert item.adopts
    assert item.reason == f"{ADOPTED}; userName cannot be changed there, and stays as it is"
    assert hub.service().named("Users", "countess")


@pytest.mark.anyio
async def test_a_target_that_says_it_has_patch_and_has_not(hub: World) -> None:
    """The profile comes before the announcement; PUT that does not exist is never tried."""
    put_only = Profile(patch=False)
    hub.service(profile=far.Profile(patch=False, tells_patch=False))
    ada = await hub.hire("ada")
    hub.connect = _connect(hub, put_only)  # type: ignore[method-assign, assignment]
    app = replace(target(groups=None), profile=put_only)
    await hub.apply(app)
    await hub.change(ada, title="Lead")
    await hub.apply(app)
    assert [request.method for request in hub.service().writes] == ["POST", "PUT"]


@pytest.mark.anyio
async def test_calls_are_spread_over_time(hub: World) -> None:
    """Ten creates at two a second take four seconds after the first two, and reads of groups count for nothing."""
    for number in range(10):
        await hub.hire(f"p{number}")
    begun = hub.clock.now()
    slow = replace(target(groups=None), rate=(Rate(2, 1000, frozenset({"POST"}), "User", 2),))
    await hub.apply(slow)
    assert 4_000 <= hub.clock.now() - begun <= 4_600


class Turns:
    """Gives turns away as the database does."""

    def __init__(self) -> None:
        self.until: dict[str, int] = {}
        self.asked = 0

    async def reserve(self, limit: str, start: int, length: int) -> int:
        """The beginning of a stretch."""
        self.asked += 1
        begin = max(self.until.get(limit, start), start)
        self.until[limit] = begin + length
        return begin


def test_workers_share_a_limit() -> None:
    """Two that take turns from one place send together what one may, and ask there far less often than they send."""
    clock, turns = Clock(1_000_000), Turns()
    begun = clock.now()
    sent: list[float] = []

    async def one() -> None:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        rates = Rates([Rate(50, 1000)], clock.now, sleep, turns.reserve)
        for _ in range(200):
            await rates.wait("POST", "User")
            sent.append(waits.pop() if waits else 0.0)
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(one(), one())

    asyncio.run(both())
    assert clock.now() == begun
    for second in range(8):
        assert sum(second <= at < second + 1 for at in sent) <= 50 + 5
    assert max(sent) >= 7.8
    assert turns.asked <= len(sent) / 10


def test_turns_that_nobody_used_in_time_are_gone() -> None:
    """After a rest no more calls go out together than the limit says, whatever was taken before."""
    clock, turns = Clock(1_000_000), Turns()

    async def go() -> int:
        rates = Rates([Rate(50, 1000)], clock.now, clock.sleep, turns.reserve)
        await rates.wait("POST", "User")
        clock.milliseconds += 60_000
        rested = clock.now()
        for _ in range(20):
            await rates.wait("POST", "User")
        return clock.now() - rested

    assert asyncio.run(go()) >= (20 - 5) * 20


def test_rates_hold_over_any_stretch() -> None:
    """In no stretch of the length of a limit are there more requests than it and its burst allow."""

    async def go() -> list[int]:
        clock = Clock(0)
        rates = Rates(
            [Rate(10, 1000, burst=3), Rate(30, 10_000, frozenset({"POST"}))],
            clock.now,
            clock.sleep,
            Turns().reserve,
        )
        sent = []
        for _ in range(60):
            await rates.wait("POST", "User")
            sent.append(clock.now())
        return sent

    sent = asyncio.run(go())
    for begin in sent:
        assert sum(begin <= one < begin + 1000 for one in sent) <= 10 + 3
        assert sum(begin <= one < begin + 10_000 for one in sent) <= 30 + 3
    assert sent[-1] >= 18_000


@pytest.mark.parametrize(
    ("rates", "writes", "seconds"),
    [
        ((), 100, None),
        ((Rate(180, 60_000, frozenset({"POST"}), "User"),), 10_000, 3_333),
        ((Rate(5, 1000), Rate(1000, 3_600_000)), 2_000, 7_200),
        ((Rate(5, 1000, frozenset({"GET"})),), 100, None),
    ],
)
def test_how_long_it_will_take(rates: tuple[Rate, ...], writes: int, seconds: float | None) -> None:
    """By the slowest limit that counts."""
    found = seconds_for(rates, writes)
    assert found == seconds if seconds is None else found is not None and abs(found - seconds) < 1
