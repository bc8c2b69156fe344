"""Runs on disk: what is stored, who works on it."""

import subprocess
import sys
import threading

import pytest
import torch

from lmc.core.errors import OutputError
from lmc.store import files
from lmc.store.experiments import Experiment, experiments

HOLD = """
import sys, time
from pathlib import Path
from lmc.store.experiments import Run
with Run(Path(sys.argv[1])).locked():
    Run(Path(sys.argv[1])).write_info(status="running", process={"pid": 4711, "host": "here"})
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    return Experiment(tmp_path / "train" / "e-11111111").run(3)


@pytest.fixture
def holder(run):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_holder_is_refused_or_waits_and_a_killed_ones_lock_is_taken_over(run, holder):
    assert run.is_locked()
    assert run.status() == "running"
    with (
        pytest.raises(OutputError, match=r"e-11111111/3: process 4711 on here is working on it"),
        run.locked(wait=False),
    ):
        pytest.fail("entered a run that is held")
    heard, entered = [], threading.Event()

    def wait():
        with run.locked(waiting=heard.append):
            entered.set()

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    assert not entered.wait(0.2)
    holder.kill()  # SIGKILL: it cleans nothing up
    holder.wait()
    assert entered.wait(10)
    waiter.join(10)
    assert len(heard) == 1
    assert "process 4711" in heard[0]
    assert not run.is_locked()
    assert run.status() == "interrupted"


def test_a_lock_is_given_back(run):
    with run.locked():
        pass
    with pytest.raises(ZeroDivisionError), run.locked():
        raise ZeroDivisionError
    with run.locked(wait=False):
        pass
    assert not run.is_locked()


def test_a_folder_that_cannot_be_locked(tmp_path):
    (tmp_path / "train").write_text("a file")
    with (
        pytest.raises(OutputError, match="cannot be written"),
        Experiment(tmp_path / "train" / "e").run(0).locked(),
    ):
        pytest.fail("entered")


def test_what_a_run_stores(run):
    assert run.status() == "missing"
    assert run.epochs() == []
    run.write_info(status="done", seconds=1.0)
    run.write_info(seconds=2.0)
    assert run.info().content() == {"status": "done", "seconds": 2.0}
    for epoch in (10, 0, 2, 12345):
        files.write_tensors(run.checkpoint(epoch), {"w": torch.full((2,), float(epoch))})
    (run.path / ".epoch-0007.safetensors.99.part").write_text("left by a killed process")
    (run.path / "state.safetensors").write_text("")
    assert run.epochs() == [0, 2, 10, 12345]
    assert torch.equal(run.state(10)["w"], torch.full((2,), 10.0))
    assert run.reference == "e-11111111/3"
    assert run.experiment.kind == "train"
    with run.locked():
        run.clear()
    assert [item.name for item in run.path.iterdir()] == [".lock"]
    assert run.status() == "missing"


def test_what_runs_share_is_stored_once(tmp_path, train_record):
    experiment = Experiment(tmp_path / "train" / "e-11111111")
    assert experiment.constraints() == {}
    assert experiment.runs() == []
    experiment.write(train_record(mask_seed=1), {"w.mask": torch.ones(2, dtype=torch.uint8)})
    experiment.write(train_record(mask_seed=9), {})
    assert experiment.record() == train_record(mask_seed=1)
    assert torch.equal(experiment.constraints()["w.mask"], torch.ones(2, dtype=torch.uint8))
    for seed in (10, 9, 1):
        experiment.run(seed).write_info(status="done")
    (experiment.path / "notes").mkdir()
    assert [run.seed for run in experiment.runs()] == [1, 9, 10]
    experiment.remove_if_empty()
    assert experiment.path.is_dir()
    for found in experiment.runs():
        found.clear()
    experiment.remove_if_empty()
    assert not experiment.path.exists()


def test_only_folders_with_settings_are_experiments(tmp_path, train_record):
    Experiment(tmp_path / "train" / "b-1").write(train_record(), {})
    Experiment(tmp_path / "merge" / "a-1").write(train_record(), {})
    Experiment(tmp_path / "path" / "c-1").write(train_record(), {})
    (tmp_path / "train" / "junk").mkdir()
    assert [(item.kind, item.name) for item in experiments(tmp_path)] == [("train", "b-1"), ("merge", "a-1")]
