"""Create, read, replace, patch and delete one resource (RFC 7644 §3.3–§3.6): read, decide, write."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from rollbook.operations import access
from rollbook.operations.context import Context, at_once
from rollbook.operations.referring import check_labels, ids_shown
from rollbook.operations.tenant_settings import Feature
from rollbook.protocol import patch as patching
from rollbook.protocol import validate
from rollbook.protocol.errors import (
    Conflict,
    Forbidden,
    PreconditionFailed,
    PreconditionRequired,
    RequestError,
    UnsupportedFeature,
)
from rollbook.protocol.projection import Projection, wants
from rollbook.protocol.resource import Change, Present, Resource, Scope, asserted_paths
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonValue, is_heavy
from rollbook.protocol.versions import if_match, if_none_match
from rollbook.storage import refusals
from rollbook.storage.base import Decide, Insert, Record, StepRefused, Updated
from rollbook.storage.documents import decode
from rollbook.storage.sight import Sight

_TRIES_BEFORE = 2
"""How often a heavy change is decided before its turn to write; others may change the resource meanwhile."""

_TRIES = 5
"""How often a resource may change between a look at it and its removal."""

Precondition = Callable[[str], bool] | None
"""Judges the present version of a resource, as If-Match does; None accepts any."""


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write: the record as it is now, whether anything changed, and the paths it wrote."""

    record: Record
    changed: bool
    paths: frozenset[str]


async def create(
    context: Context, resource_type: ResourceType, body: JsonValue, id: str | None = None
) -> Written:
    """Create a resource (RFC 7644 §3.3); `id` is for a caller who had to know it beforehand.

    Raises:
        RequestError: the body is refused, or a unique value is in use.
    """
    access.check_type(context.caller, resource_type, writes=True)
    resource = await _new(context, resource_type, body)
    await context.turn()
    services = context.services
    record = await services.store.insert(
        context.tenant,
        resource_type,
        id or services.new_id(),
        validate.create(resource),
        context.author(),
        context.rules,
    )
    shown = context.veil(resource_type).shown(record)
    return Written(shown, changed=True, paths=asserted_paths(resource, resource_type.memberships))


@dataclass(frozen=True, slots=True)
class Creation:
    """A resource that is asked for: its type, its body, and the id it will have."""

    resource_type: ResourceType
    body: JsonValue
    id: str


async def create_together(context: Context, creations: Sequence[Creation]) -> Sequence[Record]:
    """Create resources that refer to each other, all or none (RFC 7644 §3.7.1); the records have no members.

    Raises:
        StepRefused: says which one is at fault, and why.
    """
    inserts: list[Insert] = []
    for creation in creations:
        try:
            access.check_type(context.caller, creation.resource_type, writes=True)
            resource = await _new(context, creation.resource_type, creation.body)
        except RequestError as error:
            raise StepRefused(len(inserts), error) from error
        inserts.append(Insert(creation.resource_type, creation.id, validate.create(resource)))
    await context.turn()
    return await context.services.store.insert_together(
        context.tenant, inserts, context.author(), context.rules
    )


async def read(
    context: Context, resource_type: ResourceType, id: str, *, members: bool = True, groups: bool = True
) -> Record:
    """One resource (RFC 7644 §3.4.1).

    Raises:
        NotFound: there is none of that id, or it was deleted.
    """
    access.check_type(context.caller, resource_type, writes=False)
    veil = context.veil(resource_type)
    members, groups = members and not veil.hides_members, groups and not veil.hides_groups
    await _check_made(context, resource_type, id)
    found = await context.services.store.get(
        context.tenant, resource_type, id, context.rules, members=members, groups=groups
    )
    return veil.shown(access.shown(context.caller, resource_type, found, id))


async def may_look_different(
    context: Context, record: Record, kind: ResourceType, projection: Projection
) -> bool:
    """Whether answers with this version may differ in what they show of other resources (A-31)."""
    veil = context.veil(kind)
    members = not veil.hides_members and wants(projection, kind, kind.memberships)
    groups = not veil.hides_groups and wants(projection, kind, kind.derived)
    if (members and record.members) or (groups and record.groups):
        return True
    if ids_shown([record], kind, projection):
        return True
    return groups and await context.services.store.was_member(context.tenant, record.id)


async def replace(
    context: Context, resource_type: ResourceType, id: str, body: JsonValue, if_match: Precondition
) -> Written:
    """Replace a resource (RFC 7644 §3.5.1).

    Raises:
        NotFound, PreconditionFailed, RequestError: nothing was changed.
    """
    access.check_type(context.caller, resource_type, writes=True)
    resource = await context.decided(body, lambda: _read_body(context, resource_type, body, at_create=False))
    if resource_type.secret in resource.document:
        _check_password_change(context)
    veil = context.veil(resource_type)
    veil.check_body(resource)
    resource = await _with_hashes(context, resource, resource_type)

    def replaced(present: Present) -> Change:
        return validate.replace(veil.kept(resource, present), veil.asked, context.leniency)(present)

    decide = access.limited(context.caller, resource_type, id, veil.guarded(replaced))
    scope = Scope(all=veil.replaces_members(resource))
    await context.turn()
    await _check_made(context, resource_type, id)
    await _check_seen(context, resource_type, id, if_match)
    updated = await _update(context, resource_type, id, decide, scope, if_match, heavy=is_heavy(body))
    return _written(context, updated, resource_type, id, asserted_paths(resource, resource_type.memberships))


async def patch(
    context: Context, resource_type: ResourceType, id: str, body: JsonValue, if_match: Precondition
) -> Written:
    """Change a resource in part, all operations or none (RFC 7644 §3.5.2).

    Raises:
        NotFound, PreconditionFailed, RequestError: nothing was changed.
    """
    access.check_type(context.caller, resource_type, writes=True)
    if not context.caller.tenant.settings.offers(Feature.PATCH):
        raise UnsupportedFeature("PATCH is not offered by this server; replace the resource with PUT")
    context.allowance.spend(0)
    veil = context.veil(resource_type)

    def read() -> patching.Patch:
        message = patching.parse_patch(body, veil.asked, context.leniency, id=id)
        veil.check_patch(message)
        check_labels(context, resource_type, patching.selecting(message))
        return message

    message = await context.decided(body, read)
    if patching.has_secrets(message):
        _check_password_change(context)
    message = await _with_patch_hashes(context, message)

    def patched(present: Present) -> Change:
        # By itself a patch may be decided more than once: each time it has an allowance of its own.
        return patching.apply(message, present, None if context.turn is at_once else context.allowance)

    await context.turn()
    await _check_made(context, resource_type, id)
    await _check_seen(context, resource_type, id, if_match)
    decide = access.limited(context.caller, resource_type, id, veil.guarded(patched))
    scope, heavy = patching.scope(message), is_heavy(body) or patching.looks_often(message)
    updated = await _update(context, resource_type, id, decide, scope, if_match, heavy=heavy)
    return _written(context, updated, resource_type, id, patching.written_paths(message))


async def _update(
    context: Context,
    kind: ResourceType,
    id: str,
    decide: Decide,
    scope: Scope,
    wanted: Precondition,
    *,
    heavy: bool,
) -> Updated | None:
    """Change a resource. A heavy decision about the document alone is taken before the transaction, in which nobody else can write."""
    store, tenant, rules = context.services.store, context.tenant, context.rules
    # Operations of a bulk request keep their order, and what goes on changing is decided in its turn.
    tries = _TRIES_BEFORE if heavy and scope == Scope() and context.turn is at_once else 0
    for _ in range(tries):
        seen = await store.get(tenant, kind, id, rules, members=False, groups=False)
        if seen is None:
            return None
        refusals.check_version(seen.version, wanted)
        change = await context.aside(partial(decide, Present(decode(seen.body, seen.extra))))
        with suppress(PreconditionFailed):
            return await store.update(
                tenant,
                kind,
                id,
                lambda _, change=change: change,  # type: ignore[misc]
                scope,
                context.author(),
                rules,
                if_match=seen.version.__eq__,
                heavy=True,
            )
    return await store.update(
        tenant, kind, id, decide, scope, context.author(), rules, if_match=wanted, heavy=heavy
    )


async def delete(context: Context, resource_type: ResourceType, id: str, if_match: Precondition) -> None:
    """Remove a resource (RFC 7644 §3.6).

    Raises:
        NotFound, PreconditionFailed: nothing was removed.
    """
    access.check_type(context.caller, resource_type, writes=True)
    await context.turn()
    await _check_made(context, resource_type, id)
    if context.caller.rights.within is None:
        await _delete(context, resource_type, id, if_match)
    else:
        await _delete_seen(context, resource_type, id, if_match)


async def _check_made(context: Context, kind: ResourceType, id: str) -> None:
    """See that the caller has made a resource, if nothing else is there for it; who made one never changes, nor is an id used again.

    Raises:
        NotFound: somebody else has, or there is none.
    """
    own = context.caller.rights.own
    if own is not None and not await context.services.store.referred(context.tenant, [id], Sight(maker=own)):
        access.missing(kind, id)


async def _check_seen(context: Context, kind: ResourceType, id: str, wanted: Precondition) -> None:
    """See that a resource is within the caller's bound before its version is judged, which would tell that it exists."""
    if wanted is not None and context.caller.rights.within is not None:
        await read(context, kind, id, members=False, groups=False)


async def _delete_seen(context: Context, kind: ResourceType, id: str, wanted: Precondition) -> None:
    """Remove a resource in the very version in which it was seen to be within the caller's bound."""
    for _ in range(_TRIES):
        seen = (await read(context, kind, id, members=False, groups=False)).version
        if wanted is not None and not wanted(seen):
            raise PreconditionFailed(f"the resource is at version {seen}; read it again, then change it")
        with suppress(PreconditionFailed):  # it has changed just now, perhaps in what the bound tests
            await _delete(context, kind, id, seen.__eq__)
            return
    raise Conflict("the resource goes on changing; try again")


async def _delete(context: Context, kind: ResourceType, id: str, wanted: Precondition) -> None:
    gone = await context.services.store.delete(
        context.tenant, kind, id, context.author(), context.rules, if_match=wanted
    )
    if not gone:
        access.missing(kind, id)


def precondition(context: Context, sent: str | None, unless: str | None = None) -> Precondition:
    """What an If-Match header, or the `version` of a bulk operation, asks of the present version (P-3.14-06).

    `unless` is an If-None-Match header: a version that it names is not to be changed (RFC 9110 §13.1.2).

    Raises:
        PreconditionRequired: nothing was sent, and this tenant wants it (P-3.14-10).
    """
    settings = context.caller.tenant.settings
    if not settings.offers(Feature.ETAG):
        return None
    if sent is None and settings.require_if_match:
        raise PreconditionRequired(
            "changes need the version last read, or * for any: in the header If-Match, or as version of a bulk"
            " operation (P-3.14-10)"
        )
    wanted = if_match(sent)
    if unless is None:
        return wanted
    return lambda version: (wanted is None or wanted(version)) and not if_none_match(unless, version)


def _read_body(
    context: Context, resource_type: ResourceType, body: JsonValue, *, at_create: bool
) -> Resource:
    foreign = context.caller.tenant.foreign
    kind = resource_type if at_create else context.veil(resource_type).asked
    return validate.read_body(body, kind, context.leniency, at_create=at_create, foreign=foreign)


def _check_password_change(context: Context) -> None:
    """Refuse a password after creation where that is switched off (P-3.5-03, A-68)."""
    if not context.caller.tenant.settings.offers(Feature.CHANGE_PASSWORD):
        raise Forbidden("passwords cannot be changed here once a resource is created; leave password out")


async def _new(context: Context, resource_type: ResourceType, body: JsonValue) -> Resource:
    veil = context.veil(resource_type)
    veil.check_makeable()

    def read() -> Resource:
        resource = _read_body(context, resource_type, body, at_create=True)
        veil.check_new(resource)
        access.check_new(context.caller, resource_type, resource.document)
        return resource

    return await _with_hashes(context, await context.decided(body, read), resource_type)


async def _hashes(context: Context, secrets: list[str]) -> dict[str, str]:
    return await context.services.passwords.hashes(secrets, context.caller.tenant.settings.password_length)


async def _with_hashes(context: Context, resource: Resource, resource_type: ResourceType) -> Resource:
    secret = resource.document.get(resource_type.secret) if resource_type.secret else None
    if secret is None:
        return resource
    hashes = await _hashes(context, [secret])
    return validate.map_secrets(resource, resource_type, hashes.__getitem__)


async def _with_patch_hashes(context: Context, message: patching.Patch) -> patching.Patch:
    found: list[str] = []

    def collect(secret: str) -> str:
        found.append(secret)
        return secret

    patching.map_secrets(message, collect)
    if not found:
        return message
    hashes = await _hashes(context, found)
    return patching.map_secrets(message, hashes.__getitem__)


def _written(
    context: Context, updated: Updated | None, kind: ResourceType, id: str, paths: frozenset[str]
) -> Written:
    if updated is None:
        access.missing(kind, id)
    return Written(context.veil(kind).shown(updated.record), updated.changed, paths)
