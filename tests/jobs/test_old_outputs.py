"""What an old version wrote opens: its outputs lie in a folder, with a README of the commands that made them.

Every reading command works on them, every command done again finds or makes the same, under the same name.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import shlex
import shutil
import string
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from pandas.testing import assert_frame_equal
from safetensors.torch import load_file

from lmc import api
from lmc.cli.main import app

OLD = Path(__file__).parents[1] / "fixtures" / "outputs-4640cb5"
TEXT = (OLD / "README.md").read_text()
NAMED = {"small": "", **dict(re.findall(r"^(\w)=(\S+)$", TEXT, re.MULTILINE))}
S, W = NAMED["s"], NAMED["w"]
SMALL = re.search(r'^small="(.+)"$', TEXT, re.MULTILINE)[1].split()  # type: ignore[index]
TIMES = ["seconds", "megabytes"]

RUNS = sorted(path.name for kind in ("train", "merge") for path in (OLD / kind).iterdir())
JOBS = sorted(
    path.parent.relative_to(OLD).as_posix()
    for path in OLD.glob("*/*/settings.yaml")
    if path.parts[-3] not in ("train", "merge")
)
MERGED = sorted(path.relative_to(OLD).as_posix() for path in OLD.glob("merge/*"))
KINDS = sorted({path.stem for path in OLD.glob("*/*/*.parquet")} - {"run"})


def told(*commands: str) -> list[list[str]]:
    """The README's lines of these commands, as words after ``lmc``."""
    lines = [string.Template(line).safe_substitute(NAMED) for line in TEXT.splitlines()]
    words = [shlex.split(line)[1:] for line in lines if line.startswith("lmc ")]
    return [each for each in words if each[0] in commands]


def lmc(*words: str, outputs: Path) -> tuple[str, str]:
    """What a command prints on stdout and on stderr; it must succeed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
        app([*words, f"outputs={outputs}"], prog_name="lmc")
    assert not left.value.code, f"lmc {shlex.join(words)}\n{err.getvalue()}"
    return out.getvalue(), err.getvalue()


def rows(*words: str, outputs: Path) -> pd.DataFrame:
    """What a command prints, as a table."""
    return pd.DataFrame(json.loads(lmc(*words, "--format", "json", outputs=outputs)[0]))


def found_stored(*words: str, outputs: Path) -> str:
    """The experiment that a command names, where all of it is stored: nothing is written, and it says so."""
    before = content(outputs)
    out, said = lmc(*words, "--format", "json", outputs=outputs)
    assert "already stored" in said
    assert content(outputs) == before
    (name,) = {row["experiment"] for row in json.loads(out)}
    return str(name)


def rounding() -> str:
    """What a small computation in float32 hashes to; another processor may round its sums otherwise."""
    grid = torch.arange(64 * 60, dtype=torch.float32).view(64, 60).sin()
    value = torch.nn.functional.gelu(grid @ grid.T[:, :7]).softmax(1).log()
    return hashlib.sha256(value.numpy().tobytes()).hexdigest()


def tolerance() -> dict[str, float]:
    """As close as numbers computed anew must come."""
    if rounding() == (OLD / "rounding.txt").read_text().strip():
        return {"rtol": 0, "atol": 1e-12}
    return {"rtol": 1e-4, "atol": 1e-6}


def same(table: pd.DataFrame, old: pd.DataFrame, **close: float) -> None:
    """Equal columns, rows and values, but for the time and disk they took."""
    kept = [name for name in old.columns if name not in TIMES]
    assert list(table.columns) == list(old.columns)
    assert_frame_equal(table[kept], old[kept], check_dtype=False, **(close or {"check_exact": True}))


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that tests read."""
    return Path(shutil.copytree(OLD, tmp_path_factory.mktemp("old") / "outputs"))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(OLD, tmp_path / "outputs"))


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
    same(found.astype(stored.dtypes), stored.drop_duplicates(ignore_index=True))


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


@pytest.mark.parametrize("job", JOBS)
def test_a_job_done_again_finds_the_same(again: Path, job: str):
    """Under the same name, with the same settings: nothing lies beside the old result and contradicts it."""
    assert (again / job).is_dir(), sorted(path.name for path in (again / job).parent.iterdir())
    tables = sorted(path.name for path in (OLD / job).glob("*.parquet"))
    assert sorted(path.name for path in (again / job).glob("*.parquet")) == tables
    for name in tables:
        same(pd.read_parquet(again / job / name), pd.read_parquet(OLD / job / name), **tolerance())
    for path in (OLD / job).glob("*.safetensors"):
        moves, before = load_file(again / job / path.name), load_file(path)
        assert moves.keys() == before.keys()
        assert all(torch.equal(moves[key], before[key]) for key in before)


@pytest.mark.parametrize("merged", MERGED)
def test_a_merge_done_again_gives_the_same_network(again: Path, merged: str):
    state, before = (load_file(root / merged / "0" / "epoch-0000.safetensors") for root in (again, OLD))
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


def test_an_interrupted_run_goes_on_to_where_one_in_one_go_ends(mine: Path):
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


def test_remove_says_what_was_made_of_a_run(mine: Path):
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
