"""Ids are UUIDv7, grow, and are never made twice."""

import threading
import uuid
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rollbook.storage.ids import IdSource, new_id


def test_an_id_is_a_version_7_uuid_of_the_present_time() -> None:
    """RFC 9562 §5.7: version 7, the RFC's variant, milliseconds in the first 48 bits."""
    made = uuid.UUID(IdSource(lambda: 1_700_000_000_123).new_id())
    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, 1_700_000_000_123)


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=50))
def test_ids_grow_whatever_the_clock_does(times: list[int]) -> None:
    """RFC 9562 §6.2: ids order by the order they were made in, even when the clock steps back."""
    clock = iter(times)
    source = IdSource(lambda: next(clock))
    made = [source.new_id() for _ in times]
    assert all(one < other for one, other in pairwise(made))


def test_more_ids_than_the_counter_holds_in_one_millisecond() -> None:
    """RFC 9562 §6.2: 10,000 ids at a standing clock are all different and in order."""
    source = IdSource(lambda: 5)
    made = [source.new_id() for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)


def test_random_bits_fill_the_tail() -> None:
    """The last 62 bits are the random source's."""
    source = IdSource(lambda: 0, lambda size: b"\xff" * size)
    assert source.new_id() == "00000000-0000-77ff-bfff-ffffffffffff"


def test_threads_share_one_source() -> None:
    """new_id() gives no id twice to threads that ask at once."""
    made: list[str] = []

    def make() -> None:
        made.extend(new_id() for _ in range(500))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2000
    assert not [text for text in made if "bulkid" in text.lower()]
