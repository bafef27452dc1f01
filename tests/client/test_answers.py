"""Reading of single answers, and Retry-After in both forms (C-8-03, T-67)."""

import pytest

from rollbook.client.answers import body_of, error_of, member, retry_after
from rollbook.client.transport import HttpResponse
from rollbook.protocol.errors import TargetRefused, TargetUnavailable

NOW = 1_795_424_000.0  # Mon, 23 Nov 2026 08:53:20 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12.0),
        ("0", 0.0),
        ("9999999999", 3600.0),
        ("Mon, 23 Nov 2026 08:53:50 GMT", 30.0),
        ("Mon, 23 Nov 2026 08:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2099 08:00:00 GMT", 3600.0),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
        ("Mon, 99 Nov 2026 08:53:50 GMT", None),
    ],
)
def test_t_67_retry_after(text: str, seconds: float | None) -> None:
    """Seconds and dates are read, capped at an hour; anything else is as if it were not there."""
    assert retry_after(HttpResponse(429, {"retry-after": text}), NOW) == seconds


def test_unavailable_carries_its_patience() -> None:
    """The error made of a 503 says how long to wait."""
    error = error_of(HttpResponse(503, {"retry-after": "7"}), NOW)
    assert isinstance(error, TargetUnavailable)
    assert (error.retry_after, error.http_status) == (7.0, 503)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", None), (b" \r\n", None), (b'\xef\xbb\xbf{"a":1}', {"a": 1}), (b"[]", [])],
)
def test_c_4_01_bodies(content: bytes, expected: object) -> None:
    """A body is JSON or absent; the media type is not looked at, a byte order mark is stepped over."""
    assert body_of(HttpResponse(200, {"content-type": "text/json; charset=utf-8"}, content)) == expected


@pytest.mark.parametrize("content", [b"<html>", b"{", b"NaN", b'"\xff"'])
def test_bodies_that_are_not_json(content: bytes) -> None:
    """What is not JSON is refused without repeating it."""
    with pytest.raises(TargetRefused) as raised:
        body_of(HttpResponse(200, {}, content))
    assert content.decode("latin-1") not in raised.value.detail


def test_c_4_02_members_without_case() -> None:
    """An exact name wins over one in another case."""
    assert member({"resources": 1, "Resources": 2}, "Resources") == 2
    assert member({"RESOURCES": 3}, "Resources") == 3
    assert member({}, "Resources") is None
