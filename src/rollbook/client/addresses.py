"""Which addresses calls may go to: outgoing calls must not be turned inward (T-64).

Names are resolved here, each address is looked at, and the connection is made to one that was looked at: resolving a second time
would let a name change its mind in between.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from rollbook.client.transport import HttpRequest, HttpResponse, Transport
from rollbook.protocol.errors import TargetRefused, TargetUnavailable

FRESH_SECONDS = 60.0
"""How long a name's addresses are used before it is asked again."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_6TO4 = ipaddress.ip_network("2002::/16")
_SHARED = ipaddress.ip_network("100.64.0.0/10")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port → its addresses."""


def fault(text: str, *, private: bool) -> str | None:
    """Why no call may go to an address, None if one may; `private` allows those of this machine and of inner networks."""
    address = _inner(ipaddress.ip_address(text.partition("%")[0]))
    if address.is_unspecified or address.is_multicast or (address.is_reserved and not address.is_loopback):
        return "is no address of a machine"
    if address.is_link_local or str(address) in _METADATA:
        return "is where clouds tell secrets about their machines"
    shared = isinstance(address, ipaddress.IPv4Address) and address in _SHARED
    if not private and (address.is_private or address.is_loopback or shared):
        return "is of an inner network"
    return None


_METADATA = frozenset({"fd00:ec2::254", "168.63.129.16"})


def _inner(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address in _6TO4:
            return ipaddress.IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    return address


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host by this machine's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedTransport:
    """A transport to hosts whose addresses were looked at. Who writes an address itself means it."""

    def __init__(
        self,
        make: Callable[[dict[str, list[str]]], Transport],
        *,
        private: bool = False,
        resolver: Resolve = resolve,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`make` gives a transport that connects to these addresses, by host."""
        self._make = make
        self._private = private
        self._resolve = resolver
        self._now = now
        self._ready: dict[str, tuple[float, Transport]] = {}
        self._waiting = asyncio.Lock()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer.

        Raises:
            TargetRefused: the host's addresses are none that calls may go to.
            TargetUnavailable: the name is not known now, or as for other transports.
        """
        return await (await self._transport(request.url)).send(request)

    async def close(self) -> None:
        """Let go of all connections."""
        for _, transport in self._ready.values():
            await transport.close()
        self._ready.clear()

    async def _transport(self, url: str) -> Transport:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        async with self._waiting:
            known = self._ready.get(host)
            if known is not None and self._now() < known[0]:
                return known[1]
            addresses = await self._looked_at(host, port)
            if known is not None:
                await known[1].close()
            made = self._make({host: addresses} if addresses else {})
            self._ready[host] = self._now() + FRESH_SECONDS, made
            return made

    async def _looked_at(self, host: str, port: int) -> list[str]:
        """The addresses of a name that calls may go to; none for a host that is written as an address."""
        if _is_address(host) or host == "localhost":
            reason = None if host == "localhost" else fault(host, private=True)
            if reason is not None:
                raise TargetRefused(f"{host} {reason}; no call goes there")
            return []
        try:
            found = await self._resolve(host, port)
        except OSError as error:
            raise TargetUnavailable(f"no answer: the name {host} is not known ({error.strerror})") from error
        faults = {address: fault(address, private=self._private) for address in found}
        fine = [address for address, reason in faults.items() if reason is None]
        if not fine:
            address, reason = next(iter(faults.items()))
            advice = "; if it is meant, say private: true" if reason == "is of an inner network" else ""
            raise TargetRefused(f"{host} is {address}, which {reason}; no call goes there{advice}")
        return fine


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
