"""What every store refuses, in the same words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from rollbook.protocol.errors import Cycle, InvalidValue, PreconditionFailed, RequestError, Uniqueness
from rollbook.protocol.resource import Member
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import StepRefused

T = TypeVar("T")
S = TypeVar("S")


def check_members(members: Iterable[Member], types: Mapping[str, str], resource_type: ResourceType) -> None:
    """Refuse members that do not exist or are not of the type declared; `types` has those that do exist.

    Raises:
        InvalidValue: names the member (A-69, A-70).
    """
    name = resource_type.memberships
    for member in members:
        actual = types.get(member.value)
        if actual is None:
            raise InvalidValue(
                f"{name}: there is no resource with id {member.value[:64]!r}; send ids of existing ones"
            )
        if member.type is not None and member.type.lower() != actual.lower():
            raise InvalidValue(
                f"{name}: {member.value[:64]!r} is a {actual}, not a {member.type[:64]}; "
                "correct type or leave it out"
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
