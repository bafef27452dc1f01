"""A hub in a file, targets in the same process, a clock that is moved: what engine tests play in."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rollbook.client import ScimClient
from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.brake import Approval
from rollbook.provisioning.expressions import Subject
from rollbook.provisioning.items import Item
from rollbook.provisioning.mapping import Constant, CopyAttribute
from rollbook.provisioning.model import Assignment, Leave, LeavePolicy, ObjectMapping, Rule, TargetGroups
from rollbook.provisioning.orders import Report
from rollbook.provisioning.preview import Preview, Previewer
from rollbook.provisioning.targets.scim import ScimTarget
from rollbook.provisioning.work import Engine
from rollbook.provisioning.worker import Worker
from rollbook.storage.base import Author
from rollbook.storage.links import Link, Progress
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.links import SqlLinks
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.clock import Clock
from rollbook.testing.scripted_target import Profile, ScriptedTarget

TENANT = 1
CATALOG = core_catalog()
USER = CATALOG.resource_types[0]
GROUP = CATALOG.resource_types[1]
ENTERPRISE = urns.ENTERPRISE_USER

USERS: Mapping[str, str] = {
    "userName": "userName",
    "externalId": "externalId",
    "name.familyName": "name.familyName",
    "title": "title",
    "emails": "emails",
    "active": "active",
    f"{ENTERPRISE}:department": f"{ENTERPRISE}:department",
    f"{ENTERPRISE}:manager": f"{ENTERPRISE}:manager",
}
"""A mapping of the usual attributes onto themselves. It withholds everything else."""


def path_of(resource_type: ResourceType, text: str) -> AttributePath:
    """The attribute of that name."""
    found = resource_type.find(text)
    assert found is not None, text
    return found


def mapping(resource_type: ResourceType, subject: Subject, rules: Mapping[str, str | Rule]) -> ObjectMapping:
    """Rules by path; text copies the attribute of that name."""
    return ObjectMapping(
        tuple(
            Assignment(
                path_of(resource_type, path),
                CopyAttribute(subject, path_of(resource_type, rule)) if isinstance(rule, str) else rule,
            )
            for path, rule in rules.items()
        )
    )


def target(
    name: str = "app",
    *,
    users: Mapping[str, str | Rule] = USERS,
    scope: str | None = None,
    leave: Leave | LeavePolicy = Leave.DISABLE,
    groups: str | None = "displayName pr",
    digest: str = "1",
    concurrency: int = 4,
    brake: model.BrakeLimit | None = None,
) -> model.Target:
    """A target; `groups` is the scope of those it gets, None for no groups at all. Without a brake unless one is given."""
    wanted_groups = None
    if groups is not None:
        rules = mapping(GROUP, Subject.GROUP, {"displayName": "displayName"})
        wanted_groups = TargetGroups(
            resolve(parse_filter(groups, Leniency()), GROUP, Leniency()), rules, members=True
        )
    return model.Target(
        name=name,
        url="http://127.0.0.1:1/v2",
        token="secret",
        scope=None if scope is None else resolve(parse_filter(scope, Leniency()), USER, Leniency()),
        leave=LeavePolicy.same(leave) if isinstance(leave, Leave) else leave,
        users=mapping(USER, Subject.USER, users),
        groups=wanted_groups,
        digest=digest,
        concurrency=concurrency,
        brake=brake,
    )


class World:
    """One hub and any number of scripted targets by name."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.links = SqlLinks(store.database)
        self.clock = Clock()
        self.far: dict[str, ScriptedTarget] = {}
        self.items: list[Item] = []
        self._number = 0

    @property
    def engine(self) -> Engine:
        """What work is given."""
        return Engine(TENANT, CATALOG, self.store, self.links, self.clock.now, self.clock.sleep)

    def service(self, name: str = "app", profile: Profile | None = None) -> ScriptedTarget:
        """The scripted target of that name."""
        if name not in self.far:
            self.far[name] = ScriptedTarget(profile or Profile())
        return self.far[name]

    def connect(self, configured: model.Target) -> ScimTarget:
        """A way to the scripted target."""
        transport = AsgiTransport(self.service(configured.name))
        return ScimTarget(ScimClient(configured.url, configured.token, transport=transport))

    async def hire(self, name: str, more: JsonObject | None = None, **attributes: JsonValue) -> str:
        """Put a user in the hub; returns its id."""
        document = {"userName": name, "externalId": f"e-{name}", "active": True, **attributes, **(more or {})}
        kept = {name: value for name, value in document.items() if value is not None}
        return await self._insert(USER, Change(kept))

    async def group(self, name: str, *members: str) -> str:
        """Put a group in the hub; returns its id."""
        return await self._insert(GROUP, Change({"displayName": name}, tuple(map(Member, members))))

    async def _insert(self, resource_type: ResourceType, change: Change) -> str:
        self._number += 1
        new_id = f"hub-{self._number}"
        await self.store.insert(TENANT, resource_type, new_id, change, self._author())
        return new_id

    async def change(self, id: str, more: JsonObject | None = None, **attributes: JsonValue) -> None:
        """Set attributes of a hub user; None takes one away."""

        def merged(document: JsonObject) -> JsonObject:
            both = {**document, **attributes, **(more or {})}
            return {name: value for name, value in both.items() if value is not None}

        await self.store.update(
            TENANT, USER, id, lambda present: Change(merged(present.document)), Scope(), self._author()
        )

    async def rename(self, group: str, name: str) -> None:
        """Give a hub group another name."""
        change = Change({"displayName": name})
        await self.store.update(TENANT, GROUP, group, lambda _: change, Scope(), self._author())

    async def members(self, group: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Change the members of a hub group."""
        change = Change(None, tuple(map(Member, add)), tuple(remove))
        await self.store.update(TENANT, GROUP, group, lambda _: change, Scope(), self._author())

    async def remove(self, id: str, resource_type: ResourceType = USER) -> None:
        """Delete a hub resource."""
        assert await self.store.delete(TENANT, resource_type, id, self._author())

    def _author(self) -> Author:
        return Author("test", self.clock.now())

    async def apply(
        self,
        *targets: model.Target,
        unpark: bool = False,
        patience: float = 60.0,
        approvals: Sequence[Approval] = (),
    ) -> list[Report]:
        """One run over these targets; what it did is in `items` too."""
        self.items = []
        worker = Worker(self.engine, self.connect, patience=patience, watch=self.items.append)
        return await worker.run(targets, unpark=unpark, approvals=approvals)

    async def preview(self, configured: model.Target) -> tuple[list[Item], Preview]:
        """What a run would do."""
        previewer = Previewer(self.engine, configured, self.connect(configured))
        return [item async for item in previewer.items()], previewer.preview

    async def progress(self, name: str = "app") -> Progress:
        """The progress of a target that has been worked on."""
        found = await self.links.target(TENANT, name)
        assert found is not None
        return found

    async def link(self, id: str, name: str = "app") -> Link | None:
        """The link of a hub resource at a target."""
        return await self.links.link(TENANT, (await self.progress(name)).number, id)


@asynccontextmanager
async def world(directory: Path, database: str | None = None) -> AsyncIterator[World]:
    """A new world with nobody in it, in a file or in the database of that URL."""
    store = open_store(database or f"sqlite:///{directory}/hub.db", CATALOG)
    await store.open()
    try:
        yield World(store)
    finally:
        await store.close()


__all__ = [
    "CATALOG",
    "ENTERPRISE",
    "GROUP",
    "TENANT",
    "USER",
    "USERS",
    "Constant",
    "World",
    "mapping",
    "path_of",
    "target",
    "world",
]
