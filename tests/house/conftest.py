"""Where the sources are, and copies of them to break or to build from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def copy_sources() -> Callable[[Path], Path]:
    """Copy what a checkout holds of the program into an empty folder."""

    def copy(target: Path) -> Path:
        for name in ("lmc", "cli", "conf"):
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, target)
        return target

    return copy
