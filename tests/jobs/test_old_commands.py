"""Commands of an old version, given again, find or make the same under the same names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lmc.store.identity import stem_of

from .old_outputs import (
    JOBS,
    MERGED,
    OLD,
    RUNS,
    SMALL,
    S,
    W,
    copied,
    found_stored,
    lmc,
    same,
    told,
    tolerance,
)

PREDICTED = "-neurons4"


def readable(job: str) -> str:
    """A folder's name without the hash; an old prediction's lacks what was predicted with."""
    return f"{stem_of(job)}{PREDICTED if job.startswith('predict/') else ''}"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that tests read."""
    return copied(tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old runs, and every job on them and every merge done again by this version."""
    folder = tmp_path_factory.mktemp("again") / "outputs"
    shutil.copytree(OLD / "train", folder / "train")
    for words in told(
        "match", "path", "merge", "check", "cost", "coherence", "predict", "dynamics", "reproduce"
    ):
        lmc(*words, "-q", outputs=folder)
    return folder


# Claims were defined anew, with margins and controls, so experiments are.
STILL = [job for job in JOBS if not job.startswith("reproduce/")]


@pytest.mark.parametrize("job", STILL)
def test_a_job_done_again_finds_the_same(again: Path, job: str):
    (new,) = again.glob(f"{readable(job)}-{'?' * 8}")
    assert sorted(path.name for path in new.glob("*.parquet")) == sorted(
        path.name for path in (OLD / job).glob("*.parquet")
    )
    for path in (OLD / job).glob("*.parquet"):
        same(pd.read_parquet(new / path.name), pd.read_parquet(path), **tolerance())
    for path in (OLD / job).glob("*.safetensors"):
        moves, before = load_file(new / path.name), load_file(path)
        assert moves.keys() == before.keys()
        assert all(torch.equal(moves[key], before[key]) for key in before)


def test_jobs_and_merges_made_anew_have_the_same_readable_names(again: Path):
    """Their hashes changed once, when defaults were left out of them."""
    found = {path.parent.relative_to(again).as_posix() for path in again.glob("*/*/settings.yaml")}
    made = sorted(stem_of(path) for path in found if not path.startswith("train/"))
    assert made == sorted(map(readable, [*JOBS, *MERGED]))


def test_jobs_and_merges_done_again_beside_the_old_ones_keep_their_names(tmp_path: Path):
    """Else a new result lies beside the old one and contradicts it."""
    mine = copied(tmp_path)
    for words in told("match", "path", "merge", "check", "cost", "coherence", "dynamics", "reproduce"):
        lmc(*words, "-q", outputs=mine)
    found = {path.parent.relative_to(mine).as_posix() for path in mine.glob("*/*/settings.yaml")}
    assert {path for path in found if not path.startswith(("train/", "reproduce/"))} == {*STILL, *MERGED}


@pytest.mark.parametrize("merged", MERGED)
def test_a_merge_done_again_gives_the_same_network(again: Path, merged: str):
    (new,) = again.glob(f"{merged[:-8]}{'?' * 8}")
    state, before = (load_file(folder / "0" / "epoch-0000.safetensors") for folder in (new, OLD / merged))
    assert state.keys() == before.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(state[name], tensor, **tolerance())


@pytest.mark.parametrize("words", told("merge"), ids=lambda words: "-".join(words[2:-1]) or "defaults")
def test_a_stored_merge_is_found(old: Path, words: list[str]):
    assert f"merge/{found_stored(*words, outputs=old)}" in MERGED


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["seeds=2"], S),
        (["seeds=2", "variant=w", "variant.num_fixed=0.25", "training.checkpoints=1"], W),
        (["seeds=2", "variant=w", "variant.num_fixed=[16,2,1]", "variant.scale=1"], W),
        (["seeds=1", f"start={W}/0@0", "name=started"], "started"),
    ],
    ids=["standard", "w", "w-in-counts", "started"],
)
def test_training_again_finds_the_runs(old: Path, words: list[str], name: str):
    found = found_stored("train", *SMALL, *words, outputs=old)
    assert found in RUNS
    assert found.rpartition("-")[0] == name


def test_training_from_nothing_gives_the_same_weights(tmp_path: Path):
    words = [*SMALL, "seeds=2", "variant=w", "variant.num_fixed=0.25", "training.checkpoints=1"]
    found = lmc("train", *words, "-q", outputs=tmp_path)[0].strip()
    for path in OLD.glob(f"train/{W}-*/*/epoch-*.safetensors"):
        state, before = load_file(tmp_path / "train" / found / path.parts[-2] / path.name), load_file(path)
        for name, tensor in before.items():
            torch.testing.assert_close(state[name], tensor, **tolerance())


def test_an_interrupted_run_goes_on_to_where_one_in_one_go_ends(tmp_path: Path):
    mine = copied(tmp_path)
    line = [
        "train",
        "model.hidden=[6,5]",
        "seeds=1",
        "training.epochs=12",
        "training.batch_size=8",
        "threads=1",
        "-q",
    ]
    before = next(mine.glob("train/stopped-*/0/history.parquet"))
    learnt = pd.read_parquet(before)
    name = lmc(*line, "name=stopped", outputs=mine)[0].strip()
    assert name == before.parts[-3]
    assert not (before.parent / "state.safetensors").exists()
    history = pd.read_parquet(before)
    same(history[: len(learnt)], learnt)
    assert history["epoch"].max() == 12

    whole = lmc(*line, "name=whole", outputs=mine)[0].strip()
    ends = [load_file(mine / "train" / each / "0" / "epoch-0012.safetensors") for each in (name, whole)]
    for tensor, expected in zip(*(end.values() for end in ends)):
        torch.testing.assert_close(tensor, expected, **tolerance())


def test_the_same_files_imported_again_are_found(old: Path, tmp_path: Path):
    theirs = next(OLD.glob("train/theirs-*"))
    files = [tmp_path / "a.pt", tmp_path / "b.pt"]
    for file, seed in zip(files, "01"):
        torch.save(load_file(next(OLD.glob(f"train/{S}-*/{seed}/epoch-0003.safetensors"))), file)
    words = ["import", *map(str, files), "model.hidden=[6,5]", "name=theirs", "threads=1"]
    assert found_stored(*words, outputs=old) == theirs.name
