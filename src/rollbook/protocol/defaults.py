"""What attributes get when a client leaves them out of POST or PUT (RFC 7644 §3.3; A-73)."""

from collections.abc import Mapping

from rollbook.protocol import urns
from rollbook.protocol.values import JsonValue

DEFAULTS: Mapping[str, Mapping[str, JsonValue]] = {urns.USER: {"active": True}}
"""Base schema → attribute → value. Sending null leaves the attribute unassigned (P-3.3-04)."""
