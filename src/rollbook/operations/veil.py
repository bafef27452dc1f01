"""What of a resource a caller does not see, or sees and does not change (T-26, T-30).

What is hidden is taken out of a document before anything decides by it, and put back into what is decided: so no answer
can depend on it. A request that names it is refused, whatever its value.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn

from rollbook.protocol.defaults import DEFAULTS
from rollbook.protocol.elements import same_value
from rollbook.protocol.errors import Forbidden
from rollbook.protocol.patch_steps import Op, Patch, Step
from rollbook.protocol.places import get, put
from rollbook.protocol.resource import Change, Present, Resource
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Decide, Record
from rollbook.storage.documents import decode, encode


@dataclass(frozen=True, eq=False)
class Veil:
    """What of a type's resources is `hidden` from a caller, and what it sees that is `held`; nothing, for most.

    `kind` is the type, `asked` the same without asking for what is held back.
    """

    kind: ResourceType
    asked: ResourceType
    hidden: tuple[AttributePath, ...] = ()
    held: tuple[AttributePath, ...] = ()

    @cached_property
    def hides_members(self) -> bool:
        """Whether members are not seen, and so not in any change."""
        return self._has(self.hidden, self.kind.memberships)

    @cached_property
    def hides_groups(self) -> bool:
        """Whether it is not seen what contains a resource."""
        return self._has(self.hidden, self.kind.derived)

    @cached_property
    def holds_members(self) -> bool:
        """Whether members stay as they are."""
        return self._has(self.held, self.kind.memberships)

    @cached_property
    def hides_label(self) -> bool:
        """Whether what labels such a resource where others refer to it could be hidden."""
        labels = (self.kind.find(text) for text in self.kind.display)
        return any(path is not None and self._hiding(path) for path in labels)

    @staticmethod
    def _has(paths: tuple[AttributePath, ...], name: str | None) -> bool:
        return any(path.urn is None and path.attribute.name == name for path in paths)

    def _hiding(self, path: AttributePath) -> AttributePath | None:
        """What is hidden, of that which is said or asked of an attribute or part."""
        if (
            path.urn is None and path.attribute.name == "schemas"
        ):  # which extensions there are tells of what is in them
            return next((one for one in self.hidden if one.urn is not None), None)
        return next((one for one in self.hidden if meets(one, path)), None)

    def check_asked(self, paths: Iterable[AttributePath]) -> None:
        """Refuse filters and orders by what is hidden, alike for all values.

        Raises:
            Forbidden: names it.
        """
        for path in paths if self.hidden else ():
            one = self._hiding(path)
            if one is not None:
                raise Forbidden(
                    f"{one.text} is held back from this token: it neither filters nor sorts by {path.text}"
                )

    def check_makeable(self) -> None:
        """Refuse all creation if every resource would lack something that is held back.

        Raises:
            Forbidden: names it.
        """
        apart = (*self.hidden, *self.held)
        for path in self.kind.required_paths if apart else ():
            if path.urn is None and path.sub is None and any(meets(one, path) for one in apart):
                raise Forbidden(
                    f"this token cannot make a {self.kind.name}: {path.text} is held back from it"
                )

    def check_new(self, resource: Resource) -> None:
        """Refuse a resource that has more of what is held back than it would get anyway.

        Raises:
            Forbidden: names it.
        """
        apart = (*self.hidden, *self.held)
        usual = DEFAULTS.get(self.kind.schema.id, {})
        for path in apart:
            value = get(resource.document, path)
            if value is not None and (path.urn or path.sub or usual.get(path.attribute.name) != value):
                _refuse(path)
        self._check_members(resource, apart)

    def check_body(self, resource: Resource) -> None:
        """Refuse a body of PUT that says something of what is hidden.

        Raises:
            Forbidden: names it.
        """
        for path in self.hidden:
            if get(resource.document, path) is not None:
                _refuse(path)
        self._check_members(resource, self.hidden)

    def _check_members(self, resource: Resource, apart: tuple[AttributePath, ...]) -> None:
        if resource.members and self._has(apart, self.kind.memberships):
            raise Forbidden(_REFUSED.format(self.kind.memberships))

    def check_patch(self, patch: Patch) -> None:
        """Refuse a patch that names what is hidden, or the whole that it is a part of in order to empty it.

        Raises:
            Forbidden: names it.
        """
        for step in patch.steps if self.hidden else ():
            one = next(
                (one for one in self.hidden if meets(one, step.target.path) and _touches(step, one)), None
            )
            if one is not None:
                _refuse(one)

    def replaces_members(self, resource: Resource) -> bool:
        """Whether a PUT has to see all members: it sends them, or leaves them out to be removed."""
        if self.kind.memberships is None or self.hides_members:
            return False
        return bool(resource.members) or not self.holds_members

    def kept(self, resource: Resource, present: Present) -> Resource:
        """The body of a PUT with what is held where it was left out, or sent as it is."""
        if not self.hidden and not self.held:
            return resource
        document = resource.document
        for path in self.held:
            old, new = get(present.document, path), get(document, path)
            if new is None or (old is not None and same_value(path.leaf, old, new)):
                document = put(document, path, old)
        apart = {
            path.attribute.name for path in (*self.hidden, *self.held) if path.urn is None and not path.sub
        }
        return replace(resource, document=document, cleared=resource.cleared | apart)

    def guarded(self, decide: Decide) -> Decide:
        """A decision that is taken without seeing what is hidden, and leaves that and what is held as it is.

        Raises (the function):
            Forbidden: names what is held and would change.
        """
        if not self.hidden and not self.held:
            return decide

        def decide_unseeing(present: Present) -> Change:
            members = {} if self.hides_members else present.members
            change = decide(Present(self._stripped(present.document), members))
            document = change.document
            if document is not None:
                document = self._restored(document, present.document)
                document = None if document == present.document else document
            self._check_held(present, replace(change, document=document))
            return replace(change, document=document)

        return decide_unseeing

    def _check_held(self, present: Present, change: Change) -> None:
        if change.document is not None:
            for path in self.held:
                if get(present.document, path) != get(change.document, path):
                    _refuse(path)
        if self.holds_members and (change.add_members or change.remove_members):
            raise Forbidden(_REFUSED.format(self.kind.memberships))

    def shown(self, record: Record) -> Record:
        """The record without what is hidden."""
        if not self.hidden:
            return record
        stored = encode(self._stripped(decode(record.body, record.extra)), self.kind)
        return record._replace(
            body=stored.body,
            extra=stored.extra,
            members=None if self.hides_members else record.members,
            groups=None if self.hides_groups else record.groups,
        )

    def _stripped(self, document: JsonObject) -> JsonObject:
        for path in self.hidden:
            document = put(document, path, None)
        return document

    def _restored(self, document: JsonObject, old: JsonObject) -> JsonObject:
        for path in self.hidden:
            document = put(document, path, get(old, path))
        return document


def meets(one: AttributePath, path: AttributePath) -> bool:
    """Whether one is, holds, or is a part of the other."""
    if (one.urn, one.attribute.name) != (path.urn, path.attribute.name):
        return False
    return one.sub is None or path.sub is None or one.sub.name == path.sub.name


def _touches(step: Step, hidden: AttributePath) -> bool:
    """Whether a step on the whole says something of a hidden part of it."""
    if hidden.sub is None or step.target.path.sub is not None or step.op is Op.REMOVE:
        return True
    return not isinstance(step.value, dict) or hidden.sub.name in step.value


_REFUSED = "{} is held back from this token, which cannot change it; leave it out"


def _refuse(path: AttributePath) -> NoReturn:
    raise Forbidden(_REFUSED.format(path.text))
