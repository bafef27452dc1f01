"""`python -m bench`: Rollbook on SQLite beside a bare route and its peers, in one run."""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import pyqwest
from bench import report
from bench.cases import CASES, Case, Population, calls, load_groups, load_users
from bench.servers import BARE, ROLLBOOK, SCIM2, SCIMMY, Kind, install_scim2, install_scimmy, started
from bench.wrk import WRK, Call, Figure, Service, measure, send

RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Measure, print, and keep what was measured."""
    options = _options()
    if not WRK:
        print("wrk is missing (apt-get install wrk): a Python client drives, and is itself the limit.")
    with TemporaryDirectory(prefix="rollbook-bench-", ignore_cleanup_errors=True) as path:
        facts = report.machine_facts(Path(path))
        results = asyncio.run(_run(options, Path(path)))
    table = report.markdown(results)
    print(f"\n{table}")
    RESULTS.mkdir(exist_ok=True)
    figures = {name: {case: asdict(figure) for case, figure in row.items()} for name, row in results.items()}
    data = {"facts": facts, "users": options.users, "results": figures}
    (RESULTS / "latest.json").write_text(json.dumps(data, indent=2), "utf-8")
    print(f"\nas data: {RESULTS / 'latest.json'}")
    if options.write:
        report.write(facts, table)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--users", type=int, default=10_000, help="users in the store (default 10,000)")
    parser.add_argument("--seconds", type=float, default=4, help="length of each load (default 4)")
    parser.add_argument("--only", nargs="*", default=[], help="cases to run, by name")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    parser.add_argument("--write", action="store_true", help="update docs/performance.md")
    return parser.parse_args()


async def _run(options: argparse.Namespace, directory: Path) -> report.Results:
    bare: dict[str, Figure] = {}
    results = {BARE.name: bare, ROLLBOOK.name: await _bench(ROLLBOOK, options, directory, bare)}
    for kind, install in () if options.no_peers else ((SCIM2, install_scim2), (SCIMMY, install_scimmy)):
        reason = install(directory)
        if reason:
            print(f"{kind.name}: left out, {reason}")
        else:
            results[kind.name] = await _bench(kind, options, directory, None)
    return results


async def _bench(
    kind: Kind, options: argparse.Namespace, directory: Path, bare: dict[str, Figure] | None
) -> dict[str, Figure]:
    """Load a server and measure every case; straight after each, a bare route of equal answer into `bare`."""
    figures = {}
    async with started(kind, directory) as service:
        print(f"{kind.name}: loading {options.users:,} users", flush=True)
        population = Population(users=await load_users(service, "u", options.users))
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
