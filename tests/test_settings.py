"""What `rollbook serve` is told, and what it refuses to do."""

from pathlib import Path

import pytest

from rollbook.settings import (
    LEASE,
    Settings,
    SettingsError,
    check_exposure,
    check_public_url,
    choose_database,
    choose_lease,
    is_loopback,
    make_private_directory,
)


@pytest.mark.parametrize(
    ("option", "environment", "expected"),
    [
        ("sqlite:///x.db", {"ROLLBOOK_DATABASE": "sqlite:///y.db"}, ("sqlite:///x.db", "--database")),
        (None, {"ROLLBOOK_DATABASE": "sqlite:///y.db"}, ("sqlite:///y.db", "ROLLBOOK_DATABASE")),
        (None, {"XDG_DATA_HOME": "/data", "HOME": "/h"}, ("sqlite:////data/rollbook/rollbook.db", "default")),
        (None, {"HOME": "/h"}, ("sqlite:////h/.local/share/rollbook/rollbook.db", "default")),
    ],
)
def test_database(option: str | None, environment: dict[str, str], expected: tuple[str, str]) -> None:
    """The option wins over the environment, that over the XDG data directory."""
    assert choose_database(option, environment) == expected


def test_a_file_may_name_the_database(tmp_path: Path) -> None:
    """A URL with a password stands in a file, which containers and systemd hand over; one that cannot be read is named."""
    file = tmp_path / "database_url"
    environment = {"ROLLBOOK_DATABASE_FILE": str(file)}
    with pytest.raises(SettingsError, match="No such file"):
        choose_database(None, environment)
    for wrong in ("", "\n", "postgresql://a\npostgresql://b"):
        file.write_text(wrong, "utf-8")
        with pytest.raises(SettingsError, match="nothing else"):
            choose_database(None, environment)
    file.write_text("postgresql://rollbook:secret@database/rollbook\n", "utf-8")
    told = ("postgresql://rollbook:secret@database/rollbook", "ROLLBOOK_DATABASE_FILE")
    assert choose_database(None, environment) == told


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True),
        ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.com", False), ("", False),
    ],
)  # fmt: skip
def test_exposure(host: str, loopback: bool) -> None:
    """What others can reach is refused without TLS, unless told (T-91)."""
    assert is_loopback(host) is loopback
    check_exposure(Settings(host=host, insecure_http=True))
    if loopback:
        check_exposure(Settings(host=host))
    else:
        with pytest.raises(SettingsError, match="--insecure-http"):
            check_exposure(Settings(host=host))


def test_private_directory(tmp_path: Path) -> None:
    """A data directory that is made is for its owner only; one that is there is left as it is."""
    made, there = tmp_path / "a" / "b", tmp_path / "there"
    there.mkdir(mode=0o755)
    make_private_directory(made)
    make_private_directory(there)
    assert made.stat().st_mode & 0o777 == 0o700
    assert there.stat().st_mode & 0o077


def test_secret_is_not_shown() -> None:
    """The bootstrap token is in no repr (T-88)."""
    assert "secret" not in repr(Settings(bootstrap_token="secret"))


@pytest.mark.spec("P-1.3-01")
@pytest.mark.parametrize(
    ("url", "fits"),
    [
        (None, True), ("https://scim.example.com", True), ("http://x:8080/hr", True),
        ("https://scim.example.com/scim?x=1", False), ("https://x/#a", False), ("scim.example.com", False),
        ("https://user:secret@x", False), ("ftp://x", False), ("https://", False),
    ],
)  # fmt: skip
def test_public_url(url: str | None, fits: bool) -> None:
    """What issued URIs start with has scheme, host and perhaps a path, and no query."""
    settings = Settings(public_url=url)
    if fits:
        check_public_url(settings)
        return
    with pytest.raises(SettingsError, match="--public-url"):
        check_public_url(settings)


@pytest.mark.parametrize(
    ("text", "longest_call", "seconds"),
    [("", 30, 300), ("12.5", 3, 12.5), ("60", 30, 60), ("5", 0, 5)],
)
def test_how_long_a_worker_has_its_work(text: str, longest_call: float, seconds: float) -> None:
    """I-18: five minutes, unless the environment says otherwise."""
    assert choose_lease({LEASE: text}, longest_call) == seconds


@pytest.mark.parametrize(("text", "longest_call"), [("59", 30), ("4", 0), ("-1", 0), ("soon", 1), ("nan", 1)])
def test_calls_must_not_outlast_a_lease(text: str, longest_call: float) -> None:
    """I-18: a lease that a call could outlast is refused, and the least is named."""
    with pytest.raises(SettingsError, match="at least"):
        choose_lease({LEASE: text}, longest_call)
