"""Uses of quirks are counted, written and joined; who sends them is told by their shape alone."""

import pytest
from structlog.testing import capture_logs

from rollbook.operations.context import Caller, Tenant
from rollbook.operations.quirk_uses import MOST_KEPT, QuirkUses, senders
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import StoreUnavailable
from rollbook.protocol.quirks import Quirk
from rollbook.storage.base import QuirkUse
from rollbook.storage.memory import MemoryStore

CALLER = Caller(Tenant(1, core_catalog()), "token hr", token_id="abc")
CASE, WORDS = Quirk.OPERATION_CASE, Quirk.STRING_BOOLEANS


@pytest.mark.parametrize(
    ("used", "who"),
    [
        ([], []),
        ([Quirk.MISSING_SCHEMAS, Quirk.KEEP_ACTIVE], []),
        ([Quirk.BARE_WORDS], ["authentik"]),
        ([Quirk.BARE_WORDS, Quirk.MISSING_SCHEMAS], ["authentik"]),
        ([Quirk.MANAGER_AS_STRING, Quirk.VALUE_LIST_REMOVAL], ["entra"]),
        ([Quirk.STRING_BOOLEANS], ["entra", "keycloak", "polis"]),
        ([Quirk.BARE_WORDS, Quirk.MANAGER_AS_STRING], []),
    ],
)
def test_senders(used: list[Quirk], who: list[str]) -> None:
    """Those that need all of it; what anybody may send tells nothing."""
    assert list(senders(used)) == who


@pytest.mark.anyio
async def test_counts_add_up() -> None:
    """What is flushed adds to what was there; nothing is written when nothing was counted."""
    store = MemoryStore(core_catalog())
    uses = QuirkUses(store)
    uses.note(CALLER, [CASE], 5)
    await uses.flush()
    await uses.flush()
    uses.note(CALLER, [CASE, WORDS], 9)
    await uses.close()
    assert await store.quirk_uses(1) == [
        QuirkUse(1, "abc", CASE, 2, 5, 9),
        QuirkUse(1, "abc", WORDS, 1, 9, 9),
    ]
    assert await store.quirk_uses(2) == []


@pytest.mark.anyio
async def test_a_store_that_is_away_loses_no_count() -> None:
    """What could not be written is kept, with what comes meanwhile."""

    class Away(MemoryStore):
        is_away = True

        async def add_quirk_uses(self, uses: object) -> None:
            if self.is_away:
                counting.note(CALLER, [CASE], 7)
                raise StoreUnavailable("away")
            await super().add_quirk_uses(uses)  # type: ignore[arg-type]

    store = Away(core_catalog())
    counting = QuirkUses(store)
    counting.note(CALLER, [CASE], 5)
    with pytest.raises(StoreUnavailable):
        await counting.flush()
    store.is_away = False
    await counting.flush()
    assert await store.quirk_uses(1) == [QuirkUse(1, "abc", CASE, 2, 5, 7)]


def test_the_log_tells_the_first_use_only() -> None:
    """One line for each quirk of each token, with what it accepts and no value."""
    uses = QuirkUses(MemoryStore(core_catalog()))
    with capture_logs() as lines:
        for _ in range(3):
            uses.note(CALLER, [CASE], 1)
    assert [(line["event"], line["token"], line["quirk"]) for line in lines] == [
        ("quirk used", "token hr", "operation-case")
    ]


def test_what_is_held_is_bounded() -> None:
    """However many tokens there are between two writes, so many counts are kept."""
    uses = QuirkUses(MemoryStore(core_catalog()))
    for number in range(MOST_KEPT + 5):
        uses.note(Caller(CALLER.tenant, "x", token_id=str(number)), [CASE], 1)
    assert len(uses._counts) == len(uses._told) == MOST_KEPT
