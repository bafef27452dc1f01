"""Finding attributes by name."""

import pytest

from rollbook.protocol import urns
from rollbook.protocol.attributes import Attribute, Type, is_name
from rollbook.protocol.schema import AttributePath, ResourceType, Schema
from rollbook.testing.filter_rows import BADGE, CATALOG, ENTERPRISE


@pytest.fixture
def user() -> ResourceType:
    """User with two extensions."""
    found = CATALOG.resource_type("User")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("userName", "userName"),
        ("USERNAME", "userName"),
        ("Name.givenname", "name.givenName"),
        ("emails.value", "emails.value"),
        ("groups.$ref", "groups.$ref"),
        ("id", "id"),
        ("META.created", "meta.created"),
        (f"{urns.USER}:userName", "userName"),
        (f"{urns.USER.upper()}:Name.FamilyName", "name.familyName"),
        (f"{urns.USER}:id", "id"),
        (f"{ENTERPRISE}:department", f"{ENTERPRISE}:department"),
        (f"{ENTERPRISE.lower()}:MANAGER.value", f"{ENTERPRISE}:manager.value"),
        (f"{BADGE}:number", f"{BADGE}:number"),
        ("department", None),
        ("foo", None),
        ("", None),
        (".", None),
        ("userName.", None),
        ("userName.x", None),
        ("name.x", None),
        ("name.givenName.x", None),
        (ENTERPRISE, None),
        (f"{ENTERPRISE}:", None),
        (f"{ENTERPRISE}:userName", None),
        (f"{ENTERPRISE}.department", None),
        (f"{urns.GROUP}:displayName", None),
        ("urn:x:y:userName", None),
    ],
)
def test_find(user: ResourceType, text: str, found: str | None) -> None:
    """P-3.10-01, P-3.4.2.2-28: `[urn:]attribute[.sub]` is found in any case, and prints as it was defined."""
    path = user.find(text)
    assert (path.text if path else None) == found
    assert user.find(text) is path


def test_every_path_is_found(user: ResourceType) -> None:
    """Each attribute and part is found again by the text of its own path."""
    paths = list(user.paths())
    parts = [path._replace(sub=sub) for path in paths for sub in path.attribute.sub_attributes]
    assert len(paths) == 34
    for path in (*paths, *parts):
        assert user.find(path.text) == path


def test_what_is_remembered_is_bounded(user: ResourceType) -> None:
    """Names come from callers: looking up very many does not grow without bound, and all stay right."""
    for number in range(10_000):
        assert user.find(f"userName{number}") is None
    assert user.find("userName") == AttributePath(None, user.schema.attribute("username") or Attribute("?"))
    assert len(user._found) <= 4097


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("department", f"{ENTERPRISE}:department"),
        ("MANAGER.value", f"{ENTERPRISE}:manager.value"),
        ("colour", f"{BADGE}:colour"),
        ("division", None),
        ("userName", None),
    ],
)
def test_find_in_extensions(user: ResourceType, name: str, found: str | None) -> None:
    """A-03: an unqualified name is found if exactly one extension defines it."""
    path = user.find_in_extensions(name)
    assert (path.text if path else None) == found


@pytest.mark.parametrize(
    ("text", "urn", "rest"),
    [
        ("userName", None, "userName"),
        (f"{ENTERPRISE}:a.b", ENTERPRISE, "a.b"),
        (ENTERPRISE.upper(), ENTERPRISE, ""),
        (f"{ENTERPRISE}s:a", None, f"{ENTERPRISE}s:a"),
        (f"{urns.USER}:x:y", urns.USER, "x:y"),
        ("urn:x:y", None, "urn:x:y"),
    ],
)
def test_split_urn(user: ResourceType, text: str, urn: str | None, rest: str) -> None:
    """A leading URN is cut off where a schema of the type has it, not at the first dot or last colon."""
    schema, found = user.split_urn(text)
    assert (schema.id if schema else None, found) == (urn, rest)


def test_longest_urn_wins() -> None:
    """Of two URNs of which one leads the other, the longer one is meant."""
    short = Schema("urn:x", "x", "", (Attribute("a"),))
    longer = Schema("urn:x:y", "y", "", (Attribute("a"),))
    resource_type = ResourceType("T", "T", "/Ts", "", short, common=())
    both = CATALOG.resource_types[0].extensions[0].__class__(longer)
    resource_type = ResourceType("T", "T", "/Ts", "", short, extensions=(both,))
    assert resource_type.split_urn("urn:x:y:a") == (longer, "a")
    assert resource_type.split_urn("urn:x:a") == (short, "a")


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a", True),
        ("userName2", True),
        ("a-b_c$d", True),
        ("$ref", True),
        ("", False),
        ("$", False),
        ("2a", False),
        ("_a", False),
        ("a.b", False),
        ("a:b", False),
        ("a b", False),
        ("é", False),
        ("a\n", False),
    ],
)
def test_is_name(text: str, *, valid: bool) -> None:
    """S-01: names are a letter, then letters, digits, hyphen, underscore and dollar, and `$ref`."""
    assert is_name(text) is valid


def test_exact_comparison() -> None:
    """RFC 7643 §2.3.6, §2.3.7: references and binaries heed case whatever caseExact says."""
    assert not Attribute("a").compares_exactly
    assert Attribute("a", case_exact=True).compares_exactly
    assert Attribute("a", Type.REFERENCE).compares_exactly
    assert Attribute("a", Type.BINARY).compares_exactly


def test_lookup_of_extensions_and_parts(user: ResourceType) -> None:
    """Extensions, attributes of schemas and parts are found in any case, or are None."""
    extension = user.extension(ENTERPRISE.upper())
    assert extension is not None
    assert extension.schema.id == ENTERPRISE
    assert user.extension("urn:x") is None
    path = user.attribute("EMAILS")
    assert path is not None
    assert path.leaf is path.attribute
    assert path.attribute.sub("VALUE") is path.attribute.sub("value") is not None
    assert path.attribute.sub("x") is None
    assert extension.schema.attribute("Department") is not None
    assert extension.schema.attribute("x") is None
