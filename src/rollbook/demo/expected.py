"""What each system should hold, worked out from the HR exports alone.

This says once more, in plain Python, what `rollbook.yaml` says; it must know nothing of Rollbook's mapping, so
that a mistake there cannot hide here.
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from rollbook.demo.scim import ENTERPRISE, Json

Row = Mapping[str, str]


@dataclass(frozen=True)
class System:
    """A target of the demo: whom it should know, what of them, and what becomes of those who leave."""

    name: str
    purpose: str
    wants: Callable[[Row], bool]
    attributes: Callable[[Row], Json]
    leave: str
    groups: Mapping[str, str]
    """Department → the name its group has there."""


@dataclass(frozen=True)
class State:
    """What should be in a system: attributes by employee number, members by group.

    `departments` is where HR last saw each person, also those it no longer lists.
    """

    accounts: Mapping[str, Json] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    departments: Mapping[str, str] = field(default_factory=dict)


def read_export(path: Path) -> dict[str, Row]:
    """The rows of an HR export by employee number; rows without one are nobody."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["employee_id"]: row for row in csv.DictReader(file) if row["employee_id"]}


def stray_lines(path: Path) -> list[int]:
    """The lines of an HR export that do not say whose they are."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return [rows.line_num for row in rows if not row["employee_id"]]


def works(row: Row, today: date) -> bool:
    """Whether the person's time with the company has not ended."""
    return not row["end_date"] or date.fromisoformat(row["end_date"]) > today


def next_state(system: System, before: State, rows: Mapping[str, Row], today: date) -> State:
    """What the system should hold once this export has been carried out, given what it held before."""
    accounts = {}
    for key, row in rows.items():
        if works(row, today) and system.wants(row):
            accounts[key] = {"externalId": key, **system.attributes(row)}
    for key, attributes in before.accounts.items():
        if key not in accounts and system.leave != "delete":
            accounts[key] = attributes | ({"active": False} if system.leave == "disable" else {})
    departments = {**before.departments, **{key: row["department"] for key, row in rows.items()}}
    groups = {
        name: frozenset(key for key in accounts if departments[key] == department)
        for department, name in system.groups.items()
    }
    return State(accounts, groups, departments)


def _name(row: Row) -> str:
    return f"{row['first_name']} {row['last_name']}"


def _mail(row: Row) -> Json:
    return {"emails": [{"type": "work", "primary": True, "value": row["email"]}]}


def _cloud(row: Row) -> Json:
    enterprise: dict[str, Any] = {"department": row["department"]}
    if row["manager_id"]:
        enterprise["manager"] = row["manager_id"]
    return _mail(row) | {
        "userName": row["email"].lower(),
        "displayName": _name(row),
        "name": {"givenName": row["first_name"], "familyName": row["last_name"]},
        "title": row["title"],
        "active": True,
        ENTERPRISE: enterprise,
    }


def _ping_pong(row: Row) -> Json:
    nick = f"{row['first_name']} {row['last_name'][0]}."
    return {"userName": row["email"].lower(), "displayName": nick, "active": True}


def _support_desk(row: Row) -> Json:
    phones = [{"type": "work", "value": row["phone"]}]
    return _mail(row) | {
        "userName": row["email"].lower(),
        "displayName": _name(row),
        "phoneNumbers": phones,
        "active": True,
    }


def _accounting(row: Row) -> Json:
    return {
        "userName": row["employee_id"],
        "displayName": f"{row['last_name']}, {row['first_name']}",
        "active": True,
        ENTERPRISE: {"employeeNumber": row["employee_id"], "costCenter": row["cost_center"]},
    }


def _source_control(row: Row) -> Json:
    handle = row["email"].lower().partition("@")[0]
    return _mail(row) | {"userName": handle, "displayName": _name(row), "active": True}


_DEPARTMENTS = ("Engineering", "Sales", "Support", "Operations", "Finance", "People", "Product", "Board")

SYSTEMS: tuple[System, ...] = (
    System(
        name="cloud",
        purpose="everybody; leavers disabled",
        wants=lambda row: True,  # noqa: ARG005 - everybody, whoever it is
        attributes=_cloud,
        leave="disable",
        groups={name: f"dept-{name}" for name in _DEPARTMENTS},
    ),
    System(
        name="ping-pong",
        purpose="who plays; leavers deleted",
        wants=lambda row: row["ping_pong"] == "yes",
        attributes=_ping_pong,
        leave="delete",
        groups={},
    ),
    System(
        name="support-desk",
        purpose="Support, Sales; leavers disabled",
        wants=lambda row: row["department"] in {"Support", "Sales"},
        attributes=_support_desk,
        leave="disable",
        groups={"Support": "dept-Support", "Sales": "dept-Sales"},
    ),
    System(
        name="accounting",
        purpose="Finance, all heads; leavers kept",
        wants=lambda row: row["department"] == "Finance" or row["title"].startswith("Head of"),
        attributes=_accounting,
        leave="keep",
        groups={},
    ),
    System(
        name="source-control",
        purpose="Engineering; leavers disabled",
        wants=lambda row: row["department"] == "Engineering",
        attributes=_source_control,
        leave="disable",
        groups={"Engineering": "engineers"},
    ),
)
