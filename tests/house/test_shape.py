"""The shape of ``lmc/jobs``: small files, commands that are stories of their own, functions that fit a screen."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def shape() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shape", Path(__file__).with_name("shape.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tree(shape: ModuleType, root: Path) -> Any:
    return shape.Tree(root)


def test_the_commands_are_found(tree: Any):
    from lmc.jobs.protocol.commands import COMMANDS

    assert len(tree.commands) == len(COMMANDS)


def test_no_file_of_jobs_is_large(tree: Any):
    assert {each.name: len(each.lines) for each in tree.jobs if len(each.lines) > 250} == {}


def test_a_command_is_a_story(tree: Any):
    assert median(len(each.lines) for each in tree.commands) < 50


def test_no_command_imports_another(tree: Any):
    assert tree.sideways() == {}


def test_functions_of_jobs_fit_a_screen(tree: Any):
    assert tree.long_functions("lmc.jobs.") == []


LINES = "\n".join(f"    value = value + {number}" for number in range(7))
FILES = {
    "lmc/jobs/__init__.py": "",
    "lmc/jobs/path.py": "from lmc.jobs import pairs\n\n\ndef run(settings, talk):\n    return pairs\n",
    "lmc/jobs/check.py": "from .path import run as other\nfrom lmc.jobs.deep.low import x\n\n\ndef run():\n    ...\n",
    "lmc/jobs/pairs.py": "from lmc.jobs.deep import low\nfrom cli import main\nimport os\n",
    "lmc/jobs/deep/__init__.py": "",
    "lmc/jobs/deep/low.py": f"def six(value, a, b, c, d, e, f):\n    # why\n{LINES}\n",
    "lmc/paths.py": f"class A:\n    def run(self, value, a, b, c, d, e):\n    {LINES.replace(chr(10), chr(10) + '    ')}\n",
    "cli/main.py": "def long():\n" + "    print()\n" * 40,
    "cli/told.py": 'def told():\n    """Why.\n\n    And how.\n    """\n' + "    print()\n" * 39,
}


@pytest.fixture
def planted(shape: ModuleType, tmp_path: Path) -> Any:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return shape.Tree(tmp_path)


def test_the_script_counts_what_it_says(planted: Any):
    assert sorted(each.name for each in planted.commands) == ["lmc.jobs.check", "lmc.jobs.path"]
    assert planted.sideways() == {"lmc.jobs.check": {"lmc.jobs.path"}}
    assert planted.arrows["lmc.jobs.pairs"] == {"lmc.jobs.deep.low"}
    assert planted.floors() == 4, "check, path, pairs, low"
    assert planted.long_functions() == ["lmc.cli.main.long"]
    numbers = planted.numbers()
    assert numbers["imports between modules of lmc.jobs"] == 4
    assert numbers["functions with more than 6 parameters"] == 1
    assert numbers["lmc.cli: files, lines, median, largest"] == "2, 85, 42.5, 44 told.py"


def test_equal_lines_count_once_a_pair_of_places(planted: Any):
    pairs = {tuple(sorted(name for name, _ in pair)) for pair in planted.duplicates()}
    assert ("lmc.jobs.deep.low", "lmc.paths") in pairs
    between = [
        pair
        for pair in planted.duplicates()
        if {name for name, _ in pair} == {"lmc.jobs.deep.low", "lmc.paths"}
    ]
    assert len(between) == 1


def test_two_trees_stand_side_by_side(
    shape: ModuleType, planted: Any, root: Path, tmp_path: Path, capsys: Any
):
    shape.main([str(tmp_path), str(root)])
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == [str(tmp_path), str(root)]
    row = next(line for line in out if line.startswith("commands that import another command"))
    assert row.split()[-2] == "1"
    assert any(line.startswith("lmc.core:") and " - " in line for line in out)
