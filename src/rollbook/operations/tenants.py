"""What a tenant is called, and what it has been told: names in one form, settings as one object (T-15)."""

import re
from collections.abc import Sequence
from dataclasses import fields, replace

from rollbook.operations.context import Tenant
from rollbook.operations.tenant_settings import SETTINGS, TenantSettings, read_settings, setting
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidValue
from rollbook.storage.tenants import DEFAULT, TenantRecord

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z", re.ASCII)
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])\Z", re.ASCII)
_RESERVED = frozenset(
    [
        "admin",
        "api",
        "default",
        "groups",
        "healthz",
        "hooks",
        "me",
        "metrics",
        "new",
        "none",
        "null",
        "openapi",
        "readyz",
        "root",
        "rollbook",
        "scim",
        "system",
        "t",
        "tenant",
        "tenants",
        "users",
        "v1",
        "v2",
    ]
)

CLOSED = "open-discovery=off"
"""What holds of a tenant with a path of its own, unless it was told otherwise (A-61)."""


def is_name(name: str) -> bool:
    """Whether a tenant may be called so, or is the default one."""
    return _NAME.match(name) is not None


def check_name(name: str) -> str:
    """The name, if a tenant may have it: there is one spelling of each.

    Raises:
        InvalidValue: says what a name looks like.
    """
    if not is_name(name):
        raise InvalidValue(
            f"{name[:80]!r} is no name for a tenant: write 1 to 63 of a-z, 0-9 and -, with no - at either end"
        )
    if name in _RESERVED:
        raise InvalidValue(f"{name!r} means something else in Rollbook; choose another name for the tenant")
    return name


def check_host(host: str) -> str:
    """A host name, in lower case, without a port.

    Raises:
        InvalidValue: says what one looks like.
    """
    if len(host) > 253 or _HOST.match(host) is None:
        raise InvalidValue(
            f"{host[:80]!r}: write a host name in lower case without scheme and port, such as acme.example.com"
        )
    return host


def told_before(record: TenantRecord) -> list[str]:
    """What a tenant's row says, without assignments of names that no setting has."""
    return [each for each in record.settings if each.partition("=")[0] in SETTINGS]


def settings_of(record: TenantRecord, told: TenantSettings = TenantSettings()) -> TenantSettings:
    """What holds for a tenant: what its row says, and over it what the serving process was told (the default only)."""
    kept = told_before(record)
    if record.number != DEFAULT:
        return read_settings([CLOSED, *kept])
    usual, said = TenantSettings(), read_settings(kept)
    chosen = {
        each.name: getattr(told, each.name)
        for each in fields(told)
        if getattr(told, each.name) != getattr(usual, each.name)
    }
    return replace(said, **chosen)


def tenant_of(record: TenantRecord, catalog: Catalog, told: TenantSettings = TenantSettings()) -> Tenant:
    """A tenant as it is served."""
    return Tenant(record.number, catalog, settings_of(record, told), record.edition, record.name)


def assigned(before: Sequence[str], changes: Sequence[str]) -> tuple[str, ...]:
    """Assignments `NAME=VALUE` after more of them; `NAME=` takes one back.

    Raises:
        InvalidValue: no such setting, or not a value of it.
    """
    read_settings([each for each in changes if not each.endswith("=")])
    for each in changes:
        setting(each.partition("=")[0], each)
    said = dict(each.split("=", 1) for each in (*before, *changes) if each.partition("=")[0] in SETTINGS)
    kept = tuple(f"{name}={value}" for name, value in sorted(said.items()) if value)
    read_settings(kept)
    return kept
