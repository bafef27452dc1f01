"""Whom /Me stands for: the resource a token acts for (RFC 7644 §3.11)."""

from rollbook.operations.context import Context
from rollbook.protocol.errors import NotFound, UnsupportedFeature
from rollbook.protocol.schema import ResourceType


async def own_type(context: Context) -> ResourceType:
    """The type of the resource the caller acts for; its id is `context.caller.user`.

    Raises:
        UnsupportedFeature: the token acts for nobody. NotFound: for somebody who is gone (P-3.11-06, A-59).
    """
    user = context.caller.user
    if user is None:
        raise UnsupportedFeature(
            "/Me needs a token that acts for a user; make one with: rollbook token create --user ID"
        )
    for kind in context.caller.tenant.catalog.resource_types:
        if context.caller.rights.may_see(kind.name) and await context.services.store.get(
            context.tenant, kind, user, members=False, groups=False
        ):
            return kind
    raise NotFound("the user this token acts for does not exist any more")
