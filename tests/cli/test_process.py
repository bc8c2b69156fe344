"""The program as a shell starts it: start-up, exit codes, pipes, workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., object]
PROBE = """
import sys
from lmc.cli.main import app
try:
    app(sys.argv[1:], prog_name="lmc")
except SystemExit as left:
    print("loaded:", *sys.modules)
"""


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--help"], {"torch", "pandas", "hydra", "omegaconf", "rich", "pydantic"}),
        (["train", "--help"], {"torch", "pandas", "rich"}),
    ],
)
def test_help_is_light(words: list[str], absent: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    assert not absent & set(done.stdout.splitlines()[-1].split())


def test_a_mistake(lmc_process: Run) -> None:
    result = lmc_process("train", "variant=nope", fake=False)
    assert (result.code, result.out) == (2, "")
    assert len(result.errors) == 1
    assert result.errors[0].startswith("error: variant=nope: unknown choice (")


def test_results_and_talk_are_apart(lmc_process: Run) -> None:
    result = lmc_process("train", "seeds=[0,1]")
    assert (result.code, len(result.out.splitlines()), len(result.errors)) == (0, 3, 3)


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    fake = Path(__file__).parent / "fake"
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m lmc.cli train | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(fake), "LMC_FAKE": "many"},
        timeout=60,
    )
    assert done.stdout == "experiment\n0\n"
    assert "rror" not in done.stderr


def test_interrupt(tmp_path: Path) -> None:
    code = (
        "import lmc.jobs, time\n"
        "def run(*given):\n    print('ready', flush=True)\n    time.sleep(30)\n"
        "lmc.jobs.run = run\n"
        "from lmc.cli.main import app\napp(['train'], prog_name='lmc')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "error: stopped\n")


@pytest.mark.slow
def test_a_sweep_in_workers(lmc_process: Run, tmp_path: Path) -> None:
    words = (
        "train",
        "-m",
        "variant=standard,w,syre",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "-q",
    )
    result = lmc_process(*words, LMC_FAKE="w")
    assert result.out.split() == ["digits-mlp-standard-1f3a9c02", "digits-mlp-syre-1f3a9c02"]
    assert result.code == 1
    assert "error: job 1: variant=w: boom (try again)" in result.errors
    assert not list(tmp_path.iterdir())
