"""Messages of webhooks: the signature of Standard Webhooks, and what records are in a body."""

import base64
import hashlib
import hmac

import pytest

from rollbook.protocol.errors import RequestError
from rollbook.protocol.values import JsonValue
from rollbook.provisioning.messages import MOST_RECORDS, TOLERANCE, Hook, Signed, arrivals

SECRET, OTHER = b"s" * 24, b"o" * 24
NOW = 1_800_000_000_000
AT = str(NOW // 1000)
BODY = b'{"id":"1"}'


def signature(secret: bytes = SECRET, id: str = "msg_1", at: str = AT, body: bytes = BODY) -> str:
    """As a sender makes it, by the letter of the specification."""
    digest = hmac.new(secret, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def test_the_example_of_the_specification() -> None:
    """The published vector of Standard Webhooks."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signed = Signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )
    assert signed.is_by([secret], body)
    assert not signed.is_by([secret], body + b" ")


@pytest.mark.parametrize(
    ("signatures", "is_right"),
    [
        (signature(), True),
        (signature(OTHER), True),
        (f"v1,AAAA {signature()}", True),
        (f"v2,AAAA {signature()}", True),
        (f"v1a,AAAA {signature()}", True),
        (signature(b"x" * 24), False),
        (signature(id="msg_2"), False),
        (signature(at="1"), False),
        (signature(body=b"{}"), False),
        (signature().removeprefix("v1,"), False),
        (signature().replace("v1,", "v2,"), False),
        (signature()[:-1], False),
        ("v1,", False),
        ("v1,ü", False),
        ("", False),
        (" ".join([*["v1,AAAA"] * 10, signature()]), False),
    ],
)
def test_signatures(signatures: str, is_right: bool) -> None:
    """One of several secrets has signed id, time and body; of very many signatures the first ones are looked at."""
    assert Signed("msg_1", AT, signatures).is_by([SECRET, OTHER], BODY) == is_right


@pytest.mark.parametrize(
    ("id", "timestamp", "is_in_time"),
    [
        ("m", AT, True),
        ("m", str(int(AT) - TOLERANCE), True),
        ("m", str(int(AT) + TOLERANCE), True),
        ("m", str(int(AT) - TOLERANCE - 1), False),
        ("m", str(int(AT) + TOLERANCE + 1), False),
        ("m", "", False),
        ("m", "-1", False),
        ("m", "١٢", False),
        ("m", "9" * 5_000, False),
        ("", AT, False),
        ("m" * 257, AT, False),
    ],
)
def test_times(id: str, timestamp: str, is_in_time: bool) -> None:
    """What was sent long ago, or has no id, is none of ours."""
    assert Signed(id, timestamp, "").is_in_time(NOW) == is_in_time


def test_a_record_or_many() -> None:
    """One record alone, or lists of records and of keys; names of what is inside have dots."""
    assert [(one.key, one.record) for one in arrivals({"id": 7, "name": {"first": "Ada"}}, "id")] == [
        ("7", {"id": "7", "name.first": "Ada"})
    ]
    message: JsonValue = {"records": [{"id": " 1 "}, {"id": "2"}], "deleted": ["3"]}
    assert [(one.key, one.record is None) for one in arrivals(message, "id")] == [
        ("1", False), ("2", False), ("3", True),
    ]  # fmt: skip
    assert arrivals({"records": []}, "id") == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "a message is a JSON object"),
        ({"name": "Ada"}, 'the record: nothing in "id"'),
        ({"records": {}}, "records must be a list"),
        ({"records": [{"id": "1"}, "x"]}, "records[1]: a record is a JSON object"),
        ({"records": [{"id": "1"}, {"id": "1"}]}, "records[1]: '1' is there twice"),
        ({"records": [{"id": "1"}], "deleted": ["1"]}, "deleted[0]: '1' is there twice"),
        ({"deleted": [1]}, "deleted[0]: a key is text"),
        ({"deleted": [" "]}, "deleted[0]: a key is text"),
        ({"deleted": ["x" * 1_001]}, "deleted[0]: the key is too long"),
        ({"records": [{"id": "1", "x": "a\0"}]}, "records[0] (1): a value holds a zero byte"),
        ({"records": [{"id": "1", "x": "a" * 131_073}]}, 'records[0] (1): "x" has more than'),
        (
            {"records": [{"id": "1", **{f"f{n}": 1 for n in range(2_001)}}]},
            "records[0]: more than 2000 fields",
        ),
        ({"records": [], "complete": True}, "'complete' is not known"),
        ({"deleted": [str(n) for n in range(MOST_RECORDS + 1)]}, "at most 1000"),
    ],
)
def test_what_cannot_be_used(document: JsonValue, words: str) -> None:
    """Which record, and why."""
    with pytest.raises(RequestError) as refused:
        arrivals(document, "id")
    assert words in refused.value.detail


def test_secrets_are_not_shown() -> None:
    """Neither by repr nor by what is logged of it."""
    assert "sss" not in repr(Hook("id", (SECRET,)))
