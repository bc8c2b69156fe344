"""Whether runs can be averaged: the verdict by law, and on digits as the paper says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from lmc import api, jobs
from lmc.core.errors import LmcError, SettingError
from lmc.core.schema import columns
from lmc.core.statistics import Estimate
from lmc.data import load
from lmc.data.chance import chance
from lmc.jobs import run
from lmc.jobs.measuring.judging import ALIGNMENT, NO_ALIGNMENT, NOT_MERGEABLE, Finding, judge

from .conftest import train

QUICK = {"model": {"hidden": [64, 64]}, "training": {"epochs": 12, "learning_rate": 3e-3}, "seeds": 4}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Standard and w runs, trained once, and untrained ones."""
    folder = tmp_path_factory.mktemp("stored")
    for variant in ("standard", "w"):
        train(**QUICK, variant=variant, outputs=str(folder), name=variant)
    train(seeds=2, training={"epochs": 0}, outputs=str(folder), name="new")
    return folder


@pytest.fixture
def runs(stored: Path, outputs: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(stored, outputs)
    return outputs


def _value(*values: float, spread: float | None = None) -> Estimate:
    mean = sum(values) / len(values)
    if spread is None:
        return Estimate(mean, float("nan"), float("nan"), values)
    return Estimate(mean, mean - spread, mean + spread, values)


def _judged(none: Estimate, activation: Estimate, by_cost: float = 0.0, in_fact: float = 0.0) -> Finding:
    found = {
        "relative_none": none,
        "relative_activation": activation,
        "relative_identifiability": _value(0.5),
        "identifiable": _value(by_cost),
        "identified": _value(in_fact),
    }
    return judge(found, low=0.02, identifiable=0.9)


@pytest.mark.parametrize(
    ("none", "aligned", "verdict"),
    [
        (0.01, 0.01, NO_ALIGNMENT),
        (0.02, 0.3, NO_ALIGNMENT),
        (-0.01, -0.02, NO_ALIGNMENT),
        (0.3, 0.01, ALIGNMENT),
        (0.021, 0.02, ALIGNMENT),
        (0.3, 0.1, NOT_MERGEABLE),
        (0.03, 0.3, NOT_MERGEABLE),
    ],
)
def test_a_verdict_follows_from_the_two_barriers(none: float, aligned: float, verdict: str) -> None:
    finding = _judged(_value(none), _value(aligned))
    assert (finding.verdict, finding.certain) == (verdict, True)
    assert "not certain" not in finding.sentence


@pytest.mark.parametrize(
    ("none", "aligned"),
    [
        (_value(0.01, 0.024), _value(0.01)),
        (_value(0.3), _value(0.01, 0.024)),
        (_value(0.01, 0.01, 0.01, spread=0.02), _value(0.01)),
        (_value(0.3), _value(0.03, 0.03, 0.03, spread=0.02)),
    ],
)
def test_a_verdict_is_not_certain_where_pairs_or_intervals_reach_across(
    none: Estimate, aligned: Estimate
) -> None:
    finding = _judged(none, aligned)
    assert not finding.certain
    assert "not certain" in finding.sentence


@pytest.mark.parametrize(
    ("none", "by_cost", "in_fact", "says"),
    [
        (0.3, 1.0, 1.0, "theory predicts no barrier, but one was measured"),
        (0.01, 0.1, 0.2, "although neurons could be exchanged"),
        (0.01, 1.0, 1.0, "100% in fact"),
        (0.3, 0.0, 0.0, "0% in fact"),
    ],
)
def test_it_is_said_where_theory_and_barrier_disagree(
    none: float, by_cost: float, in_fact: float, says: str
) -> None:
    finding = _judged(_value(none), _value(0.01), by_cost, in_fact)
    assert finding.sentence.endswith(says)


def test_a_constant_output_loses_what_the_classes_say() -> None:
    digits = load("digits")
    counts = torch.bincount(digits.train.targets, minlength=10).double()
    entropy = -(counts / counts.sum()).log()[digits.test.targets].mean()
    assert chance(digits, digits.test) == pytest.approx(float(entropy), rel=1e-4)


def test_standard_runs_need_alignment_and_w_runs_do_not(runs: Path) -> None:
    standard, w = (api.check(name) for name in ("standard", "w"))
    assert list(standard.columns) == columns("check")
    assert set(standard["verdict"]) == {ALIGNMENT}
    assert set(w["verdict"]) == {NO_ALIGNMENT}
    means = {name: table.set_index("quantity")["mean"] for name, table in (("s", standard), ("w", w))}
    assert means["s"]["cross_term_none"] > 10 * means["w"]["cross_term_none"]
    assert means["s"]["feature_gap_none"] > 3 * means["s"]["feature_gap_activation"]
    assert (means["s"]["identifiable"], means["w"]["identifiable"]) == (0, 1)


def test_the_table_says_where_the_gap_is_largest(runs: Path) -> None:
    outcome = run("check", {"references": ["standard"]})
    table, gap = outcome.tables["check"].set_index("quantity"), outcome.tables["gap"]
    for match in ("none", "activation", "identifiability"):
        means = gap[gap["match"] == match].groupby("layer")["cross_term"].mean()
        assert table.loc[f"cross_term_{match}", "layer"] == means.idxmax()
        assert table.loc[f"cross_term_{match}", "mean"] == pytest.approx(means.max())
    assert table.loc["loss", "layer"] == "*"
    (summary,) = outcome.summaries
    assert summary.title.endswith(": needs alignment")
    assert "the line leaves the mean representation most at layers.1" in summary.notes[0]
    stored = api.table("barrier", "standard")
    assert (
        api.path("standard", match="activation", alphas=11)["loss_barrier"].isin(stored["loss_barrier"]).all()
    )


def test_two_imported_checkpoints(runs: Path) -> None:
    files = sorted(runs.glob("train/w-*/[01]/epoch-0012.safetensors"))
    model = {"name": "mlp", "hidden": [64, 64]}
    api.import_(*files, model=model, variant="w", name="mine")
    found = api.check("mine/0", "mine/1")
    own = api.check("w/0", "w/1")
    assert set(found["verdict"]) == {NO_ALIGNMENT}
    assert found["mean"].tolist() == pytest.approx(own["mean"].tolist(), rel=1e-6, nan_ok=True)
    assert (found["pairs"] == 1).all()


def test_runs_no_better_than_a_constant_are_refused(runs: Path) -> None:
    with pytest.raises(LmcError, match=r"new-.*: loss .* of a constant output"):
        api.check("new")
    with pytest.raises(SettingError, match="split=tets: expected one of train, val, test"):
        api.check("w", split="tets")
    assert not (runs / "check").exists()


def test_the_module_of_the_command_does_not_hide_the_check_of_settings() -> None:
    assert callable(jobs.checked)
