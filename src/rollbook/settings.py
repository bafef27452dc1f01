"""What `rollbook serve` can be told, as one frozen value; read by `app` only."""

import importlib.util
import ipaddress
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from rollbook.operations.networks import Network, read_networks
from rollbook.operations.tenant_settings import TenantSettings, read_settings
from rollbook.protocol.errors import InvalidValue
from rollbook.storage.tenants import DEFAULT_NAME

BOOTSTRAP_TOKEN = "ROLLBOOK_BOOTSTRAP_TOKEN"  # noqa: S105 - the name of a variable, not a token
DATABASE = "ROLLBOOK_DATABASE"
TENANT = "ROLLBOOK_TENANT"
DATABASE_FILE = "ROLLBOOK_DATABASE_FILE"


PASSWORD_CHECK = "ROLLBOOK_PASSWORD_CHECK"  # noqa: S105 - the name of a variable

LEASE = "ROLLBOOK_LEASE_SECONDS"
USUAL_LEASE, LEAST_LEASE = 300.0, 5.0


class SettingsError(Exception):
    """A setting that cannot be followed; the text says what to do."""


@dataclass(frozen=True)
class ClientCertificates:
    """Which certificates clients may show, or have to: files of their authorities, and of what these have revoked."""

    ca: Path
    crl: Path | None = None
    is_required: bool = False

    @property
    def demand(self) -> str:
        """How it is said."""
        return "required" if self.is_required else "optional"


@dataclass(frozen=True)
class Settings:
    """How to serve. `database` is a URL; `origin` says where it came from, for people."""

    host: str = "127.0.0.1"
    port: int = 8080
    database: str = ""
    database_origin: str = "default"
    schemas: Path | None = None
    tenant: TenantSettings = TenantSettings()
    config: Path | None = None
    insecure_http: bool = False
    tls: tuple[Path, Path] | None = None
    """Files with the certificates to serve with, and their key."""
    clients: ClientCertificates | None = None
    trusted: tuple[Network, ...] = ()
    """From whom headers that proxies write are believed."""
    public_url: str | None = None
    drain: float = 0.0
    access_log: bool = False
    metrics: str | None = None
    password_check: tuple[str, ...] = ()
    """A program that judges new passwords, with its arguments."""
    bootstrap_token: str | None = field(default=None, repr=False)
    home: str = field(default_factory=lambda: os.environ.get(TENANT) or DEFAULT_NAME)
    """The tenant that a command is for; a server has them all."""

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach the address."""
        return not is_loopback(self.host)

    @property
    def origin(self) -> str:
        """What issued URIs start with where nothing else is said."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a host to bind is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def choose_lease(environment: Mapping[str, str], longest_call: float) -> float:
    """For how many seconds a worker has what it takes up, given how long a call may take.

    Raises:
        SettingsError: no number, or calls could outlast it.
    """
    text = environment.get(LEASE)
    if not text:
        return USUAL_LEASE
    least = max(LEAST_LEASE, 2 * longest_call)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds >= least:
        raise SettingsError(
            f"{LEASE}={text}: a number of seconds, at least {least:g}: twice the longest timeout of a target"
        )
    return seconds


def choose_password_check(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The program that judges new passwords, with its arguments; empty for none.

    Raises:
        SettingsError: there is no such program: passwords that nobody judges are not taken in silence.
    """
    try:
        words = shlex.split(environment.get(PASSWORD_CHECK, ""))
    except ValueError as error:
        raise SettingsError(f"{PASSWORD_CHECK} cannot be split into words: {error}") from None
    found = shutil.which(words[0]) if words else ""
    if words and not found:
        raise SettingsError(f"{PASSWORD_CHECK}: there is no program {words[0]}; write its whole path")
    return (found, *words[1:]) if found else ()


def choose_database(option: str | None, environment: Mapping[str, str]) -> tuple[str, str]:
    """The database URL and where it came from: option, environment, a file that it names, or the XDG data directory.

    Raises:
        SettingsError: the file cannot be read, or is empty.
    """
    if option:
        return option, "--database"
    if environment.get(DATABASE):
        return environment[DATABASE], DATABASE
    if environment.get(DATABASE_FILE):
        return _from_file(Path(environment[DATABASE_FILE])), DATABASE_FILE
    home = environment.get("XDG_DATA_HOME") or str(
        Path(environment.get("HOME") or Path.home()) / ".local/share"
    )
    return f"sqlite:///{Path(home).absolute() / 'rollbook' / 'rollbook.db'}", "default"


def _from_file(path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{DATABASE_FILE}={path}: {getattr(error, 'strerror', 'not text')}") from None
    if not text or "\n" in text:
        raise SettingsError(f"{DATABASE_FILE}={path}: write the URL of the database there, and nothing else")
    return text


def check_public_url(settings: Settings) -> None:
    """Refuse a public URL that issued URIs cannot start with (P-1.3-01).

    Raises:
        SettingsError: says what one looks like.
    """
    if settings.public_url is None:
        return
    parts = urlsplit(settings.public_url)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.netloc
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise SettingsError(
            f"--public-url {settings.public_url}: write scheme, host and perhaps a path, such as"
            " https://scim.example.com; no query, no credentials"
        )


def tenant_settings(assignments: Iterable[str]) -> TenantSettings:
    """What `NAME=VALUE` texts say.

    Raises:
        SettingsError: no such setting, or not a value of it.
    """
    try:
        return read_settings(assignments)
    except InvalidValue as error:
        raise SettingsError(f"--set {error.detail}") from None


def tls_files(cert: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """The certificates to serve with and their key, if there are any.

    Raises:
        SettingsError: one is named without the other.
    """
    if (cert is None) != (key is None):
        raise SettingsError(
            "--tls-cert and --tls-key belong together: name the certificate's file and its key's"
        )
    return None if cert is None or key is None else (cert, key)


def client_certificates(
    ca: Path | None, crl: Path | None, demand: str | None, *, has_tls: bool
) -> ClientCertificates | None:
    """Which certificates clients may show, None if they are asked for none.

    Raises:
        SettingsError: what belongs together is not there, or the server that can do it is not installed.
    """
    if ca is None:
        if crl is not None or demand is not None:
            name = "--client-crl" if crl is not None else "--client-cert"
            raise SettingsError(f"{name} needs --client-ca: whose certificates clients may show")
        return None
    if not has_tls:
        raise SettingsError("--client-ca needs --tls-cert and --tls-key: certificates are shown in TLS")
    if any(importlib.util.find_spec(name) is None for name in ("uvicorn", "httptools")):
        raise SettingsError(
            "--client-ca needs an extra that is not installed: pip install 'rollbook[uvicorn]'"
        )
    return ClientCertificates(ca, crl, demand == "required")


def trusted_proxies(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks whose proxies are believed.

    Raises:
        SettingsError: not a network.
    """
    try:
        return tuple(network for text in texts for network in read_networks(text))
    except InvalidValue as error:
        raise SettingsError(f"--trusted-proxy: {error.detail}") from None


def make_private_directory(path: Path) -> None:
    """Make the directory if it is missing, for its owner only."""
    if not path.exists():
        path.mkdir(parents=True, mode=0o700)
        os.chmod(path, 0o700)  # noqa: PTH101 - mkdir's mode is subject to the umask


def check_exposure(settings: Settings) -> None:
    """Refuse to serve other machines in clear text, unless told to (T-91, I-31).

    Raises:
        SettingsError: says the three ways out.
    """
    if settings.is_public and not settings.insecure_http and settings.tls is None:
        raise SettingsError(
            f"{settings.host} can be reached by other machines, and without TLS tokens would travel in clear text.\n"
            "Give it a certificate (--tls-cert FILE --tls-key FILE), bind to this machine (--host 127.0.0.1) and put a"
            " proxy with TLS in front, or say --insecure-http if the network in between is yours."
        )
