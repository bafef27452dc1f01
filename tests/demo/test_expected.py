"""What the demo expects of each system, from HR's rows alone."""

from datetime import date

import pytest

from rollbook.demo.expected import SYSTEMS, Row, State, System, next_state, works
from rollbook.demo.people import COLUMNS

TODAY = date(2026, 11, 23)
BY_NAME = {system.name: system for system in SYSTEMS}


def row(**values: str) -> Row:
    """A row of HR's export."""
    plain = {"employee_id": "1", "first_name": "Ada", "last_name": "Byron", "email": "Ada@x.example"}
    return dict.fromkeys(COLUMNS, "") | plain | {"ping_pong": "no", "title": "Accountant"} | values


@pytest.mark.parametrize(
    ("end", "expected"), [("", True), ("2099-12-31", True), ("2026-11-23", False), ("2020-01-01", False)]
)
def test_works(end: str, expected: bool) -> None:
    """Somebody works until the day before the end date."""
    assert works(row(end_date=end), TODAY) is expected


@pytest.mark.parametrize(
    ("system", "values", "expected"),
    [
        ("cloud", {}, True),
        ("ping-pong", {"ping_pong": "yes"}, True),
        ("ping-pong", {"ping_pong": "no"}, False),
        ("support-desk", {"department": "Sales"}, True),
        ("support-desk", {"department": "Finance"}, False),
        ("accounting", {"department": "Finance"}, True),
        ("accounting", {"department": "Sales", "title": "Head of Sales"}, True),
        ("accounting", {"department": "Sales"}, False),
        ("source-control", {"department": "Engineering"}, True),
        ("source-control", {"department": "Product"}, False),
    ],
)
def test_scope(system: str, values: dict[str, str], expected: bool) -> None:
    """Each system wants its own people."""
    assert BY_NAME[system].wants(row(**values)) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("support-desk", False, id="disable"),
        pytest.param("ping-pong", None, id="delete"),
        pytest.param("accounting", "kept", id="keep"),
    ],
)
@pytest.mark.parametrize("gone", ["left", "vanished", "out of scope"])
def test_leaving(name: str, expected: bool | str | None, gone: str) -> None:
    """Whoever leaves is disabled, deleted or kept, whichever way they leave."""
    system = BY_NAME[name]
    department = "Finance" if name == "accounting" else "Support"
    present = row(department=department, ping_pong="yes")
    before = next_state(system, State(), {"1": present}, TODAY)
    rows = {
        "left": {"1": {**present, "end_date": "2020-01-01"}},
        "vanished": {},
        "out of scope": {"1": {**present, "department": "Product", "ping_pong": "no"}},
    }[gone]
    after = next_state(system, before, rows, TODAY)
    match expected:
        case None:
            assert after.accounts == {}
        case False:
            assert after.accounts == {"1": before.accounts["1"] | {"active": False}}
        case _:
            assert after.accounts == before.accounts


def test_groups() -> None:
    """Whoever has an account is in the group of their department: leavers too, movers no longer."""
    system = BY_NAME["support-desk"]
    people = {key: row(employee_id=key, department="Support") for key in ("1", "2", "3", "4")}
    before = next_state(system, State(), people, TODAY)
    rows = {
        "1": people["1"],
        "2": {**people["2"], "end_date": "2020-01-01"},
        "3": {**people["3"], "department": "Sales"},
    }
    after = next_state(system, before, rows, TODAY)
    assert before.groups == {"dept-Support": frozenset("1234"), "dept-Sales": frozenset()}
    assert after.groups == {"dept-Support": frozenset("124"), "dept-Sales": frozenset("3")}


def test_never_created_for_someone_who_has_left() -> None:
    """Somebody who left before the first day gets no account anywhere."""
    gone = row(department="Engineering", end_date="2020-01-01", ping_pong="yes", title="Head of Engineering")
    assert all(next_state(system, State(), {"1": gone}, TODAY).accounts == {} for system in SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_no_system_expects_a_birth_date(system: System) -> None:
    """Nothing that is expected anywhere was made of the birth date."""
    one, other = (
        system.attributes(row(birth_date=birth, phone="1")) for birth in ("1980-01-01", "1990-02-02")
    )
    assert one == other
