"""Values and rows of a plan as text."""

import pytest
from tests.provisioning.world import ENTERPRISE, USER, USERS, mapping, path_of

from rollbook.cli.plan_text import SYMBOLS, difference_rows, mapped_names, printable
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.expressions import Subject
from rollbook.provisioning.items import Action
from rollbook.provisioning.masking import MASK, masked, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jürgen 健", "Jürgen 健"),
        ("a\x1b[0m", "a\\u001b[0m"),
        ("a\u202eb\u200bc\nd", "a\\u202eb\\u200bc\\u000ad"),
    ],
)
def test_t_89_printable(text: str, expected: str) -> None:
    """Letters stay; whatever a terminal would act on, or nobody would see, becomes an escape."""
    assert printable(text) == expected


@pytest.mark.parametrize(
    ("path", "old", "new", "row"),
    [
        ("title", "Analyst", "Lead", 'title                "Analyst" → "Lead"'),
        ("title", None, "Lead", 'title                "Lead"'),
        ("title", "Lead", None, 'title                "Lead" → (none)'),
        ("active", True, False, "active               true → false"),
        (f"{ENTERPRISE}:department", "R&D", "Ops", 'department           "R&D" → "Ops"'),
        ("password", None, "secret", 'password             "•••"'),
    ],
)
def test_rows(path: str, old: JsonValue, new: JsonValue, row: str) -> None:
    """Old and new value stand beside the attribute; secrets are masked (I-13)."""
    assert difference_rows([Difference(path_of(USER, path), old, new)]) == [row]


def test_long_values_are_cut() -> None:
    """A value nobody can read in a line is cut."""
    (row,) = difference_rows([Difference(path_of(USER, "title"), None, "x" * 1000)])
    assert len(row) < 250


def test_masked_values_say_whether_there_is_one() -> None:
    """A mask stands for a value, not for its absence."""
    difference = Difference(path_of(USER, "password"), None, "x")
    assert (shown(difference, "x"), shown(difference, None)) == ("•••", None)


@pytest.mark.parametrize(
    ("path", "sensitive", "hidden"),
    [
        ("title", "title", True),
        ("title", "nickname", False),
        ("name.familyName", "name.familyname", True),
        ("name.familyName", "name", True),
        ("name.familyName", "name.givenname", False),
        ("emails", "emails.value", True),
        (f"{ENTERPRISE}:costCenter", f"{ENTERPRISE}:costCenter".lower(), True),
        (f"{ENTERPRISE}:department", f"{ENTERPRISE}:costCenter".lower(), False),
    ],
)
def test_what_is_sensitive_is_masked(path: str, sensitive: str, hidden: bool) -> None:
    """The attribute, its parts, and a value that has such a part."""
    assert (shown(Difference(path_of(USER, path), None, "x"), "x", {sensitive}) == MASK) is hidden


def test_a_resource_is_masked_inside() -> None:
    """In extensions and in each element of a list; the rest stays."""
    document: JsonObject = {
        "title": "x",
        "emails": [{"value": "x", "type": "work"}],
        ENTERPRISE: {"costCenter": "x", "division": "y"},
    }
    hidden = {"emails.value", f"{ENTERPRISE}:costCenter".lower()}
    assert masked(document, hidden) == {
        "title": "x",
        "emails": [{"value": MASK, "type": "work"}],
        ENTERPRISE: {"costCenter": MASK, "division": "y"},
    }


def test_every_action_has_a_symbol() -> None:
    """No kind of line is without its sign."""
    assert set(SYMBOLS) == set(Action)


def test_mapped_names() -> None:
    """The names of a mapping are told without URNs, each once."""
    names = mapped_names(mapping(USER, Subject.USER, USERS))
    assert names[-2:] == ["department", "manager"]
    assert len(names) == len(set(names))
