"""What is never shown to anybody: secrets of the schema, and what the configuration calls sensitive. Pure."""

from collections.abc import Collection, Iterable, Iterator

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


def sensitive_texts(document: JsonObject, sensitive: Collection[str]) -> frozenset[str]:
    """The texts of a resource that nobody is shown."""
    return frozenset(_hidden(document, masked(document, sensitive)))


def changed_texts(differences: Iterable[Difference], sensitive: Collection[str]) -> frozenset[str]:
    """The same of changes, old values and new ones."""
    hidden = [one for one in differences if is_sensitive(one.path, sensitive)]
    return frozenset(text for one in hidden for value in (one.old, one.new) for text in _texts(value))


def without_texts(words: str, texts: Iterable[str]) -> str:
    """Somebody's words with the mask in place of each of these texts, or of the beginning of one at their end."""
    for text in sorted((text for text in texts if len(text) >= _SHORTEST), key=len, reverse=True):
        words = words.replace(text, MASK)
        cut = next((end for end in range(len(text), _SHORTEST - 1, -1) if words.endswith(text[:end])), 0)
        words = words[: len(words) - cut] + MASK if cut else words
    return words


_SHORTEST = 4
"""Characters: what is shorter stands in every other word."""


def _hidden(value: JsonValue, shown: JsonValue) -> Iterator[str]:
    """The texts of a value that its masked form has not."""
    if shown == MASK:
        yield from _texts(value)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _hidden(part, shown[name])
    elif isinstance(value, list):
        for part, other in zip(value, shown, strict=True):
            yield from _hidden(part, other)


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
