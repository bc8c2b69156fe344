"""What a reference stands for."""

import pytest

from lmc.core.errors import RunReferenceError
from lmc.store import files
from lmc.store.experiments import Experiment, experiments
from lmc.store.references import flatten, resolve

STORED = {
    "digits-mlp-w-11111111": {"variant": {"name": "w", "scale": 1.0}},
    "digits-mlp-w-scale0-22222222": {"variant": {"name": "w", "scale": 0.0}},
    "digits-mlp-syre-33333333": {"variant": {"name": "syre"}},
    "twin-44444444": {"mask_seed": 0, "data": {"path": "a"}},
    "twin-55555555": {"mask_seed": 1, "data": {"path": "b"}},
}


def _run(experiment, seed, epochs=(0, 3), status="done"):
    run = experiment.run(seed)
    run.write_info(status=status)
    for epoch in epochs:
        files.write_text(run.checkpoint(epoch), "")
    return run


@pytest.fixture
def outputs(tmp_path, train_record, merge_record):
    root = tmp_path / "outputs"
    for name, settings in STORED.items():
        experiment = Experiment(root / "train" / name)
        experiment.write(train_record(**settings), {})
        for seed in (0, 1, 10):
            _run(experiment, seed)
    merged = Experiment(root / "merge" / "digits-mlp-w+mean-66666666")
    merged.write(merge_record(), {})
    _run(merged, 0, (0,))
    return root


def _names(selections):
    return [selection.runs[0].experiment.name for selection in selections]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("digits-mlp-w-11111111", "digits-mlp-w-11111111"),
        ("digits-mlp-w", "digits-mlp-w-11111111"),  # the readable part, though longer ones begin with it
        ("digits-mlp-w-scale0", "digits-mlp-w-scale0-22222222"),
        ("digits-mlp-w-s", "digits-mlp-w-scale0-22222222"),
        ("digits-mlp-sy", "digits-mlp-syre-33333333"),
        ("twin-4", "twin-44444444"),
        ("digits-mlp-w+mean", "digits-mlp-w+mean-66666666"),
    ],
)
def test_full_name_readable_part_or_unique_prefix(outputs, reference, name):
    (selection,) = resolve(outputs, reference)
    assert selection.whole
    assert selection.runs[0].experiment.name == name
    seeds = [0] if "+mean" in name else [0, 1, 10]
    assert [run.seed for run in selection.runs] == seeds
    assert [epoch for _, epoch in selection.epochs()] == [0 if "+mean" in name else 3] * len(seeds)


@pytest.mark.parametrize(("reference", "seed", "epoch"), [("/1", 1, 3), ("/10@0", 10, 0), ("/0@3", 0, 3)])
def test_one_run_and_an_epoch(outputs, reference, seed, epoch):
    (selection,) = resolve(outputs, f"digits-mlp-w{reference}")
    assert not selection.whole
    assert [(run.seed, at) for run, at in selection.epochs()] == [(seed, epoch)]


def test_an_experiment_at_an_epoch(outputs):
    (selection,) = resolve(outputs, "digits-mlp-w@0")
    assert [(run.seed, at) for run, at in selection.epochs()] == [(0, 0), (1, 0), (10, 0)]


def test_a_folders_path(outputs, monkeypatch):
    folder = outputs / "train" / "digits-mlp-w-11111111"
    elsewhere = outputs.parent / "nothing"
    for reference, seeds in [
        (f"{folder}", [0, 1, 10]),
        (f"{folder}/1", [1]),
        (f"{folder}/1@0", [1]),
        (f"{folder}/", [0, 1, 10]),
        (f"{folder}/1/", [1]),
    ]:
        (selection,) = resolve(elsewhere, reference)
        assert [run.seed for run in selection.runs] == seeds, reference
    monkeypatch.chdir(outputs / "train")
    assert _names(resolve(elsewhere, "./twin-44444444/0")) == ["twin-44444444"]
    with pytest.raises(RunReferenceError, match="holds no run"):
        resolve(elsewhere, f"{outputs}/train")


def test_globs_stand_for_many(outputs):
    assert _names(resolve(outputs, "digits-*")) == [
        "digits-mlp-syre-33333333",
        "digits-mlp-w-11111111",
        "digits-mlp-w-scale0-22222222",
        "digits-mlp-w+mean-66666666",
    ]
    assert _names(resolve(outputs, "*-w")) == ["digits-mlp-w-11111111"]
    assert _names(resolve(outputs, "twin-[45]*")) == ["twin-44444444", "twin-55555555"]
    selections = resolve(outputs, "twin*/1@0")
    assert [[(run.seed, at) for run, at in one.epochs()] for one in selections] == [[(1, 0)], [(1, 0)]]
    with pytest.raises(RunReferenceError, match="matches no stored experiment"):
        resolve(outputs, "mnist*")


def test_a_prefix_of_several_picks_none_and_says_how_they_differ(outputs):
    for reference in ("twin", "tw", "twin-"):
        with pytest.raises(RunReferenceError) as caught:
            resolve(outputs, reference)
        text = str(caught.value)
        for part in (
            f"{reference}: matches 2",
            "twin-44444444 (",
            "twin-55555555 (",
            "mask_seed=0",
            "mask_seed=1",
            "data.path=b",
        ):
            assert part in text
        assert "model.name" not in text
    with pytest.raises(RunReferenceError, match="matches 3 experiments"):
        resolve(outputs, "digits")


@pytest.mark.parametrize(
    ("reference", "texts"),
    [
        ("digits-mpl-w", ["digits-mpl-w: no such run", "did you mean digits-mlp-w?"]),
        ("zebra", ["zebra: no such run", "lmc list"]),
        ("", ["no such run"]),
        ("digits-mlp-w/7", ["digits-mlp-w-11111111 has no run 7", "stored seeds: 0, 1, 10"]),
    ],
)
def test_what_is_not_there(outputs, reference, texts):
    with pytest.raises(RunReferenceError) as caught:
        resolve(outputs, reference)
    assert all(text in str(caught.value) for text in texts), str(caught.value)


def test_nothing_is_stored(tmp_path):
    with pytest.raises(RunReferenceError, match="lmc train makes runs"):
        resolve(tmp_path / "outputs", "digits")
    assert experiments(tmp_path / "outputs") == []


def test_an_epoch_that_was_never_stored(outputs):
    (selection,) = resolve(outputs, "digits-mlp-w/1@2")
    with pytest.raises(RunReferenceError, match=r"epoch 2 was never stored.*stored: 0, 3"):
        selection.epochs()


def test_a_run_that_is_not_done_has_no_last_epoch_but_its_stored_ones(outputs):
    experiment = Experiment(outputs / "train" / "digits-mlp-w-11111111")
    for status, said in [
        ("running", "interrupted"),
        ("diverged", "diverged"),
        ("interrupted", "interrupted"),
    ]:
        _run(experiment, 2, (0, 1), status)
        (selection,) = resolve(outputs, "digits-mlp-w/2")
        with pytest.raises(RunReferenceError, match=f"digits-mlp-w-11111111/2 is {said}, not done"):
            selection.epochs()
        (selection,) = resolve(outputs, "digits-mlp-w/2@1")
        assert selection.epochs()[0][1] == 1


def test_a_run_whose_weights_are_gone(outputs):
    experiment = Experiment(outputs / "train" / "digits-mlp-w-11111111")
    _run(experiment, 5, ())
    (selection,) = resolve(outputs, "digits-mlp-w/5")
    with pytest.raises(RunReferenceError, match="digits-mlp-w-11111111/5"):
        selection.epochs()


def test_an_experiment_without_runs(outputs, train_record):
    Experiment(outputs / "train" / "empty-77777777").write(train_record(), {})
    with pytest.raises(RunReferenceError, match="no finished or started run"):
        resolve(outputs, "empty")


def test_flatten():
    assert flatten({"a": 1, "b": {"c": {"d": 2}, "e": [3]}}) == {"a": 1, "b.c.d": 2, "b.e": [3]}
