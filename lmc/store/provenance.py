"""Who made what is stored: versions, commit, process, time."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_DISTRIBUTION = "linear-mode-connectivity"


def provenance() -> dict[str, Any]:
    """``versions`` of lmc, torch and python, ``git_commit``, ``process`` (pid, host) and ``time`` in UTC."""
    import torch

    return {
        "versions": {"lmc": _lmc(), "torch": str(torch.__version__), "python": platform.python_version()},
        "git_commit": _git_commit(),
        "process": {"pid": os.getpid(), "host": socket.gethostname()},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _lmc() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


@lru_cache(maxsize=1)
def _git_commit() -> str | None:
    """The commit of the folder the command runs in; None outside a repository."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None
