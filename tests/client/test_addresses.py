"""T-64: where calls may go. Names that lead inward are refused, whatever form the address has."""

import asyncio
from collections.abc import Sequence

import pytest

from rollbook.client.addresses import FRESH_SECONDS, GuardedTransport, fault
from rollbook.client.transport import HttpRequest, HttpResponse
from rollbook.protocol.errors import TargetRefused, TargetUnavailable

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.216.34", True, True),
        ("2606:2800:220:1:248:1893:25c8:1946", True, True),
        ("127.0.0.1", False, True),
        ("10.1.2.3", False, True),
        ("172.16.0.1", False, True),
        ("192.168.1.1", False, True),
        ("100.64.0.1", False, True),
        ("::1", False, True),
        ("fd12::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("64:ff9b::a00:1", False, True),
        ("2002:7f00:1::", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("fd00:ec2::254", False, False),
        ("168.63.129.16", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("255.255.255.255", False, False),
    ],
)
def test_addresses(address: str, public: bool, private: bool) -> None:
    """Those of clouds' secrets never, inner ones only if it is said."""
    assert (fault(address, private=False) is None) is public
    assert (fault(address, private=True) is None) is private


class Fake:
    """Remembers which addresses it was made for."""

    def __init__(self, addresses: dict[str, list[str]]) -> None:
        self.addresses = addresses
        self.closed = False

    async def send(self, request: HttpRequest) -> HttpResponse:
        """An answer."""
        return HttpResponse(200, {"sent": request.url})

    async def close(self) -> None:
        """Note it."""
        self.closed = True


async def test_the_address_that_was_looked_at_is_the_one_connected_to() -> None:
    """A name that answers one thing first and another then gets nowhere; after a while it is asked again."""
    answers = [["93.184.216.34", "10.0.0.1"], ["10.0.0.1"]]
    made: list[Fake] = []
    now = [0.0]

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return answers.pop(0)

    def make(addresses: dict[str, list[str]]) -> Fake:
        made.append(Fake(addresses))
        return made[-1]

    guarded = GuardedTransport(make, resolver=resolve, now=lambda: now[0])
    request = HttpRequest("GET", "https://example.com/Users")
    await asyncio.gather(*(guarded.send(request) for _ in range(5)))
    assert [one.addresses for one in made] == [{"example.com": ["93.184.216.34"]}]
    now[0] = FRESH_SECONDS + 1
    with pytest.raises(
        TargetRefused, match=r"10\.0\.0\.1, which is of an inner network; .* say private: true"
    ):
        await guarded.send(request)
    await guarded.close()
    assert made[0].closed


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://169.254.169.254/latest", "clouds tell secrets"),
        ("http://[::ffff:169.254.169.254]/latest", "clouds tell secrets"),
        ("http://0.0.0.0/", "no address of a machine"),
    ],
)
async def test_written_addresses(url: str, words: str) -> None:
    """An inner address that is written is meant; one of a cloud's secrets is not."""
    guarded = GuardedTransport(Fake)
    with pytest.raises(TargetRefused, match=words):
        await guarded.send(HttpRequest("GET", url))
    assert (await guarded.send(HttpRequest("GET", "http://127.0.0.1:9/"))).status == 200
    assert (await guarded.send(HttpRequest("GET", "http://localhost:9/"))).status == 200


async def test_a_name_that_is_not_known() -> None:
    """It may be, later."""
    with pytest.raises(TargetUnavailable, match=r"the name nowhere\.invalid is not known"):
        await GuardedTransport(Fake).send(HttpRequest("GET", "https://nowhere.invalid/"))
