"""A SCIM client: asynchronous, typed, usable without the rest of Rollbook.

    async with ScimClient("https://example.com/scim/v2", "token") as client:
        ada = await client.create("/Users", {"schemas": [...], "userName": "ada"})

Loads the protocol package, orjson and pyqwest, nothing else.
"""

from rollbook.client.addresses import GuardedTransport
from rollbook.client.authentication import Authentication, Basic, Bearer
from rollbook.client.bulk import BulkOperation, BulkResult
from rollbook.client.client import ScimClient
from rollbook.client.discovery import Capabilities
from rollbook.client.oauth import ClientCredentials, Grant
from rollbook.client.paging import CursorWalk, Walk
from rollbook.client.results import Created, ListPage, ScimResource
from rollbook.client.retry import Retry
from rollbook.client.sync import SyncScimClient, SyncWalk
from rollbook.client.transport import (
    Call,
    HttpRequest,
    HttpResponse,
    Limits,
    PyqwestTransport,
    Transport,
    WatchedTransport,
)

__all__ = [
    "Authentication",
    "Basic",
    "Bearer",
    "BulkOperation",
    "BulkResult",
    "Call",
    "Capabilities",
    "ClientCredentials",
    "Created",
    "CursorWalk",
    "Grant",
    "GuardedTransport",
    "HttpRequest",
    "HttpResponse",
    "Limits",
    "ListPage",
    "PyqwestTransport",
    "Retry",
    "ScimClient",
    "ScimResource",
    "SyncScimClient",
    "SyncWalk",
    "Transport",
    "Walk",
    "WatchedTransport",
]
