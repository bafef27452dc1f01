"""What TLS is served with: files that are checked before they are used, and looked at for as long as a server runs."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization

log = structlog.get_logger("rollbook.server")

EVERY_SECONDS = 2.0
"""How often the files are looked at."""


class TlsError(Exception):
    """Files that cannot be served with; the text says why and what to do."""


@dataclass(frozen=True)
class Authorities:
    """Whose certificates clients may show, or have to: checked, in PEM form."""

    certificates: bytes
    revoked: bytes = b""
    """Lists of what these have revoked; if there are any, each authority has one."""
    overdue: tuple[str, ...] = ()
    """Lists that should have been renewed by now, in words: until they are, no certificate of theirs is taken."""
    is_required: bool = False


@dataclass(frozen=True)
class Pair:
    """Certificates and the key of the first of them, checked, in the forms that the server reads; and who may ask."""

    certificates: bytes
    key: bytes
    until: datetime
    clients: Authorities | None = None
    """None: clients are not asked for certificates."""


def read_pair(cert: Path, key: Path, now: datetime) -> Pair:
    """A certificate and its key.

    Raises:
        TlsError: not readable, not a pair, or not in its time.
    """
    chain, private = _bytes_of(cert), _bytes_of(key)
    try:
        first = x509.load_pem_x509_certificates(chain)[0]
    except ValueError:
        raise TlsError(
            f"{cert}: no certificate in PEM form (-----BEGIN CERTIFICATE-----), the server's own first"
        ) from None
    try:
        loaded = serialization.load_pem_private_key(private, None)
    except TypeError:
        raise TlsError(
            f"{key}: the key has a password; take it off: openssl pkey -in {key.name} -out plain.pem"
        ) from None
    except Exception:  # noqa: BLE001 - the library raises several kinds; each means that it is none
        raise TlsError(f"{key}: no private key in PEM form") from None
    whole = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if loaded.public_key().public_bytes(*whole) != first.public_key().public_bytes(*whole):
        raise TlsError(f"{key} is not the key of the first certificate in {cert}")
    _check_time(cert, first, now)
    # The server reads PKCS#8 only; whatever form the key has becomes that.
    pkcs8 = loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(chain, pkcs8, first.not_valid_after_utc)


def _check_time(cert: Path, first: x509.Certificate, now: datetime) -> None:
    if now >= first.not_valid_after_utc:
        raise TlsError(f"{cert} has expired on {first.not_valid_after_utc:%Y-%m-%d}; renew it")
    if now < first.not_valid_before_utc:
        raise TlsError(f"{cert} is not valid before {first.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")


def read_authorities(ca: Path, crl: Path | None, now: datetime, *, is_required: bool) -> Authorities:
    """Whose certificates count, and which of these are revoked.

    Raises:
        TlsError: not readable, no authorities, none in its time; or, where lists are given, an authority without one or
            without the authority above it, whose list would say whether it is revoked itself.
    """
    text = _bytes_of(ca)
    try:
        found = x509.load_pem_x509_certificates(text)
    except ValueError:
        raise TlsError(f"{ca}: no certificate in PEM form (-----BEGIN CERTIFICATE-----)") from None
    for each in found:
        if not _is_authority(each):
            raise TlsError(f"{ca}: {_named(each.subject)} is not the certificate of an authority (CA:TRUE)")
    if not any(each.not_valid_before_utc <= now < each.not_valid_after_utc for each in found):
        raise TlsError(f"{ca}: none of its {len(found)} authorities is in its time")
    if crl is None:
        return Authorities(text, is_required=is_required)
    if above := {each.issuer for each in found} - {each.subject for each in found}:
        raise TlsError(
            f"{ca}: with --client-crl the authorities above have to be there, too: {_named(next(iter(above)))} is missing"
        )
    revoked = _bytes_of(crl)
    lists = _read_lists(crl, revoked)
    overdue = [told for each in found if (told := _overdue(crl, lists, each, now))]
    return Authorities(text, revoked, tuple(overdue), is_required)


def _is_authority(found: x509.Certificate) -> bool:
    try:
        return found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


def lists_in(text: bytes) -> list[x509.CertificateRevocationList]:
    """The lists of revoked certificates that stand in a PEM file.

    Raises:
        ValueError: what says it is one is none.
    """
    return [x509.load_pem_x509_crl(each) for each in _LIST.findall(text)]


def _read_lists(crl: Path, text: bytes) -> list[x509.CertificateRevocationList]:
    try:
        found = lists_in(text)
    except ValueError:
        found = []
    if not found:
        raise TlsError(f"{crl}: no list of revoked certificates in PEM form (-----BEGIN X509 CRL-----)")
    return found


def _overdue(
    crl: Path, lists: Iterable[x509.CertificateRevocationList], authority: x509.Certificate, now: datetime
) -> str | None:
    """What to say of an authority's list that should have been renewed; None if it holds.

    Without a list of its own no certificate of an authority is taken, which nobody should have to learn from clients.
    """
    named = _named(authority.subject)
    own = [each for each in lists if each.issuer == authority.subject and _is_signed_by(each, authority)]
    if not own:
        raise TlsError(f"{crl}: no list that {named} has signed; each authority needs one")
    dues = [each.next_update_utc for each in own]
    if any(due is None or due > now for due in dues):
        return None
    return f"{crl}: the list of {named} was due anew {max(filter(None, dues)):%Y-%m-%d %H:%M} UTC"


def _is_signed_by(found: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return found.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # other kinds raise
    except Exception:  # noqa: BLE001 - a key of a kind that signs nothing: not by this one
        return False


def _named(name: x509.Name) -> str:
    return name.rfc4514_string() or "an authority without a name"


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{path}: {error.strerror}") from None


@dataclass(frozen=True)
class TlsFiles:
    """Where everything stands that TLS is served with."""

    cert: Path
    key: Path
    client_ca: Path | None = None
    client_crl: Path | None = None
    is_required: bool = False
    """Whether clients have to show a certificate."""

    def read(self, now: datetime) -> Pair:
        """What they hold.

        Raises:
            TlsError: they cannot be served with.
        """
        pair = read_pair(self.cert, self.key, now)
        if self.client_ca is None:
            return pair
        clients = read_authorities(self.client_ca, self.client_crl, now, is_required=self.is_required)
        return replace(pair, clients=clients)

    def stamp(self) -> tuple[object, ...]:
        """What is another whenever one of them has changed."""
        named = (self.cert, self.key, self.client_ca, self.client_crl)
        return tuple(_stamp_of(path) for path in named if path is not None)


def tell_overdue(pair: Pair) -> None:
    """Tell of lists that are too old; the server goes on, as others may need no certificate."""
    for told in pair.clients.overdue if pair.clients else ():
        log.error("no certificate of this authority is taken until its list is renewed", reason=told)


@dataclass
class TlsWatch:
    """Gives a listener what the files hold whenever they have changed, or when `look` is set.

    A pair that cannot be served with is told in the log, and the former one goes on.
    """

    files: TlsFiles
    renew: Callable[[Pair], Awaitable[None]]
    served: Pair
    look: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Watch for as long as this runs."""
        seen: tuple[object, ...] = ()
        while True:
            asked = await _set_within(self.look, EVERY_SECONDS)
            self.look.clear()
            stamp = self.files.stamp()
            if (asked or stamp != seen) and await self._renew():
                seen = stamp

    async def _renew(self) -> bool:
        """Whether these files have been dealt with: what keeps a good pair from being served may pass, and is tried again."""
        try:
            pair = self.files.read(datetime.now(UTC))
        except TlsError as error:
            log.error("the certificates are not taken; the former ones go on", reason=str(error))  # noqa: TRY400
            return True
        if pair != self.served:
            try:
                await self.renew(pair)
            except Exception as error:  # noqa: BLE001 - a full disk, for example: the watch goes on
                log.error("the certificates cannot be served yet; the former ones go on", reason=str(error))  # noqa: TRY400
                return False
            self.served = pair
            log.info("a new certificate is served", until=pair.until.isoformat())
            tell_overdue(pair)
        return True


def _stamp_of(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
