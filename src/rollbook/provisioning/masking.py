"""What is never shown to anybody: secrets of the schema, and what the configuration calls sensitive. Pure."""

from collections.abc import Collection

from rollbook.protocol.attributes import Returned
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.differences import Difference

MASK = "•••"
"""What stands in place of a value."""


def shown(difference: Difference, value: JsonValue, sensitive: Collection[str] = ()) -> JsonValue:
    """The value, or the mask; `sensitive` has full names of attributes and parts in small letters.

    A value with a sensitive part is masked as a whole.
    """
    if value is None:
        return None
    path = difference.path
    whole, own = path._replace(sub=None).text.lower(), path.text.lower()
    secret = path.leaf.returned is Returned.NEVER or path.attribute.returned is Returned.NEVER
    hidden = any(name in {whole, own} or name.startswith(f"{own}.") for name in sensitive)
    return MASK if secret or hidden else value


def is_sensitive(path: AttributePath, sensitive: Collection[str]) -> bool:
    """Whether values at the path are masked."""
    return bool(shown(Difference(path, None, True), True, sensitive) == MASK)


def masked(document: JsonObject, sensitive: Collection[str]) -> JsonObject:
    """A resource with the mask in place of what is sensitive, in extensions and parts too."""
    return {
        name: _masked(name.lower(), value, sensitive, ":" if ":" in name else ".")
        for name, value in document.items()
    }


def _masked(path: str, value: JsonValue, sensitive: Collection[str], joint: str = ".") -> JsonValue:
    if path in sensitive:
        return MASK
    if isinstance(value, list):
        return [_masked(path, one, sensitive) for one in value]
    if isinstance(value, dict):
        return {name: _masked(f"{path}{joint}{name.lower()}", one, sensitive) for name, one in value.items()}
    return value
