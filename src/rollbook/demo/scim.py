"""Reads SCIM servers back with nothing but the standard library, so that the demo does not believe Rollbook's client."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]

PAGE = 100
TIMEOUT = 30.0
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy


@dataclass(frozen=True)
class Account:
    """A user as a server shows it: its id there, and its attributes without what the server itself adds."""

    id: str
    attributes: Json


@dataclass(frozen=True)
class Snapshot:
    """All a server holds: accounts by externalId, members' externalIds by group, and every byte it answered."""

    accounts: Mapping[str, Account]
    groups: Mapping[str, frozenset[str]]
    answers: bytes
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Service:
    """Where a server listens, and the token that opens it."""

    name: str
    url: str
    token: str

    def answers(self) -> bool:
        """Whether the server takes requests with our token."""
        try:
            self._get("/Users?count=0")
        except (OSError, ValueError):
            return False
        return True

    def read(self) -> Snapshot:
        """Everything the server holds."""
        users, user_bytes = self._list("/Users")
        groups, group_bytes = self._list("/Groups")
        keys = {user["id"]: user.get("externalId", f"no externalId: {user['id']}") for user in users}
        accounts = {keys[user["id"]]: Account(user["id"], plain(user, keys)) for user in users}
        members = {
            group["displayName"]: frozenset(
                keys.get(member["value"], f"unknown: {member['value']}")
                for member in group.get("members", ())
            )
            for group in groups
        }
        return Snapshot(accounts, members, user_bytes + group_bytes, _doubles(users, groups))

    def _list(self, path: str) -> tuple[list[Json], bytes]:
        found: list[Json] = []
        answers = b""
        while True:
            body, answer = self._get(f"{path}?startIndex={len(found) + 1}&count={PAGE}")
            resources = body.get("Resources", [])
            found += resources
            answers += answer
            if not resources or len(found) >= body["totalResults"]:
                return found, answers

    def _get(self, path: str) -> tuple[Json, bytes]:
        request = urllib.request.Request(
            self.url + quote(path, safe="/?&="),
            headers={"Authorization": f"Bearer {self.token}", "Accept": "application/scim+json"},
        )
        with _OPENER.open(request, timeout=TIMEOUT) as response:
            answer: bytes = response.read()
        return json.loads(answer), answer


def plain(user: Json, keys: Mapping[str, str]) -> Json:
    """The user without what servers add, its manager named by externalId."""
    kept = {name: value for name, value in user.items() if name not in {"schemas", "id", "meta", "groups"}}
    enterprise = dict(kept.get(ENTERPRISE, {}))
    if "manager" in enterprise:
        value = enterprise["manager"].get("value", "")
        enterprise["manager"] = keys.get(value, f"unknown: {value}")
    return kept | ({ENTERPRISE: enterprise} if enterprise else {})


def _doubles(users: list[Json], groups: list[Json]) -> tuple[str, ...]:
    faults = []
    for what, names in (
        ("externalId", [user.get("externalId") for user in users]),
        ("userName", [user["userName"].lower() for user in users]),
        ("group", [group["displayName"] for group in groups]),
    ):
        faults += [f"{what} {name!r} exists twice" for name in {n for n in names if names.count(n) > 1}]
    return tuple(faults)
