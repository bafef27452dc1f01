"""What is measured: each case is a list of requests, the same for every server but for the ids."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bench.wrk import Call, Service, send_all

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

SAMPLE = 2000
"""How many different users the cases ask for, spread over all."""

LARGEST = 100_000
"""Members of the group of all users, at most."""

SMALL = 10
SMALL_GROUPS = 400
CHUNK = 500
"""Members in one request while a group is being filled."""


@dataclass(frozen=True)
class Case:
    """A name, what is expected of Rollbook, and how a reader should see it."""

    name: str
    title: str
    of_bare: float | None = None
    of_peer: float | None = None
    needs_groups: bool = False


CASES: tuple[Case, ...] = (
    Case("read", "read by id", of_bare=0.5, of_peer=6),
    Case("eq", "`userName eq`", of_bare=0.45, of_peer=15),
    Case("co", "`displayName co`, 100 found", of_peer=10),
    Case("page", "first page of 100", of_peer=100),
    Case("last", "last page of 100", of_peer=100),
    Case("patch", "PATCH active", of_peer=4),
    Case("post", "POST", of_peer=2),
    Case("member-10", "add a member to a group of 10", needs_groups=True),
    Case("member-all", "add a member to a group of all users", of_peer=15, needs_groups=True),
)


@dataclass
class Population:
    """What a server was loaded with: ids in order of creation."""

    users: list[str] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    small_groups: list[str] = field(default_factory=list)
    large_group: str = ""
    made: int = 0
    """Users that cases have made beside them."""

    @property
    def total(self) -> int:
        """All users there are."""
        return len(self.users) + len(self.candidates) + self.made


def body(value: object) -> str:
    """JSON on one line."""
    return json.dumps(value, separators=(",", ":"))


def user(name: str, number: int) -> str:
    """A user of about one kilobyte, as an HR system would send it."""
    given, family = f"Given{number % 97}", f"Family{number // 100}"
    return body(
        {
            "schemas": [USER, ENTERPRISE],
            "externalId": f"x-{name}",
            "userName": f"{name}@bench.example",
            "name": {"givenName": given, "familyName": family, "formatted": f"{given} {family}"},
            "displayName": f"{given} {family}x",
            "title": f"Title {number % 40}",
            "preferredLanguage": "en-GB",
            "active": True,
            "emails": [
                {"value": f"{name}@bench.example", "type": "work", "primary": True},
                {"value": f"{name}@home.example", "type": "home"},
            ],
            "phoneNumbers": [{"value": f"+49 30 {number:07d}", "type": "work"}],
            "addresses": [
                {"type": "work", "streetAddress": f"{number % 300} Long Street", "locality": "Springfield",
                 "postalCode": f"{number % 90000:05d}", "country": "DE"}
            ],
            ENTERPRISE: {"employeeNumber": str(number), "costCenter": f"CC-{number % 50}",
                         "department": f"Department {number % 30}", "organization": "Bench"},
        }
    )  # fmt: skip


def patch(operation: dict[str, object]) -> str:
    """A PatchOp of one operation."""
    return body({"schemas": [PATCH], "Operations": [operation]})


def _add_members(ids: Sequence[str]) -> str:
    return patch({"op": "add", "path": "members", "value": [{"value": key} for key in ids]})


def import_file(path: Path, count: int) -> list[str]:
    """Write users for `rollbook import`; their ids."""
    with path.open("w", encoding="utf-8") as out:
        for number in range(count):
            out.write(f'{{"id":"u{number}",{user(f"u{number}", number)[1:]}\n')
    return [f"u{number}" for number in range(count)]


async def load_users(service: Service, prefix: str, count: int) -> list[str]:
    """Create users; their ids."""
    path = f"{service.base}/Users"
    calls = [Call("POST", path, user(f"{prefix}{number}", number)) for number in range(count)]
    return [json.loads(answer)["id"] for answer in await send_all(service, calls)]


async def load_groups(service: Service, population: Population) -> None:
    """Create the small groups, and one with every user."""
    path = f"{service.base}/Groups"
    names = [f"small {number}" for number in range(SMALL_GROUPS)]
    members = [{"value": key} for key in population.users[:SMALL]]
    small = [body({"schemas": [GROUP], "displayName": name, "members": members}) for name in names]
    large = body({"schemas": [GROUP], "displayName": "everybody"})
    answers = await send_all(service, [Call("POST", path, each) for each in (*small, large)])
    *population.small_groups, population.large_group = [json.loads(answer)["id"] for answer in answers]
    fill = [
        Call(
            "PATCH", f"{path}/{population.large_group}", _add_members(population.users[start : start + CHUNK])
        )
        for start in range(0, min(LARGEST, len(population.users)), CHUNK)
    ]
    await send_all(service, fill, at_once=1)


def calls(case: Case, service: Service, population: Population) -> list[Call]:
    """The requests of a case."""
    users, step = f"{service.base}/Users", max(1, len(population.users) // SAMPLE)
    sample = population.users[::step]
    match case.name:
        case "read":
            return [Call("GET", f"{users}/{key}") for key in sample]
        case "eq":
            numbers = range(0, len(population.users), step)
            return [
                Call("GET", f"{users}?filter={_equals(f'u{number}@bench.example')}") for number in numbers
            ]
        case "co":
            hundreds = range(max(1, len(population.users) // 100))
            wanted = [
                f'displayName co "amily{hundred}x"' for hundred in hundreds[:: max(1, len(hundreds) // 50)]
            ]
            return [Call("GET", f"{users}?filter={quote(text)}&count=100") for text in wanted]
        case "page":
            return [Call("GET", f"{users}?startIndex=1&count=100")]
        case "last":
            pages = range(max(1, population.total - 4_999), population.total - 98, 100)
            return [
                Call("GET", f"{users}?startIndex={start}&count=100") for start in pages
            ]  # walked, as clients do
        case "post":
            return [Call("POST", users, user(f"p{number}", number)) for number in range(40_000)]
        case "patch":
            values = (False, True)
            return [
                Call("PATCH", f"{users}/{key}", _set_active(value=value))
                for value in values
                for key in sample
            ]
        case "member-10":
            return [
                Call("PATCH", f"{service.base}/Groups/{group}", _add_members([key]))
                for key in population.candidates
                for group in population.small_groups
            ][: SMALL_GROUPS * 100]
        case _:
            path = f"{service.base}/Groups/{population.large_group}"
            return [Call("PATCH", path, _add_members([key])) for key in population.candidates]


def _equals(name: str) -> str:
    return quote(f'userName eq "{name}"')


def _set_active(*, value: bool) -> str:
    return patch({"op": "replace", "path": "active", "value": value})
