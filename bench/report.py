"""Figures as a table for people, and into docs/performance.md."""

import os
import platform
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench.cases import CASES, Case
from bench.plot import svg
from bench.servers import BARE, ROLLBOOK, SCIM2, SCIMMY
from bench.wrk import CONNECTIONS, WRK, Figure

Results = dict[str, dict[str, Figure]]

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
PLOT = DOCUMENT.parent / "_static" / "costs.svg"
PEERS = {SCIM2.name, SCIMMY.name}
SIZE = 10_000
"""Users at which peers are compared with."""

FLUSHES = 50
BUSY = 0.5
"""A load before the run above which other programs share the machine."""


def machine_facts(directory: Path) -> dict[str, str]:
    """What a reader must know to make sense of the figures."""
    import apsw

    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": f"{os.cpu_count()} × {_processor()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "load before": _load(),
        "disk flush": f"{_flush_time(directory) * 1e3:.2f} ms",
        "driver": f"wrk, 1 thread, {CONNECTIONS} connections" if WRK else f"pyqwest, {CONNECTIONS} tasks",
        "node": _version(["node", "--version"]),
    }


def _load() -> str:
    load = os.getloadavg()[0]
    return f"{load:.1f}" + (
        " (busy with other work: the figures are too low, and uneven)" if load > BUSY else ""
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _flush_time(directory: Path) -> float:
    """Seconds that one fsync of a small append takes."""
    with (directory / "flush").open("wb") as file:
        started = time.perf_counter()
        for _ in range(FLUSHES):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - started) / FLUSHES


def _version(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not installed"


def say(server: str, case: Case, figure: Figure) -> None:
    """One line as soon as it is known."""
    notes = f"  {figure.failed} FAILED" if figure.failed else ""
    round_again = figure.exhausted and case.needs_groups and server != BARE.name
    notes += "  (requests sent more than once round)" if round_again else ""
    notes += f"  ({figure.driver})" if figure.driver != "wrk" else ""
    print(
        f"  {server:15} {case.title:38} {figure.per_second:9,.1f}/s"
        f"   p50 {figure.p50_ms:8.2f} ms   p99 {figure.p99_ms:8.2f} ms{notes}",
        flush=True,
    )


def markdown(results: Mapping[int, Results]) -> str:
    """Rates, latencies and ratios as Markdown tables."""
    parts = []
    for users, row in results.items():
        if len(results) == 1 or users == SIZE:
            parts += [f"{users:,} users:", _rates(row), _ratios(row)]
    if len(results) > 1:
        parts += ["Requests per second over the number of users:", _over_sizes(results)]
    return "\n\n".join(parts)


def _rates(results: Results) -> str:
    names = list(results)
    lines = [
        f"| requests per second (p50, p99 in ms) | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for case in CASES:
        if any(case.name in row for row in results.values()):
            cells = (_cell(results[name].get(case.name)) for name in names)
            lines.append(f"| {case.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _over_sizes(results: Mapping[int, Results]) -> str:
    sizes = list(results)
    lines = [f"| | | {' | '.join(f'{users:,}' for users in sizes)} |", "|---" * (len(sizes) + 2) + "|"]
    for case in CASES:
        for name in dict.fromkeys(name for row in results.values() for name in row):
            found = [results[users].get(name, {}).get(case.name) for users in sizes]
            if any(found) and name != BARE.name:
                cells = " | ".join(_rate(figure) for figure in found)
                lines.append(f"| {case.title} | {name} | {cells} |")
    return "\n".join(lines)


def _rate(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return f"{figure.per_second:,.{0 if figure.per_second >= 100 else 1}f}"


def plot(results: Mapping[int, Results]) -> str:
    """Cost over size, as SVG."""
    pictures: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for users, row in results.items():
        for name, figures in row.items():
            for case in CASES:
                if name != BARE.name and case.name in figures:
                    lines = pictures.setdefault(case.title.replace("`", ""), {})
                    lines.setdefault(name, []).append((users, 1e3 / figures[case.name].per_second))
    return svg(
        "Cost of a request over the number of users",
        pictures,
        "users in the store",
        "milliseconds per request",
    )


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    failed = f" {figure.failed} failed" if figure.failed else ""
    digits = 0 if figure.per_second >= 100 else 1
    return f"{figure.per_second:,.{digits}f} ({figure.p50_ms:,.1f}, {figure.p99_ms:,.1f}){failed}"


def _ratios(results: Results) -> str:
    lines = [
        "| Rollbook against | bare route | expected | fastest peer | expected |",
        "|---|---|---|---|---|",
    ]
    ours = results.get(ROLLBOOK.name, {})
    for case in CASES:
        if case.name in ours:
            rate = ours[case.name].per_second
            bare = results.get(BARE.name, {}).get(case.name)
            peers = [row[case.name] for name, row in results.items() if name in PEERS and case.name in row]
            best = max((figure.per_second for figure in peers), default=None)
            lines.append(
                f"| {case.title} | {_ratio(rate, bare.per_second if bare else None)} | {_goal(case.of_bare)}"
                f" | {_ratio(rate, best)} | {_goal(case.of_peer)} |"
            )
    if "member-all" in ours and "member-10" in ours:
        cost = ours["member-10"].per_second / ours["member-all"].per_second
        lines.append(
            f"\nA member added to the group of all users costs {cost:.2f} × one added to 10 (expected ≤ 1.3)."
        )
    return "\n".join(lines)


def _ratio(rate: float, other: float | None) -> str:
    return f"{rate / other:,.2f} ×" if other else "–"


def _goal(least: float | None) -> str:
    return f"≥ {least:g} ×" if least else "–"


def write(facts: Mapping[str, str], table: str, results: Mapping[int, Results]) -> None:
    """Put the tables into the documentation, between two markers, and the picture beside it."""
    text = DOCUMENT.read_text("utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    picture = ""
    if len(results) > 1:
        PLOT.write_text(plot(results), "utf-8")
        picture = f"\n\n![Cost of a request over the number of users](_static/{PLOT.name})"
    DOCUMENT.write_text(f"{head}{BEGIN}\n\n{listed}\n\n{table}{picture}\n\n{END}{tail}", "utf-8")
    print(f"written: {DOCUMENT}")
