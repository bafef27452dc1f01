"""People from an LDAP directory: a paged search, over TLS unless it is this machine (RFC 4511, 2696).

Changes by content synchronisation (RFC 4533) are in `ldap_sync`.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.spool import (
    Anew,
    Course,
    Fields,
    Item,
    Left,
    Problem,
    SpooledSource,
    There,
)

PAGE = 500
"""Entries in a page: half of what Active Directory gives at most."""

_GUIDS = frozenset({"objectguid", "msexchmailboxguid"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "", None})


@dataclass(frozen=True)
class Directory:
    """Where people are, and who asks. `attributes` are those read; the password is a secret."""

    url: str
    base: str
    filter: str = "(objectClass=inetOrgPerson)"
    bind_dn: str = ""
    password: str = field(default="", repr=False)
    attributes: tuple[str, ...] = ()
    start_tls: bool = False
    ca_file: str | None = None
    timeout: float = 30.0


def ldap_directory(
    directory: Directory, key: str, needed: tuple[str, ...], *, changes: bool = False
) -> SpooledSource:
    """The source that a search gives. Attributes with several values have one line for each; `dn` is there too.

    With `changes`, for which the key has to be entryUUID, it can tell what has changed.
    """
    wanted = tuple(dict.fromkeys((*directory.attributes, key, *needed)))
    return SpooledSource(
        f"{directory.url}/{directory.base}",
        key,
        needed,
        lambda course: records(directory, wanted, course, changes=changes),
    )


def records(
    directory: Directory, wanted: tuple[str, ...], course: Course, *, changes: bool = False
) -> Iterator[Item]:
    """The entries of the directory, or those changed since the mark of the course."""
    ldap = _library(directory)
    connection = _connected(ldap, directory)
    attributes = [name for name in wanted if name != "dn"]
    try:
        if changes and not course.plain:
            yield from _synchronised(ldap, connection, directory, attributes, course)
        else:
            course.since = None
            yield from _search(ldap, connection, directory, attributes)
    except ldap.LDAPError as error:
        raise SourceError(f"{directory.url}: {_words(error)}") from None
    finally:
        connection.unbind_s()


def _synchronised(
    ldap: ModuleType, connection: Any, directory: Directory, wanted: list[str], course: Course
) -> Iterator[Item]:
    from rollbook.provisioning.sources.ldap_sync import Sync, synchronise

    names = {name.lower(): name for name in wanted}
    asked = Sync(directory.base, directory.filter, wanted, directory.timeout)
    try:
        for dn, attributes in synchronise(ldap, connection, asked, course):
            yield attributes if isinstance(attributes, There | Left) else _record(dn, attributes, names)
    except (ldap.SERVER_DOWN, ldap.TIMEOUT, ldap.CONNECT_ERROR):
        raise
    except (ldap.UNAVAILABLE_CRITICAL_EXTENSION, ldap.UNWILLING_TO_PERFORM) as error:
        raise Anew(
            f"the server tells no changes ({_words(error)}; OpenLDAP needs the overlay syncprov)", plain=True
        ) from None
    except ldap.SIZELIMIT_EXCEEDED:
        raise Anew(
            "the server's size limit holds for synchronisation too: lift it for the reader, or leave out changes",
            plain=True,
        ) from None
    except ldap.LDAPError as error:  # e-syncRefreshRequired among them: the mark is too old, or not one
        if course.since is None:
            raise
        raise Anew(f"the server does not go on from the mark ({_words(error)})") from None


def _search(
    ldap: ModuleType, connection: Any, directory: Directory, wanted: list[str]
) -> Iterator[Fields | Problem]:
    from ldap.controls import SimplePagedResultsControl

    names = {name.lower(): name for name in wanted}
    page = SimplePagedResultsControl(True, size=PAGE, cookie="")
    while True:
        number = connection.search_ext(
            directory.base, ldap.SCOPE_SUBTREE, directory.filter, wanted or None, serverctrls=[page]
        )
        _, found, _, controls = connection.result3(number, timeout=directory.timeout)
        for dn, attributes in found:
            if dn is not None:  # a referral has none
                yield _record(dn, attributes, names)
        answered = next((one for one in controls if one.controlType == page.controlType), None)
        if answered is None or not answered.cookie:
            return
        page.cookie = answered.cookie


def _record(dn: str, attributes: dict[str, list[bytes]], names: dict[str, str]) -> Fields | Problem:
    found = {"dn": dn}
    for name, values in attributes.items():
        base = name.partition(";")[0].lower()
        try:
            found[names.get(base, name)] = "\n".join(_text(base, value) for value in values)
        except UnicodeDecodeError:
            return f"{dn}: {name} is not text; leave it out of attributes"
    return found


def _text(name: str, value: bytes) -> str:
    if name in _GUIDS and len(value) == 16:
        return str(uuid.UUID(bytes_le=value))
    text = value.decode()
    return {"TRUE": "true", "FALSE": "false"}.get(text, text)


def _library(directory: Directory) -> ModuleType:
    try:
        import ldap
    except ImportError:
        raise SourceError(
            f"{directory.url}: LDAP needs an extra: apt install build-essential python3-dev libldap-dev libsasl2-dev"
            " (dnf: openldap-devel), then pip install 'rollbook[ldap]'"
        ) from None
    module: ModuleType = ldap
    return module


def _connected(ldap: ModuleType, directory: Directory) -> Any:
    parts = urlsplit(directory.url)
    if parts.scheme == "ldap" and parts.hostname not in _LOOPBACK and not directory.start_tls:
        raise SourceError(
            f"{directory.url}: {parts.hostname} is another machine: write ldaps:// or start_tls: true"
        )
    connection = ldap.initialize(directory.url)
    connection.protocol_version = ldap.VERSION3
    connection.set_option(ldap.OPT_REFERRALS, 0)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, directory.timeout)
    connection.set_option(ldap.OPT_TIMEOUT, directory.timeout)
    connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
    if directory.ca_file:
        connection.set_option(ldap.OPT_X_TLS_CACERTFILE, directory.ca_file)
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    try:
        if directory.start_tls:
            _start_tls(ldap, connection, directory)
        connection.simple_bind_s(directory.bind_dn, directory.password)
    except ldap.LDAPError as error:
        connection.unbind_s()
        raise SourceError(f"{directory.url}: {_words(error)}") from None
    return connection


def _start_tls(ldap: ModuleType, connection: Any, directory: Directory) -> None:
    try:
        connection.start_tls_s()
    except ldap.LDAPError as error:
        connection.unbind_s()
        raise SourceError(f"{directory.url}: TLS could not be begun: {_words(error)}") from None


def _words(error: Exception) -> str:
    """What the server says; libldap says "Can't contact LDAP server" for every fault of TLS."""
    told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    words = [str(told[name]) for name in ("desc", "info") if told.get(name)]
    text = "; ".join(words) or type(error).__name__
    if re.search("contact LDAP server", text, re.IGNORECASE):
        text += " (no connection, or its certificate is not one this machine trusts: name ca_file)"
    return text
