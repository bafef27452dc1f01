"""Limits of size that a tenant was told (A-57): what is within them passes, one more is refused and says the limit."""

from typing import Any

import pytest
from tests.server.conftest import Told

from rollbook.operations.tenant_settings import Limits, TenantSettings, read_settings
from rollbook.protocol import urns
from rollbook.protocol.errors import InvalidValue

BASE = "/scim/v2"
USERS = f"{BASE}/Users"


def bulk(operations: int) -> dict[str, Any]:
    """A request of so many deletions of nobody."""
    one = {"method": "DELETE", "path": "/Users/nobody"}
    return {"schemas": [urns.BULK_REQUEST], "Operations": [one] * operations}


def long_user(size: int) -> dict[str, Any]:
    """A user whose body has more bytes than that."""
    return {"userName": "ann", "title": "x" * size}


@pytest.mark.parametrize(
    ("told_", "passes", "is_refused", "status", "says"),
    [
        ("body=2000", ("POST", USERS, long_user(1_000)), ("POST", USERS, long_user(2_000)), 413, "2000"),
        (
            "bulk-body=2000",
            ("POST", f"{BASE}/Bulk", bulk(5)),
            ("POST", f"{BASE}/Bulk", bulk(100)),
            413,
            "2000",
        ),
        ("bulk-operations=3", ("POST", f"{BASE}/Bulk", bulk(3)), ("POST", f"{BASE}/Bulk", bulk(4)), 413, "3"),
        (
            "filter-tests=2",
            ("GET", f"{USERS}?filter=title%20pr%20and%20id%20pr", None),
            ("GET", f"{USERS}?filter=title%20pr%20and%20id%20pr%20and%20active%20pr", None),
            400,
            "at most 2 tests",
        ),
        (
            "filter-length=10",
            ("GET", f"{USERS}?filter=title%20pr", None),
            ("GET", f"{USERS}?filter=userName%20pr", None),
            400,
            "at most 10",
        ),
        (
            "filter-depth=1",
            ("GET", f"{USERS}?filter=(title%20pr)", None),
            ("GET", f"{USERS}?filter=((title%20pr))", None),
            400,
            "at most 1",
        ),
    ],
)
async def test_one_more_is_refused(
    told: Told,
    told_: str,
    passes: tuple[str, str, Any],
    is_refused: tuple[str, str, Any],
    status: int,
    says: str,
) -> None:
    """What a tenant was told holds, in words of that limit."""
    call = await told(told_)
    assert (await call(*passes)).status < 300
    answer = await call(*is_refused)
    assert answer.status == status
    assert says in answer.json["detail"]


async def test_pages(told: Told) -> None:
    """A page is as large as asked for and allowed, and discovery says so."""
    call = await told("page=2", "default-page=50", "bulk-operations=7", "bulk-body=4096")
    for name in ("ann", "bea", "cid"):
        await call("POST", USERS, {"userName": name})
    for count in ("", "?count=3", "?count=1000"):
        listed = (await call("GET", USERS + count)).json
        assert (len(listed["Resources"]), listed["totalResults"]) == (2, 3)
    config = (await call("GET", f"{BASE}/ServiceProviderConfig")).json
    assert config["filter"]["maxResults"] == 2
    assert config["pagination"] | {"maxPageSize": 2, "defaultPageSize": 2} == config["pagination"]
    assert config["bulk"] | {"maxOperations": 7, "maxPayloadSize": 4096} == config["bulk"]


NAMES = (
    "page",
    "default-page",
    "body",
    "bulk-body",
    "bulk-operations",
    "filter-length",
    "filter-tests",
    "filter-depth",
)


@pytest.mark.parametrize("name", NAMES)
def test_only_lower_ones(name: str) -> None:
    """A limit can be lowered, and not raised, be nothing, or no number."""
    usual = getattr(TenantSettings(), name.replace("-", "_"))
    most = Limits().page if name == "default-page" else usual
    assert read_settings([f"{name}=1"]).limits != Limits()
    assert read_settings([f"{name}={usual}"]).limits == Limits()
    for value in (str(most + 1), "0", "-1", "many", ""):
        with pytest.raises(InvalidValue, match=rf"{name}=.*from 1 to {most}"):
            read_settings([f"{name}={value}"])
