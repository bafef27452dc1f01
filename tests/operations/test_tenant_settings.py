"""The settings of a tenant, and how they are read from text."""

import pytest

from rollbook.operations.tenant_settings import (
    SETTINGS,
    Feature,
    PatchAnswer,
    TenantSettings,
    read_settings,
)
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.quirks import AUTO, RFC, Quirk
from rollbook.storage.base import References


def test_without_a_word_everything_has_its_default() -> None:
    """No assignment gives the settings a server without configuration has."""
    assert read_settings([]) == TenantSettings()
    assert TenantSettings().accepted == AUTO


def test_each_setting_says_what_it_means() -> None:
    """The table of the documentation is complete."""
    assert all(each.metadata["meaning"] and each.metadata["read"] for each in SETTINGS.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("profile=rfc", TenantSettings(profile="rfc")),
        ("references=strict", TenantSettings(references=References.STRICT)),
        ("patch-answer=resource", TenantSettings(patch_answer=PatchAnswer.RESOURCE)),
        ("off=bulk, sort", TenantSettings(off=frozenset({Feature.BULK, Feature.SORT}))),
        ("require-if-match=on", TenantSettings(require_if_match=True)),
        ("cursor-seconds=60", TenantSettings(cursor_seconds=60)),
        ("self-service=nickName, title ", TenantSettings(self_service=frozenset({"nickName", "title"}))),
    ],
)
def test_one_setting(text: str, expected: TenantSettings) -> None:
    """NAME=VALUE sets that one; the others keep their defaults."""
    assert read_settings([text]) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profile", "NAME=VALUE"),
        ("profil=rfc", "did you mean profile?"),
        ("profile=entry", "choose one of auto, rfc, entra"),
        ("references=maybe", "choose one of members, strict, tolerant"),
        ("off=everything", "choose one of patch, bulk"),
        ("require-if-match=yes", "say on or off"),
        ("cursor-seconds=0", "whole number of seconds"),
        ("cursor-seconds=soon", "whole number of seconds"),
        ("page=000000001000000", "from 1 to 1000"),
        ("password-length=000000008000000", "from 8 to 128"),
        ("rate=" + "9" * 5_000, "at most a million"),
        ("cursor-seconds=" + "0" * 9 + "99999999", "whole number of seconds"),
        ("history=" + "0" * 5_000 + "9d", "number of days"),
        ("quirks=keep-active", "write + or -"),
        ("quirks=-keep-activ", "as in -keep-active"),
    ],
)
def test_what_is_not_a_setting_is_refused(text: str, said: str) -> None:
    """The message says what would be accepted."""
    with pytest.raises(InvalidValue, match=said.replace("?", r"\?").replace("+", r"\+")):
        read_settings([text])


def test_single_quirks_are_switched_beside_the_profile() -> None:
    """+name is on in strict mode, -name off in lenient mode."""
    strict = read_settings(["profile=rfc", "quirks=+dotted-keys"])
    assert strict.accepted.quirks == RFC.quirks | {Quirk.DOTTED_KEYS}
    lenient = read_settings(["quirks=-dotted-keys"])
    assert lenient.accepted.quirks == AUTO.quirks - {Quirk.DOTTED_KEYS}
