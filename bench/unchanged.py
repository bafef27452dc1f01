"""`python -m bench.unchanged`: what a plan costs when nothing has changed, with everybody in the hub and at every target.

The hub is filled by `rollbook import`, then multiplied in its database. That every target holds everybody is written there too, with the
digests the engine itself works out, instead of being delivered for hours. No target listens: if one were asked, the run would fail.
"""

import argparse
import asyncio
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.provisioning import fill

from rollbook.cli.opened import opened_desk
from rollbook.desk.desk import Desk
from rollbook.provisioning import model
from rollbook.provisioning.wanted import hub_document, kinds_of, wish_for
from rollbook.provisioning.work import want_of
from rollbook.storage.sql.connection import Connection, Parameters

PAGE = 1000
SEED = 10_000
"""So many users are imported; all others are copies of them."""

TARGET = """
  NAME:
    type: scim
    url: http://127.0.0.1:9/v2
    token: ${TOKEN}
    scope: SCOPE
    users:
      userName: {from: userName}
      externalId: {from: externalId}
      title: {from: title}
      name.familyName: {from: name.familyName}
      emails: {from: emails}
      active: {from: active}MORE
    groups: {displayName: {from: displayName}, members: true}
"""
MORE = """
      displayName: {expr: 'user.name.familyName + " (" + user.title + ")"'}"""
SCOPED = '\'title sw "Engineer" and not (userName eq "nobody")\''
TARGETS = {
    "plain": TARGET.replace("SCOPE", "userName pr").replace("MORE", ""),
    "scoped": TARGET.replace("SCOPE", SCOPED).replace("MORE", ""),
    "computed": TARGET.replace("SCOPE", "userName pr").replace("MORE", MORE),
}
CONFIG = "version: 1\ntargets:" + "".join(text.replace("NAME", name) for name, text in TARGETS.items())

LINKS = """
    INSERT INTO link (tenant, target, pk, id, type, rank, state, due, marked, fence, attempts, remote_id, confirmed, disabled, members_read)
    SELECT 1, ?, pk, id, type, type = 'Group', 'done', 0, 1, 1, 0, 'far-' || id, x'00', 0, type = 'Group' FROM resource WHERE tenant = 1 ORDER BY pk
"""
CONFIRMED = "UPDATE link SET confirmed = ? WHERE tenant = 1 AND target = ? AND pk = ?"
MEMBERS = """
    INSERT INTO link_member (tenant, target, pk, remote_id, sure)
    SELECT 1, ?, container, 'far-' || resource.id, 1 FROM membership
    JOIN resource ON resource.tenant = 1 AND resource.pk = membership.member WHERE membership.tenant = 1
"""
STARTED = "UPDATE target SET walked = NULL, position = (SELECT change FROM sequence WHERE tenant = 1) WHERE number = ?"
COPY = "WITH RECURSIVE copy (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM copy WHERE number < ?)"
RESOURCES = f"""
    INSERT INTO resource (pk, tenant, type, id, version, created, modified, display, body)
    {COPY}
    SELECT pk + number * ?, tenant, type, id || '-' || number, version, created, modified, display,
        CAST(replace(CAST(body AS TEXT), ':"user', ':"copy' || number || 'user') AS BLOB)
    FROM copy CROSS JOIN resource
"""
MEMBERSHIPS = f"""
    INSERT INTO membership (tenant, container, member)
    {COPY}
    SELECT tenant, container + number * ?, member + number * ? FROM copy CROSS JOIN membership
"""


def multiply(connection: Connection, copies: int) -> None:
    """So many copies of everybody; without the index of values, which no plan reads."""
    ((step,),) = connection.all("SELECT max(pk) - min(pk) + 1 FROM resource")
    connection.run(RESOURCES, (copies, step))
    connection.run(MEMBERSHIPS, (copies, step, step))


async def deliver(desk: Desk, number: int) -> None:
    """Make it so that a target holds everybody, with digests that nobody looks at unless everybody is evaluated."""
    for sql in (LINKS, MEMBERS, STARTED):
        await desk.store.database.write(1, lambda conn, sql=sql: conn.run(sql, (number,)), long=True)  # type: ignore[misc]  # mypy cannot infer defaults of a lambda


async def confirm(desk: Desk, number: int, target: model.Target) -> None:
    """Keep the digests of what everybody should have there."""
    engine = desk.engine
    for kind in kinds_of(target, engine.catalog).values():
        name, after = kind.resource_type.name, 0
        while page := await desk.links.pending(1, None, name, after, PAGE, all=True, now=0):
            after = page[-1][0]
            found = await engine.store.get_many(
                1, kind.resource_type, [own for _, own, _ in page], members=False
            )
            rows: list[Parameters] = []
            for key, own, _ in page:
                wish = wish_for(kind, hub_document(found[own], kind.resource_type), engine.today)
                rows.append((want_of(kind, wish, {}, target.leave.out_of_scope).digest, number, key))
            await desk.store.database.write(1, lambda conn, rows=rows: conn.many(CONFIRMED, rows), long=True)  # type: ignore[misc]  # as above


def command(folder: Path, environment: dict[str, str], *words: str) -> tuple[float, float, float]:
    """Run a command that has nothing to do; seconds, seconds of processor time, and its memory at most in MB."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "rollbook", *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"rollbook {' '.join(words)}: something to do, or it failed ({status})")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


async def prepare(folder: Path, url: str, environment: dict[str, str], users: int, *, full: bool) -> None:
    """Everybody in the hub, and at every target."""
    async with opened_desk(folder / "rollbook.yaml", url, None, environment) as desk:
        copies = users // SEED - 1
        if copies:
            await desk.store.database.write(1, lambda conn: multiply(conn, copies), long=True)
        for target, number in zip(desk.targets(), await desk.numbers([]), strict=True):
            await deliver(desk, number)
            if full:
                await confirm(desk, number, target)


def prepared(folder: Path, url: str, environment: dict[str, str], users: int, full: bool) -> None:
    """The same, in a process of its own."""
    asyncio.run(prepare(folder, url, environment, users, full=full))


def measure(users: int, *, full: bool) -> None:
    """Print rows of the table."""
    groups = users // 100
    with TemporaryDirectory(prefix="rollbook-unchanged-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'hub.db'}"
        environment = {**os.environ, "ROLLBOOK_DATABASE": url, "TOKEN": "secret"}
        (folder / "rollbook.yaml").write_text(CONFIG, "utf-8")
        fill(folder, environment, SEED, SEED // 100)
        # In a process of its own: what this one has had in memory would count as that of those it starts.
        made = multiprocessing.get_context("spawn").Process(
            target=prepared, args=(folder, url, environment, users, full)
        )
        made.start()
        made.join()
        for words in [("--full", target) for target in TARGETS] if full else [()]:
            seconds, busy, memory = command(folder, environment, "plan", *words)
            what = f"`rollbook {' '.join(('plan', *words))}`, {users:,} users, {groups:,} groups"
            rate = f" ({(users + groups) / seconds:,.0f}/s)" if full else ""
            print(f"| {what} | {seconds:.1f} s{rate} | {busy:.1f} s | {memory:.0f} MB |", flush=True)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.unchanged", description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000, help=f"For a plan; a multiple of {SEED}.")
    parser.add_argument("--evaluated", type=int, default=100_000, help="For full plans; the same.")
    options = parser.parse_args()
    print("| nothing changed, three targets | | processor time | memory |\n|---|---|---|---|")
    measure(options.users, full=False)
    measure(options.evaluated, full=True)


if __name__ == "__main__":
    main()
