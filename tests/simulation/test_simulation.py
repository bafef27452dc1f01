"""Fifty lives of the engine, and those that once went wrong (`make nightly` plays ten thousand)."""

import pytest
from tests.simulation.run import WITH_ARRIVALS, play

FOUND = {
    6: "a process that dies in the run that an approval was for",
    120: "somebody hired anew under an old name: the plan did not say that the account goes off and on",
    278: "the same where the account is deleted: the plan did not say that a new one is made",
    537: "a change in the middle of a delivery waited until the grace period was over",
    1815: "the same between the two calls of a replacement: members",
    2993: "the same: attributes",
    1351: "a frozen worker woke up in the queue for its call, and sent something old",
    3687: "a manager that was filled in at an account that is off was told, and counted, as a departure",
    4249: "a plan said of a new account, in place of one that goes, that it is taken over",
    3371: "somebody taken over who is their own manager: one line of the plan, two of the run",
    1490: "somebody given up, whom the run took up again because of another account; the plan said only that they were",
}
"""Seed → what it found."""


@pytest.mark.parametrize("seed", sorted({*range(50), *range(WITH_ARRIVALS, WITH_ARRIVALS + 20), *FOUND}))
def test_life(seed: int) -> None:
    """I-11, I-12, I-14 to I-16, I-18, I-20, I-27; again: python -m tests.simulation.run --seed N."""
    play(seed)
