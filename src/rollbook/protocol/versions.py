"""Resource versions as entity tags, and the conditions a request may put on them (RFC 7644 §3.14; RFC 9110 §8.8.3).

All tags are weak and compare weakly, in If-Match too: a strong comparison could never succeed (A-31).
"""

import re
from collections.abc import Callable

_TAG = re.compile(r'[ \t]*(?:(?:W/)?"([\x21\x23-\x7e\x80-\uffff]*)"[ \t]*)?(,|\Z)')
_OPAQUE = re.compile(r"[\x21\x23-\x7e]+\Z")


def weak_tag(opaque: str) -> str:
    """The weak entity tag with that opaque part, as it stands in `meta.version` and in ETag (P-3.14-03, -04).

    Raises:
        ValueError: characters a tag cannot have.
    """
    if _OPAQUE.match(opaque) is None:
        raise ValueError(f"not an entity tag: {opaque!r}")
    return f'W/"{opaque}"'


def if_match(header: str | None) -> Callable[[str], bool] | None:
    """The condition of an If-Match header on the present version; None without header (P-3.14-06, -07).

    `*` holds for any version. A malformed header holds for none (A-31).
    """
    if header is None:
        return None
    if header.strip() == "*":
        return lambda _: True
    tags = _opaque_parts(header)
    return lambda version: _opaque_part(version) in tags


def if_none_match(header: str | None, version: str) -> bool:
    """Whether an If-None-Match header names the version, so that a GET is answered 304 (P-3.14-05), a change 412.

    Without header, or with a malformed one, the answer is no, and the resource is sent or changed.
    """
    if header is None:
        return False
    return header.strip() == "*" or _opaque_part(version) in _opaque_parts(header)


def _opaque_part(version: str) -> str | None:
    return next(iter(_opaque_parts(version)), None)


def _opaque_parts(header: str) -> frozenset[str]:
    """What stands between the quotes of each tag in a list; nothing if any of it is malformed."""
    found: set[str] = set()
    position = 0
    while (tag := _TAG.match(header, position)) is not None:
        if tag[1] is not None:
            found.add(tag[1])
        if not tag[2]:
            return frozenset(found)
        position = tag.end()
    return frozenset()
