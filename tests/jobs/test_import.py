"""Checkpoints that lmc did not train, as runs: the same networks, or one message and nothing written."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from lmc import api
from lmc.cli import complete
from lmc.cli.main import app
from lmc.core.errors import LmcError, MismatchError, SettingError, StoredFileError
from lmc.jobs import run
from lmc.jobs.reporting.commands import of_experiment
from lmc.store.experiments import Experiment

from .conftest import train

SAME: dict[str, Any] = {"model": {"name": "mlp", "hidden": [8, 8]}, "threads": 1}
HINT = "(give model.* and data as it was trained, or its own code: model.name=package.module:function)"
NETWORK = """
from torch import nn

def make(input_shape, outputs, width=4):
    features = 1
    for size in input_shape:
        features *= size
    return nn.Sequential(nn.Flatten(), nn.Linear(features, width), nn.ReLU(), nn.Linear(width, outputs))
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Standard, w and sigma runs, trained once."""
    folder = tmp_path_factory.mktemp("stored")
    for variant in ("standard", "w", "sigma"):
        train(seeds=2, variant=variant, outputs=str(folder), name=variant)
    return folder


@pytest.fixture
def runs(stored: Path, outputs: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(stored, outputs)
    return outputs


def state_of(reference: str, outputs: Path) -> dict[str, torch.Tensor]:
    name, _, seed = reference.partition("/")
    (folder,) = outputs.glob(f"train/{name}-*")
    return load_file(folder / seed / "epoch-0002.safetensors")


def save(path: str, state: dict[str, torch.Tensor], prefix: str = "") -> str:
    named = {prefix + name: tensor for name, tensor in state.items()}
    save_file(named, path) if path.endswith(".safetensors") else torch.save({"state_dict": named}, path)
    return path


@pytest.fixture
def pair(runs: Path) -> tuple[str, str]:
    """The two standard runs in files of other programs' making."""
    one = save("a.safetensors", state_of("standard/0", runs), "module.")
    return one, save("b.pt", state_of("standard/1", runs), "model._orig_mod.")


class Talk:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}")


def test_the_path_between_imported_runs_is_that_between_the_originals(
    runs: Path, pair: tuple[str, str]
) -> None:
    table = api.import_(*pair, name="mine", **SAME)
    assert table["status"].tolist() == ["done", "done"]
    assert table["seed"].tolist() == [0, 1]
    losses = ["train_loss", "val_loss", "test_loss", "test_accuracy"]
    np.testing.assert_allclose(table[losses], api.list_("standard")[losses], rtol=0, atol=1e-6)
    for match in ("none", "activation"):
        api.path("standard", match=match, alphas=5)
        api.path("mine", match=match, alphas=5)
    values = ["match", "split", "alpha", "loss", "accuracy"]
    before, after = (api.table("path", name)[values] for name in ("standard", "mine"))
    pd.testing.assert_frame_equal(before, after, rtol=0, atol=1e-12)


def test_imported_runs_are_runs(runs: Path, pair: tuple[str, str]) -> None:
    api.import_(*pair, name="mine", **SAME)
    (folder,) = runs.glob("train/mine-*")
    assert {item.name for item in folder.iterdir()} == {"settings.yaml", "0", "1"}
    files = {item.name for item in (folder / "0").iterdir()} - {".lock"}
    assert files == {"run.json", "history.parquet", "epoch-0000.safetensors"}
    shown = api.show("mine/1").set_index("key")["value"]
    assert shown["source.path"] == str(Path("b.pt").resolve())
    assert len(shown["source.sha256"]) == 64
    assert shown["variant.name"] == "standard"
    assert not [key for key in shown.index if key.startswith("training")]
    assert sorted(api.table("history", "mine")["split"].unique()) == ["test", "train", "val"]
    assert len(api.match("mine@0")) == 2
    assert len(api.cost("mine", estimate="mahalanobis")) == 6
    assert api.merge("mine")["experiment"][0].startswith("mine+mean")
    assert len(api.path("mine/0", "standard/1", alphas=2)) == 3
    assert api.load("mine/0")(torch.zeros(1, 1, 8, 8)).shape == (1, 10)
    train(seeds=1, start="mine/0", training={"epochs": 0}, name="on")
    assert torch.equal(api.load("on").layers[0].weight, api.load("mine/0").layers[0].weight)
    api.remove("mine/0")
    assert api.list_("mine")["seed"].tolist() == [1]
    api.remove("mine")
    assert not folder.exists()


def test_the_same_weights_again_are_found_wherever_they_lie(runs: Path, pair: tuple[str, str]) -> None:
    first = api.import_(*pair, **SAME)
    name = first["experiment"][0]
    assert name.startswith("digits-mlp-standard-hidden8+imported-")
    (folder,) = runs.glob(f"train/{name}")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    api.remove(f"{name}/1")
    save("elsewhere.ckpt", state_of("standard/1", runs))
    talk = Talk()
    outcome = run("import", {"references": [pair[0], "elsewhere.ckpt"], **SAME}, talk)
    assert outcome.references == (name,)
    assert talk.said[-1] == "1 runs already stored; force=true imports them again"
    pd.testing.assert_frame_equal(
        outcome.tables["run"].drop(columns="megabytes"), first.drop(columns="megabytes")
    )
    run("import", {"references": list(pair), **SAME}, talk)
    assert talk.said[-1] == "all runs already stored; force=true imports them again"
    again = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert {path for path in before if before[path] != again[path]} <= {*(folder / "1").iterdir()}
    run("import", {"references": list(pair), "force": True, **SAME}, talk)
    assert (folder / "0" / "run.json").stat().st_mtime_ns > before[folder / "0" / "run.json"]


def test_other_files_settings_or_order_are_another_experiment(runs: Path, pair: tuple[str, str]) -> None:
    third = save("c.pt", {name: tensor + 0.1 for name, tensor in state_of("standard/0", runs).items()})
    split = {"name": "digits", "split_seed": 3}
    names = {
        api.import_(*files, **{**SAME, **changed})["experiment"][0]
        for files, changed in (
            (pair, {}),
            ((*pair, third), {}),
            (pair[::-1], {}),
            (pair[:1], {}),
            (pair, {"data": split}),
        )
    }
    assert len(names) == 5
    talk = Talk()
    run("import", {"references": [pair[0]], "name": "standard", **SAME}, talk)
    assert talk.said[-1].startswith("standard now stands for 2 experiments; this one is standard-")


def test_what_was_changed_is_said_and_stored(runs: Path, pair: tuple[str, str]) -> None:
    state = state_of("standard/0", runs)
    half = save("half.pt", {name: tensor.half() for name, tensor in state.items()})
    talk = Talk()
    run("import", {"references": [pair[0], half, shutil.copy(half, "copy.pt")], "name": "mine", **SAME}, talk)
    said = [
        "a.safetensors: module. taken off the names",
        "half.pt: the weights under state_dict",
        "half.pt: float16 converted to float32",
        "copy.pt: the weights under state_dict",
        "copy.pt: float16 converted to float32",
        "warning: copy.pt: the same weights as half.pt",
    ]
    assert talk.said == said
    assert api.show("mine/1").set_index("key")["value"]["source.changes"] == str(said[1:3])
    assert api.load("mine/1").layers[0].weight.dtype == torch.float32


@pytest.mark.parametrize("variant", ["w", "sigma"])
def test_weights_of_a_class_keep_it(runs: Path, variant: str) -> None:
    files = [save(f"{seed}.pt", state_of(f"{variant}/{seed}", runs)) for seed in (0, 1)]
    mine = api.import_(*files, variant=variant, name="mine", **SAME)
    both = [api.path(name, alphas=3) for name in (variant, "mine")]
    pd.testing.assert_frame_equal(*(table.iloc[:, 6:] for table in both), rtol=0, atol=1e-12)
    assert len(api.path(f"{variant}/0", "mine/1", alphas=2)) == 3
    api.merge("mine", match="none")
    folder = runs / "train" / mine["experiment"][0]
    assert (folder / "constraints.safetensors").is_file()
    wrong = {"w": "layers.0.weight, layers.1.weight, layers.2.weight"}.get(
        variant, "activations.0.mixing, activations.1.mixing"
    )
    with pytest.raises(MismatchError) as caught:
        api.import_(files[0], variant=variant, mask_seed=1, **SAME)
    assert str(caught.value) == (
        f"0.pt: {wrong}: not in the class D, f of variant={variant} mask_seed=1 (give variant.* and mask_seed "
        "as it was trained, in full precision; variant=standard takes any)"
    )


def test_w_weights_are_a_standard_network_too(runs: Path) -> None:
    files = [save(f"{seed}.pt", state_of(f"w/{seed}", runs)) for seed in (0, 1)]
    api.import_(*files, name="mine", **SAME)
    assert len(api.path("w/0", "mine/1", mixed=True, alphas=2)) == 3
    with pytest.raises(MismatchError, match="different D, f"):
        api.path("w/0", "mine/1")


def test_all_faults_of_all_files_are_one_message_and_nothing_is_written(
    runs: Path, pair: tuple[str, str]
) -> None:
    state = state_of("standard/0", runs)
    save("nan.pt", {**state, "layers.1.weight": torch.full((8, 8), torch.nan)})
    save("wide.pt", {**state, "layers.2.bias": torch.zeros(3), "head": torch.zeros(1)})
    with pytest.raises(StoredFileError) as caught:
        api.import_("nope.pt", pair[0], "nan.pt", "wide.pt", pair[0], outputs="elsewhere", **SAME)
    assert caught.value.exit_code == 2
    assert str(caught.value).splitlines() == [
        "nope.pt: no such file (a checkpoint to import is safetensors, a torch file, or the index of shards)",
        "nan.pt: NaN or infinite values in layers.1.weight (has the training diverged?)",
        "wide.pt: not the weights of this model, 9 of 10 tensors fit model=mlp: has unknown head; "
        f"layers.2.bias is (3,), not (10,) {HINT}",
        "a.safetensors: given twice (name each file once)",
    ]
    assert not Path("elsewhere").exists()


def test_faults_of_settings_are_told_beside_those_of_files(pair: tuple[str, str]) -> None:
    with pytest.raises(LmcError) as caught:
        api.import_("nope.pt", pair[0], outputs="elsewhere", data={"name": "digits", "coherence": 0.01})
    first, second = str(caught.value).splitlines()
    assert first.startswith("data.coherence=0.01: ")
    assert second.startswith("nope.pt: no such file")
    with pytest.raises(SettingError) as caught:
        api.import_(outputs="elsewhere")
    assert str(caught.value) == ("no checkpoint is named (lmc import a.safetensors b.pt model=... data=...)")
    assert not Path("elsewhere").exists()


def test_a_network_of_ones_own(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("foreign_nets.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(os.getcwd())
    model = {"name": "foreign_nets:make", "width": 6}
    from importlib import import_module

    files = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        files.append(save(f"{seed}.pt", import_module("foreign_nets").make((1, 8, 8), 10, 6).state_dict()))
    api.import_(*files, model=model, name="mine", threads=1)
    with pytest.raises(SettingError, match=r"mine-\w+/0 needs the code of foreign_nets:make \(--trust"):
        api.path("mine", alphas=2)
    assert len(api.path("mine", alphas=2, trust=True)) == 3
    assert api.load("mine/0", trust=True)[1].weight.shape == (6, 64)
    sys.modules.pop("foreign_nets")


def test_batch_norm_counters_may_be_missing(runs: Path) -> None:
    model = {"name": "mlp", "hidden": [8], "norm": "batch"}
    train(seeds=1, name="batch", training={"epochs": 2}, model={"hidden": [8], "norm": "batch"})
    state = state_of("batch/0", runs)
    del state["norms.0.num_batches_tracked"]
    talk = Talk()
    outcome = run(
        "import", {"references": [save("a.safetensors", state)], "model": model, "name": "mine"}, talk
    )
    assert talk.said == ["a.safetensors: without norms.0.num_batches_tracked, taken as 0"]
    assert outcome.tables["run"]["test_loss"][0] == pytest.approx(
        api.list_("batch")["test_loss"][0], abs=1e-6
    )


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lmc(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            app(list(words), prog_name="lmc")
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return call


def test_the_command(lmc: Command, runs: Path, pair: tuple[str, str]) -> None:
    Path("lr=1").mkdir()
    odd = save("lr=1/seed=2.pt", state_of("standard/1", runs))
    words = ("import", pair[0], odd, "model.hidden=[8,8]", "name=mine", "threads=1")
    code, out, err = lmc(*words, "--dry-run", "--format", "table")
    assert (code, list(runs.glob("train/mine-*"))) == (0, [])
    assert "nothing was written" in out
    code, out, err = lmc(*words, "--format", "table")
    (folder,) = runs.glob("train/mine-*")
    title, heading, _, one, two = out.splitlines()
    assert (code, title) == (0, folder.name)
    assert heading.split()[:4] == ["run", "file", "status", "epoch"]
    assert [row.split()[:4] for row in (one, two)] == [["0", pair[0], "done", "0"], ["1", odd, "done", "0"]]
    assert err.splitlines()[0] == "a.safetensors: module. taken off the names"
    assert lmc(*words, "-q") == (0, f"{folder.name}\n", "")
    assert lmc("path", "mine", "-q")[0] == 0
    code, out, err = lmc("import", "lr=1/seed=3.pt", "threads=1")
    assert (code, out, err) == (2, "", "error: lr=1/seed=3.pt: no such file, and no setting\n")


def test_weights_chooses_among_those_that_fit(lmc: Command, runs: Path) -> None:
    model, ema = (state_of(f"standard/{seed}", runs) for seed in (0, 1))
    torch.save({"model": model, "model_ema": ema}, "both.pth.tar")
    words = ("import", "both.pth.tar", "model.hidden=[8,8]", "threads=1", "-q")
    code, out, err = lmc(*words)
    assert (code, "weights=model_ema takes it" in err) == (0, True)
    assert torch.equal(api.load(out.strip()).layers[0].weight, model["layers.0.weight"])
    code, out, err = lmc(*words, "weights=ema")
    assert (code, err) == (0, "")
    assert torch.equal(api.load(out.strip()).layers[0].weight, ema["layers.0.weight"])
    report = api.show(f"{out.strip()}/0").set_index("key")["value"]
    assert (report["source.part"], report["chosen"]) == ("model_ema", "ema")
    (folder,) = runs.glob(f"train/{out.strip()}")
    again = shlex.split(of_experiment(Experiment(folder)))
    assert lmc(*again[1:], "threads=1", "-q") == (0, out, "")
    code, out, err = lmc(*words, "weights=swa")
    assert (code, out) == (2, "")
    assert (
        err == "error: weights=swa: both.pth.tar has none of that name that fit (it holds model, model_ema)\n"
    )


def test_completion_offers_files() -> None:
    Path("ckpt/deep").mkdir(parents=True)
    for name in ("ckpt/a.pt", "ckpt/b.safetensors", "ckpt/notes.txt", "x.ckpt"):
        Path(name).touch()
    assert sorted(complete.checkpoints("")) == ["ckpt/a.pt", "ckpt/b.safetensors", "x.ckpt"]
    assert sorted(complete.checkpoints("ckpt/")) == ["ckpt/a.pt", "ckpt/b.safetensors", "ckpt/deep/"]
    assert complete._completions("import", [], "x") == ["x.ckpt"]
    assert "variant=" in complete._completions("import", ["x.ckpt"], "var")
