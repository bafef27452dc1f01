"""Who may stand in the door of the server that asks for certificates (T-47)."""

import asyncio

from structlog.testing import capture_logs

from rollbook.server.uvicorn_door import MOST_ARRIVING, MOST_OF_ONE, TOLD_SECONDS, Door


class Comer(asyncio.Transport):
    """A connection from an address, and whether it was ended."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1)})
        self.is_ended = False

    def abort(self) -> None:
        self.is_ended = True


def filled(door: Door, count: int = MOST_ARRIVING) -> list[Comer]:
    """The door with that many in it, of as many addresses."""
    comers = [Comer(f"192.0.{number // 256}.{number % 256}") for number in range(count)]
    assert all(door.arrive(each) for each in comers)
    return comers


def test_t_47_one_address_stands_in_its_own_way_only() -> None:
    """Those above are refused until one has left, and others are not; a /64 of IPv6 is one address."""
    for own, same in (("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::ffff:1")):
        door = Door()
        comers = [Comer(own) for _ in range(MOST_OF_ONE)]
        assert all(door.arrive(each) for each in comers)
        assert not door.arrive(Comer(same))
        assert door.arrive(Comer("198.51.100.1"))
        door.leave(comers[5])
        door.leave(comers[5])
        assert door.arrive(Comer(same))
        assert not door.arrive(Comer(same))
        assert not any(each.is_ended for each in comers)


def test_t_47_the_oldest_makes_room() -> None:
    """Strangers who say nothing keep nobody out; who has come in is not touched."""
    door = Door()
    comers = filled(door)
    door.leave(comers[0])
    assert door.arrive(Comer("198.51.100.1"))
    assert not any(each.is_ended for each in comers)
    assert door.arrive(Comer("198.51.100.2"))
    assert [each for each in comers if each.is_ended] == [comers[1]]


def test_t_47_it_is_told_once_a_minute() -> None:
    """And with how many there were since."""
    now = [0.0]
    door = Door(lambda: now[0])
    for _ in range(MOST_OF_ONE):
        door.arrive(Comer("192.0.2.1"))
    with capture_logs() as told:
        for seconds in (0.0, 1.0, 1.0, TOLD_SECONDS):
            now[0] = seconds
            assert not door.arrive(Comer("192.0.2.1"))
    assert [each["closed"] for each in told] == [1, 3]
