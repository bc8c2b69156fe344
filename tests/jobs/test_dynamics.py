"""Runs over their stored epochs, on runs trained once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from lmc import api
from lmc.core.errors import LmcError, RunReferenceError, SettingError
from lmc.core.schema import columns
from lmc.core.series import over_epochs, series
from lmc.figures import dynamics as figure
from lmc.figures import objective
from lmc.jobs import run
from lmc.jobs.protocol.talk import Silent

from .conftest import train

KEYS = ["measure", "layer", "epoch_a", "epoch_b", "seed_a", "seed_b", "split"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Standard, w and BatchNorm runs, trained once."""
    folder = tmp_path_factory.mktemp("stored")
    recipe = {"seeds": 4, "training": {"epochs": 4, "checkpoints": 2}, "outputs": str(folder)}
    for variant in ("standard", "w"):
        train(**recipe, variant=variant, name=variant)
    train(**{**recipe, "seeds": 2}, model={"norm": "batch"}, name="batch")
    train(**{**recipe, "seeds": 2, "training": {"epochs": 4}}, name="ends")
    return folder


@pytest.fixture
def runs(stored: Path, outputs: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(stored, outputs)
    return outputs


def test_every_measure_of_every_pair_and_run(runs: Path) -> None:
    table = api.dynamics("w", match="activation", ntk_samples=4, ntk_outputs=3, samples=50)
    assert list(table.columns) == columns("dynamics")
    assert not table.duplicated(KEYS).any()
    between = table[table["seed_a"] != table["seed_b"]]
    epochs = between.groupby("measure")["epoch_b"].unique().map(sorted).to_dict()
    assert epochs.pop("update_cosine") == [2, 4]
    assert sorted(epochs) == ["agreement", "cka", "distance", "ntk_alignment", "ntk_distance"]
    assert all(each == [0, 2, 4] for each in epochs.values())
    assert (between["epoch_a"] == between["epoch_b"]).all()
    own = table[table["seed_a"] == table["seed_b"]]
    assert (own["epoch_a"] < own["epoch_b"]).all()
    assert {"linearisation_agreement", "linearisation_error"} <= set(own["measure"])
    assert sorted(api.table("match", "w")["epoch_a"].unique()) == [0, 2, 4]
    barrier = api.table("barrier", "w")
    assert set(barrier["match"]) == {"none", "activation"}
    assert sorted(barrier["epoch_b"].unique()) == [0, 2, 4]
    (folder,) = (runs / "dynamics").iterdir()
    assert all((folder / f"{name}.png").stat().st_size > 10_000 for name in ("dynamics", "objective"))


def test_objective_and_barrier_of_the_last_epoch_are_those_of_match_and_path(runs: Path) -> None:
    api.dynamics("standard", match="activation", measures=["objective", "barrier"], alphas=5)
    tables = {kind: api.table(kind, "standard") for kind in ("match", "barrier")}
    last = {kind: table[table["epoch_a"] == 4].reset_index(drop=True) for kind, table in tables.items()}
    shutil.rmtree(runs / "dynamics")
    path = api.path("standard", match="activation", alphas=5)
    keys = ["seed_a", "match", "split"]
    for name in ("loss_barrier", "midpoint_barrier"):
        found, expected = (table.set_index(keys)[name].sort_index() for table in (last["barrier"], path))
        assert found.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-9)
    match = api.match("standard", match="activation")
    for name in ("optimal", "identity", "swap_cost"):
        assert last["match"][name].to_numpy() == pytest.approx(match[name].to_numpy(), abs=1e-9)


def test_cosine_and_distance_are_those_of_the_stored_weights(runs: Path) -> None:
    table = api.dynamics("standard", measures=["updates", "distance"])
    flat = {
        (seed, epoch): torch.cat(
            [p.detach().flatten().double() for p in api.load(f"standard/{seed}@{epoch}").parameters()]
        )
        for seed in (0, 1)
        for epoch in (0, 2, 4)
    }
    whole = table[(table["layer"] == "*") & (table["seed_a"] == 0)].set_index(
        ["measure", "seed_b", "epoch_a", "epoch_b"]
    )["value"]
    a, b = (flat[seed, 4] - flat[seed, 2] for seed in (0, 1))
    assert whole["update_cosine", 1, 4, 4] == pytest.approx(float(a @ b / a.norm() / b.norm()))
    start, end = flat[0, 0], flat[0, 4]
    expected = (end - start).norm() / ((start.norm() + end.norm()) / 2)
    assert whole["distance", 0, 0, 4] == pytest.approx(float(expected))


class _Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_memory_changes_no_number(runs: Path) -> None:
    """Kernels in parts, and covariances of few epochs at a time."""
    settings = {"measures": ["cka", "ntk"], "ntk_samples": 8, "ntk_outputs": 3}
    whole = api.dynamics("standard", **settings)
    talk = _Heard()
    outcome = run("dynamics", {"references": ["standard"], **settings, "memory": 0.00015}, talk)
    parts = outcome.tables["dynamics"]
    assert "in 3 parts" in talk.lines[0]
    assert parts["value"].to_numpy() == pytest.approx(whole["value"].to_numpy(), abs=1e-6)


def test_a_kernel_too_large_names_a_sample_that_fits(runs: Path) -> None:
    with pytest.raises(SettingError, match=r"ntk_samples=\d+ fits") as raised:
        api.dynamics("w", measures=["ntk"], ntk_samples=500, memory=0.001)
    fits = int(str(raised.value).split("ntk_samples=")[1].split()[0])
    assert len(api.dynamics("w", measures=["ntk"], ntk_samples=fits, memory=0.001))
    with pytest.raises(SettingError, match="ntk_samples"):
        api.dynamics("w", measures=["ntk"], ntk_samples=fits + 1, memory=0.001)


def test_missing_epochs_say_how_to_store_them_and_that_stores_them(runs: Path) -> None:
    with pytest.raises(RunReferenceError, match=r"training.checkpoints=\[0,2,4\] stores them"):
        api.dynamics("ends", epochs=[0, 2, 4])
    assert not (runs / "dynamics").exists()
    before = api.load("ends/0")
    train(seeds=2, training={"epochs": 4, "checkpoints": [0, 2, 4]}, name="ends")
    table = api.dynamics("ends", epochs=[0, 2, 4], measures=["distance"])
    assert sorted(table["epoch_b"].unique()) == [0, 2, 4]
    after = api.load("ends/0").state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.state_dict().items())


@pytest.mark.parametrize(
    ("references", "settings", "message"),
    [
        (["w@0"], {}, "all runs store epoch 0 only, two are needed"),
        (["w"], {"epochs": [4]}, "one epoch, two are needed"),
        (["w/0@2", "w/0"], {}, "named at two epochs"),
        (["w"], {"measures": []}, "empty"),
        (["w"], {"layers": "convs.*"}, "matches no layer"),
        (["w"], {"alphas": 1}, "at least its two ends"),
        (["w/0", "standard/0"], {}, "different D, f"),
    ],
)
def test_refusals_leave_nothing_behind(
    runs: Path, references: list[str], settings: dict[str, object], message: str
) -> None:
    with pytest.raises(LmcError, match=message):
        api.dynamics(*references, **settings)
    assert not (runs / "dynamics").exists()


def test_batch_norm_and_experiments_side_by_side(runs: Path) -> None:
    table = api.dynamics("batch", measures=["ntk", "linearisation"], ntk_samples=3, samples=20)
    assert table["value"].notna().any()
    outcome = run("dynamics", {"references": ["standard", "w"], "measures": ["updates", "objective"]})
    assert [summary.title.split("-")[0] for summary in outcome.summaries] == ["standard", "w"]
    for summary in outcome.summaries:
        assert {"cosine of updates", "similarity, identity"} <= set(summary.table[""])


def test_figures_draw_the_means_of_their_tables(runs: Path) -> None:
    api.dynamics("w", measures=["updates", "objective", "barrier"], alphas=3)
    tables = [api.table(kind, "w") for kind in ("dynamics", "match", "barrier")]
    drawn = objective.draw(*tables[1:])
    above, below = drawn.axes
    lines = {line.get_label(): line for line in above.get_lines()}
    means = tables[1].groupby("epoch_a")["identity"].mean()
    assert lines["identity"].get_ydata() == pytest.approx(means.to_numpy())
    assert list(lines["optimal"].get_xdata()) == [0, 2, 4]
    test = tables[2][tables[2]["split"] == "test"]
    assert below.get_lines()[0].get_ydata() == pytest.approx(
        test.groupby("epoch_a")["loss_barrier"].mean().to_numpy()
    )
    visible = [place for place in figure.draw(*tables).axes if place.get_visible()]
    assert visible[0].get_title() == "updates of two runs: cosine"


def test_pairs_that_share_runs_are_resampled_by_run(runs: Path) -> None:
    table = api.dynamics("standard", measures=["distance"], pairs="all")
    lines = series(table, *(api.table("match", "w").iloc[:0], api.table("barrier", "w").iloc[:0]))
    part = lines[(lines["quantity"] == "distance") & (lines["line"] == "all weights")]
    values = dict(over_epochs(part))
    assert {len(value.values) for value in values.values()} == {6}
    own = lines[(lines["quantity"] == "distance from the first") & (lines["line"] == "all weights")]
    assert {len(value.values) for value in dict(over_epochs(own)).values()} == {4}
