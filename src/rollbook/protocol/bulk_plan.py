"""What each operation of a bulk request is about, and the order in which they are carried out (RFC 7644 §3.7).

Ids of new resources are chosen beforehand, so that references are replaced here, all at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from rollbook.protocol import urns
from rollbook.protocol.bulk import METHODS, Operation
from rollbook.protocol.bulk_order import ordered
from rollbook.protocol.bulk_references import MARK, Resolver
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import (
    InvalidSyntax,
    InvalidValue,
    MethodNotAllowed,
    NotFound,
    RequestError,
)
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonValue

_NOT_IN_BULK = frozenset({"Bulk", "Me", ".search"})
"""Endpoints that no operation may be sent to (P-3.7-28)."""

_READ_ONLY = frozenset({"ServiceProviderConfig", "ResourceTypes", "Schemas"})


@dataclass(frozen=True, slots=True)
class Target:
    """The resource an operation is about. For POST `id` is the one that the new resource will have."""

    resource_type: ResourceType
    id: str


@dataclass(frozen=True, slots=True)
class Planned:
    """An operation that can be carried out: what it is about, with ids in place of references.

    `refers` are the bulkIds of others that it refers to.
    """

    sent: Operation
    target: Target
    data: JsonValue = None
    refers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refused:
    """An operation that can not, and why; the target is None where the path leads nowhere."""

    sent: Operation
    target: Target | None
    error: RequestError


Plan: TypeAlias = Planned | Refused
"""What becomes of one operation of a request."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans the operations of one request.

    `ids` has, by bulkId, the id of the resource that each POST will create; `base` is the URI of the service.
    """

    ids: Mapping[str, str]
    catalog: Catalog
    base: str
    leniency: Leniency

    def plan(self, operation: Operation) -> Plan:
        """The operation as it can be carried out, or what is wrong with it."""
        resolver = Resolver(self.ids)
        target = None
        try:
            target = self._target(operation, resolver)
            data = self._data(operation, target.resource_type, resolver)
        except RequestError as error:
            return Refused(operation, target, error)
        return Planned(operation, target, data, frozenset(resolver.refers - {operation.bulk_id}))

    def _target(self, operation: Operation, resolver: Resolver) -> Target:
        """What the path names, if the method fits it (P-3.7-03, P-3.7-04)."""
        method = operation.method
        if method not in METHODS:
            raise InvalidSyntax(f"method must be one of {', '.join(METHODS)}, not {method[:20]!r} (P-3.7-03)")
        endpoint, _, rest = self._below_base(operation.path).partition("/")
        rest = rest if rest.startswith(MARK) else rest.removesuffix("/")
        if endpoint in _NOT_IN_BULK or rest == ".search":
            raise InvalidSyntax(
                "/Bulk, /Me and .search are no part of a bulk request; send them by themselves (P-3.7-28)"
            )
        resource_type = self.catalog.at(f"/{endpoint}")
        if resource_type is None and endpoint not in _READ_ONLY:
            raise NotFound(f"there is no endpoint {'/' + endpoint[:100]!r}")
        if resource_type is None or bool(rest) == (method == "POST"):
            raise MethodNotAllowed(
                f"{method} is not for {str(operation.path)[:100]!r}: POST goes to a type such as /Users,"
                " PUT, PATCH and DELETE to a resource such as /Users/{id} (P-3.7-04)"
            )
        if operation.bulk_id is not None and method == "POST":
            return Target(resource_type, self.ids[operation.bulk_id])
        return Target(resource_type, resolver.text(rest, "path") if rest.startswith(MARK) else unquote(rest))

    def _below_base(self, path: JsonValue) -> str:
        """The path without the base URI, and without the slash it begins with."""
        if not isinstance(path, str) or not path:
            raise InvalidSyntax("path must be a string such as /Users or /Users/{id} (P-3.7-04)")
        below = path.removeprefix(self.base + "/")
        plain = below.partition("/" + MARK)[0]
        if "://" in plain:
            raise InvalidValue(
                f"path {path[:100]!r} is not below {self.base}; send it relative to that (P-3.7-04)"
            )
        if "?" in plain or "#" in plain:
            raise InvalidValue(f"path {path[:100]!r}: a path has no query and no fragment here (P-3.7-04)")
        return below.removeprefix("/")

    def _data(self, operation: Operation, resource_type: ResourceType, resolver: Resolver) -> JsonValue:
        method, data = operation.method, operation.data
        if not isinstance(operation.version, str | None):
            raise InvalidSyntax("version must be a string: the ETag of the resource (P-3.7-07)")
        if method == "DELETE":
            return None
        if data is None:
            raise InvalidSyntax(f"data is missing: it is what the body of {method} would be (P-3.7-06)")
        if method == "PATCH":
            return resolver.patch(self._message(data), resource_type.reference_names)
        return resolver.value(data, resource_type.reference_names)

    def _message(self, data: JsonValue) -> JsonValue:
        """The PatchOp message that is due as data of PATCH (erratum 5050)."""
        if not isinstance(data, list):
            return data
        quirk = Quirk.PATCH_LIST_IN_BULK
        if not self.leniency.accepts(quirk):
            raise InvalidSyntax("data must be a whole PatchOp message, not its operations alone", quirk=quirk)
        return {"schemas": [urns.PATCH_OP], "Operations": data}


def units(plans: Sequence[Plan]) -> list[tuple[Plan, ...]]:
    """The operations in the order in which they are carried out (P-3.7-17, P-3.7-20).

    Each comes after those it refers to, and after earlier ones about the same resource; beyond that the order is
    that of the request. POSTs that refer to each other in a ring are one unit.
    """
    posts = {plan.sent.bulk_id: plan.sent.place for plan in plans if plan.sent.method == "POST"}
    latest: dict[str, int] = {}
    needs: list[set[int]] = []
    for plan in plans:
        needed: set[int] = set()
        if isinstance(plan, Planned):
            needed.update(posts[bulk_id] for bulk_id in plan.refers)
            if plan.sent.method != "POST":  # which comes before all about its resource: they refer to it
                if plan.target.id in latest:
                    needed.add(latest[plan.target.id])
                latest[plan.target.id] = plan.sent.place
        needs.append(needed)
    return [tuple(plans[place] for place in unit) for unit in ordered(needs)]
