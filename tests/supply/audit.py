"""Known holes of what `uv.lock` names, asked of osv.dev: part of `make check`, and `make audit` (T-93).

Without a network nothing is known: that is said, and is no failure.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

PLACE = ("api.osv.dev", 443)
ROOT = Path(__file__).parents[2]


def is_reachable() -> bool:
    """Whether the database of holes can be asked: directly, or by a proxy that the environment names."""
    if os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        return True
    try:
        socket.create_connection(PLACE, timeout=3).close()
    except OSError:
        return False
    return True


def audit() -> int:
    """Ask, and pass on what is said; the exit code."""
    if not is_reachable():
        print(f"audit: skipped, no network ({PLACE[0]} is not reachable); known holes were not looked for")
        return 0
    command = [str(Path(sys.executable).parent / "uv"), "audit", "--locked"]
    done = subprocess.run(
        [*command, "--preview-features", "audit-command"],
        cwd=ROOT,
        env=os.environ | {"UV_PROJECT_ENVIRONMENT": sys.prefix},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "error sending request" in done.stderr:
        print("audit: skipped, no network; known holes were not looked for")
        return 0
    print(done.stdout + done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(audit())
