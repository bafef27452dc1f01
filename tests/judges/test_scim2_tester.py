"""scim2-tester against a real server: https://scim2-tester.readthedocs.io."""

import random
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from tests.blackbox.rollbook_process import TOKEN
from tests.courses import DEFINITIONS
from tests.judges.reports import Verdict, report
from tests.judges.servers import base, judged

from rollbook.protocol.values import JsonObject

pytestmark = pytest.mark.slow

SETTINGS = ("display=asked",)
"""It wants each member back as it sent it, and knows no part that the server adds."""

UNKNOWN_TO_IT = {"decimal", "dateTime", "binary"}
"""Types it has no values for, sending a UUID, or compares in two forms, text and bytes."""

RETURNED = {"default", "always"}
"""It looks for whatever it wrote that is not writeOnly, also where it is returned on request only, or never."""


def known(attributes: list[JsonObject]) -> list[JsonObject]:
    """The attributes of our own type that it can judge."""
    return [
        attribute | ({"subAttributes": known(parts)} if (parts := attribute.get("subAttributes")) else {})
        for attribute in attributes
        if attribute["type"] not in UNKNOWN_TO_IT
        and (attribute.get("returned", "default") in RETURNED or attribute.get("mutability") == "writeOnly")
    ]


def test_no_error(tmp_path: Path, record_property: Verdict) -> None:
    """Every check of every resource type, custom ones too, succeeds; none is skipped."""
    definitions = [
        each | ({"attributes": known(each["attributes"])} if "attributes" in each else {})
        for each in DEFINITIONS
    ]
    random.seed(7644)
    with judged(tmp_path, *SETTINGS, definitions=definitions) as server:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx2.Client(base_url=base(server), headers=headers, timeout=30) as http:
            results = check_server(SyncSCIMClient(http))
    counts = Counter(result.status for result in results)
    said = ", ".join(f"{counts[status]} {status.name.lower()}" for status in Status)
    report(record_property, "scim2-tester", f"{said} (--set {' --set '.join(SETTINGS)})")
    assert [(each.title, each.reason) for each in results if each.status is not Status.SUCCESS] == []
    assert {each.resource_type for each in results} >= {"User", "Group", "Course"}
    assert len(results) > 150
