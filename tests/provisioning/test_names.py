"""Short names of extensions: in paths, in filters, in messages."""

import pytest

from rollbook.protocol.catalog import build_catalog, core_catalog
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.quirks import RFC, Leniency
from rollbook.protocol.resolve import resolve
from rollbook.protocol.schema import ResourceType
from rollbook.provisioning.names import Names, suggest

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
UNIVERSITY = "urn:example:params:scim:schemas:extension:university:1.0:User"
NAME = "urn:example:name:User"


def schema(urn: str, name: str) -> dict[str, object]:
    """An extension with one attribute."""
    return {"id": urn, "name": name, "attributes": [{"name": "faculty", "type": "string"}]}


def user(*definitions: dict[str, object]) -> ResourceType:
    """The User type with further extensions."""
    found = build_catalog(definitions).resource_type("User")
    assert found is not None
    return found


NAMES = Names(core_catalog().resource_types[0])


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("userName", "userName"),
        ("USERNAME", "userName"),
        ("name.givenName", "name.givenName"),
        ("enterprise.department", f"{ENTERPRISE}:department"),
        ("Enterprise.Manager.displayname", f"{ENTERPRISE}:manager.displayName"),
        (f"{ENTERPRISE}:department", f"{ENTERPRISE}:department"),
        ("enterprise", None),
        ("department", None),
        ("enterprise.nothing", None),
        ("other.department", None),
    ],
)
def test_names_are_found(text: str, path: str | None) -> None:
    """With URN, with a short name, without either, in any case."""
    found = NAMES.find(text)
    assert (found and found.text) == path


def test_short_names_come_from_urn_and_schema_name() -> None:
    """Both the URN's part and the name without the type work."""
    names = Names(user(schema(UNIVERSITY, "Campus User")))
    assert names.short == {"enterprise": ENTERPRISE, "university": UNIVERSITY, "campus": UNIVERSITY}


def test_ambiguous_short_names_are_none() -> None:
    """One shared by two extensions, or that is an attribute, would be a guess."""
    two = "urn:other:extension:university:2.0:User"
    names = Names(user(schema(UNIVERSITY, "UniversityUser"), schema(two, "Other"), schema(NAME, "User")))
    assert "university" not in names.short
    assert "name" not in names.short
    assert names.short["other"] == two


def test_paths_are_written_short() -> None:
    """Messages show what people write."""
    path = NAMES.find("enterprise.manager.value")
    assert path is not None
    assert NAMES.written(path) == "enterprise.manager.value"
    assert NAMES.abbreviate(f"no {ENTERPRISE}:x") == "no enterprise.x"


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("userNmae", "userName"),
        ("user_name", "userName"),
        ("enterprise.departmant", "enterprise.department"),
        ("name.givenNam", "name.givenName"),
        ("xyzzy", None),
    ],
)
def test_suggestions(text: str, near: str | None) -> None:
    """A near name is offered, a far one is not."""
    assert NAMES.suggest(text) == near


def test_columns_are_suggested_whatever_their_separators() -> None:
    """Case, spaces and underscores do not make a column unlike."""
    assert suggest("First-Name", ["last_name", "first_name"]) == "first_name"
    assert suggest("frist_name", ["last_name", "first_name"]) == "first_name"


@pytest.mark.parametrize(
    "text",
    [
        'enterprise.department eq "Engineering"',
        'userName sw "enterprise." and (enterprise.department pr or not (enterprise.costCenter pr))',
        'emails[type eq "work" and value co "enterprise.x"] or enterprise.manager.value eq "1"',
        f'{ENTERPRISE}:department eq "x"',
    ],
)
def test_filters_with_short_names_resolve(text: str) -> None:
    """Short names are written out in front of the strict parser, values are left alone."""
    strict = Leniency(RFC)
    expanded = NAMES.expand_filter(text)
    resolve(parse_filter(expanded.text, strict), NAMES.resource_type, strict)
    assert expanded.text == text.replace("enterprise.department", f"{ENTERPRISE}:department").replace(
        "enterprise.costCenter", f"{ENTERPRISE}:costCenter"
    ).replace("enterprise.manager", f"{ENTERPRISE}:manager")


def test_places_lead_back_to_the_text_as_written() -> None:
    """Every character behind, between and before short names is found again."""
    text = 'title pr and enterprise.department eq "x" and enterprise.costCenter eq ?'
    expanded = NAMES.expand_filter(text)
    for word in ("title", "eq ?", 'eq "x"', "?"):
        assert expanded.original(expanded.text.index(word)) == text.index(word)
    assert expanded.original(expanded.text.index(ENTERPRISE)) == text.index("enterprise.department")


def test_documents_get_short_names_for_expressions() -> None:
    """The extension is there under both names; nothing else is added, nothing is copied."""
    document = {"userName": "a", ENTERPRISE: {"department": "x"}}
    assert NAMES.with_short(document) == {**document, "enterprise": {"department": "x"}}
    assert NAMES.with_short({"userName": "a"}) == {"userName": "a"}
