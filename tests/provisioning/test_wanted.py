"""What a target should hold: scope, mapping, who has left, references in the target's own terms."""

from datetime import UTC, datetime

import pytest
from tests.provisioning.world import CATALOG, ENTERPRISE, target

from rollbook.protocol.values import JsonObject
from rollbook.provisioning.model import MappingError
from rollbook.provisioning.wanted import Kind, Wish, digest_of, kinds_of, label_of, resolved, wish_for

TODAY = datetime(2026, 11, 23, tzinfo=UTC)
ADA: JsonObject = {
    "id": "hub-1",
    "userName": "ada",
    "nickName": "MARKER",
    "title": "Lead",
    "active": True,
    ENTERPRISE: {"manager": {"value": "hub-2", "displayName": "Grace"}},
}


def kind(scope: str | None = None) -> Kind:
    """Users as the usual target gets them."""
    return kinds_of(target(scope=scope), CATALOG)["User"]


def test_only_what_is_mapped_is_wished_for() -> None:
    """A wish holds the mapped attributes and says whom it refers to."""
    wish = wish_for(kind(), ADA, TODAY)
    assert wish.document is not None
    assert set(wish.document) == {"userName", "title", "active", ENTERPRISE}
    assert (wish.left, wish.label, wish.references) == (None, "ada", frozenset({"hub-2"}))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, Wish(None, "deleted")),
        ({**ADA, "title": "out"}, Wish(None, "out of scope", label="ada")),
    ],
)
def test_i_12_nothing_is_wished_for_whoever_is_gone(document: JsonObject | None, expected: Wish) -> None:
    """About somebody deleted or out of scope nothing may be said."""
    assert wish_for(kind('title ne "out"'), document, TODAY) == expected


def test_the_inactive_have_left_and_may_be_spoken_of() -> None:
    """Somebody inactive has left, with a document; without the attribute everybody is active."""
    wish = wish_for(kind(), {**ADA, "active": False}, TODAY)
    assert wish.left == "inactive"
    assert wish.document is not None
    assert wish_for(kind(), {"userName": "ada"}, TODAY).left is None


def test_references_become_accounts() -> None:
    """A reference is the bare id of an account; without one the attribute is left out; the wish stays as it was."""
    wish = wish_for(kind(), ADA, TODAY)
    found = resolved(kind(), wish, {"hub-2": "r-7"})
    assert found is not None
    assert found[ENTERPRISE] == {"manager": {"value": "r-7"}}
    without = resolved(kind(), wish, {})
    assert without is not None
    assert ENTERPRISE not in without
    assert ADA[ENTERPRISE]["manager"] == {"value": "hub-2", "displayName": "Grace"}


def test_digests_differ_when_the_wish_does() -> None:
    """The digest changes with the document, the reason to leave and the policy for leavers, and with nothing else."""
    here, gone = Wish({}, None), Wish(None, "deleted")
    assert digest_of(kind(), here, {"a": 1, "b": 2}, "keep") == digest_of(
        kind(), here, {"b": 2, "a": 1}, "delete"
    )
    assert digest_of(kind(), here, {"a": 1}, "keep") != digest_of(kind(), here, {"a": 2}, "keep")
    assert digest_of(kind(), gone, None, "keep") != digest_of(kind(), gone, None, "delete")
    assert digest_of(kind(), gone, None, "keep") != digest_of(
        kind(), Wish(None, "out of scope"), None, "keep"
    )


def test_rules_that_fail_name_their_attribute() -> None:
    """A rule that cannot be carried out on a person says which attribute it was for."""

    class Broken:
        def evaluate(self, inputs: object) -> None:
            raise MappingError("title", "no such thing")

    broken = kinds_of(target(users={"title": Broken()}), CATALOG)["User"]
    with pytest.raises(MappingError, match="title: no such thing"):
        wish_for(broken, ADA, TODAY)


def test_joins_are_mapped_attributes_only() -> None:
    """Accounts are looked for by externalId, then userName, each only if it is mapped (I-12)."""
    assert [path.text for path in kind().joins] == ["externalId", "userName"]
    only = kinds_of(target(users={"userName": "userName"}), CATALOG)["User"]
    assert [path.text for path in only.joins] == ["userName"]


def test_kinds_in_order() -> None:
    """Users go before groups; a target without groups gets none."""
    kinds = kinds_of(target(), CATALOG)
    assert [(name, one.rank, one.members) for name, one in kinds.items()] == [
        ("User", 0, False),
        ("Group", 1, True),
    ]
    assert list(kinds_of(target(groups=None), CATALOG)) == ["User"]


def test_labels() -> None:
    """People are called by their user name, groups by their display name."""
    assert label_of({"userName": "a", "displayName": "b"}) == "a"
    assert label_of({"displayName": "b"}) == "b"
    assert label_of({}) is None
