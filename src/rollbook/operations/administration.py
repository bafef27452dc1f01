"""Who may administer what at /admin/v1 (T-09, T-10, I-08).

A token of the default tenant with an admin scope reaches all tenants; one of another tenant reaches its own, and of what that is told
all but the limits that protect the others. Nobody hands out more than they have.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rollbook.operations.rights import Admin, Rights
from rollbook.operations.tenant_settings import setting
from rollbook.operations.tokens import Credential, no_such_tenant
from rollbook.protocol.errors import Forbidden, InsufficientScope, NotFound
from rollbook.storage.tenants import DEFAULT, TenantRecord, TenantState

LIMITS = frozenset(
    {
        "rate", "token-rate", "concurrent", "history",
        "page", "body", "bulk-body", "bulk-operations", "filter-length", "filter-tests", "filter-depth",
    }
)  # fmt: skip
"""Settings of a tenant that protect others from it: they are for whoever runs the server."""

WAYS_IN = frozenset({"basic", "self-service"})
"""Settings by which somebody who may set passwords can be anybody at /Me: past all that a token is bound by."""

JUDGING = frozenset({"unique-group-names", "unique-external-ids"})
"""Settings that are refused where the resources do not fit them: that tells of all of them, whoever may see them (T-30)."""


@dataclass(frozen=True)
class Administrator:
    """Who administers."""

    name: str
    tenant: int
    rights: Rights
    token_id: str = ""

    @property
    def runs_the_server(self) -> bool:
        """Whether all tenants are theirs."""
        return self.tenant == DEFAULT

    def reach(self, record: TenantRecord | None) -> TenantRecord:
        """The tenant, if it is there for them.

        Raises:
            NotFound: it is not, or there is none: in the same words.
        """
        if record is None or not (self.runs_the_server or record.number == self.tenant):
            raise no_such_tenant()
        return record


def administrator(credential: Credential) -> Administrator:
    """Who administers by a credential.

    Raises:
        NotFound: it is not for that, or acts for a user.
    """
    if credential.rights.admin is Admin.NOTHING or credential.user is not None:
        raise NotFound("there is nothing here, or this token is not for it")
    return Administrator(credential.name, credential.tenant, credential.rights, credential.token_id)


def check_write(who: Administrator) -> None:
    """Whether they may change anything.

    Raises:
        InsufficientScope: names the one that is missing.
    """
    if who.rights.admin < Admin.WRITE:
        raise InsufficientScope("this token may only look; changes need one with the scope admin", "admin")


def check_server(who: Administrator) -> None:
    """Whether they may do what concerns more than a tenant of their own.

    Raises:
        Forbidden: they may not.
    """
    if not who.runs_the_server:
        raise Forbidden("this is for whoever runs the server: it needs an admin token of the default tenant")


def check_settings(who: Administrator, names: Iterable[str]) -> None:
    """Whether they may tell a tenant these settings.

    Raises:
        InvalidValue: there is no setting of a name. Forbidden: names those that they may not.
    """
    asked = {setting(name, name).name.replace("_", "-") for name in names}
    beyond = sorted(LIMITS & asked)
    if beyond and not who.runs_the_server:
        raise Forbidden(f"{', '.join(beyond)}: set by whoever runs the server")
    if whole := sorted((WAYS_IN | JUDGING) & asked):
        check_whole(who, ", ".join(whole))


def check_whole(who: Administrator, what: str) -> None:
    """Whether they may do what concerns all resources of a tenant alike.

    Raises:
        Forbidden: something of them is held back from their token.
    """
    if who.rights.is_partial:
        raise Forbidden(
            f"{what}: this token has bounds ({who.rights.bounds_text or 'types'}), and this concerns everything of the tenant"
        )


def check_grant(who: Administrator, rights: Rights) -> None:
    """Whether they may hand out these rights: no more than their own.

    Raises:
        Forbidden: it would be more.
    """
    if not rights.is_within(who.rights):
        own = ", ".join(who.rights.scopes)
        bounds = who.rights.bounds_text
        raise Forbidden(f"this token has {own}{bounds and ' ' + bounds}, and hands out no more than that")


def check_there(record: TenantRecord) -> TenantRecord:
    """The tenant, unless it is being deleted.

    Raises:
        NotFound: it is.
    """
    if record.state is TenantState.DELETING:
        raise NotFound(f"tenant {record.name} is being deleted")
    return record
