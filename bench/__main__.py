"""`python -m bench`: Rollbook on both databases beside a bare route and its peers, at some sizes, in one run."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import pyqwest
from bench import report
from bench.cases import CASES, Case, Population, calls, load_groups, load_users
from bench.servers import BARE, ROLLBOOK, SCIM2, SCIMMY, Kind, install_scim2, install_scimmy, started
from bench.stores import OURS, filled
from bench.wrk import WRK, Call, Figure, Service, measure, send

RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Measure, print, and keep what was measured."""
    options = _options()
    if not WRK:
        print("wrk is missing (apt-get install wrk): a Python client drives, and is itself the limit.")
    with TemporaryDirectory(prefix="rollbook-bench-", ignore_cleanup_errors=True) as path:
        facts = report.machine_facts(Path(path))
        results: dict[int, report.Results] = {}
        RESULTS.mkdir(exist_ok=True)
        for users in options.sizes:
            results[users] = _run(options, users, Path(path))
            data = {"facts": facts, "results": {str(size): _as_data(row) for size, row in results.items()}}
            (RESULTS / "latest.json").write_text(json.dumps(data, indent=2), "utf-8")
    text = report.markdown(results)
    print(f"\n{text}")
    print(f"\nas data: {RESULTS / 'latest.json'}")
    if options.write:
        report.write(facts, text, results)
    return 0


def _as_data(results: report.Results) -> dict[str, dict[str, object]]:
    return {name: {case: asdict(figure) for case, figure in row.items()} for name, row in results.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--sizes",
        "--users",
        type=int,
        nargs="*",
        default=[report.SIZE],
        help="users in the store (default 10,000)",
    )
    parser.add_argument(
        "--backends", nargs="*", choices=[*OURS], default=[*OURS], help="of Rollbook (default both)"
    )
    parser.add_argument("--seconds", type=float, default=4, help="length of each load (default 4)")
    parser.add_argument("--only", nargs="*", default=[], help="cases to run, by name")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    parser.add_argument(
        "--peers-at", type=int, nargs="*", default=[report.SIZE], help="sizes for the peers (default 10,000)"
    )
    parser.add_argument("--postgres-to", type=int, default=10**9, help="largest size for PostgreSQL")
    parser.add_argument("--write", action="store_true", help="update docs/performance.md")
    return parser.parse_args()


def _run(options: argparse.Namespace, users: int, directory: Path) -> report.Results:
    """Every server at one size."""
    bare: dict[str, Figure] = {}
    results: report.Results = {BARE.name: bare}
    for backend in options.backends:
        for kind, url in (
            filled(backend, users, directory) if users <= options.postgres_to or backend == "sqlite" else ()
        ):
            with_bare = bare if kind is ROLLBOOK else None
            results[kind.name] = asyncio.run(_bench(kind, options, users, directory, with_bare, url))
    for kind in _peers(options, users, directory):
        results[kind.name] = asyncio.run(_bench(kind, options, users, directory, None))
    return {name: row for name, row in results.items() if row}


def _peers(options: argparse.Namespace, users: int, directory: Path) -> Iterator[Kind]:
    if options.no_peers or users not in options.peers_at:
        return
    for kind, install in ((SCIM2, install_scim2), (SCIMMY, install_scimmy)):
        reason = install(directory)
        if reason:
            print(f"{kind.name}: left out, {reason}")
        else:
            yield kind


async def _bench(
    kind: Kind,
    options: argparse.Namespace,
    users: int,
    directory: Path,
    bare: dict[str, Figure] | None,
    database: str = "",
) -> dict[str, Figure]:
    """Measure every case; straight after each, a bare route of equal answer into `bare`. Peers are loaded first."""
    figures = {}
    async with started(kind, directory, database=database) as service:
        print(f"{kind.name}, {users:,} users", flush=True)
        ids = [f"u{number}" for number in range(users)] if database else await load_users(service, "u", users)
        population = Population(users=ids)
        for case in CASES:
            if options.only and case.name not in options.only:
                continue
            if case.needs_groups and not population.large_group:
                population.candidates = await load_users(service, "c", kind.candidates)
                await load_groups(service, population)
            requests = calls(case, service, population)
            figures[case.name] = await measure(service, requests, options.seconds)
            report.say(kind.name, case, figures[case.name])
            if bare is not None:
                bare[case.name] = await _bench_bare(service, case, requests[-1], options.seconds, directory)
    return figures


async def _bench_bare(service: Service, case: Case, call: Call, seconds: float, directory: Path) -> Figure:
    async with pyqwest.HTTPTransport() as transport:
        status, answer = await send(pyqwest.Client(transport), service, call)
    if status >= 400:
        raise RuntimeError(f"{service.name} refused {call}: {answer!r}")
    size = str(len(answer))
    async with started(BARE, directory, [size]) as bare:
        figure = await measure(bare, [Call(call.method, f"/{size}", call.body)], seconds)
    report.say(BARE.name, case, figure)
    return figure


if __name__ == "__main__":
    sys.exit(main())
