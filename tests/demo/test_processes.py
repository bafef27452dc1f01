"""Processes the demo starts, and that they end."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from rollbook.demo.processes import DemoError, Processes, free_ports
from rollbook.demo.runner import _environment

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
PARENT = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); print(p.pid, flush=True); p.wait()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"

pytestmark = pytest.mark.slow


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path("/proc/self/stat").exists()


def said(processes: Processes, name: str, tmp_path: Path) -> str:
    """Wait until a process has said something."""
    log = tmp_path / f"{name}.log"
    processes.wait(name, lambda: log.read_text().endswith("\n"))
    return log.read_text()


@pytest.mark.parametrize("ending", [None, RuntimeError, KeyboardInterrupt, SystemExit])
def test_processes_end_with_the_block(tmp_path: Path, ending: type[BaseException] | None) -> None:
    """A process and its children are gone however the block ends."""
    with suppress(RuntimeError, KeyboardInterrupt, SystemExit), Processes(tmp_path, os.environ) as processes:
        processes.start("parent", [sys.executable, "-c", PARENT], {})
        child = int(said(processes, "parent", tmp_path).split()[0])
        parent = processes.running["parent"].pid
        assert alive(child)
        if ending is not None:
            raise ending
    assert not alive(parent)
    assert not alive(child)


def test_kept_processes_live_on(tmp_path: Path) -> None:
    """With `keep`, processes outlive the block; Ctrl-C ends them all the same."""
    with Processes(tmp_path, os.environ, keep=True) as processes:
        processes.start("sleeper", [sys.executable, "-c", SLEEPER], {})
        said(processes, "sleeper", tmp_path)
    pid = processes.running["sleeper"].pid
    assert alive(pid)
    with suppress(KeyboardInterrupt), processes:
        raise KeyboardInterrupt
    assert not alive(pid)


def test_deaf_processes_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ignores SIGTERM is killed after a while."""
    monkeypatch.setattr("rollbook.demo.processes.STOP_TIMEOUT", 0.2)
    with Processes(tmp_path, os.environ) as processes:
        processes.start("deaf", [sys.executable, "-c", DEAF], {})
        said(processes, "deaf", tmp_path)
        process = processes.running["deaf"]
    assert process.returncode == -signal.SIGKILL


def test_failed_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    """A server that ends before it answers is an error that shows its log."""
    with Processes(tmp_path, os.environ) as processes:
        processes.start("broken", [sys.executable, "-c", "import sys; sys.exit('no luck')"], {})
        with pytest.raises(DemoError, match="broken ended with code 1 before it answered\nno luck"):
            processes.wait("broken", lambda: False)


def test_run_gives_code_and_output(tmp_path: Path) -> None:
    """A command's code, output and errors are kept apart; it sees the environment it was given."""
    code = "import os, sys; print(os.environ['SAY']); print('oh', file=sys.stderr); sys.exit(2)"
    with Processes(tmp_path, {"SAY": "a"}) as processes:
        done = processes.run([sys.executable, "-c", code], {"SAY": "b"}, tmp_path)
    assert (done.code, done.output, done.errors) == (2, "b\n", "oh\n")


def test_free_ports_are_different() -> None:
    """Ports are asked for together, so that none is given twice."""
    assert len(set(free_ports(8))) == 8


@pytest.mark.parametrize("unkept", [True, False])
def test_programs_start_from_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unkept: bool) -> None:
    """Where no bytecode may be written beside the sources, the demo keeps its own in its directory."""
    monkeypatch.setattr(sys, "dont_write_bytecode", unkept)
    code = "import sys; print(sys.dont_write_bytecode, sys.pycache_prefix)"
    done = Processes(tmp_path, _environment(tmp_path)).run([sys.executable, "-c", code], {}, tmp_path)
    assert done.output.split() == ["False", str(tmp_path / "bytecode") if unkept else "None"]
