"""What decides what a target holds beside the resource itself."""

from datetime import UTC, datetime

import pytest
from tests.provisioning.world import CATALOG, target

from rollbook.provisioning.expressions import Subject, compile_expression
from rollbook.provisioning.mapping import Computed
from rollbook.provisioning.model import Rule
from rollbook.provisioning.reach import groups_count, reach_digest
from rollbook.provisioning.wanted import kinds_of

MONDAY, TUESDAY = (datetime(2026, 11, day, tzinfo=UTC) for day in (23, 24))


def computed(text: str) -> Rule:
    """A rule for a title."""
    return Computed(compile_expression(text, Subject.USER), "title")


@pytest.mark.parametrize(
    ("rule", "scope", "expected"),
    [
        ("title", None, False),
        ("title", 'title eq "x"', False),
        ("title", 'groups.display eq "x"', True),
        ("title", 'title eq "x" and not (groups[value eq "1" or type pr])', True),
        ("groups.display", None, True),
        (computed("user.title"), None, False),
        (computed('user.groups.exists(g, g.display == "x") ? "a" : "b"'), None, True),
        (computed('size(user) > 3 ? "a" : "b"'), None, True),
    ],
)
def test_groups_count(rule: str | Rule, scope: str | None, expected: bool) -> None:
    """Groups count where the scope or a rule reads them, or reads everything."""
    users = {"displayName": rule} if rule == "groups.display" else {"title": rule}
    kind = kinds_of(target(users=users, scope=scope), CATALOG)["User"]
    assert groups_count(kind) is expected


def test_groups_of_groups_do_not_count() -> None:
    """A type whose resources are in no groups never depends on them."""
    assert not groups_count(kinds_of(target(), CATALOG)["Group"])


def test_the_day_counts_where_a_rule_asks_for_it() -> None:
    """A target whose rules ask what day it is has another digest each day, any other the same."""
    plain = target(digest="7")
    assert reach_digest(plain, CATALOG, MONDAY) == reach_digest(plain, CATALOG, TUESDAY) == "7"
    daily = target(users={"title": computed('today > date("2026-01-01") ? "a" : "b"')})
    assert reach_digest(daily, CATALOG, MONDAY) != reach_digest(daily, CATALOG, TUESDAY)
    assert reach_digest(daily, CATALOG, MONDAY) == reach_digest(daily, CATALOG, MONDAY)
