"""`sensitive:` holds also for the words of targets, which may repeat what they were sent."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.provisioning.world import World, target, world

from rollbook.client import ScimClient
from rollbook.provisioning import model
from rollbook.provisioning.masking import without_texts
from rollbook.provisioning.targets.scim import ScimTarget
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.scripted_target import Fault, error

pytestmark = pytest.mark.anyio

SENSITIVE = frozenset({"title", "emails.value", "externalid"})


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world whose target keeps things to itself."""
    async with world(tmp_path) as made:

        def connect(configured: model.Target) -> ScimTarget:
            transport = AsgiTransport(made.service(configured.name))
            client = ScimClient(configured.url, configured.token, transport=transport)
            return ScimTarget(client, sensitive=configured.sensitive)

        made.connect = connect  # type: ignore[method-assign]
        yield made


@pytest.mark.parametrize("status", [400, 401, 500])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
async def test_t_68_a_target_that_repeats_what_it_was_sent(hub: World, method: str, status: int) -> None:
    """Neither the failure of a person nor the reason of a stop says it."""
    service, configured = hub.service(), replace(target(), sensitive=SENSITIVE)
    if method == "PATCH":
        service.add("Users", {"userName": "ada", "externalId": "e-ada", "title": "MARK-0"})
    await hub.hire("ada", title="MARK-1", emails=[{"value": "MARK-2@example.com"}])
    words = "e-ada, MARK-0, MARK-1 or MARK-2@example.com"
    service.faults.append(Fault(method, "/Users", error(status, words), times=9))
    (report,) = await hub.apply(configured, patience=0)
    said = f"{report.stopped} {report.failures} {(await hub.progress()).error}"
    hidden = {
        "GET": ["e-ada"],
        "POST": ["e-ada", "MARK-1", "MARK-2"],
        "PATCH": ["MARK-0", "MARK-1", "MARK-2"],
    }
    assert "•••" in said
    assert not [value for value in hidden[method] if value in said]


async def test_t_68_several_accounts_of_one_sensitive_value(hub: World) -> None:
    """Nor does what we say ourselves."""
    for name in ("ada", "eve"):
        hub.service().add("Users", {"userName": name, "externalId": "e-ada"})
    await hub.hire("ada")
    (report,) = await hub.apply(replace(target(), sensitive=SENSITIVE), patience=0)
    assert report.failures[0].failure == "2 accounts have externalId •••: remove all but one there"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("no secret-value here", "no ••• here"),
        ("cut off in secret-va", "cut off in •••"),
        ("sec is a word", "sec is a word"),
        ("secret-values", "•••"),
    ],
)
def test_texts_are_taken_out_whole_and_cut(words: str, told: str) -> None:
    """The longest first, and also where the words end in the middle of one."""
    assert without_texts(words, ["secret-value", "secret-values", "is"]) == told
