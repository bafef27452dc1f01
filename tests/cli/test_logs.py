"""What a line of the log shows, and what it does not."""

import time

import pytest

from rollbook.cli.errors import exit_code
from rollbook.cli.logs import configure_logs, escaped, mask, masked
from rollbook.settings import SettingsError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token rb_live_abc123_Zm9v refused", "token (token) refused"),
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer (credential)"),
        ("at postgresql://hub:s3cret@db/x", "at postgresql://(credential)@db/x"),
        ("to <ada.lovelace@example.com>, again", "to <(mail)>, again"),
        ('userName eq "ada@example.com"', 'userName eq "(mail)"'),
        ("/srv/rollbook.yaml:12: unknown key", "/srv/rollbook.yaml:12: unknown key"),
        ("https://scim.example.com/scim/v2", "https://scim.example.com/scim/v2"),
    ],
)
def test_t_94_secrets_and_addresses_are_masked(text: str, shown: str) -> None:
    """What has the look of a secret or a mail address goes; all else stays."""
    assert mask(text) == shown


def test_t_89_errors_repeat_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """An argument that an error repeats does nothing to a terminal; lines and tabs of the text stay."""
    assert exit_code(SettingsError("--by \x1b[2J\x9b:\n\tłe\u202e")) == 3
    assert capsys.readouterr().err == "error: --by \\u001b[2J\\u009b:\n\tłe\\u202e\n"


def test_t_94_a_long_text_is_masked_in_time() -> None:
    """Each place is looked at a bounded number of times: without a bound this takes minutes."""
    begun = time.process_time()
    assert mask("a" * 300_000) == "a" * 300_000
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nlevel=info", "a\\u000d\\u000alevel=info"),
        ("\x1b[31mred", "\\u001b[31mred"),
        ("\u202eevil", "\\u202eevil"),
        ("Łukasz", "Łukasz"),
    ],
)
def test_t_89_control_characters_are_shown(text: str, shown: str) -> None:
    """They neither begin a line nor reach a terminal; the lines of a traceback stay."""
    event = {"name": text, "traceback": "one\ntwo\x1b", "number": 1}
    assert escaped(None, "", event) == {"name": shown, "traceback": "one\ntwo\\u001b", "number": 1}


def test_t_94_the_log_of_a_server_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """Both are done with every line, in whatever field."""
    import structlog

    before = structlog.get_config()
    try:
        configure_logs()
        structlog.get_logger("t").error("no ada@example.com", answer="rb_live_abc_def\x1b")
    finally:
        structlog.configure(**before)
    line = capsys.readouterr().err
    assert '"no (mail)"' in line
    assert "ada@" not in line
    assert "rb_live" not in line
    assert masked(None, "", {"n": 1}) == {"n": 1}
