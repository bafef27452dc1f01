"""What is hidden from a token is in nothing that it is answered: two tenants that differ in hidden values only answer alike.

Byte for byte, but for ids, times and versions: a version moves with every change of a resource, also of what is hidden.
"""

import asyncio
import json
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.server.test_bounds import Ask
from tests.server.test_withheld import WORK

from rollbook.app import Application, now, running
from rollbook.operations import tokens
from rollbook.operations.rights import ALL, Rights, read_rights
from rollbook.operations.tenant_care import TenantCare
from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.settings import Settings
from rollbook.testing.asgi import AsgiCaller

WORDS = ("ann", "bea", "x", "X y", "")
TEXT = st.sampled_from(WORDS[:4])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "displayName": TEXT,
    "title": TEXT,
    "userType": TEXT,
    "externalId": TEXT,
    "active": st.booleans(),
    "name": st.fixed_dictionaries({}, optional={"givenName": TEXT, "familyName": TEXT}),
    "roles": st.lists(st.fixed_dictionaries({"value": TEXT}, optional={"type": TEXT}), max_size=2),
    "emails": st.lists(
        st.builds(lambda one: {"value": f"{one.replace(' ', '')}@x.example"}, TEXT), max_size=2
    ),
    WORK: st.fixed_dictionaries(
        {}, optional={"department": TEXT, "costCenter": TEXT, "manager": st.just({"value": "{bea}"})}
    ),
}
"""What a User may have beside its name; the extension stands for what is in it."""

HIDDEN: tuple[tuple[str, ...], ...] = (
    ("roles", "title"),
    ("name.familyName", "externalId"),
    ("displayName",),
    ("department", "manager", "costCenter"),
    ("department", "active"),
    ("emails", "name", "userType"),
    ("members",),
)
"""What is hidden from a token; each has a pair of tenants of its own."""

PATHS = (
    "displayName", "title", "userType", "externalId", "active", "name", "name.givenName", "name.familyName", "roles",
    "roles.value", "roles.type", "emails", "emails.value", "userName", "schemas", "id", "groups", "groups.value",
    "groups.display", "members", "members.value", "members.display",
    *(f"{WORK}:{each}" for each in ("department", "costCenter", "manager", "manager.value", "manager.displayName")),
)  # fmt: skip
LITERALS = st.sampled_from(
    [*map(json.dumps, WORDS), "true", "false", "null", f'"{WORK}"', '"{bea}"', '"{team}"']
)
OPERATORS = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])
TEST = st.builds("{} {} {}".format, st.sampled_from(PATHS), OPERATORS, LITERALS) | st.builds(
    "{} pr".format, st.sampled_from(PATHS)
)
FILTER = st.builds("{}".format, TEST) | st.builds("not ({})".format, TEST) | st.builds("{} or {}".format, TEST, TEST) | st.builds("{} and {}".format, TEST, TEST)  # fmt: skip
NAMES = st.lists(st.sampled_from((*PATHS, WORK)), min_size=1, max_size=3).map(",".join)
QUERY = st.one_of(
    st.just(""),
    st.builds("?filter={}".format, FILTER),
    st.builds(
        "?sortBy={}&sortOrder={}".format, st.sampled_from(PATHS), st.sampled_from(["ascending", "descending"])
    ),
    st.builds("?filter={}&sortBy={}".format, TEST, st.sampled_from(PATHS)),
    st.builds("?attributes={}".format, NAMES),
    st.builds("?excludedAttributes={}".format, NAMES),
)
PLACE = st.sampled_from(["/Users", "/Groups", "", "/Users/{ann}", "/Users/{bea}", "/Groups/{team}"])
READ = st.builds(lambda place, query: ("GET", place + query, None), PLACE, QUERY)
USER = st.fixed_dictionaries({}, optional=VALUES).map(
    lambda body: {"schemas": [urns.USER, *([WORK] if WORK in body else ())], **body}
)
GROUP = st.builds(
    lambda label, members: {"schemas": [urns.GROUP], "displayName": label, **members},
    TEXT,
    st.fixed_dictionaries({}, optional={"members": st.lists(st.just({"value": "{bea}"}), max_size=1)}),
)
VALUE = st.one_of(TEXT, st.booleans(), st.none(), *VALUES.values())
STEP = st.one_of(
    st.fixed_dictionaries({"op": st.sampled_from(["add", "replace"]), "path": st.sampled_from((*PATHS, WORK)), "value": VALUE}),
    st.fixed_dictionaries({"op": st.just("remove"), "path": st.sampled_from((*PATHS, WORK))}),
    st.fixed_dictionaries({"op": st.just("remove"), "path": st.builds("{}[value eq {}]".format, st.sampled_from(["roles", "emails", "members"]), LITERALS)}),
    st.builds(lambda op, value: {"op": op, "value": value}, st.sampled_from(["add", "replace"]), st.fixed_dictionaries({}, optional=VALUES)),
)  # fmt: skip
PATCH = st.builds(
    lambda steps: {"schemas": [urns.PATCH_OP], "Operations": steps}, st.lists(STEP, min_size=1, max_size=2)
)
SHOWN = st.sampled_from(["", "?attributes=userName", "?excludedAttributes=title"])
WRITE = st.one_of(
    st.builds(lambda body: ("POST", "/Users", {**body, "userName": "new"}), USER),
    st.builds(lambda body, one, shown: ("PUT", f"/Users/{{{one}}}{shown}", {**body, "userName": one}), USER, st.sampled_from(["ann", "bea"]), SHOWN),
    st.builds(lambda body, one, shown: ("PATCH", f"/Users/{{{one}}}{shown}", body), PATCH, st.sampled_from(["ann", "bea"]), SHOWN),
    st.builds(lambda body: ("PUT", "/Groups/{team}", body), GROUP),
    st.builds(lambda body: ("PATCH", "/Groups/{team}?attributes=members,displayName", body), PATCH),
)  # fmt: skip
TOGETHER = st.builds(
    lambda writes: (
        "POST",
        "/Bulk",
        {
            "schemas": [urns.BULK_REQUEST],
            "Operations": [
                {"method": method, "path": path.partition("?")[0], "data": body, "bulkId": str(number)}
                for number, (method, path, body) in enumerate(writes)
            ],
        },
    ),
    st.lists(WRITE, min_size=1, max_size=2),
)
REQUEST = st.one_of(READ, READ, WRITE, TOGETHER)


@dataclass
class Side:
    """One of the two tenants, with a token that sees all and one that does not."""

    full: Ask
    token: Ask
    ids: dict[str, str] = field(default_factory=dict)

    async def begin(
        self, hidden: tuple[str, ...], common: dict[str, Any], own: dict[str, Any], label: str
    ) -> None:
        """Bring the tenant to a state: of `ann` what is hidden is `own`, and all else `common`."""
        for path, kept in (("/Users", {"ann", "bea"}), ("/Groups", {"team"})):
            for each in (await self.full("GET", path)).json.get("Resources", ()):
                if each["id"] not in {self.ids.get(name) for name in kept}:
                    await self.full("DELETE", f"{path}/{each['id']}")
        ann = _mixed(hidden, common, own)
        bea = _mixed(hidden, {"displayName": "bea"}, {"displayName": label})
        await self._put("bea", "/Users", {"schemas": [urns.USER], "userName": "bea", **bea})
        await self._put("ann", "/Users", {"schemas": [urns.USER, WORK], "userName": "ann", **ann})
        name = label if hidden == ("displayName",) else "team"
        members = ["ann"] if hidden != ("members",) or label == "x" else ["ann", "bea"]
        body = {"displayName": name, "members": [{"value": f"{{{one}}}"} for one in members]}
        await self._put("team", "/Groups", {"schemas": [urns.GROUP], **body})

    async def _put(self, name: str, path: str, body: dict[str, Any]) -> None:
        known = self.ids.get(name)
        answer = await self.full(*(("PUT", f"{path}/{known}") if known else ("POST", path)), self.meant(body))
        assert answer.status in {200, 201}, answer.body
        self.ids[name] = answer.json["id"]

    def meant(self, said: Any) -> Any:
        """With the ids that names in braces stand for."""
        text = json.dumps(said)
        for name, identifier in self.ids.items():
            text = text.replace(f"{{{name}}}", identifier)
        return json.loads(text)

    async def answer(self, method: str, path: str, body: Any) -> tuple[int, str]:
        """What the token is answered, with names for ids."""
        found = await self.token(method, self.meant(path), self.meant(body))
        text = re.sub(r"/t/[a-z0-9]+/", "/t/T/", found.body.decode())
        for name, identifier in self.ids.items():
            text = text.replace(identifier, name)
        text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "NEW", text)
        text = re.sub(r'W/\\?"[^"]*"', "VERSION", text)
        return found.status, re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]*Z", "TIME", text)


def _mixed(hidden: tuple[str, ...], common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The common values, but of what is hidden the own ones."""
    whole = {name: value for name, value in common.items() if name not in hidden}
    whole |= {name: own[name] for name in own if name in hidden}
    for holder, prefix in (("name", "name."), (WORK, "")):
        if holder in hidden:
            continue
        parts = {
            part: f"{prefix}{part}"
            for part in ("familyName", "givenName", "department", "manager", "costCenter")
        }
        mixed = {part: value for part, value in common.get(holder, {}).items() if parts[part] not in hidden}
        mixed |= {part: value for part, value in own.get(holder, {}).items() if parts[part] in hidden}
        whole.pop(holder, None)
        if mixed:
            whole[holder] = mixed
    return whole


async def side(server: Application, tenant: str, rights: Rights) -> Side:
    """A new tenant."""
    record = await TenantCare(server.store, server.tenants).create(tenant, now(), settings=())
    await server.live.follow()

    async def having(given_rights: Rights) -> Ask:
        text = await tokens.issue(
            server.store, record.number, "t", now=now(), expires=None, rights=given_rights
        )
        call = AsgiCaller(server.asgi, text)
        return lambda method, path, body=None: call(method, f"/t/{tenant}/scim/v2{path}", body)

    return Side(await having(ALL), await having(rights))


@pytest.mark.hypothesis
@pytest.mark.parametrize("hidden", HIDDEN, ids="+".join)
def test_t_30_what_is_hidden_does_not_interfere(tmp_path: Path, hidden: tuple[str, ...]) -> None:
    """Any reads and writes, one after another: the same status and bytes on both sides, and hidden values stay as they are."""
    rights = read_rights([], None, None, core_catalog(), without=hidden)

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        where = Settings(database=f"sqlite:///{tmp_path / 'two.db'}", database_origin="test")

        async def start() -> tuple[Side, Side]:
            server = await stack.enter_async_context(running(where))
            return await side(server, "one", rights), await side(server, "two", rights)

        sides = runner.run(start())

        async def compare(common: Any, owns: tuple[Any, Any], requests: list[tuple[str, str, Any]]) -> None:
            for each, own, label in zip(sides, owns, ("x", "bea"), strict=True):
                await each.begin(hidden, common, own, label)
            before = [
                _hidden_of((await each.full("GET", f"/Users/{each.ids['ann']}")).json, hidden)
                for each in sides
            ]
            for request in requests:
                one, two = [await each.answer(*request) for each in sides]
                assert one == two, request
            for each, then in zip(sides, before, strict=True):
                after = (await each.full("GET", f"/Users/{each.ids['ann']}")).json
                assert _hidden_of(after, hidden) == then

        bodies = st.fixed_dictionaries({}, optional=VALUES)

        @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(bodies, st.tuples(bodies, bodies), st.lists(REQUEST, min_size=1, max_size=5))
        def check(common: Any, owns: tuple[Any, Any], requests: list[tuple[str, str, Any]]) -> None:
            runner.run(compare(common, owns, requests))

        try:
            check()
        finally:
            runner.run(stack.aclose())


def _hidden_of(document: dict[str, Any], hidden: tuple[str, ...]) -> list[Any]:
    """The values of what is hidden, as they are kept: a manager's `displayName` is the manager's own and changes with it."""
    flat = {**document.get(WORK, {}), **document}
    if "manager" in flat:
        flat["manager"] = flat["manager"]["value"]
    flat |= {f"name.{part}": value for part, value in document.get("name", {}).items()}
    flat["members"] = [one["value"] for one in document.get("groups", ())]
    return [flat.get(name) for name in hidden]
