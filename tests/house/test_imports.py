"""The import contract: it holds, it covers every room, and it catches what it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

TOOLS = Path(sys.executable).parent


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter on the tree in ``folder``; it puts its working folder first on the path."""
    return _run(folder, "lint-imports", "--no-cache", "--no-logo")


def _ruff(folder: Path) -> subprocess.CompletedProcess[str]:
    return _run(folder, "ruff", "check", "--no-cache", "--select", "TID251", "lmc", "cli")


def _run(folder: Path, tool: str, *words: str) -> subprocess.CompletedProcess[str]:
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run([TOOLS / tool, *words], cwd=folder, env=bare, capture_output=True, text=True)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory, copy_sources: Callable[[Path], Path]) -> Path:
    return copy_sources(tmp_path_factory.mktemp("tree"))


@pytest.fixture
def plant(copied: Path):
    """Adds a module to the copied tree for one test."""
    planted = []

    def add(module: str, line: str) -> Path:
        path = copied / f"{module.replace('.', '/')}.py"
        path.write_text(f'"""Planted."""\n\n{line}\n')
        planted.append(path)
        return copied

    yield add
    for path in planted:
        path.unlink()


def test_the_copied_tree_passes(copied: Path):
    done = _lint_imports(copied)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kept, 0 broken" in done.stdout
    done = _ruff(copied)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("lmc.core.planted", "import lmc.data"),
        ("lmc.models.planted", "from lmc.training import loop"),
        ("lmc.variants.planted", "from lmc.jobs.protocol.outcome import Outcome"),
        ("lmc.data.planted", "import lmc.models"),
        ("lmc.recording.planted", "from lmc.store import files"),
        ("lmc.costs.planted", "import lmc.matching"),
        ("lmc.merging.planted", "def late():\n    import lmc.paths\n\n    return lmc.paths"),
        ("lmc.jobs.planted", "from cli import main"),
        ("lmc.jobs.planted", "from lmc.jobs import path"),
        ("lmc.jobs.planted", "from lmc.jobs.match import run"),
        ("lmc.jobs.measuring.planted", "import lmc.jobs.path"),
        ("lmc.jobs.measuring.planted", "from lmc.jobs.studies import claims"),
        ("lmc.jobs.aligning.planted", "from lmc.jobs.planning import plan"),
        ("lmc.jobs.protocol.planted", "from lmc.jobs.opening import runs"),
        ("lmc.costs.planted", "import lmc.training"),
        ("lmc.figures.planted", "import lmc.summaries"),
        ("lmc.jobs.planted", "import lmc.api"),
    ],
    ids=lambda value: value.partition("\n")[0].replace(" ", "-"),
)
def test_a_room_may_not_look_up_or_sideways(plant, module: str, line: str):
    done = _lint_imports(plant(module, line))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
    assert module in done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "from lmc.cli import main",
        "import lmc.cli.main",
        "from lmc import cli",
        "from lmc import conf",
        "import hydra",
        "from hydra.utils import instantiate",
        "from omegaconf import OmegaConf",
        "import typer",
        "from rich.table import Table",
    ],
)
def test_below_the_command_line_nothing_knows_it(plant, line: str):
    done = _ruff(plant("lmc.jobs.planted", line))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "TID251" in done.stdout
    assert "lmc/jobs/planted.py" in done.stdout


def test_the_contract_names_every_room(root: Path):
    contract = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    named = {module for layer in contract["layers"] for module in re.split(r"\s*\|\s*", layer)}
    rooms = {f"lmc.{path.parent.name}" for path in root.glob("lmc/*/__init__.py")}
    modules = {f"lmc.{path.stem}" for path in root.glob("lmc/*.py") if path.stem != "__init__"}
    assert named - {"cli"} == rooms | modules
