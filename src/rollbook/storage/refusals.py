"""What every store refuses, in the same words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from rollbook.protocol.errors import Cycle, InvalidValue, PreconditionFailed, RequestError, Uniqueness
from rollbook.protocol.references import Reference
from rollbook.protocol.resource import Member
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import References, Rules, StepRefused

T = TypeVar("T")
S = TypeVar("S")


def check_members(
    members: Iterable[Member], types: Mapping[str, str], resource_type: ResourceType, rules: Rules
) -> None:
    """Refuse members that do not exist or are not of the type declared; `types` has those that do exist.

    Raises:
        InvalidValue: names the member (A-69, A-70).
    """
    name = resource_type.memberships
    for member in members:
        actual = types.get(member.value)
        if actual is None:
            if rules.references is References.TOLERANT:
                continue
            raise unknown(str(name), member.value)
        if rules.references is References.STRICT:
            _check_type(str(name), member.value, actual, resource_type.member_types)
        if member.type is not None and member.type.lower() != actual.lower():
            raise InvalidValue(
                f"{name}: {member.value[:64]!r} is a {actual}, not a {member.type[:64]}; "
                "correct type or leave it out"
            )


def check_references(added: Iterable[tuple[Reference, str]], types: Mapping[str, str]) -> None:
    """Refuse references that lead nowhere, or elsewhere than they may; `types` has the resources that exist.

    Raises:
        InvalidValue: names attribute and id (A-70).
    """
    for reference, identifier in added:
        actual = types.get(identifier)
        if actual is None:
            raise unknown(reference.value.text, identifier)
        _check_type(reference.value.text, identifier, actual, reference.types)


def _check_type(name: str, identifier: str, actual: str, types: frozenset[str]) -> None:
    if actual not in types:
        wanted = ", ".join(sorted(types))
        raise InvalidValue(f"{name}: {identifier[:64]!r} is a {actual}; it may refer to {wanted} only")


def unknown(name: str, identifier: str) -> InvalidValue:
    """There is no resource of that id in the tenant."""
    return InvalidValue(
        f"{name}: there is no resource with id {identifier[:64]!r}; send ids of existing ones"
    )


def cycle(id: str, resource_type: ResourceType) -> Cycle:
    """A member is, or contains, what it would be a member of (A-70)."""
    return Cycle(
        f"{resource_type.memberships}: {id[:64]!r} is or contains this {resource_type.name} itself; "
        "members may not form a cycle"
    )


def value_in_use(path: str, resource_type: ResourceType) -> Uniqueness:
    """A value that must be unique is another resource's: which one is not said."""
    return Uniqueness(f"{path}: another {resource_type.name} has this value; it must be unique among them")


def id_in_use(id: str) -> Uniqueness:
    """An id is given twice."""
    return Uniqueness(f"id: {id[:64]!r} is in use; ids are never given twice")


def stepwise(items: Sequence[T], do: Callable[[T], S]) -> list[S]:
    """What a part of a write gives for each of the resources that are written together.

    Raises:
        StepRefused: names the one that was refused.
    """
    done: list[S] = []
    for item in items:
        try:
            done.append(do(item))
        except RequestError as error:
            raise StepRefused(len(done), error) from error
    return done


def check_version(version: str, if_match: Callable[[str], bool] | None) -> None:
    """Refuse a write that was meant for another version.

    Raises:
        PreconditionFailed: names the present version.
    """
    if if_match is not None and not if_match(version):
        raise PreconditionFailed(f"the resource is at version {version}; read it again, then change it")
