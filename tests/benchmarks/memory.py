"""Peak memory of one piece of work, in a process of its own (Linux)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def child(file, *words):
    """What ``file`` prints as JSON when it is run with some words."""
    roots = [str(Path(__file__).parent), *(path for path in sys.path if path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    done = subprocess.run(
        [sys.executable, file, *words], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def report(work):
    """Do it, and print bytes: ``extra`` beyond what was resident before, ``total`` of the process."""
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    work()
    peak = _resident("VmHWM")
    print(json.dumps({"extra": peak - before, "total": peak}))


def _resident(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field} in /proc/self/status")
