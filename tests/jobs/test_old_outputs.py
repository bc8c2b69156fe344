"""What an old version wrote opens: every reading command shows what is stored."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from lmc import api
from lmc.core.schema import STORED

from .old_outputs import (
    JOBS,
    KINDS,
    MERGED,
    OLD,
    RUNS,
    S,
    W,
    content,
    copied,
    lmc,
    rows,
    same,
)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that tests read."""
    return copied(tmp_path_factory.mktemp("old"))


def test_the_fixture_has_every_kind_of_table():
    made = {"history", *KINDS}
    assert made == {
        *("history", "path", "barrier", "representation", "gap", "check", "match", "neuron", "layer", "cost"),
        *("swap", "distance", "anisotropy", "bound", "dynamics", "prediction", "tau", "projection"),
        *("claim", "measure"),
    }


def test_list_names_every_run(old: Path):
    table = rows("list", outputs=old)
    assert sorted(set(table["experiment"])) == RUNS
    stopped = table["experiment"].str.startswith("stopped")
    assert set(table.loc[stopped, "status"]) == {"interrupted"}
    assert set(table.loc[~stopped, "status"]) == {"done"}
    stored = table.set_index("experiment")["stored"].to_dict()
    assert {stored[name] for name in RUNS if name.startswith(f"{W}-")} == {"0 1 2 3"}


def test_show_gives_what_was_stored(old: Path):
    shown = rows("show", *RUNS, outputs=old)
    for name in RUNS:
        values = shown[shown["experiment"] == name].set_index("key")["value"]
        record = yaml.safe_load(next(OLD.glob(f"*/{name}/settings.yaml")).read_text())
        assert values["experiment"] == name
        assert values["model.hidden"] == ("[5, 4]" if "5x4" in name else "[6, 5]")
        assert values["variant.name" if "variant" in record else "match.name"]
        assert values["data_digest"] == record["data_digest"]


def test_show_of_a_run_gives_its_record(old: Path):
    shown = rows("show", *(f"{name}/0" for name in RUNS), outputs=old)
    for name in RUNS:
        values = shown[shown["experiment"] == name].set_index("key")["value"]
        record = json.loads(next(OLD.glob(f"*/{name}/0/run.json")).read_text())
        assert values["status"] == record["status"]
        assert values["constraint_digest"] == record["constraint_digest"]
        assert values["versions.torch"] == record["versions"]["torch"]


@pytest.mark.parametrize("kind", KINDS)
def test_table_gives_what_was_stored(old: Path, kind: str):
    parts = [pd.read_parquet(path) for path in sorted(OLD.glob(f"*/*/{kind}.parquet"))]
    stored = pd.concat([part for part in parts if len(part)], ignore_index=True)
    found = rows("table", kind, outputs=old)
    facts = found[list(stored.columns)].astype(stored.dtypes).drop_duplicates()
    order = list(stored.columns)
    expected = stored.drop_duplicates()
    assert len(facts) == len(expected)
    same(*(each.sort_values(order, ignore_index=True) for each in (facts, expected)))
    settings = [name for name in found.columns if name not in order]
    assert {*settings} <= {setting.name for setting in STORED[kind].settings}
    assert not found.duplicated().any()


def test_table_history_covers_every_run(old: Path):
    found = rows("table", "history", outputs=old)
    assert len(found) == sum(len(pd.read_parquet(path)) for path in OLD.glob("*/*/*/history.parquet"))
    assert sorted(set(found["experiment"])) == RUNS


@pytest.mark.parametrize(
    "kind", ["barrier", "path", "gap", "representation", "match", "layer", "swap", "dynamics", "history"]
)
def test_plot_draws(old: Path, tmp_path: Path, kind: str):
    table = rows("plot", kind, "-o", str(tmp_path / "drawn.svg"), outputs=old)
    assert (tmp_path / "drawn.svg").read_text().count("<path") > 5
    assert (table["rows"] > 0).all()


def test_report_covers_everything(old: Path, tmp_path: Path):
    lmc("report", "-o", str(tmp_path / "report.html"), outputs=old)
    page = (tmp_path / "report.html").read_text()
    for name in RUNS:
        assert name in page or name.rpartition("-")[0] in page, name
    assert "interrupted" in page
    assert "merge.ridge=0.1" in page


def test_imported_and_trained_weights_lose_the_same(old: Path):
    found = rows("table", "history", outputs=old)
    last = found[found["epoch"] == found.groupby("experiment")["epoch"].transform("max")]
    losses = [
        last[last["experiment"].str.startswith(name) & (last["split"] == "test")]["loss"].to_list()
        for name in (f"{S}-", "theirs-")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("reference", ["theirs", "started@0", f"{W}/1@1", f"{W}*+mean-*/0"])
def test_symmetry_finds_the_neurons(old: Path, reference: str):
    found = rows("symmetry", reference, outputs=old)
    assert found.groupby("group")["neurons"].first().to_dict() == {"layers.0": 6, "layers.1": 5}


@pytest.mark.parametrize("name", RUNS)
def test_a_network_opens_with_its_stored_weights(old: Path, name: str):
    path = sorted(OLD.glob(f"*/{name}/0/epoch-*.safetensors"))[-1]
    network = api.load(f"{name}/0@{int(path.stem[-4:])}", outputs=str(old))
    for key, tensor in load_file(path).items():
        assert torch.equal(network.state_dict()[key], tensor), key


def test_remove_says_what_was_made_of_a_run(tmp_path: Path):
    mine = copied(tmp_path)
    before = content(mine)
    removed, said = lmc("remove", f"{W}/1", "--dry-run", "--format", "json", outputs=mine)
    assert [(row["experiment"].rpartition("-")[0], row["seed"]) for row in json.loads(removed)] == [(W, 1)]
    assert content(mine) == before
    made = {path for path in JOBS if W in path} | {path for path in MERGED if W in path}
    single = {path for path in made if path.startswith(("cost/", "coherence/"))}
    assert {path for path in (*JOBS, *MERGED) if path in said} == made - single

    lmc("remove", f"{W}/1", outputs=mine)
    gone = before.keys() - content(mine).keys()
    assert gone
    assert all(f"{W}-" in path and path.split("/")[2] == "1" for path in gone)
