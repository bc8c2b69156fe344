"""Tables of many jobs as one."""

import os

import pytest

from lmc.core.schema import columns, frame
from lmc.store import files, records, results
from lmc.store.experiments import Experiment

JOB = records.Job(command="path", runs=["x/0/1", "x/1/1"], settings={"alphas": 3})


def _barrier(a, b, **values):
    pair = {"experiment_a": a, "seed_a": 0, "epoch_a": 1, "experiment_b": b, "seed_b": 1, "epoch_b": 1}
    return {**pair, "match": "none", "split": "test", **values}


@pytest.fixture
def outputs(tmp_path, train_record):
    one = frame("barrier", [_barrier("x", "x", loss_barrier=0.5), _barrier("x", "y", loss_barrier=0.7)])
    results.write(tmp_path / "path" / "one", JOB, {"barrier": one}, {"permutations": {}})
    results.write(
        tmp_path / "path" / "two",
        JOB,
        {"barrier": frame("barrier", [_barrier("x", "x", loss_barrier=0.5)])},
    )
    for name in ("x", "y"):
        experiment = Experiment(tmp_path / "train" / name)
        experiment.write(train_record(), {})
        experiment.run(0).write_info(status="done")
        row = {"experiment": name, "seed": 0, "epoch": 1, "split": "test", "loss": 0.1}
        files.write_table(experiment.run(0).path / "history.parquet", frame("history", [row]))
    return tmp_path


def test_what_a_job_writes(outputs):
    folder = outputs / "path" / "one"
    assert {item.name for item in folder.iterdir()} == {
        "settings.yaml",
        "barrier.parquet",
        "permutations.safetensors",
    }
    assert records.read(folder / "settings.yaml") == JOB


def test_a_fact_of_two_jobs_is_collected_once(outputs):
    table = results.collect(outputs, "barrier", None)
    assert [*table.columns] == columns("barrier")
    assert table.loss_barrier.tolist() == [0.5, 0.7]
    assert table.midpoint_barrier.isna().all()


def test_a_row_must_speak_of_the_named_experiments(outputs):
    assert results.collect(outputs, "barrier", ["x"]).loss_barrier.tolist() == [0.5]
    assert results.collect(outputs, "barrier", ["x", "y"]).loss_barrier.tolist() == [0.5, 0.7]
    assert results.collect(outputs, "barrier", ["y"]).empty
    assert results.collect(outputs, "history", None).experiment.tolist() == ["x", "y"]
    assert results.collect(outputs, "history", ["y"]).experiment.tolist() == ["y"]
    assert [*results.collect(outputs, "path", None).columns] == columns("path")


def test_the_latest_of_two_measurements_of_a_pair_stands(outputs):
    path = outputs / "check" / "three" / "barrier.parquet"
    again = [_barrier("x", "x", loss_barrier=0.6), _barrier("x", "z", loss_barrier=0.9)]
    files.write_table(path, frame("barrier", again))
    assert results.collect(outputs, "barrier").loss_barrier.tolist() == [0.6, 0.9, 0.5, 0.7]
    assert sorted(results.collect(outputs, "barrier", latest=True).loss_barrier) == [0.6, 0.7, 0.9]
    os.utime(path, (0, 0))
    assert sorted(results.collect(outputs, "barrier", latest=True).loss_barrier) == [0.5, 0.7, 0.9]


def test_the_curve_of_a_pair_comes_from_one_job(outputs):
    keys = _barrier("x", "x")
    for job, points in (("one", (0.0, 0.5, 1.0)), ("two", (0.0, 1.0))):
        rows = [{**keys, "alpha": alpha, "loss": 0.1, "accuracy": 0.5} for alpha in points]
        files.write_table(outputs / "path" / job / "path.parquet", frame("path", rows))
    os.utime(outputs / "path" / "one" / "path.parquet", (0, 0))
    assert results.collect(outputs, "path", latest=True).alpha.tolist() == [0.0, 1.0]
