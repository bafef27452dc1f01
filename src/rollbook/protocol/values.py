"""The types of JSON as this package passes them around."""

from typing import Any, TypeAlias

JsonValue: TypeAlias = Any
"""One JSON value: str, int, float, bool, None, list or dict. Any, because it is checked by SCIM schemas."""

JsonObject: TypeAlias = dict[str, JsonValue]
"""One JSON object."""
