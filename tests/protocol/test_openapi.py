"""The OpenAPI document of a service."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.courses import DEFINITIONS

from rollbook.operations.discovery import service_provider_config
from rollbook.operations.tenant_settings import Limits, TenantSettings
from rollbook.protocol import urns
from rollbook.protocol.catalog import Catalog, build_catalog, core_catalog
from rollbook.protocol.openapi import Service, document
from rollbook.protocol.values import JsonObject

BASE = "https://scim.example.com/scim/v2"


def odd_types(*names: str) -> Catalog:
    """A catalog with resource types of these names."""
    documents: list[JsonObject] = []
    for number, name in enumerate(names):
        urn = f"urn:example:{number}"
        documents.append({"id": urn, "name": name, "attributes": [{"name": "a"}]})
        documents.append({"name": name, "endpoint": f"/E{number}", "schema": urn})
    return build_catalog(documents)


CATALOGS = {
    "core": core_catalog(),
    "courses": build_catalog(DEFINITIONS),
    "odd": odd_types("Error", "Foo", "FooRequest", "Foo List", "é", "User2", "Me"),
}


def described(catalog: Catalog, off: tuple[str, ...] = (), **changes: Any) -> JsonObject:
    """The document of a service, with some of its features off."""
    config = service_provider_config(TenantSettings(), Limits(), BASE)
    for feature in off:
        config[feature] = {**config[feature], "supported": False}
    if "bulk" not in off:
        config["bulk"] = {"supported": True, "maxOperations": 10, "maxPayloadSize": 1000}
    return document(Service(BASE, "1", catalog, config, **changes))


def operations(whole: JsonObject) -> dict[str, JsonObject]:
    """Every operation by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, item in whole["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def strings(value: Any) -> Iterator[str]:
    """Every text in a document, names of members included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


@pytest.mark.parametrize("off", [(), ("patch", "bulk", "filter", "sort", "etag")], ids=["all", "little"])
@pytest.mark.parametrize("catalog", CATALOGS.values(), ids=CATALOGS)
def test_is_valid(catalog: Catalog, off: tuple[str, ...]) -> None:
    """The document is OpenAPI 3.1 by a judge that is not ours, whatever the catalog and whatever is off."""
    OpenAPIV31SpecValidator(described(catalog, off)).validate()


@pytest.mark.parametrize("catalog", CATALOGS.values(), ids=CATALOGS)
def test_ids_and_components_are_unique_and_used(catalog: Catalog) -> None:
    """Operations have ids of their own; each component is referred to, and each reference leads to one."""
    whole = described(catalog)
    ids = [operation["operationId"] for operation in operations(whole).values()]
    assert len(ids) == len(set(ids))
    referred = {text for text in strings(whole) if text.startswith("#/components/")}
    there = {f"#/components/{kind}/{name}" for kind, named in whole["components"].items() for name in named}
    assert there - referred == {"#/components/securitySchemes/bearer"}
    assert referred <= there
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name.rpartition("/")[2]) for name in there)


def test_every_resource_type_has_every_operation() -> None:
    """Custom resource types are described like User and Group (RFC 7644 section 3.2)."""
    found = operations(described(CATALOGS["courses"]))
    for endpoint in ("/Users", "/Groups", "/Courses"):
        assert {name for name in found if endpoint in name} == {
            f"GET {endpoint}", f"POST {endpoint}", f"POST {endpoint}/.search", f"GET {endpoint}/{{id}}",
            f"PUT {endpoint}/{{id}}", f"PATCH {endpoint}/{{id}}", f"DELETE {endpoint}/{{id}}",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("feature", "gone"),
    [
        ("patch", "/PATCH /"),
        ("bulk", "BulkRequest"),
        ("filter", "/parameters/filter"),
        ("sort", "/parameters/sort"),
        ("etag", "/parameters/If-Match"),
    ],
)
def test_what_is_off_is_absent(feature: str, gone: str) -> None:
    """A part of SCIM that is not announced is not described (P-4-10)."""

    def mentions(off: tuple[str, ...]) -> bool:
        whole = described(core_catalog(), off)
        return any(gone in text for text in (*strings(whole), *(f"/{name}" for name in operations(whole))))

    assert mentions(())
    assert not mentions((feature,))


def test_me() -> None:
    """/Me is there when it is offered, may be of any type, and may be 501 (P-3.11-01)."""
    whole = described(core_catalog())
    found = whole["paths"]["/Me"]["get"]["responses"]
    assert {"404", "501"} <= set(found)
    assert found["200"]["content"]["application/scim+json"]["schema"] == {"$ref": "#/components/schemas/Any"}
    assert "/Me" not in described(core_catalog(), has_me=False)["paths"]


@pytest.mark.parametrize(
    ("empty", "statuses"), [((), ["200"]), (("User",), ["200", "204"]), (("Group",), ["200"])]
)
def test_patch_answers(empty: tuple[str, ...], statuses: list[str]) -> None:
    """PATCH may be 204 where the settings say so (A-21)."""
    whole = described(core_catalog(), empty_patches=frozenset(empty))
    found = whole["paths"]["/Users/{id}"]["patch"]["responses"]
    assert [status for status in found if status < "300"] == statuses


def test_links_lead_on() -> None:
    """From a created or found resource links lead to reading, replacing, patching and deleting it."""
    whole = described(core_catalog())
    known = {operation["operationId"] for operation in operations(whole).values()}
    for method, status in (("post", "201"), ("get", "200")):
        links = whole["paths"]["/Users"][method]["responses"][status]["links"]
        assert set(links) == {"read", "replace", "patch", "delete"}
        assert {link["operationId"] for link in links.values()} <= known
    assert set(described(core_catalog(), ("patch",))["paths"]["/Users"]["post"]["responses"]["201"]["links"]) == {
        "read", "replace", "delete",
    }  # fmt: skip


def test_names_are_those_of_the_types() -> None:
    """Components have the names of resource types and schemas, made different where they would be equal."""
    names = set(described(CATALOGS["odd"])["components"]["schemas"])
    assert {"User", "UserRequest", "UserList", "EnterpriseUser", "EnterpriseUserRequest"} <= names
    assert {"Error", "Error2", "Foo", "FooRequest2", "FooList2", "Resource", "Me2"} <= names


def test_descriptions_come_from_the_schemas() -> None:
    """An attribute is described as its schema describes it, an extension stands under its URN."""
    schemas = described(core_catalog())["components"]["schemas"]
    kind = core_catalog().resource_type("User")
    assert kind is not None
    attribute = kind.schema.attribute("userName")
    assert attribute is not None
    assert schemas["User"]["properties"]["userName"]["description"] == attribute.description
    assert schemas["User"]["properties"][urns.ENTERPRISE_USER] == {
        "$ref": "#/components/schemas/EnterpriseUser"
    }


def test_the_server_is_the_base() -> None:
    """Paths are relative to the base URI that the document was asked under (A-46)."""
    assert described(core_catalog())["servers"] == [{"url": BASE}]
