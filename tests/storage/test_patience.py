"""How long whoever asks waits for the database: by one measure for each request (FS-21)."""

import asyncio

import pytest

from rollbook.protocol.errors import StoreUnavailable
from rollbook.server.background import Background
from rollbook.storage.patience import WAIT_SECONDS, Patience, of_a_request, patience

pytestmark = pytest.mark.anyio


async def test_waits_use_it_up() -> None:
    """What is there at once costs nothing; what is waited for, that; and then nothing is waited for any more."""
    measure = Patience(0.2)
    async with measure.waiting():
        pass
    assert measure.left > 0.19
    async with measure.waiting():
        await asyncio.sleep(0.1)
    assert 0.0 < measure.left <= 0.1
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="try again"):
            async with measure.waiting():
                await asyncio.sleep(5)
        assert measure.left == 0.0


async def test_each_request_has_one() -> None:
    """Without a request each wait has its own; an operation in a request may have another; what it begins has none of it."""
    assert patience() is not patience()
    begun: list[Patience] = []

    async def later() -> None:
        begun.append(patience())

    background = Background()
    with of_a_request():
        measure = patience()
        measure.left = 0.0
        assert patience() is measure
        with of_a_request():
            assert patience().left == WAIT_SECONDS
        assert patience() is measure
        background(later())
        await background.settle()
    assert [each.left for each in begun] == [WAIT_SECONDS]
