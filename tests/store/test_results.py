"""Tables of many jobs as one."""

import os

import pytest

from lmc.core.measurements import settled, telling
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


def found(outputs, kind="barrier", names=None):
    """What is collected, in declared columns, and as means are taken of it."""
    table = results.collect(outputs, kind, names)
    return table[columns(kind)], settled(kind, table)[0]


def test_a_fact_of_two_jobs_is_collected_once(outputs):
    stored, once = found(outputs)
    assert stored.loss_barrier.tolist() == [0.5, 0.7, 0.5]
    assert [*once.columns] == columns("barrier")
    assert once.loss_barrier.tolist() == [0.5, 0.7]
    assert once.midpoint_barrier.isna().all()


def test_a_row_must_speak_of_the_named_experiments(outputs):
    def names(kind, *named):
        return results.collect(outputs, kind, named or None)

    assert names("barrier", "x").loss_barrier.tolist() == [0.5, 0.5]
    assert {*names("barrier", "x", "y").loss_barrier} == {0.5, 0.7}
    assert names("barrier", "y").empty
    assert names("history").experiment.tolist() == ["x", "y"]
    assert names("history", "y").experiment.tolist() == ["y"]
    assert [*telling("path", names("path")).columns] == columns("path")


def _again(outputs, job, kind, rows, at, **settings):
    folder = outputs / "check" / job
    record = records.Job(command="check", runs=["x/0/1", "x/1/1"], settings=settings)
    results.write(folder, record, {kind: frame(kind, rows)})
    os.utime(folder / f"{kind}.parquet", (at, at))


@pytest.mark.parametrize(("at", "value"), [(2e9, 0.6), (1, 0.5)])
def test_the_latest_of_the_same_measurement_stands(outputs, at, value):
    again = [_barrier("x", "x", loss_barrier=0.6), _barrier("x", "z", loss_barrier=0.9)]
    _again(outputs, "three", "barrier", again, at, alphas=3)
    assert sorted(found(outputs)[1].loss_barrier) == sorted([value, 0.7, 0.9])


def test_an_empty_table_hides_nothing(outputs):
    _again(outputs, "three", "barrier", [], 2e9, alphas=3)
    assert found(outputs)[1].loss_barrier.tolist() == [0.5, 0.7]


def test_of_two_lines_the_finer_stands_where_it_has_all_pairs(outputs):
    _again(outputs, "three", "barrier", [_barrier("x", "x", loss_barrier=0.6)], 1, alphas=[0, 0.25, 0.5, 1])
    table, notes = settled("barrier", results.collect(outputs, "barrier"))
    assert table.alphas.tolist() == ["[0,0.25,0.5,1]", "3"]
    assert dict(zip(table.experiment_b, table.loss_barrier, strict=True)) == {"x": 0.6, "y": 0.7}
    assert notes == ["x: alphas=3 is left out, alphas=[0,0.25,0.5,1] has it"]


def test_the_curve_of_a_pair_has_the_points_of_one_job(outputs):
    keys = _barrier("x", "x")
    for job, at, points in (("fine", 1, (0.0, 0.5, 1.0)), ("coarse", 2, (0.0, 1.0))):
        rows = [{**keys, "alpha": alpha, "loss": 0.1 + at, "accuracy": 0.5} for alpha in points]
        _again(outputs, job, "path", rows, at, alphas=list(points))
    table = found(outputs, "path")[1]
    assert table.alpha.tolist() == [0.0, 0.5, 1.0]
    assert {*table.loss} == {1.1}


def test_a_pair_that_was_taken_both_ways_is_one(outputs):
    turned = {**_barrier("x", "x", loss_barrier=0.8), "seed_a": 1, "seed_b": 0}
    _again(outputs, "three", "barrier", [turned], 2e9, alphas=3)
    table, notes = settled("barrier", results.collect(outputs, "barrier", ["x"]))
    assert table.loss_barrier.tolist() == [0.5]
    assert "both orders" in notes[0]


def test_a_job_whose_settings_are_not_known_stays_apart(outputs):
    files.write_table(
        outputs / "check" / "three" / "barrier.parquet",
        frame("barrier", [_barrier("x", "x", loss_barrier=0.6)]),
    )
    assert {*found(outputs)[1].alphas} == {"3", "?"}
