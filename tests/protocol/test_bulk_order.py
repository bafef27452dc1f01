"""The order in which operations of a bulk request are carried out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.protocol.bulk_order import ordered

ROWS: list[tuple[str, list[set[int]], list[tuple[int, ...]]]] = [
    ("nothing", [], []),
    ("as given", [set(), set(), set()], [(0,), (1,), (2,)]),
    ("backwards", [{1}, {2}, set()], [(2,), (1,), (0,)]),
    ("the first that can", [{2}, set(), set(), {0}], [(1,), (2,), (0,), (3,)]),
    ("a ring counts where its last is", [{2}, set(), {0}], [(1,), (0, 2)]),
    ("two rings", [{1}, {0, 2}, {3}, {2}], [(2, 3), (0, 1)]),
    ("needs itself", [{0}, set()], [(0,), (1,)]),
]


@pytest.mark.parametrize(("needs", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_ordered(needs: list[set[int]], expected: list[tuple[int, ...]]) -> None:
    """P-3.7-17: after what they need, otherwise as given."""
    assert ordered(needs) == expected


@st.composite
def graphs(draw: st.DrawFn) -> list[set[int]]:
    """Needs of up to eight things."""
    size = draw(st.integers(0, 8))
    return [draw(st.sets(st.integers(0, size - 1), max_size=3)) for _ in range(size)]


def _reached(needs: list[set[int]], start: int) -> set[int]:
    found: set[int] = set()
    waiting = [start]
    while waiting:
        new = needs[waiting.pop()] - found
        found |= new
        waiting += new
    return found


@given(graphs())
def test_every_order_is_a_right_one(needs: list[set[int]]) -> None:
    """P-3.7-17, P-3.7-20: all are there once, after what they need; units are those who need each other."""
    units = ordered(needs)
    assert sorted(number for unit in units for number in unit) == list(range(len(needs)))
    reached = [_reached(needs, number) for number in range(len(needs))]
    for at, unit in enumerate(units):
        before = {number for earlier in units[:at] for number in earlier}
        assert list(unit) == sorted(unit)
        for number in unit:
            assert needs[number] <= before | set(unit)
            together = {
                other for other in range(len(needs)) if number in reached[other] and other in reached[number]
            }
            assert set(unit) == together | {number}


@pytest.mark.parametrize("size", [1000, 20_000])
def test_long_chains_and_rings(size: int) -> None:
    """T-38: nothing recurses, whatever the length of a chain or a ring."""
    chain: list[set[int]] = [{number + 1} for number in range(size - 1)]
    assert ordered([*chain, set()]) == [(number,) for number in reversed(range(size))]
    assert ordered([*chain, {0}]) == [tuple(range(size))]
