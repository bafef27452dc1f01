"""Bodies, parameters and media types as they come in."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import cast

import orjson
import pytest

from rollbook.operations.tenant_settings import Limits
from rollbook.protocol.errors import (
    InvalidSyntax,
    InvalidValue,
    NotAcceptable,
    PayloadTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)
from rollbook.protocol.memberships import MAX_MEMBERS
from rollbook.protocol.values import Inexact
from rollbook.server.requests import (
    JSON,
    MOST_VALUES,
    SCIM,
    Message,
    Request,
    answer_type,
    parameters,
    parse_json,
    read_json,
)


def request(
    *, headers: dict[str, str] | None = None, query: str = "", body: list[bytes] | None = None
) -> Request:
    """A request whose body arrives in the given pieces; without pieces it never arrives."""
    pieces = list(body or [])

    async def receive() -> Message:
        if not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    raw = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return Request({"headers": raw, "query_string": query.encode()}, receive, "http://localhost/scim/v2")


@pytest.mark.parametrize(
    ("raw", "fragment"),
    [
        pytest.param(b"{", "not JSON", id="P-3.3-14-cut"),
        pytest.param(b"", "not JSON", id="P-3.3-14-empty"),
        pytest.param(b'{"a":1}{"b":2}', "not JSON", id="T-45-two-documents"),
        pytest.param(b'{"a":NaN}', "not JSON", id="P-3.8-09-nan"),
        pytest.param(b'{"a":1e999}', "not JSON", id="P-3.8-09-infinite"),
        pytest.param(b'{"a":"\\ud800"}', "not JSON", id="P-3.8-09-lone-surrogate"),
        pytest.param(b'{"a":"\xff"}', "not JSON", id="T-45-invalid-utf-8"),
        pytest.param(b"[" * 100_000, "not JSON", id="T-45-deep"),
        pytest.param(b'{"a":1,"a":2}', "'a' twice", id="P-3.8-08-repeated"),
        pytest.param(b'{"a":"\\u0022\\u0022","b":1,"b":2}', "'b' twice", id="P-3.8-08-hidden-by-escapes"),
        pytest.param(b'{"n":{"x":1,"x":1}}', "'x' twice", id="P-3.8-08-nested"),
    ],
)
def test_refused_bodies(raw: bytes, fragment: str) -> None:
    """What is not one plain JSON document is invalidSyntax, in words."""
    with pytest.raises(InvalidSyntax, match=fragment):
        parse_json(raw)


def test_t_45_the_repeated_name_among_many_is_found_at_once() -> None:
    """200 kB of names once held up everybody for twenty seconds; of so many bodies the time of a test would be over."""
    body = b"{" + b"".join(b'"k%d":1,' % each for each in range(20_000)) + b'"z":1,"z":1}'
    for _ in range(40):
        with pytest.raises(InvalidSyntax, match="'z' twice"):
            parse_json(body)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[" + b"[]," * (MOST_VALUES // 2) + b"[]]", id="empty-lists"),
        pytest.param(b'{"a":[' + b"1," * MOST_VALUES + b"1]}", id="numbers"),
        pytest.param(b"[" + b"{}," * (MOST_VALUES // 2) + b"{}]", id="empty-objects"),
    ],
)
def test_t_45_more_values_than_any_resource_has(raw: bytes) -> None:
    """Refused before anything is made of them."""
    with pytest.raises(PayloadTooLarge, match=f"{MOST_VALUES} members and elements"):
        parse_json(raw)


@pytest.mark.parametrize("text", [b"x", rb"\u0022", rb"\\u0022", rb"\\\u0022", rb"\u005cu0022", rb"\"\u0022"])
def test_t_45_a_repeated_name_in_a_long_body(text: bytes) -> None:
    """A long one is read once only, whatever escapes it has; what is twice is not named then."""
    rest = b',"c":"' + b"x" * 300_000 + b'"}'
    with pytest.raises(InvalidSyntax, match="a member twice in one object"):
        parse_json(b'{"a":"%b","a":"%b"' % (text, text) + rest)
    whole = b'{"a":"%b","b":"%b"' % (text, text) + rest
    assert parse_json(whole) == json.loads(whole)


@pytest.mark.parametrize(
    ("number", "member"),
    [
        (MAX_MEMBERS, b'{"value":"01a220fa"}'),
        (200_000, b'{"value":"01a220fa-b524-7253-b60c-cc8b9de229df","type":"User","$ref":"/","display":"A"}'),
    ],
)
def test_t_45_a_large_group_is_read(number: int, member: bytes) -> None:
    """As many members as may be named, or with all their parts what fills a body of the usual limit."""
    assert len(cast("list[object]", parse_json(b"[" + b",".join([member] * number) + b"]"))) == number


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        pytest.param(b'\xef\xbb\xbf{"a":1}', {"a": 1}, id="P-3.8-08-bom"),
        pytest.param('{"n":"Žofie"}'.encode(), {"n": "Žofie"}, id="P-3.8-01"),
        pytest.param(b'{"a":"\\u0022"}', {"a": '"'}, id="escaped-quote"),
    ],
)
def test_read_bodies(raw: bytes, value: object) -> None:
    """UTF-8 with or without a mark is read."""
    assert parse_json(raw) == value


def test_deep_bodies_are_read_or_refused() -> None:
    """T-45: what is nested as deep as the quick parser goes is too much for the careful one in some Pythons: a refusal."""
    deep = b'{"a":"\\u0022","b":' + b"[" * 1020 + b"]" * 1020 + b"}"
    with suppress(InvalidSyntax):
        assert parse_json(deep)["a"] == '"'


@pytest.mark.parametrize("depth", [300, 1020])
def test_bodies_that_are_too_deep_are_refused(depth: int) -> None:
    """T-45: as the caller's fault, not ours."""
    with pytest.raises(InvalidSyntax, match="nested deeper"):
        parse_json(b'{"a":' + b"[" * depth + b"]" * depth + b"}")


@pytest.mark.parametrize(
    ("number", "is_exact"),
    [
        ("0.1", True),
        ("0.123456789012345", True),
        ("0.30000000000000004", True),
        ("-12345678901234567890e-10", False),
        ("1.10000000000000000", True),
        ("0.12345678901234567890", False),
        ("9223372036854775807", True),
        ("-9223372036854775808", True),
        ("9223372036854775809", False),
        ("18446744073709551616", False),
        ("1e300", True),
        ("1e-400", False),
        ("1" + "0" * 400, False),
        ("1e-9999999999999999999", False),
    ],
)
@pytest.mark.spec("S-22")
@pytest.mark.anyio
async def test_decimals_are_kept_exactly(number: str, is_exact: bool) -> None:
    """Where there are decimals, a number that a float does not hold exactly is told from others."""
    body = [f'{{"text":"0.12345678901234567890","n":{number}}}'.encode()]
    try:
        read = (await read_json(request(body=body), Limits(), decimals=True))["n"]
    except InvalidSyntax:
        assert not is_exact
        return
    assert isinstance(read, Inexact) != is_exact
    if is_exact:
        assert Decimal(str(json.loads(orjson.dumps(read), parse_float=Decimal))) == Decimal(number)
    else:
        assert read.text == number


@pytest.mark.parametrize(
    ("headers", "fragment"),
    [
        ({"content-type": "text/xml"}, "Content-Type"),
        ({"content-type": "application/json; charset=iso-8859-1"}, "charset"),
        ({"content-encoding": "gzip"}, "Content-Encoding"),
    ],
)
@pytest.mark.anyio
async def test_unread_media_types(headers: dict[str, str], fragment: str) -> None:
    """Other types, character sets and encodings are 415 (P-3.8-05, P-3.8-07, T-46)."""
    with pytest.raises(UnsupportedMediaType, match=fragment):
        await read_json(request(headers=headers, body=[b"{}"]), Limits())


@pytest.mark.parametrize(
    "content_type",
    [SCIM, JSON, "application/scim+json; charset=utf-8", 'application/json;charset="UTF-8"', None],
)
@pytest.mark.anyio
async def test_read_media_types(content_type: str | None) -> None:
    """SCIM and JSON in UTF-8 are read, and a missing type too (P-3.8-05)."""
    headers = {"content-type": content_type} if content_type else {}
    assert await read_json(request(headers=headers, body=[b'{"a"', b":1}"]), Limits()) == {"a": 1}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param({"content-length": "11"}, [b"{}"], id="declared"),
        pytest.param({}, [b'"123456789"'], id="whole"),
        pytest.param({"content-length": "2"}, [b'"1234', b'56789"'], id="in-pieces-whatever-is-declared"),
    ],
)
@pytest.mark.anyio
async def test_large_bodies(headers: dict[str, str], body: list[bytes]) -> None:
    """A body over the limit is 413 while it is read (P-3.7-24, T-46)."""
    with pytest.raises(PayloadTooLarge, match="at most 10 bytes"):
        await read_json(request(headers=headers, body=body), Limits(body_bytes=10))


@pytest.mark.anyio
async def test_unfinished_body() -> None:
    """A client that goes away changes nothing (FS-18)."""
    with pytest.raises(RequestTimeout, match="went away"):
        await read_json(request(), Limits())


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, SCIM),
        ("*/*", SCIM),
        ("application/scim+json", SCIM),
        ("application/json", JSON),
        ("application/json, application/scim+json", SCIM),
        ("application/*;q=0.5", SCIM),
        ("text/html, application/json;q=0.9", JSON),
    ],
)
def test_answer_types(accept: str | None, expected: str) -> None:
    """SCIM is answered unless only plain JSON is acceptable (P-3.8-02 to P-3.8-05)."""
    assert answer_type(request(headers={"accept": accept} if accept else {})) == expected


@pytest.mark.parametrize("accept", ["text/html", "application/scim+json;q=0", "image/*;q=x"])
def test_not_acceptable(accept: str) -> None:
    """An Accept that nothing fits is 406 (P-3.8-05)."""
    with pytest.raises(NotAcceptable):
        answer_type(request(headers={"accept": accept}))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("filter=userName+eq+%22a%22&", {"filter": 'userName eq "a"'}),
        ("foo=1&foo=2", {"foo": "2"}),
        ("filter=", {"filter": ""}),
    ],
)
def test_parameters(query: str, expected: dict[str, str]) -> None:
    """Plus is a space, a trailing & is nothing, unknown names do not matter (P-3.4.2-01; OneLogin)."""
    assert parameters(request(query=query), Limits()) == expected


@pytest.mark.parametrize("query", ["filter=a&filter=b", "count=1&count=2", "filter=%ff", "x=" + "a" * 70_000])
def test_refused_parameters(query: str) -> None:
    """A parameter of ours given twice, bad UTF-8 and endless queries are refused (T-44, T-52)."""
    with pytest.raises(InvalidValue):
        parameters(request(query=query), Limits())
