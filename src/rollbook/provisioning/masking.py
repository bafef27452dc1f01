"""What is never shown to anybody: secrets of the schema, and what the configuration calls sensitive. Pure."""

from collections.abc import Collection

from rollbook.protocol.attributes import Returned
from rollbook.protocol.values import JsonValue
from rollbook.provisioning.differences import Difference

MASK = "•••"
"""What stands in place of a value."""


def shown(difference: Difference, value: JsonValue, sensitive: Collection[str] = ()) -> JsonValue:
    """The value, or the mask; `sensitive` has names of attributes, of extensions and of parts in small letters."""
    if value is None:
        return None
    path = difference.path
    names = {path.text.lower(), path._replace(sub=None).text.lower(), path._replace(urn=None).text.lower()}
    names.add(path.attribute.name.lower())
    secret = path.leaf.returned is Returned.NEVER or path.attribute.returned is Returned.NEVER
    return MASK if secret or names & set(sensitive) else value
