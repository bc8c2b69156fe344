"""The package holds what the tree holds, and runs without the tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

DATA = {".md", ".yaml", ".mplstyle", ".j2", ".css", ".js"}


def _mapped(path: Path, root: Path) -> str:
    """Where a file of the tree lies in the wheel: ``cli`` and ``conf`` are ``lmc.cli`` and ``lmc.conf``."""
    inside = path.relative_to(root).as_posix()
    return inside if inside.startswith("lmc/") else f"lmc/{inside}"


def _shipped(root: Path) -> set[str]:
    """Every module and data file of the program, as a wheel should hold it."""
    found = [path for folder in ("lmc", "cli", "conf") for path in (root / folder).rglob("*")]
    return {_mapped(path, root) for path in found if path.suffix in {".py", *DATA}}


def test_every_package_on_disk_is_listed(root: Path):
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    on_disk = {
        Path(_mapped(path, root)).parent.as_posix().replace("/", ".")
        for folder in ("lmc", "cli", "conf")
        for path in (root / folder).rglob("__init__.py")
    }
    assert sorted(listed) == sorted(on_disk)


def test_every_folder_with_modules_is_a_package(root: Path):
    folders = {path.parent for folder in ("lmc", "cli") for path in (root / folder).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_constraints_pin_every_requirement(root: Path):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pins = [
        line.partition("==")
        for line in (root / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert all(equal and version and "+" not in version for _, equal, version in pins)
    pinned = {_normal(name) for name, _, _ in pins}
    names = {_normal(text.split(">")[0].split("=")[0].split("[")[0]) for text in wanted}
    assert names - pinned == set()


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, copy_sources: Callable[[Path], Path]) -> Path:
    tree, target = copy_sources(tmp_path_factory.mktemp("sources")), tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target), str(tree)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The programs of an environment with the wheel and, through a path file, this one's libraries.

    Path files inside a folder that a path file names are not read, so an editable install stays outside.
    """
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    programs = folder / Path(sys.executable).parent.name
    words = [
        "--python",
        str(programs / "python"),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    site = next(folder.rglob("site-packages"))
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"])
    return programs


def _run(program: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """From ``/``, with nothing of the tree in reach."""
    bare = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "LMC_OUTPUTS")}
    return subprocess.run([program, *words], cwd="/", env={**bare, **env}, capture_output=True, text=True)


@pytest.mark.slow
def test_the_wheel_holds_what_the_tree_holds(wheel: Path, root: Path):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == _shipped(root)


@pytest.mark.slow
def test_the_wheel_runs_in_a_clean_environment(clean: Path, root: Path, tmp_path: Path):
    done = _run(
        clean / "python", "-c", "import lmc.cli, lmc.conf; print(lmc.cli.__file__, lmc.conf.__file__)"
    )
    assert str(root) not in done.stdout
    assert done.returncode == 0, done.stderr

    done = _run(clean / "lmc", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: lmc")

    done = _run(clean / "lmc", "train", "--cfg", "job", "variant=w")
    assert (done.returncode, done.stderr) == (0, "")
    assert "scale: 1.0" in done.stdout

    words = ["train", "training.epochs=1", "seeds=2", f"outputs={tmp_path}", "--format", "json"]
    done = _run(clean / "lmc", *words)
    assert done.returncode == 0, done.stderr
    assert [run["status"] for run in json.loads(done.stdout)] == ["done", "done"]

    done = _run(clean / "lmc", "path", "digits-mlp-standard", f"outputs={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("path/*/path.png"))


@pytest.mark.slow
@pytest.mark.parametrize("module", ["cli", "conf", "tests"])
def test_the_wheel_leaks_no_module(clean: Path, module: str):
    done = _run(clean / "python", "-c", f"import {module}")
    assert f"No module named '{module}'" in done.stderr
