"""The table of quirks and the leniency of a request."""

import pytest

from rollbook.protocol.quirks import (
    AUTO,
    CLIENTS,
    PROFILES,
    RFC,
    TABLE,
    Leniency,
    Profile,
    Quirk,
    adjusted,
)


def test_every_quirk_is_described() -> None:
    """Each switch says what it accepts and where that comes from: an A-number or a client."""
    assert set(TABLE) == set(Quirk)
    assert all(row.accepts and row.source for row in TABLE.values())


def test_names_of_quirks_are_settings() -> None:
    """A quirk is named by words with hyphens, as settings are."""
    assert all(quirk == quirk.name.lower().replace("_", "-") for quirk in Quirk)


@pytest.mark.parametrize("quirk", Quirk)
def test_auto_accepts_what_rfc_refuses(quirk: Quirk) -> None:
    """Lenient mode has every switch on that its row does not leave out, strict mode none."""
    assert Leniency(AUTO).accepts(quirk) is TABLE[quirk].auto
    assert not Leniency(RFC).accepts(quirk)


def test_every_client_has_a_profile() -> None:
    """A client's profile has the quirks whose rows name it, and is found by its name."""
    assert set(PROFILES) == {"auto", "rfc", *CLIENTS}
    for name in CLIENTS:
        assert PROFILES[name].quirks == {quirk for quirk, row in TABLE.items() if name in row.clients}


def test_a_profile_can_be_adjusted() -> None:
    """Single quirks are switched on and off beside a profile."""
    on, off = Quirk.UNKNOWN_IN_FILTER, Quirk.EMPTY_STRING_CLEARS
    assert adjusted(AUTO, [on], [off]).quirks == (AUTO.quirks | {on}) - {off}


def test_a_quirk_counts_as_used_when_it_was_needed_and_on() -> None:
    """Only a question with the answer yes is recorded."""
    leniency = Leniency(Profile("one", frozenset({Quirk.STRING_BOOLEANS})))
    assert not leniency.accepts(Quirk.DOTTED_KEYS)
    assert leniency.used == set()
    assert leniency.accepts(Quirk.STRING_BOOLEANS)
    assert leniency.used == {Quirk.STRING_BOOLEANS}


def test_each_request_has_its_own_record() -> None:
    """What one request used does not show in another."""
    first, second = Leniency(), Leniency()
    first.accepts(Quirk.DOTTED_KEYS)
    assert second.used == set()
