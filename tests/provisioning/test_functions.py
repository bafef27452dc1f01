"""The functions of expressions, as plain functions."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.provisioning import functions
from rollbook.provisioning.functions import DESCRIPTIONS, FUNCTIONS


@pytest.mark.parametrize(
    ("text", "normal", "bare", "slug"),
    [
        ("Müller", "Mueller", "Muller", "mueller"),
        ("Mu\u0308ller", "Mueller", "Muller", "mueller"),
        ("Anna-Lena Groß", "Anna-Lena Gross", "Anna-Lena Gross", "anna-lena-gross"),
        ("ÄÖÜ ẞ", "AeOeUe SS", "AOU SS", "aeoeue-ss"),
        ("José Þór Łukasz", "Jose Thor Lukasz", "Jose Thor Lukasz", "jose-thor-lukasz"),
        ("Ångström & Søn", "Angstroem & Son", "Angstrom & Son", "angstroem-son"),
        ("O’Neill", "O'Neill", "O'Neill", "o-neill"),
        ("李 Wei", "李 Wei", "李 Wei", "wei"),
        ("", "", "", ""),
    ],
)
def test_plain_letters(text: str, normal: str, bare: str, slug: str) -> None:
    """German umlauts are two letters or one, as asked; other scripts stay; a slug is small ASCII."""
    assert (functions.normalize(text), functions.unaccent(text), functions.slug(text)) == (normal, bare, slug)


@given(st.text())
def test_a_slug_of_a_slug_is_the_slug(text: str) -> None:
    """Slugs are ASCII letters, digits and single hyphens, and stay as they are."""
    slug = functions.slug(text)
    assert slug.isascii()
    assert slug == functions.slug(slug)
    assert "--" not in slug


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        (" 2026-11-23 ", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T09:30:00Z", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("2026-11-23T09:30:00+02:00", datetime(2026, 11, 23, 7, 30, tzinfo=UTC)),
    ],
)
def test_dates(text: str, moment: datetime) -> None:
    """ISO dates with or without time; UTC where no zone is named."""
    assert functions.date(text) == moment


@pytest.mark.parametrize("text", ["", "31.12.2026", "2026-02-30", "soon"])
def test_what_is_no_date(text: str) -> None:
    """The refusal shows the value and an accepted form."""
    with pytest.raises(ValueError, match="is not a date such as 2026-11-23"):
        functions.date(text)


def test_dates_in_another_form() -> None:
    """A form of one's own is named, never guessed."""
    assert functions.date_in_form("31.12.2026", "%d.%m.%Y") == datetime(2026, 12, 31, tzinfo=UTC)
    with pytest.raises(ValueError, match=r"'2026' is not a date in the form '%d\.%m\.%Y'"):
        functions.date_in_form("2026", "%d.%m.%Y")


def test_coalesce() -> None:
    """The first text that is not empty, else the empty one."""
    assert functions.coalesce("", "b", "c") == "b"
    assert functions.coalesce("", "") == ""


def test_every_function_is_described() -> None:
    """The documentation's table and the functions are the same list."""
    assert {text.partition("(")[0] for text in DESCRIPTIONS} == {
        *(function.name for function in FUNCTIONS),
        "lookup",
    }


@pytest.mark.parametrize(
    ("text", "latin"),
    [
        ("Ελένη", "Eleni"),
        ("Иван Щукин", "Ivan Shchukin"),
        ("Müller", "Mueller"),
        ("Mu\u0308ller", "Mueller"),
        ("Łukasz Þór", "Lukasz Thor"),
        ("李", "Li"),
        ("", ""),
    ],
)
def test_letters_of_other_scripts(text: str, latin: str) -> None:
    """In Latin letters, German umlauts as two, as `normalize` has them."""
    assert functions.translit(text) == latin


@given(st.text())
def test_what_is_transliterated_is_ascii(text: str) -> None:
    """Whatever it was."""
    assert functions.translit(text).isascii()
