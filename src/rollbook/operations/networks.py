"""Networks of addresses as people write them, and whether an address is in one."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from rollbook.protocol.errors import InvalidValue

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def read_networks(text: str) -> tuple[Network, ...]:
    """Networks between commas, such as `192.0.2.0/24,2001:db8::/32`; a single address is one of itself.

    Raises:
        InvalidValue: one is none, or has bits after its prefix; says which.
    """
    return tuple(_network(name) for part in text.split(",") if (name := part.strip()))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise InvalidValue(f"{error}; write a network such as 192.0.2.0/24 or 2001:db8::/32") from None


@lru_cache(maxsize=4096)
def read_address(text: str) -> IpAddress | None:
    """An address, None for what is none; an IPv4 one stays one when a socket for both kinds shows it as IPv6."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def within(text: str, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of them; what is no address is in none."""
    address = read_address(text)
    return address is not None and any(address in network for network in networks)
