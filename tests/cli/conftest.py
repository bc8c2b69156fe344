"""Command lines in this process with recorded settings, or in a process of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import lmc.jobs
from lmc.cli.main import app
from lmc.jobs.protocol.commands import COMMANDS
from lmc.jobs.protocol.composing import compose

FAKE = Path(__file__).parent / "fake"


@dataclass
class Result:
    code: int
    out: str
    err: str
    given: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, Any]:
        return self.given[-1][1]

    @property
    def errors(self) -> list[str]:
        return self.err.splitlines()


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LMC_OUTPUTS", raising=False)
    return tmp_path


@pytest.fixture
def lmc_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """``lmc_run("train", "seeds=2")``: exit code, output, and what the job was given."""
    spec = importlib.util.spec_from_file_location("fake_jobs", FAKE / "fake_jobs.py")
    assert spec is not None
    assert spec.loader is not None
    fake = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake)

    def run(*words: str) -> Result:
        given: list[tuple[str, dict[str, Any]]] = []

        def record(command: str, settings: dict[str, Any], talk: Any = None) -> Any:
            compose(COMMANDS[command].settings, settings)
            given.append((command, settings))
            return fake.run(command, settings, talk)

        monkeypatch.setattr(lmc.jobs, "run", record)
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            app(list(words), prog_name="lmc")
        out, err = capsys.readouterr()
        return Result(left.value.code or 0, out, err, given)

    return run


@pytest.fixture
def lmc_process() -> Callable[..., Result]:
    """The same in a process of its own, as a shell would start it."""

    def run(*words: str, fake: bool = True, **env: str) -> Result:
        path = {"PYTHONPATH": str(FAKE)} if fake else {}
        done = subprocess.run(
            [sys.executable, "-m", "lmc.cli", *words],
            capture_output=True,
            text=True,
            env={**os.environ, **path, **env},
            timeout=120,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run
