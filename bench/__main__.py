"""`python -m bench`: Rollbook on SQLite beside a bare route and its peers, in one run."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
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
    cases = [case for case in CASES if not options.only or case.name in options.only]
    sizes: dict[Case, Call] = {}
    results = {BARE.name: {}, ROLLBOOK.name: await _bench(ROLLBOOK, cases, options, directory, sizes)}
    results[BARE.name] = await _bench_bare(sizes, options.seconds, directory)
    for kind, install in () if options.no_peers else ((SCIM2, install_scim2), (SCIMMY, install_scimmy)):
        reason = install(directory)
        if reason:
            print(f"{kind.name}: left out, {reason}")
        else:
            results[kind.name] = await _bench(kind, cases, options, directory, {})
    return results


async def _bench(
    kind: Kind, cases: Sequence[Case], options: argparse.Namespace, directory: Path, sizes: dict[Case, Call]
) -> dict[str, Figure]:
    """Load a server and measure every case; `sizes` gets, for each, a call to a bare route of equal answer."""
    figures = {}
    async with started(kind, directory) as service:
        print(f"{kind.name}: loading {options.users:,} users", flush=True)
        population = Population(users=await load_users(service, "u", options.users))
        for case in cases:
            if case.needs_groups and not population.large_group:
                population.candidates = await load_users(service, "c", kind.candidates)
                await load_groups(service, population)
            requests = calls(case, service, population)
            sizes[case] = await _bare_call(service, requests[-1])
            figures[case.name] = await measure(service, requests, options.seconds)
            report.say(kind.name, case, figures[case.name])
    return figures


async def _bare_call(service: Service, call: Call) -> Call:
    async with pyqwest.HTTPTransport() as transport:
        status, answer = await send(pyqwest.Client(transport), service, call)
    if status >= 400:
        raise RuntimeError(f"{service.name} refused {call}: {answer!r}")
    return Call(call.method, f"/{len(answer)}", call.body)


async def _bench_bare(sizes: dict[Case, Call], seconds: float, directory: Path) -> dict[str, Figure]:
    figures = {}
    async with started(BARE, directory, sorted({call.path[1:] for call in sizes.values()})) as service:
        for case, call in sizes.items():
            figures[case.name] = await measure(service, [call], seconds)
            report.say(BARE.name, case, figures[case.name])
    return figures


if __name__ == "__main__":
    sys.exit(main())
