"""The last gate before a target: nothing passes that its mapping does not name (I-12, T-68). Pure.

It looks at the messages as they go out, not at how they were made, so that a mistake elsewhere does not
become a leak.
"""

from collections.abc import Iterable, Mapping

from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.differences import Managed


class Withheld(Exception):
    """Something was about to be sent that the mapping does not name; a mistake in Rollbook. Holds no value."""

    def __init__(self, attribute: str) -> None:
        super().__init__(f"{attribute} is not in the target's mapping and was not sent")


class Gate:
    """The allow list of one resource type at one target."""

    def __init__(self, managed: Iterable[Managed], *, members: bool) -> None:
        self._allowed: dict[str, frozenset[str] | None] = {
            _name(item.path.urn, item.path.attribute.name): item.parts for item in managed
        }
        if members:
            self._allowed["members"] = frozenset({"value"})

    def check_body(self, document: JsonObject, present: JsonObject | None = None) -> None:
        """Let a whole document pass; what the target itself sent before may go back to it (C-6-01).

        Raises:
            Withheld: an attribute is neither.
        """
        for name, value in document.items():
            if name == "schemas":
                continue
            if ":" in name and isinstance(value, dict):
                known = _of(present, name)
                for inner, held in value.items():
                    self._check(_name(name, inner), held, _of(known, inner))
            else:
                self._check(name, value, _of(present, name))

    def check_operations(self, operations: Iterable[JsonObject]) -> None:
        """Let PATCH operations pass.

        Raises:
            Withheld: one of them names something else.
        """
        for operation in operations:
            path = str(operation.get("path", ""))
            name, _, rest = path.partition("[")
            attribute, part = self._split(name)
            if part is not None:
                self._check_parts(attribute, {part})
            elif not rest:
                self._check(attribute, operation.get("value"), None)
            elif attribute not in self._allowed:
                raise Withheld(attribute)

    def check_search(self, attribute: str) -> None:
        """Let an attribute's value pass into a filter.

        Raises:
            Withheld: it is not the mapping's.
        """
        if attribute not in self._allowed:
            raise Withheld(attribute)

    def _split(self, path: str) -> tuple[str, str | None]:
        """An attribute and its part; a URN may hold dots, so known attributes are tried first."""
        if path in self._allowed or path == "active":
            return path, None
        head, dot, part = path.rpartition(".")
        return (head, part) if dot and head in self._allowed else (path, None)

    def _check(self, attribute: str, value: JsonValue, present: JsonValue) -> None:
        if value is None or (present is not None and value == present):
            return
        if attribute == "active" and isinstance(value, bool):
            return  # the switch itself says nothing that the leave policy does not
        if attribute not in self._allowed:
            raise Withheld(attribute)
        if self._allowed[attribute] is not None:
            elements = value if isinstance(value, list) else [value]
            own = present if isinstance(present, list) else [present]
            for element in elements:
                if isinstance(element, dict) and element not in own:
                    self._check_parts(attribute, set(element) - _same_parts(element, present))

    def _check_parts(self, attribute: str, parts: set[str]) -> None:
        allowed = self._allowed.get(attribute, frozenset())
        if allowed is not None and parts - allowed:
            raise Withheld(f"{attribute}.{min(parts - allowed)}")


def _name(urn: str | None, attribute: str) -> str:
    return f"{urn}:{attribute}" if urn else attribute


def _of(document: JsonValue, name: str) -> JsonValue:
    if not isinstance(document, Mapping):
        return None
    if name in document:
        return document[name]
    return next((value for other, value in document.items() if other.lower() == name.lower()), None)


def _same_parts(element: JsonObject, present: JsonValue) -> set[str]:
    return {
        name for name, value in element.items() if isinstance(present, dict) and present.get(name) == value
    }
