from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import lmc.jobs.planning.carrying_out as job
from lmc import api
from lmc.core.errors import Interrupted, LmcError, OutputError, RunReferenceError, SettingError
from lmc.jobs import run

from .conftest import tiny, train


def weights(outputs: Path, seed: int = 0, epoch: int = 2, name: str = "*") -> dict[str, torch.Tensor]:
    (path,) = outputs.glob(f"train/{name}/{seed}/epoch-{epoch:04d}.safetensors")
    return load_file(path)


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def stop_after(steps: int) -> Callable[[], object]:
    @contextmanager
    def stoppable() -> Iterator[Callable[[], bool]]:
        left = [steps]

        def stopped() -> bool:
            left[0] -= 1
            return left[0] < 0

        yield stopped

    return stoppable


def test_the_table_has_a_row_a_run_with_finite_losses() -> None:
    table = train(seeds=3)
    assert list(table["seed"]) == [0, 1, 2]
    assert set(table["status"]) == {"done"}
    assert np.isfinite(table[["train_loss", "val_loss", "test_loss"]]).all(axis=None)
    history = api.table("history")
    start = history[(history["epoch"] == 0) & (history["split"] == "test")]
    assert (table["test_loss"].to_numpy() < start["loss"].to_numpy()).all()


def test_history_has_exact_train_rows_at_stored_epochs_only() -> None:
    train(seeds=1)
    history = api.table("history")
    rows = {(row.epoch, row.split) for row in history.itertuples()}
    assert rows == {
        *[(0, split) for split in ("train", "val", "test")],
        *[(1, split) for split in ("train_running", "val", "test")],
        *[(2, split) for split in ("train_running", "train", "val", "test")],
    }


def test_the_same_command_twice_gives_equal_bits(outputs: Path) -> None:
    train(seeds=2)
    first = weights(outputs)
    train(seeds=2, force=True)
    assert_equal(first, weights(outputs))


def test_a_run_alone_is_the_run_in_a_stack(outputs: Path) -> None:
    train(seeds=[0, 1, 2], variant="w")
    stacked = weights(outputs, seed=2)
    train(seeds=[2], variant="w", outputs=str(outputs / "alone"))
    alone = weights(outputs / "alone", seed=2)
    for name in stacked:
        assert torch.allclose(stacked[name], alone[name], atol=1e-5), name


def test_different_variants_of_one_shape_train_in_one_stack_as_they_would_apart(outputs: Path) -> None:
    from lmc.jobs.planning.plan import make_plan
    from lmc.jobs.protocol.commands.running import Train
    from lmc.jobs.protocol.composing import compose
    from lmc.jobs.protocol.talk import Silent

    plans = [
        make_plan(compose(Train, tiny(seeds=1, variant=variant)))
        for variant in ("standard", "syre", {"name": "w", "scale": 0})
    ]
    job.train(plans, Silent())
    for plan, variant in zip(plans, ("standard", "syre", {"name": "w", "scale": 0}), strict=True):
        api.train(**tiny(seeds=1, variant=variant, outputs=str(outputs / "apart")))
        together = weights(outputs, name=plan.experiment.name)
        apart = weights(outputs / "apart", name=plan.experiment.name)
        for name in together:
            assert torch.allclose(together[name], apart[name], atol=1e-5), name


@pytest.mark.parametrize(
    "change",
    [
        {"variant": "w"},
        {"model": {"norm": "batch"}},
        {"model": {"dropout": 0.3}, "seeds": [3, 4]},
        {"training": {"optimiser": "sgd", "nesterov": True, "schedule": "cosine", "warmup": 1}},
    ],
)
def test_stopped_anywhere_and_resumed_is_uninterrupted(
    change: dict[str, object], outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"seeds": [0, 1], **change}
    train(**settings, outputs=str(outputs / "whole"))
    for steps in (5, 17):
        with monkeypatch.context() as patch:
            patch.setattr(job, "stoppable", stop_after(steps))
            with pytest.raises(Interrupted, match="the same command goes on"):
                train(**settings)
    assert set(api.list_()["status"]) <= {"interrupted", "done"}
    table = train(**settings)
    assert set(table["status"]) == {"done"}
    for seed in settings["seeds"]:  # type: ignore[attr-defined]
        assert_equal(weights(outputs, seed), weights(outputs / "whole", seed))
    ours = api.table("history").drop(columns="seconds")
    whole = api.table("history", outputs=str(outputs / "whole")).drop(columns="seconds")
    assert ours.equals(whole)
    assert not list(outputs.glob("train/*/*/state.safetensors"))


def test_new_seeds_are_added_and_stored_ones_left_alone(outputs: Path) -> None:
    train(seeds=1)
    (path,) = outputs.glob("train/*/0/epoch-0002.safetensors")
    before = path.stat().st_mtime_ns
    assert list(train(seeds=2)["seed"]) == [0, 1]
    assert path.stat().st_mtime_ns == before
    assert list(api.list_()["seed"]) == [0, 1]


def test_an_epoch_asked_for_later_is_stored_without_changing_the_run(outputs: Path) -> None:
    train(seeds=1)
    last = weights(outputs)
    train(seeds=1, training={"checkpoints": [1]})
    assert api.list_()["stored"].tolist() == ["0 1 2"]
    assert_equal(last, weights(outputs))


def test_checkpoints_every_n_epochs_keep_the_last() -> None:
    assert train(seeds=1, training={"epochs": 5, "checkpoints": 2})["stored"].tolist() == ["0 2 4 5"]


def test_zero_epochs_store_the_initialisation() -> None:
    assert train(seeds=1, training={"epochs": 0})["stored"].tolist() == ["0"]


def test_init_and_order_seeds_can_be_shared(outputs: Path) -> None:
    train(seeds=2, init_seed=7)
    assert_equal(weights(outputs, 0, 0), weights(outputs, 1, 0))
    assert not torch.equal(weights(outputs, 0)["layers.0.weight"], weights(outputs, 1)["layers.0.weight"])
    train(seeds=2, order_seed=7, outputs=str(outputs / "order"))
    assert not torch.equal(
        weights(outputs / "order", 0, 0)["layers.0.weight"],
        weights(outputs / "order", 1, 0)["layers.0.weight"],
    )


def test_fixed_entries_equal_the_centre_at_every_stored_epoch(outputs: Path) -> None:
    train(seeds=1, variant="w", training={"checkpoints": 1, "clip": 0.5})
    (path,) = outputs.glob("train/*/constraints.safetensors")
    constraint = load_file(path)
    for epoch in (0, 1, 2):
        state = weights(outputs, epoch=epoch)
        for name in ("layers.0.weight", "layers.1.weight", "layers.2.weight"):
            fixed = constraint[f"{name}.mask"] == 0
            assert fixed.any()
            assert torch.equal(state[name][fixed], constraint[f"{name}.centre"][fixed])


def test_init_only_starts_each_seed_at_its_asymmetric_weights(outputs: Path) -> None:
    train(seeds=2, variant="w")
    (w_folder,) = outputs.glob("train/*")
    train(seeds=2, start=f"{w_folder.name}@0", name="initonly")
    for seed in (0, 1):
        assert_equal(
            weights(outputs, seed, 0, name="initonly*"), weights(outputs, seed, 0, name=w_folder.name)
        )
    assert not list(outputs.glob("train/initonly*/constraints.safetensors"))


def test_starting_a_variant_at_weights_that_break_its_class_is_refused(outputs: Path) -> None:
    train(seeds=1)
    (folder,) = outputs.glob("train/*")
    with pytest.raises(LmcError, match="not in the class D, f"):
        train(seeds=1, variant="w", start=f"{folder.name}/0")
    with pytest.raises(RunReferenceError, match="epoch 1 was never stored"):
        train(seeds=1, start=f"{folder.name}/0@1")
    assert len(list(outputs.glob("train/*"))) == 1


def test_a_diverged_run_is_marked_and_not_tried_again() -> None:
    wild = {"training": {"optimiser": "sgd", "learning_rate": 1e9, "epochs": 3}, "model": {"norm": "none"}}
    table = train(seeds=2, **wild)
    assert set(table["status"]) == {"diverged"}
    assert train(seeds=2, **wild)["seconds"].equals(table["seconds"])
    with pytest.raises(RunReferenceError, match="is diverged, not done"):
        api.path(table["experiment"][0])


def test_dry_run_writes_nothing_and_counts_what_remains(outputs: Path) -> None:
    table = train(seeds=3, dry_run=True).set_index("key")["value"]
    assert table["remaining seeds"] == "0 1 2"
    assert float(table["estimated disk MB"]) > 0
    assert not outputs.exists()
    train(seeds=[1])
    assert train(seeds=3, dry_run=True).set_index("key")["value"]["remaining seeds"] == "0 2"


def test_names_are_pinned(outputs: Path) -> None:
    """A changed name orphans every stored run: change these only with the format's version."""
    expected = {
        "digits-mlp-standard-33a22875": {},
        "digits-mlp-w-92de5582": {"variant": "w"},
        "digits-mlp-w-scale0-139bb2a0": {"variant": {"name": "w", "scale": 0}},
        "digits-mlp-syre-5b58f2f0": {"variant": "syre"},
    }
    for name, settings in expected.items():
        table = api.train(**settings, dry_run=True)
        assert table["experiment"][0] == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"variant": {"name": "w", "scale": 1}}, {"variant": {"name": "w", "scale": 1.0}}),
        ({"variant": {"name": "w", "scale": [2, 2, 2]}}, {"variant": {"name": "w", "scale": 2}}),
        ({"variant": {"name": "w", "num_fixed": 0.25}}, {"variant": {"name": "w", "num_fixed": [16, 2, 2]}}),
        ({"variant": {"name": "w", "num_fixed": [8, 1, 4]}}, {"variant": "w"}),
        ({"seeds": 2, "threads": 2, "stack": 1}, {"seeds": [5], "threads": 1}),
        ({"training": {"checkpoints": 1}}, {"training": {"learning_rate": 0.001}}),
    ],
)
def test_settings_that_mean_the_same_have_one_name(one: dict[str, object], other: dict[str, object]) -> None:
    first, second = (train(**each, dry_run=True)["experiment"][0] for each in (one, other))
    assert first == second


@pytest.mark.parametrize(
    "change",
    [
        {"variant": {"name": "w", "scale": 2}},
        {"mask_seed": 1},
        {"init_seed": 0},
        {"data": {"name": "digits", "split_seed": 1}},
        {"training": {"epochs": 3}},
        {"model": {"activation": "relu"}},
    ],
)
def test_settings_that_change_numbers_change_the_name(change: dict[str, object]) -> None:
    base = train(variant="w", dry_run=True)["experiment"][0]
    assert train(**{"variant": "w", **change}, dry_run=True)["experiment"][0] != base


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": []}, "no seed to run"),
        ({"seeds": [1, 1]}, "1 given twice"),
        ({"seeds": -2}, "no seed to run"),
        ({"variant": {"name": "w", "num_fixed": 65}}, "layers.0 has 64 inputs"),
        ({"variant": {"name": "w", "num_fixed": 1.5}}, "outside"),
        ({"variant": {"name": "w", "scale": [1.0]}}, "1 values for 3 layers"),
        ({"variant": {"name": "w", "scal": 1}}, "did you mean scale"),
        ({"training": {"epochs": -1}}, "greater than or equal to 0"),
        ({"training": {"checkpoints": [9]}}, "epoch 9 is after the last"),
        ({"training": {"optimiser": "adm"}}, "did you mean adamw"),
        ({"model": {"hidden": [0]}}, "greater than or equal to 1"),
        ({"device": "cudax"}, "torch cannot compute there"),
        ({"start": "nothing"}, "no such run"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(
    settings: dict[str, object], message: str, outputs: Path
) -> None:
    with pytest.raises(LmcError, match=message) as caught:
        train(**settings)
    assert caught.value.exit_code == 2
    assert not outputs.exists()


def test_faults_of_several_groups_come_together() -> None:
    with pytest.raises(SettingError) as caught:
        train(variant={"name": "w", "scale": "x"}, training={"epoch": 1}, seeds="y", model={"hidden": 3})
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0].split("=")[0] for line in lines] == [
        "seeds",
        "model.hidden",
        "variant.scale",
        "training.epoch",
    ]


def test_outputs_that_cannot_be_written_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError) as caught:
        train(outputs=str(tmp_path / "file"))
    assert caught.value.exit_code == 1
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_full_disk_fails_the_job_and_leaves_whole_files(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == "epoch-0002.safetensors":
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OutputError, match="No space left on device"):
            train(seeds=2)
    assert not list(outputs.rglob("*.part"))
    assert not list(outputs.rglob("epoch-0002.safetensors"))
    assert set(train(seeds=2)["status"]) == {"done"}


def test_regression_has_no_accuracy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    lines = ["a,b,c,y", *(f"{a},{b},{c},{a - b + 0.5 * c}" for a, b, c in x)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    data = {"name": "hub", "path": "table.csv", "inputs": ["a", "b", "c"], "target": "y"}
    table = train(seeds=2, data=data)
    assert table["test_accuracy"].isna().all()
    barriers = api.path(table["experiment"][0])
    assert barriers["loss_barrier"].notna().all()
    assert barriers["accuracy_barrier"].isna().all()


def test_a_network_of_ones_own_needs_trust_to_be_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ownnets.py").write_text(
        "from torch import nn\n"
        "def make(input_shape, outputs, *, width: int = 4):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, outputs))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    table = api.train(model={"name": "ownnets:make", "width": 6}, training={"epochs": 1}, seeds=2)
    name = table["experiment"][0]
    assert name.startswith("digits-make-standard-width6-epochs1-")
    with pytest.raises(SettingError, match="--trust imports it"):
        api.load(f"{name}/0")
    assert api.load(f"{name}/0", trust=True)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert len(api.path(name, trust=True)) == 3
    assert set(api.path(name, trust=True, match="activation")["match"]) == {"none", "activation"}


COMMAND = [
    *(sys.executable, "-m", "lmc.cli", "train", "seeds=2"),
    *("model.hidden=[64,64]", "training.epochs=40", "threads=1"),
]


def wait_for(outputs: Path, pattern: str) -> None:
    for _ in range(400):
        if list(outputs.glob(pattern)):
            return
        time.sleep(0.05)
    raise AssertionError(f"{pattern} never appeared")


@pytest.mark.slow
def test_interrupted_and_killed_processes_lose_nothing(outputs: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(COMMAND, stderr=subprocess.PIPE, text=True)
    wait_for(outputs, "train/*/1/epoch-0000.safetensors")
    process.send_signal(signal.SIGSTOP)
    second = subprocess.Popen(COMMAND, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert second.stderr is not None
    assert f"process {process.pid} on" in second.stderr.readline()
    second.kill()
    second.communicate()
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command goes on from there" in stderr
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=True)
    assert done.stdout.count(",done,") == 2
    table = run(
        "train", {**tiny(seeds=2, model={"hidden": [64, 64]}, training={"epochs": 40}), "outputs": "whole"}
    )
    name = table.references[0]
    for seed in (0, 1):
        assert_equal(weights(outputs, seed, 40, name=name), weights(tmp_path / "whole", seed, 40, name=name))
