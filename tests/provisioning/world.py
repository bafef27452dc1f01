"""A hub in a file, targets in the same process, a clock that is moved: what engine tests play in."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rollbook.client import ScimClient
from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.delivery import Engine
from rollbook.provisioning.expressions import Subject
from rollbook.provisioning.items import Item
from rollbook.provisioning.line import Report
from rollbook.provisioning.mapping import CopyAttribute
from rollbook.provisioning.model import Assignment, Leave, ObjectMapping, TargetGroups
from rollbook.provisioning.targets.scim import ScimTarget
from rollbook.provisioning.worker import Worker
from rollbook.storage.base import Author
from rollbook.storage.sql.links import SqlLinks
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.clock import Clock
from rollbook.testing.scripted_target import Profile, ScriptedTarget

TENANT = 1
CATALOG = core_catalog()
USER = CATALOG.resource_type("User") or _never()  # type: ignore[name-defined]  # noqa: F821 - it is there
GROUP = CATALOG.resource_type("Group") or _never()  # type: ignore[name-defined]  # noqa: F821 - it is there
ENTERPRISE = urns.ENTERPRISE_USER
