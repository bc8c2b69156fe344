"""Averaged hidden states and the layerwise gap of stored runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lmc import api
from lmc.core.errors import SettingError
from lmc.core.schema import columns
from lmc.jobs import run

from .conftest import train

KEYS = ["match", "split", "seed_a", "alpha"]
SMALL = {"seeds": 4, "model": {"hidden": [24, 16]}, "training": {"epochs": 8}}
RESIDUAL = """
from torch import nn

class Net(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.stem, self.up, self.down = nn.Linear(inputs, 8), nn.Linear(8, 6), nn.Linear(6, 8)
        self.act, self.add, self.head = nn.ReLU(), nn.Identity(), nn.Linear(8, outputs)

    def forward(self, x):
        x = self.act(self.stem(x.flatten(1)))
        return self.head(self.add(x + self.down(self.act(self.up(x)))))

def make(input_shape, outputs):
    size = 1
    for length in input_shape:
        size *= length
    return Net(size, outputs)
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Standard and w runs, trained once."""
    folder = tmp_path_factory.mktemp("stored")
    for variant in ("standard", "w"):
        train(**SMALL, variant=variant, outputs=str(folder), name=variant)
    return folder


@pytest.fixture
def runs(stored: Path, outputs: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(stored, outputs)
    return outputs


def test_representations_go_from_the_line_to_the_ensemble(runs: Path) -> None:
    settings = {"match": "activation", "alphas": 3}
    table = api.path("standard", kind="representation", **settings)
    assert list(table.columns) == columns("representation")
    assert list(dict.fromkeys(table["layer"])) == ["input", "layers.0", "layers.1", "output"]
    assert len(table) == 2 * 2 * 3 * 3 * (1 + 3 + 3 + 1)
    api.path("standard", **settings)
    line = api.table("path", "standard").set_index(KEYS)["loss"]
    own = table[table["layer"] == "input"].set_index(KEYS)["loss"]
    np.testing.assert_allclose(own, line.reindex(own.index), rtol=1e-6)
    ends = table[table["alpha"].isin([0, 1]) & (table["head"] == "mean")]
    for _, part in ends.groupby(KEYS):
        assert part["loss"].to_numpy() == pytest.approx(part["loss"].iloc[0], rel=1e-5)
    middle = table[(table["alpha"] == 0.5) & (table["match"] == "none") & (table["head"] == "mean")]
    means = middle[middle["split"] == "train"].groupby("layer")["loss"].mean()
    assert means["input"] > means["layers.1"] > means["output"]


def test_a_matched_network_is_merged_as_the_line_takes_it(runs: Path) -> None:
    """Alignment permutes hidden states, and leaves the ensemble as it is."""
    table = api.path("standard", kind="representation", match="activation", alphas=3)
    by_match = table.set_index([*KEYS[1:], "layer", "head"]).groupby("match")["loss"]
    none, aligned = (by_match.get_group(name) for name in ("none", "activation"))
    ratio = aligned / none
    assert ratio.xs("output", level="layer").to_numpy() == pytest.approx(1, rel=1e-4)
    assert ratio.xs("layers.1", level="layer").xs(0.5, level="alpha").mean() < 0.95


def test_the_gap_is_by_layer_and_belongs_to_the_cross_term_when_neurons_are_exchanged(runs: Path) -> None:
    standard, w = (api.path(name, gap=True, alphas=3, match="activation") for name in ("standard", "w"))
    assert list(standard.columns) == columns("gap")
    assert len(standard) == 2 * 2 * 3 * 3
    assert set(standard["split"]) == {"test"}
    ends = standard[standard["alpha"] != 0.5]
    assert ends[["cross_term", "additivity_gap", "feature_gap"]].to_numpy() == pytest.approx(0, abs=1e-9)
    means = {
        name: table[table["alpha"] == 0.5].groupby(["match", "layer"])["cross_term"].mean()
        for name, table in (("standard", standard), ("w", w))
    }
    assert means["standard"]["none", "layers.0"] < 1e-9
    assert means["standard"]["none", "layers.1"] > 2 * means["standard"]["activation", "layers.1"]
    assert means["standard"]["none", "layers.1"] > 3 * means["w"]["none", "layers.1"]
    assert len(api.table("gap", "w")) == len(w)


def test_both_at_once_are_stored_drawn_and_summed_up(runs: Path) -> None:
    given = {"references": ["w"], "kind": "representation", "gap": True, "alphas": 4, "split": "val"}
    outcome = run("path", {**given, "layers": ["layers.1"]})
    assert outcome.main == "gap"
    assert set(outcome.tables) == {"representation", "gap"}
    assert [Path(file).name for file in outcome.files[:2]] == ["representation.png", "gap.png"]
    assert all(Path(file).exists() for file in outcome.files)
    representation, gap = outcome.summaries
    assert representation.title.endswith("averaged hidden states, alpha 0.333, val split")
    assert set(representation.table["averaged behind"]) == {
        "nothing (the line)",
        "layers.1",
        "the outputs (ensemble)",
    }
    assert set(gap.table["layer"]) == {"layers.1"}
    assert gap.notes[0].startswith("match=none: the line leaves the mean representation most at layers.1")


def test_what_cannot_be_cut_is_named(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("residual.py").write_text(RESIDUAL)
    monkeypatch.syspath_prepend(".")
    api.train(model="residual:make", seeds=2, training={"epochs": 1}, name="mine", threads=1)
    table = api.path("mine", kind="representation", alphas=2, trust=True)
    assert list(dict.fromkeys(table["layer"])) == ["input", "stem", "add", "output"]
    for pattern, message in {
        "up": "layers=up: cannot be cut: a skip connection bypasses up up to add",
        "head": "layers=head: cannot be cut: head gives the outputs, whose mean is the ensemble",
        "hed": "layers=hed: matches no layer",
    }.items():
        with pytest.raises(SettingError, match=message):
            api.path("mine", kind="representation", layers=pattern, trust=True, outputs=str(runs))
    gap = api.path("mine", gap=True, alphas=3, trust=True)
    assert list(dict.fromkeys(gap["layer"])) == ["stem", "up", "down", "head"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "plane"}, "kind=plane: expected one of line, representation"),
        ({"gap": True, "layers": "conv*"}, "there are: layers.0, layers.1, layers.2"),
        ({"gap": True, "alphas": 2}, "alphas=2: the gap is zero at the ends; add a point between 0 and 1"),
        ({"gap": True, "split": "tests"}, "split=tests: expected one of train, val, test"),
    ],
)
def test_bad_requests_write_nothing(settings: dict[str, object], message: str, runs: Path) -> None:
    with pytest.raises(SettingError, match=message):
        api.path("w", **settings)
    assert not (runs / "path").exists()


def test_a_split_without_samples_is_named(outputs: Path) -> None:
    train(seeds=2, data={"name": "digits", "val_fraction": 0}, name="bare")
    for settings in ({"gap": True}, {"kind": "representation"}):
        with pytest.raises(SettingError, match="split=val: this split is empty"):
            api.path("bare", split="val", **settings)
