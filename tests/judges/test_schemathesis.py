"""schemathesis against the whole server in this process, by its own OpenAPI document: https://schemathesis.io."""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis import HookContext, hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.schemas import OpenApiSchema
from tests.blackbox.rollbook_process import TOKEN
from tests.judges import plausible
from tests.judges.exploration import Found, Judged, explore, on_a_loop
from tests.judges.reports import Verdict, report

from rollbook.server.admin.table import ROWS

pytestmark = pytest.mark.slow

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
PHASES = {"auto": ("fuzzing", "stateful"), "rfc": ("coverage",)}
"""What is tried in each profile, unless the search is thorough: what is lenient cannot be asked to refuse."""


def configuration(token: str, *, strict: bool, phases: Collection[str], thorough: bool) -> SchemathesisConfig:
    """The configuration of this directory with what differs between runs."""
    settings: dict[str, Any] = tomllib.loads(CONFIGURATION.read_text("utf-8"))
    settings["headers"] = {"Authorization": f"Bearer {token}"}
    settings["generation"]["max-examples"] = 200 if thorough else 10
    settings["checks"]["negative_data_rejection"]["enabled"] = strict
    for phase in ("coverage", "fuzzing", "stateful"):
        settings["phases"][phase] = {"enabled": thorough or phase in phases}
    return SchemathesisConfig.from_dict(settings)


def loaded(
    judged: Judged, config: SchemathesisConfig, *, strict: bool, thorough: bool, only: str | None = None
) -> OpenApiSchema:
    """The document, or one path of it; read closed where the profile is strict, and without what takes long."""

    def before_load_schema(_: HookContext, raw_schema: dict[str, Any]) -> None:
        if only is not None:
            raw_schema["paths"] = {only: raw_schema["paths"][only]}
        if strict:
            plausible.close_requests(raw_schema)
        if not thorough:
            plausible.make_quick(raw_schema)

    plausible.register_formats()
    schemathesis.hook(before_load_schema)
    try:
        schema = schemathesis.openapi.from_asgi("/openapi.json", judged.app, config=config)
    finally:
        hooks.unregister(before_load_schema)
    plausible.make_plausible(schema)
    return schema


def said(found: Found) -> str:
    """What is told of a run."""
    return (
        f"{found.requests} requests to {len(found.operations)} operations,"
        f" {found.checks} checks, {len(found.failures)} failures"
    )


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("profile", list(PHASES))
def test_nothing_found(tmp_path: Path, profile: str, thorough: bool, record_property: Verdict) -> None:
    """Valid requests are accepted, in strict mode invalid ones refused; answers are as described, never a 5xx."""
    strict = profile == "rfc"
    config = configuration(TOKEN, strict=strict, phases=PHASES[profile], thorough=thorough)
    with on_a_loop(tmp_path, f"profile={profile}", "off=me") as judged:
        schema = loaded(judged, config, strict=strict, thorough=thorough)
        found = explore(schema)
    report(record_property, "schemathesis", f"profile {profile}: {said(found)}")
    assert not found.failures, "\n\n".join(found.failures)
    assert found.operations == {
        f"{method.upper()} {path}"
        for path, item in schema.raw_schema["paths"].items()
        for method in item
        if method != "parameters"
    }


@pytest.mark.timeout(7200)
def test_nothing_found_under_me(tmp_path: Path, thorough: bool, record_property: Verdict) -> None:
    """/Me is as described for a token that acts for a user, who may change a few attributes."""
    with on_a_loop(tmp_path, "profile=rfc", "self-service=nickName,title") as judged:
        config = configuration(judged.own, strict=True, phases=("coverage",), thorough=thorough)
        found = explore(loaded(judged, config, strict=True, thorough=thorough, only="/Me"))
    report(record_property, "schemathesis", f"/Me: {said(found)}")
    assert not found.failures, "\n\n".join(found.failures)
    assert found.operations == {f"{method} /Me" for method in ("GET", "PUT", "PATCH", "DELETE")}


@pytest.mark.timeout(1200)
def test_nothing_found_at_admin(tmp_path: Path, thorough: bool, record_property: Verdict) -> None:
    """At /admin/v1 answers are as described, never a 5xx. That every name of the right form is accepted is not asked."""
    with on_a_loop(tmp_path) as judged:
        config = configuration(judged.admin, strict=False, phases=("fuzzing",), thorough=thorough)
        sent = {"Authorization": f"Bearer {judged.admin}"}
        schema = schemathesis.openapi.from_asgi(
            "/admin/v1/openapi.json", judged.app, config=config, headers=sent
        )
        found = explore(schema)
    report(record_property, "schemathesis", f"/admin/v1: {said(found)}")
    assert not found.failures, "\n\n".join(found.failures)
    assert len(found.operations) == len(ROWS)
