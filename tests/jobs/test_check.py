"""Whether runs can be averaged: the verdict by law, and on digits as the paper says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmc import api, jobs
from lmc.core.errors import SettingError
from lmc.core.schema import columns
from lmc.core.statistics import Estimate
from lmc.data import load
from lmc.data.chance import constant_output
from lmc.jobs import run
from lmc.jobs.aligning.lineup import line_up
from lmc.jobs.measuring.gains import Gain, gains
from lmc.jobs.measuring.judging import (
    ALIGNMENT,
    NO_ALIGNMENT,
    NOT_MERGEABLE,
    UNDECIDED,
    Finding,
    Limits,
    judge,
)
from lmc.jobs.measuring.verdicts import _neuron_quantities
from lmc.jobs.opening.job import open_pairs
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Silent

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


def _gain(loss: float = 0.2, error: float = 0.01, constant: float = 2.3) -> Gain:
    return Gain(f"run of {loss}", loss, constant - loss, error)


def _judged(
    none: Estimate,
    activation: Estimate,
    by_cost: float = 0.0,
    in_fact: float = 0.0,
    ends: tuple[Gain, Gain] = (_gain(), _gain(0.21)),
    permutes: bool = True,
) -> Finding:
    found = {
        "relative_none": none,
        "relative_activation": activation,
        "relative_identifiability": _value(0.5),
        "identifiable": _value(by_cost),
        "identified": _value(in_fact),
    }
    return judge(found, [(_gain(), _gain()), ends], Limits(low=0.02, identifiable=0.9), permutes)


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


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (_gain(2.4), "run of 2.4 loses 2.4, a constant 2.3 +- 0.02"),
        (_gain(2.29, error=0.006), "run of 2.29 loses 2.29, a constant 2.3 +- 0.012"),
        (_gain(2.3, error=float("nan")), "run of 2.3 loses 2.3, a constant 2.3"),
        (_gain(float("nan")), "run of nan loses nan"),
    ],
)
def test_there_is_no_verdict_on_a_run_that_learned_nothing(end: Gain, says: str) -> None:
    for ends in ((end, _gain()), (_gain(), end)):
        finding = _judged(_value(0.001), _value(0.001), ends=ends)
        assert (finding.verdict, finding.certain) == (UNDECIDED, False)
        assert f"no verdict without two runs that learned: {says}" in finding.sentence


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ((_gain(2.25, error=0.001), _gain(2.25, error=0.001)), "run of 2.25 gained only 2.2% of a constant"),
        ((_gain(0.2), _gain(1.5)), "unequal ends: run of 0.2 loses 0.2, run of 1.5 1.5"),
    ],
)
def test_a_poor_measure_makes_no_certain_verdict(ends: tuple[Gain, Gain], says: str) -> None:
    finding = _judged(_value(0.001), _value(0.001), ends=ends)
    assert (finding.verdict, finding.certain) == (NO_ALIGNMENT, False)
    assert f"not certain: {says}" in finding.sentence


def test_ends_that_differ_by_sampling_noise_are_equal() -> None:
    assert _judged(_value(0.001), _value(0.001), ends=(_gain(0.2, error=0.3), _gain(0.6, error=0.3))).certain


def test_where_nothing_permutes_no_alignment_can_help() -> None:
    finding = _judged(_value(0.3), _value(0.01), permutes=False)
    assert (finding.verdict, finding.certain) == (NOT_MERGEABLE, True)
    assert "no neurons are known to permute" in finding.sentence
    assert _judged(_value(0.01), _value(0.01), permutes=False).verdict == NO_ALIGNMENT
    assert _judged(_value(float("nan")), _value(0.0)).verdict == UNDECIDED


def test_the_constant_output_and_its_loss_are_what_the_classes_say(runs: Path) -> None:
    digits = load("digits")
    counts = torch.bincount(digits.train.targets, minlength=10).double()
    entropy = -(counts / counts.sum()).log()[digits.test.targets]
    constant = constant_output(digits).expand(len(digits.test), -1)
    assert float(digits.task.losses(constant, digits.test.targets).mean()) == pytest.approx(
        float(entropy.mean()), rel=1e-4
    )
    network, test = api.load("standard/0"), digits.test
    with torch.no_grad():
        losses = torch.nn.functional.cross_entropy(network(test.inputs), test.targets, reduction="none")
    gained = digits.task.losses(constant, test.targets).double() - losses.double()
    (lineup,) = line_up(
        open_pairs("check", jobs.checked("check", {"references": ["standard/0", "standard/1"]}), Silent())
    )
    found = gains(lineup, "test")[lineup.runs[0].key]
    assert found.gained == pytest.approx(float(gained.mean()), rel=1e-5)
    assert found.error == pytest.approx(float(gained.std() / len(test) ** 0.5), rel=1e-5)
    assert found.share == pytest.approx(1 - float(losses.mean() / entropy.mean()), rel=1e-3)


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


def _two_ends(runs: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> Outcome:
    """Check run 0 of w against itself with the weights and biases of its outputs changed."""
    state = load_file(next(runs.glob("train/w-*/0/epoch-0012.safetensors")))
    other = {key: change(v).contiguous() if v.shape[0] == 10 else v for key, v in state.items()}
    save_file(state, "a.safetensors")
    save_file(other, "b.safetensors")
    model = {"name": "mlp", "hidden": [64, 64]}
    api.import_("a.safetensors", "b.safetensors", model=model, name="other")
    return run("check", {"references": ["other"]})


def test_networks_of_different_function_are_not_judged(runs: Path) -> None:
    """The loss is convex between them: there is no barrier, though they cannot be averaged."""
    outcome = _two_ends(runs, lambda tensor: tensor.roll(1, 0))
    assert set(outcome.tables["check"]["verdict"]) == {UNDECIDED}
    unaligned = outcome.tables["barrier"].query("match == 'none' and split == 'test'")
    assert unaligned["loss_barrier"].item() < 0.01


def test_ends_that_lose_unequally_are_named(runs: Path) -> None:
    outcome = _two_ends(runs, lambda tensor: tensor * 0.2)
    assert not outcome.tables["check"]["certain"].any()
    assert "unequal ends: other-" in outcome.summaries[0].notes[0]


def test_runs_no_better_than_a_constant_are_not_judged_and_others_are(runs: Path) -> None:
    outcome = run("check", {"references": ["new", "w"]})
    verdicts = outcome.tables["check"].groupby("experiment_a")["verdict"].unique()
    assert {name.split("-")[0]: list(found) for name, found in verdicts.items()} == {
        "new": [UNDECIDED],
        "w": [NO_ALIGNMENT],
    }
    assert "no verdict without two runs that learned: new-" in outcome.summaries[0].notes[0]


def test_a_check_needs_a_point_between_the_ends(runs: Path) -> None:
    for alphas in (2, [0, 1]):
        with pytest.raises(SettingError, match="a barrier lies between the ends; add a point"):
            api.check("w", alphas=alphas)
    with pytest.raises(SettingError, match="split=tets: expected one of train, val, test"):
        api.check("w", split="tets")
    assert not (runs / "check").exists()


def test_a_network_in_which_nothing_permutes_gets_a_verdict(runs: Path) -> None:
    """Softmax regression is convex: its runs need no alignment."""
    train(seeds=2, model={"hidden": []}, training={"epochs": 20, "learning_rate": 0.01}, name="convex")
    found = api.check("convex")
    assert set(found["verdict"]) == {NO_ALIGNMENT}
    assert found["certain"].all()
    assert {"relative_none", "gained"} <= set(found["quantity"])


def test_a_share_is_the_ratio_of_sums(runs: Path) -> None:
    table = api.check("standard").set_index("quantity")
    barriers = api.table("barrier", "standard").query("split == 'test' and match == 'none'")["loss_barrier"]
    assert table.loc["relative_none", "mean"] == pytest.approx(
        barriers.sum() / (table.loc["gained", "mean"] * len(barriers))
    )


def test_neurons_without_costs_count_in_no_share(runs: Path) -> None:
    table = run("check", {"references": ["w"]}).tables["match"]
    half = table["layer"] == table["layer"].iloc[0]
    table.loc[half, ["own_cost", "swap_cost"]] = float("nan")
    table.loc[half, "identifiable"] = 0
    assert _neuron_quantities(table)["identifiable"].mean == 1
    assert _neuron_quantities(table.assign(own_cost=float("nan")))["identifiable"].mean != 1


def test_the_module_of_the_command_does_not_hide_the_check_of_settings() -> None:
    assert callable(jobs.checked)
