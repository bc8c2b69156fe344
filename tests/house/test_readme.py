"""The README's commands and Python blocks run, in its order, as written.

The quick test runs them in this process on a hundred and fifty of the digits; the slow one types into bash
those that need a shell or processes of their own. A block after ``<!-- not run: REASON -->`` is left out by both.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import lmc.data
from lmc.cli.main import app
from lmc.jobs.opening import data as loading
from lmc.jobs.protocol.commands import COMMANDS

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(<!-- not run: .+? -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")
ELSEWHERE = re.compile(r"[|$]|^for |launcher=")
IMAGES = 150


@dataclass(frozen=True)
class Block:
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The name of the file that the block is the text of."""
        named = FILE.match(self.text)
        return named[1] if named and self.language == "python" else None

    @property
    def commands(self) -> list[str]:
        lines = self.text.splitlines() if self.language == "sh" else []
        return [line for line in lines if re.search(r"\blmc ", line) and not line.startswith("make ")]


def blocks() -> list[Block]:
    found = BLOCK.findall((ROOT / "README.md").read_text())
    return [Block(language, text) for skipped, language, text in found if not skipped]


@pytest.fixture
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LMC_OUTPUTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch):
    """Experiments keep their names, as these hold settings and not the number of images."""
    whole = lmc.data.DATASETS["digits"]

    def digits():
        raw = whole()
        return replace(raw, inputs=raw.inputs[:IMAGES], targets=raw.targets[:IMAGES])

    monkeypatch.setitem(lmc.data.DATASETS, "digits", digits)
    loading._load.cache_clear()
    yield
    loading._load.cache_clear()
    for name in ("mynets", "bands"):
        sys.modules.pop(name, None)


def test_the_readme_shows_every_command():
    shown = {line.split()[1] for block in blocks() for line in block.commands if line.startswith("lmc ")}
    assert shown == set(COMMANDS)


def test_the_readme_lists_every_builder_room():
    from lmc import matching, merging, models, variants

    text = (ROOT / "README.md").read_text()
    for room, registry in (
        (models, "MODELS"),
        (variants, "VARIANTS"),
        (matching, "MATCHERS"),
        (merging, "MERGERS"),
    ):
        row = next(line for line in text.splitlines() if f"`{registry}`" in line and line.startswith("|"))
        assert all(f"`{name}`" in row or f"`{name}:" in row for name in room.GIVEN), row


def test_commands_run_in_this_process(in_a_new_folder: Path, few_digits, capsys: pytest.CaptureFixture[str]):
    ran = 0
    for block in blocks():
        if block.file:
            (in_a_new_folder / block.file).write_text(block.text)
            sys.modules.pop(Path(block.file).stem, None)
        elif block.language == "python":
            exec(compile(block.text, "README.md", "exec"), {})
        for line in block.commands:
            if ELSEWHERE.search(line):
                continue
            with pytest.raises(SystemExit) as left:
                app(shlex.split(line, comments=True)[1:], prog_name="lmc")
            out, err = capsys.readouterr()
            assert not left.value.code, f"{line}\n{err}"
            assert out, line
            ran += 1
    assert ran >= len(COMMANDS)


@pytest.mark.slow
def test_the_others_run_in_a_shell(in_a_new_folder: Path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    lines = [line for block in blocks() for line in block.commands if ELSEWHERE.search(line)]
    assert lines
    for line in lines:
        words = ["bash", "-euc", line]
        done = subprocess.run(words, env={**os.environ, "PATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout, line
        assert "error:" not in done.stderr, f"{line}\n{done.stderr}"
