"""Matching, merging and paths on stored runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lmc import api
from lmc.core.errors import LmcError, MismatchError, RunReferenceError, SettingError, StoredFileError
from lmc.core.schema import columns

from .conftest import train


def test_tables_have_the_declared_columns_first(runs: Path) -> None:
    match = api.match("w")
    assert list(match.columns) == columns("match")
    assert list(api.table("neuron", "w").columns) == columns("neuron")
    assert list(api.path("w").columns) == columns("barrier")
    assert list(api.table("path", "w").columns) == columns("path")
    assert len(api.table("neuron", "w")) == match["neurons"].sum()


def test_alignment_lowers_a_standard_barrier(runs: Path) -> None:
    table = api.path("standard", match="activation", pairs="all")
    means = table[table["split"] == "train"].groupby("match")["loss_barrier"].mean()
    assert means["activation"] < 0.7 * means["none"]


def test_the_ends_of_a_path_are_the_stored_runs(runs: Path) -> None:
    api.path("standard/0", "standard/1", alphas=3)
    path = api.table("path", "standard").set_index(["split", "alpha"])["loss"]
    ends = api.list_("standard").set_index("seed")
    for split in ("train", "val", "test"):
        assert path[split, 0.0] == pytest.approx(ends[f"{split}_loss"][0], abs=1e-7)
        assert path[split, 1.0] == pytest.approx(ends[f"{split}_loss"][1], abs=1e-7)


def test_a_standard_network_is_matched_by_identifiability_as_by_activations(runs: Path) -> None:
    api.match("standard", match="activation")
    api.match("standard", match="identifiability")
    neurons = api.table("neuron", "standard").drop(columns=["admissible", "identifiable"])
    by = {name: part.drop(columns="match").reset_index(drop=True) for name, part in neurons.groupby("match")}
    assert by["activation"].equals(by["identifiability"])
    match = api.table("match", "standard")
    assert (match["swap_cost"] == 0).all()
    assert (match["identifiable"] == 0).all()


def test_what_a_match_stores_reproduces_its_objective(runs: Path) -> None:
    table = api.match("standard/0", "standard/1", match="activation", pairs="all")
    (path,) = runs.glob("match/*/permutations.safetensors")
    stored = load_file(path)
    references = [run.name for run in sorted((runs / "train").glob("standard-*"))]
    key = f"{references[0]}/0:{references[0]}/1:layers.0"
    assert stored[key].dtype == torch.int64
    assert sorted(stored[key].tolist()) == list(range(24))
    neurons = api.table("neuron", "standard")
    assert neurons[neurons["layer"] == "layers.0"]["partner"].tolist() == stored[key].tolist()
    first = table[table["layer"] == "layers.0"].iloc[0]
    assert first["similarity"] == pytest.approx(first["optimal"])


def test_a_permuted_copy_is_found_to_be_the_same_network(runs: Path) -> None:
    """Plant a permutation in run 1 of a copy of run 0: matching must undo it and the barrier vanish."""
    from lmc import symmetry

    network = api.load("standard/0")
    groups = symmetry.permutation_groups(network, torch.zeros(2, 1, 8, 8))
    moves = symmetry.random(groups, torch.Generator().manual_seed(0))
    folder = next((runs / "train").glob("standard-*"))
    planted = symmetry.apply(groups, moves, load_file(folder / "0" / "epoch-0008.safetensors"))
    save_file(planted, folder / "1" / "epoch-0008.safetensors")
    with pytest.raises(MismatchError, match=r"/1@8: its train loss is .* at its end of the path, but .*"):
        api.path("standard/0", "standard/1")
    shutil.copy(folder / "0" / "history.parquet", folder / "1")
    match = api.match("standard/0", "standard/1", match="activation")
    assert match["similarity"].to_numpy() == pytest.approx(1, abs=1e-6)
    barriers = api.path("standard/0", "standard/1", match="activation")
    aligned = barriers[barriers["match"] == "activation"]["loss_barrier"].abs().max()
    assert aligned < 1e-5 < barriers[barriers["match"] == "none"]["loss_barrier"].min()
    (path,) = runs.glob("match/*/permutations.safetensors")
    found = {key.rpartition(":")[2]: value for key, value in load_file(path).items()}
    for name, permutation in moves.items():
        assert torch.equal(permutation[found[name]], torch.arange(len(permutation)))


def test_a_permutation_that_changes_the_network_is_an_error(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmc import symmetry

    whole = symmetry.apply

    def partly(*given: Any) -> Any:
        return {**whole(*given), "layers.1.weight": given[2]["layers.1.weight"]}

    monkeypatch.setattr(symmetry, "apply", partly)
    with pytest.raises(MismatchError, match=r"standard-.*/1@8, permuted by activation: its train loss is"):
        api.path("standard/0", "standard/1", match="activation")
    assert not (runs / "path").exists()


def test_the_mean_of_runs_is_their_midpoint_and_stays_in_its_class(runs: Path) -> None:
    merged = api.merge("w/0", "w/1", match="none")
    api.path("w/0", "w/1", alphas=[0, 0.5, 1])
    middle = api.table("path", "w").query("alpha == 0.5").set_index("split")["loss"]
    for split in ("train", "val", "test"):
        assert merged.set_index("split")["loss"][split] == pytest.approx(middle[split], abs=1e-6)
    assert list(runs.glob("merge/*/constraints.safetensors"))
    name = merged["experiment"][0]
    assert name.startswith("w+mean-none-")
    assert len(api.match(name, "w/0")) == 2
    assert api.load(name)(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_a_merge_after_permuting_leaves_the_class(runs: Path) -> None:
    name = api.merge("w", match="activation")["experiment"][0]
    assert not list(runs.glob("merge/*/constraints.safetensors"))
    with pytest.raises(MismatchError, match="different D, f"):
        api.path(name, "w/0")
    assert len(api.path(name, "w/0", mixed=True)) == 3


def test_sigma_has_no_norm_costs_and_stays_as_it_is(runs: Path) -> None:
    match = api.match("sigma", match="identifiability")
    assert match["swap_cost"].isna().all()
    assert (match["fixed_points"] == match["neurons"]).all()
    moved = api.match("sigma", match="activation")
    assert (moved["fixed_points"] < moved["neurons"]).all()
    name = api.merge("sigma", match="activation")["experiment"][0]
    assert np.isfinite(api.table("history", name)["loss"]).all()
    assert api.load(name)(torch.zeros(1, 1, 8, 8)).isfinite().all()


def test_batchnorm_statistics_are_reestimated_along_the_path(runs: Path) -> None:
    again = api.path("batch")
    stale = api.path("batch", restatistics=False)
    keys = ["split", "seed_a"]
    both = again.merge(stale, on=keys)
    assert (both["loss_barrier_x"] < both["loss_barrier_y"]).mean() > 0.5
    ends = api.table("path", "batch").query("alpha == 0 and split == 'test' and seed_a == 0")["loss"]
    assert ends.nunique() == 2


def test_the_same_facts_from_two_jobs_are_one_row(runs: Path) -> None:
    api.path("standard", match="activation")
    api.path("standard", match="none")
    table = api.table("barrier", "standard")
    assert len(table) == 2 * 2 * 3
    assert not table.duplicated(columns("barrier")[:8]).any()


def test_pairs(runs: Path) -> None:
    def seeds(**settings: object) -> list[tuple[int, int]]:
        table = api.path("standard", alphas=2, **settings)
        return list(dict.fromkeys(zip(table["seed_a"], table["seed_b"], strict=True)))

    assert seeds() == [(0, 1), (2, 3)]
    assert seeds(pairs="consecutive") == [(0, 1), (1, 2), (2, 3)]
    assert len(seeds(pairs="all")) == 6


def test_unlike_runs_are_refused_and_both_are_named(runs: Path) -> None:
    train(seeds=1, model={"hidden": [5]}, name="small", training={"epochs": 1})
    train(seeds=1, model={"hidden": [24, 16]}, data={"name": "digits", "split_seed": 3}, name="other")
    for reference, message in {
        "w/1": "different D, f",
        "small/0": "different models",
        "other/0": "split or standardised differently",
    }.items():
        with pytest.raises(MismatchError, match=message) as caught:
            api.path("standard/0", reference)
        assert "standard-" in str(caught.value)
        assert reference.partition("/")[0] in str(caught.value)
    assert not list(runs.glob("path/*"))


@pytest.mark.parametrize(
    ("references", "settings", "error", "message"),
    [
        (["standard/0"], {}, RunReferenceError, "only one run given; two are required"),
        ([], {}, RunReferenceError, "no run is named"),
        (["standart"], {}, RunReferenceError, "did you mean standard"),
        (["standard@3"], {}, RunReferenceError, "epoch 3 was never stored"),
        (["standard"], {"alphas": 1}, SettingError, "its two ends"),
        (["standard"], {"alphas": [0.2, 1]}, SettingError, "both ends"),
        (["standard"], {"match": "activatoin"}, SettingError, "did you mean activation"),
        (["standard"], {"pairs": "some"}, SettingError, "disjoint"),
        (["standard"], {"data": {"split_seed": 1}}, SettingError, "cannot be changed"),
        (["."], {}, RunReferenceError, "no such run|holds no run"),
    ],
)
def test_bad_requests_write_nothing(
    references: list[str], settings: dict[str, object], error: type[LmcError], message: str, runs: Path
) -> None:
    with pytest.raises(error, match=message) as caught:
        api.path(*references, **settings)
    assert caught.value.exit_code == 2
    assert not (runs / "path").exists()


def test_damaged_and_foreign_files_are_named(runs: Path) -> None:
    path = next((runs / "train").glob("standard-*")) / "0" / "epoch-0008.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoredFileError, match="truncated"):
        api.path("standard")
    state = {"layers.0.weight": torch.zeros(3, 3), "somebody.else": torch.zeros(1)}
    save_file(state, path)
    with pytest.raises(StoredFileError, match=r"lacks layers.0.bias.*unknown somebody.else.*is \(3, 3\)"):
        api.path("standard")
    path.write_bytes(whole)
    assert len(api.path("standard")) == 6


def test_show_list_and_remove(runs: Path) -> None:
    shown = api.show("w/1").set_index("key")["value"]
    assert shown["variant.name"] == "w"
    assert shown["status"] == "done"
    api.merge("w", match="none")
    assert set(api.list_()["experiment"].str.partition("-")[0]) >= {"standard", "w", "sigma", "batch"}
    assert len(api.remove("w/3", dry_run=True)) == 1
    assert len(api.list_("w")) == 4
    api.remove("w/3")
    assert api.list_("w")["seed"].tolist() == [0, 1, 2]
    api.remove("w")
    assert not list((runs / "train").glob("w-*"))
    with pytest.raises(RunReferenceError, match="no such run"):
        api.show("w/0")
    assert len(api.list_("w+mean")) == 1


def test_a_run_under_way_is_not_removed(runs: Path) -> None:
    from lmc.store.references import resolve

    (selection,) = resolve(runs, "standard/0")
    with selection.runs[0].locked(), pytest.raises(LmcError, match="is working on it") as caught:
        api.remove("standard")
    assert caught.value.exit_code == 1
    assert len(api.list_("standard")) == 4
