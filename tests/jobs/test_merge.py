"""``lmc merge``: representations merged into one network, in or outside the class of its runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lmc.jobs
from lmc import api, symmetry
from lmc.core.errors import MismatchError, SettingError
from lmc.core.schema import columns
from lmc.jobs.protocol.talk import Silent

from .conftest import train

TRAINED = {"seeds": 3, "training": {"epochs": 6}, "model": {"hidden": [24, 16]}}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Standard, w, sigma and BatchNorm runs, trained once."""
    folder = tmp_path_factory.mktemp("stored")
    for variant in ("standard", "w", "sigma"):
        train(**TRAINED, variant=variant, outputs=str(folder), name=variant)
    train(**{**TRAINED, "model": {"hidden": [24, 16], "norm": "batch"}}, outputs=str(folder), name="batch")
    return folder


@pytest.fixture
def runs(stored: Path, outputs: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(stored, outputs)
    return outputs


class _Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def _merge(*references: str, **settings: Any) -> tuple[Any, list[str]]:
    """The outcome and what was said."""
    heard = _Heard()
    return lmc.jobs.run("merge", {"references": list(references), **settings}, heard), heard.lines


def _of(table: Any, split: str = "test") -> float:
    return float(table.set_index("split")["loss"][split])


@pytest.mark.parametrize("name", ["standard", "w", "batch"])
@pytest.mark.parametrize("match", ["none", "activation"])
def test_it_computes_what_the_mean_of_the_weights_does_not(runs: Path, name: str, match: str) -> None:
    merged = api.merge(name, match=match, merge="representation")
    assert merged["split"].tolist() == ["train", "val", "test"]
    mean = api.merge(name, match=match)
    assert all(_of(merged, split) < _of(mean, split) for split in ("train", "test"))
    if match == "none" and name != "w":
        assert _of(merged) < 0.75 * _of(mean)
    experiment = merged["experiment"][0]
    assert experiment.startswith(f"{name}+representation-{match}-")
    assert not list((runs / "merge" / experiment).glob("projection.parquet"))
    assert api.load(experiment)(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_the_order_of_the_runs_does_not_count(runs: Path) -> None:
    """The control: matched to the first, another first run is another network."""
    orders = ([0, 1, 2], [1, 2, 0], [2, 1, 0])
    for reference, rises in (("mean", False), ("first", True)):
        match = {"name": "activation", "reference": reference}
        losses = [_of(api.merge(*(f"standard/{run}" for run in order), match=match)) for order in orders]
        assert (max(losses) > min(losses) * (1 + 1e-4)) == rises
    assert len({*api.list_("standard+*")["experiment"]}) == 6


def test_permuted_copies_merged_after_matching_are_the_network(runs: Path) -> None:
    network = api.load("standard/0")
    folder = next((runs / "train").glob("standard-*"))
    groups = symmetry.permutation_groups(network, torch.zeros(2, 1, 8, 8))
    state = load_file(folder / "0" / "epoch-0006.safetensors")
    for seed in (1, 2):
        moves = symmetry.random(groups, torch.Generator().manual_seed(seed))
        save_file(symmetry.apply(groups, moves, state), folder / str(seed) / "epoch-0006.safetensors")
    name = api.merge("standard", match="activation", merge="representation")["experiment"][0]
    x = torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = network(x)
    assert (api.load(name)(x) - expected).abs().max() < 1e-5 * expected.abs().max()
    unmatched = api.merge("standard", match="none", merge="representation")["experiment"][0]
    assert (api.load(unmatched)(x) - expected).abs().max() > 1e-2 * expected.abs().max()


def test_projected_it_stays_in_the_class_and_says_at_what_price(runs: Path) -> None:
    first = {"name": "activation", "reference": "first"}
    free, said = _merge("w", match=first, merge="representation")
    matched, stored = said
    assert matched.startswith("3 runs matched, each to the first (w-")
    assert stored.startswith("the merged network no longer satisfies the parents' mask and centre; stored")
    assert "projection" not in free.tables
    merge = {"name": "representation", "project": True}
    outcome, said = _merge("w", match=first, merge=merge)
    assert said == [matched]
    (name,) = outcome.references
    made = runs / "merge" / name
    constraint = load_file(made / "constraints.safetensors")
    state = load_file(made / "0" / "epoch-0000.safetensors")
    masked = [key.removesuffix(".mask") for key in constraint if key.endswith(".mask")]
    assert masked
    for weight in masked:
        fixed = constraint[f"{weight}.mask"] == 0
        assert torch.equal(state[weight][fixed], constraint[f"{weight}.centre"][fixed])
    price = outcome.tables["projection"]
    assert [*price.columns] == columns("projection")
    assert price["projected"].tolist() == [False] * 3 + [True] * 3
    before, after = (price[price["projected"] == projected] for projected in (False, True))
    assert _of(before) == _of(free.tables["history"])
    assert _of(after) == _of(outcome.tables["history"]) == _of(api.table("projection", name).iloc[3:])
    assert _of(after, "train") > _of(before, "train")
    runs_shown, shown = outcome.summaries
    assert runs_shown.title == name
    assert shown.table["in the class of the runs"].tolist() == ["no", "yes"]
    assert shown.table["test loss"].tolist() == [f"{_of(before):.4f}", f"{_of(after):.4f}"]
    again, said = _merge("w", match=first, merge=merge)
    assert said == [f"{name} is already stored; force=true merges again"]
    assert again.tables["projection"].equals(price)
    assert len(api.path(name, "w/0")) == 3


def test_a_permuted_sigma_network_has_its_mixing_back_when_projected(runs: Path) -> None:
    folder = next((runs / "train").glob("sigma-*"))
    before = load_file(folder / "constraints.safetensors")
    outcome, said = _merge("sigma", match="activation", merge={"name": "representation", "project": True})
    assert len(said) == 1
    assert said[0].startswith("3 runs matched, each to the mean of the others until none moved: ")
    (name,) = outcome.references
    after = load_file(runs / "merge" / name / "constraints.safetensors")
    assert {*after} == {*before}
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert outcome.tables["projection"]["loss"].notna().all()


def test_a_merger_of_a_users_own_gets_the_material_and_speaks(runs: Path) -> None:
    Path("mine_merger.py").write_text(
        "from lmc.merging import Merged\n"
        "def first(material, *, factor: float = 1.0):\n"
        "    state = {name: factor * value for name, value in material.states[0].items()}\n"
        "    return Merged(state, notes=(f'{len(material.states)} runs, {len(material.inputs)} inputs',))\n"
    )
    outcome, said = _merge("standard", match="none", merge={"name": "mine_merger:first", "factor": 1})
    assert said == ["3 runs, 1294 inputs"]
    ends = api.list_("standard").set_index("seed")["test_loss"]
    assert _of(outcome.tables["history"]) == pytest.approx(ends[0], abs=1e-6)


def test_faults(runs: Path) -> None:
    train(**TRAINED, variant="w", mask_seed=1, name="other")
    merge = {"name": "representation", "project": True}
    with pytest.raises(MismatchError, match="project=true: the runs differ in D, f"):
        api.merge("w/0", "other/0", match="none", mixed=True, merge=merge)
    with pytest.raises(SettingError, match=r"merge.ridge=-1: should be greater than or equal to 0"):
        api.merge("w", merge={"name": "representation", "ridge": -1})
    with pytest.raises(SettingError, match=r"merge.rigde: unknown key \(did you mean ridge"):
        api.merge("w", merge={"name": "representation", "rigde": 1})
    assert not (runs / "merge").exists()
