"""schemathesis against the whole server in this process, by its own OpenAPI document: https://schemathesis.io."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis import HookContext, hooks
from schemathesis.config import SchemathesisConfig
from tests.blackbox.rollbook_process import TOKEN
from tests.judges import plausible
from tests.judges.exploration import explore, on_a_loop
from tests.judges.reports import Verdict, report

pytestmark = pytest.mark.slow

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
PHASES = {"auto": ("fuzzing", "stateful"), "rfc": ("coverage",)}
"""What is tried in each profile, unless the search is thorough: what is lenient cannot be asked to refuse."""


def configuration(profile: str, *, thorough: bool) -> SchemathesisConfig:
    """The configuration of this directory, for a profile of ours."""
    settings: dict[str, Any] = tomllib.loads(CONFIGURATION.read_text("utf-8"))
    settings["headers"] = {"Authorization": f"Bearer {TOKEN}"}
    settings["generation"]["max-examples"] = 200 if thorough else 10
    settings["checks"]["negative_data_rejection"]["enabled"] = profile == "rfc"
    for phase in ("coverage", "fuzzing", "stateful"):
        settings["phases"][phase] = {"enabled": thorough or phase in PHASES[profile]}
    return SchemathesisConfig.from_dict(settings)


@contextmanager
def adapted(profile: str, *, thorough: bool) -> Iterator[None]:
    """The document is read closed where the profile is strict, and without what takes long."""

    def before_load_schema(_: HookContext, raw_schema: dict[str, Any]) -> None:
        if profile == "rfc":
            plausible.close_requests(raw_schema)
        if not thorough:
            plausible.make_quick(raw_schema)

    schemathesis.hook(before_load_schema)
    try:
        yield
    finally:
        hooks.unregister(before_load_schema)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("profile", list(PHASES))
def test_nothing_found(tmp_path: Path, profile: str, thorough: bool, record_property: Verdict) -> None:
    """Valid requests are accepted, in strict mode invalid ones refused; answers are as described, never a 5xx."""
    config = configuration(profile, thorough=thorough)
    plausible.register_formats()
    with on_a_loop(tmp_path, f"profile={profile}", "off=me") as app:
        with adapted(profile, thorough=thorough):
            schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
        plausible.make_plausible(schema)
        found = explore(schema)
    report(
        record_property,
        "schemathesis",
        f"profile {profile}: {found.requests} requests to {len(found.operations)} operations,"
        f" {found.checks} checks, {len(found.failures)} failures",
    )
    assert not found.failures, "\n\n".join(found.failures)
    assert found.operations == {
        f"{method.upper()} {path}"
        for path, item in schema.raw_schema["paths"].items()
        for method in item
        if method != "parameters"
    }
