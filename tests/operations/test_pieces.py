"""Long work in pieces: one of all of them in a turn of the loop (I-20)."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import pytest

from rollbook.operations.pieces import PIECE_SECONDS, SOME, Pieces

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    """Seconds that work takes."""

    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Loop:
    """The number of the turn that a loop is in."""

    turn: int = 0

    def begin(self) -> None:
        """Count from here on."""
        self.turn += 1
        asyncio.get_running_loop().call_soon(self.begin)


async def work(pieces: Pieces, clock: Clock, loop: Loop, tenant: int, told: list[tuple[int, int]]) -> None:
    """A page of a thousand, each a tenth of a piece; in which turn of the loop what was done."""
    async for some in pieces.some(tenant, range(1_000)):
        clock.at += PIECE_SECONDS / 10 * len(some)
        told.append((loop.turn, tenant))


async def test_a_page_is_made_in_pieces() -> None:
    """A thousand things of a tenth of a piece each: as many turns as there are pieces, each little more than one."""
    clock, loop, told = Clock(), Loop(), list[tuple[int, int]]()
    pieces = Pieces(clock)
    loop.begin()
    await work(pieces, clock, loop, 1, told)
    turns = [turn for turn, _ in told]
    assert len(told) == 1_000 / SOME
    assert max(turns.count(turn) for turn in turns) * SOME <= 10 + 2 * SOME


async def test_one_piece_of_all_in_a_turn() -> None:
    """Thirty pages of one tenant and one of another: once begun, no turn of the loop has two pieces, and the tenants alternate."""
    clock, loop, told = Clock(), Loop(), list[tuple[int, int]]()
    pieces = Pieces(clock)
    loop.begin()
    await asyncio.gather(
        *(work(pieces, clock, loop, 1, told) for _ in range(30)), work(pieces, clock, loop, 2, told)
    )
    begun, *later = sorted({turn for turn, _ in told})
    assert sum(turn == begun for turn, _ in told) * SOME <= 31 * (10 + 2 * SOME)
    assert all(sum(turn == one for turn, _ in told) * SOME <= 10 + 2 * SOME for one in later)
    turns_of_two = sorted({turn for turn, tenant in told if tenant == 2})
    assert all(after - before <= 2 for before, after in pairwise(turns_of_two[1:]))


async def test_whoever_is_given_up_takes_no_turn() -> None:
    """What was cancelled while it waited holds nobody up."""
    pieces = Pieces()
    gone, other = (asyncio.create_task(pieces.turn(1)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(other, 1)
    assert not pieces._waiting
    await asyncio.wait_for(pieces.turn(1), 1)
