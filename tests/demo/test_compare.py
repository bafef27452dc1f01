"""Expected against found: what the demo calls a difference."""

import pytest

from rollbook.demo.compare import SECRETS, differences, exposed, flatten, leaks, movement
from rollbook.demo.expected import SYSTEMS, State
from rollbook.demo.scim import Account, Json, Snapshot

ADA: Json = {"externalId": "1", "userName": "ada", "active": True}
WANTED = State({"1": ADA}, {"all": frozenset({"1"})})


def found(
    attributes: Json | None = ADA, *, id: str = "a", members: frozenset[str] = frozenset({"1"})
) -> Snapshot:
    """A system that holds one account and one group."""
    accounts = {} if attributes is None else {"1": Account(id, attributes)}
    return Snapshot(accounts, {"all": members}, b"")


def test_no_difference() -> None:
    """A system that is as HR said has no differences."""
    assert list(differences(WANTED, found(), found())) == []


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        pytest.param(found(None), "1: has no account and should have one", id="missing"),
        pytest.param(
            found(ADA | {"userName": "eve"}), "1: userName is 'eve', should be 'ada'", id="other value"
        ),
        pytest.param(found(ADA | {"title": "x"}), "1: title is 'x', should be None", id="attribute too many"),
        pytest.param(found(id="b"), "1: is not the same account as yesterday", id="made anew"),
        pytest.param(found(members=frozenset()), "group all: 1 should be a member", id="member missing"),
        pytest.param(
            found(members=frozenset({"1", "2"})), "group all: 2 should not be a member", id="member too many"
        ),
    ],
)
def test_difference(snapshot: Snapshot, expected: str) -> None:
    """Each way of being wrong is told in one line."""
    assert list(differences(WANTED, snapshot, found())) == [expected]


def test_stranger() -> None:
    """An account nobody expects, a group nobody expects and a double are differences."""
    stranger = Snapshot({"9": Account("z", {})}, {"others": frozenset()}, b"", ("userName 'x' exists twice",))
    assert list(differences(State(), stranger, None)) == [
        "userName 'x' exists twice",
        "9: has an account and should have none",
        "group others: should not be there",
    ]


def test_movement() -> None:
    """Accounts that came, changed, were switched and went are told apart."""
    off = {"active": False}
    before = {key: Account(key, {"active": True}) for key in "abd"} | {"c": Account("c", off)}
    after = {
        "a": Account("a", {"active": True, "title": "x"}),
        "b": Account("b", off),
        "c": Account("c", {"active": True}),
        "e": Account("e", {}),
    }
    moved = movement(Snapshot(before, {}, b""), Snapshot(after, {}, b""))
    assert (moved.created, moved.changed, moved.disabled, moved.enabled, moved.deleted) == (
        ("e",), ("a",), ("b",), ("c",), ("d",)
    )  # fmt: skip


def test_flatten() -> None:
    """A document becomes paths and plain values."""
    assert flatten({"a": {"b": [1, {"c": 2}]}}) == {"a.b[0]": 1, "a.b[1].c": 2}


def test_birth_dates_are_searched_in_several_forms() -> None:
    """A birth date counts as seen however it is written."""
    birth = next(secret for secret in SECRETS if secret.column == "birth_date")
    values = birth.values([{"birth_date": "1990-12-31"}, {"birth_date": ""}])
    assert [exposed(values, text) for text in (b"1990-12-31", b'"31.12.1990"', b"31/12/1990", b"1990")] == [
        1,
        1,
        1,
        0,
    ]


def test_leaks() -> None:
    """A system that shows what it must not have seen is told of; what it may see is not."""
    counts = {"birth date": 2, "telephone": 3, "cost center": 0}
    told = {system.name: list(leaks(system, counts)) for system in SYSTEMS}
    assert told["support-desk"] == ["2 values of birth date have reached it"]
    assert len(told["cloud"]) == 2
