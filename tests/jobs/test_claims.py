"""Claims are decided by whole intervals, and controls make them fail."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lmc import api
from lmc.core.errors import SettingError
from lmc.core.ranks import rank_gain
from lmc.core.statistics import Estimate, difference, estimate
from lmc.jobs.protocol.experiments import names, read
from lmc.jobs.studies.claims import FAILS, HOLDS, TOO_SMALL, UNDECIDED, Claim, parse
from lmc.jobs.studies.measured import exchanged
from lmc.summaries.studies import score

PAIRS = [(0, 1), (2, 3), (4, 5), (6, 7)]
QUANTITIES = {
    ("a", "barrier", "none"): Estimate(0.2, 0.1, 0.3, (0.1, 0.2, 0.3), 3),
    ("b", "barrier", "none"): Estimate(0.03, 0.02, 0.04, (0.03, 0.02, 0.04), 3),
    ("b", "barrier", "one"): Estimate(0.03, math.nan, math.nan, (0.03,), 1),
    ("a", "learnt", "test"): Estimate(0.9, 0.8, 1.0, (0.9,), 3),
    ("b", "learnt", "test"): Estimate(0.1, 0.0, 0.2, (0.1,), 3),
}


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ("a:barrier:none > 0.05", HOLDS),
        ("a:barrier:none > 0.1", UNDECIDED),
        ("a:barrier:none > 0.4", FAILS),
        ("a:barrier:none < 4e-1", HOLDS),
        ("a:barrier:none < 0.25", UNDECIDED),
        ("b:barrier:none < 0.9 * a:barrier:none", HOLDS),
        ("b:barrier:none > 0.9 * a:barrier:none", FAILS),
        ("b:barrier:none < 0.2 * a:barrier:none", UNDECIDED),
        ("b:barrier:one < 100", UNDECIDED),
        ("b:barrier:one < 0.9 * a:barrier:none", UNDECIDED),
    ],
)
def test_the_whole_interval_decides(condition: str, outcome: str) -> None:
    judged = Claim.parse("claim", [condition, "a:barrier:none > -1"]).judge(QUANTITIES)
    assert judged.outcome == outcome
    assert (f"({outcome})" in judged.numbers) is (outcome != HOLDS)


def test_noise_never_makes_a_claim_hold() -> None:
    """The wider the interval, the less is decided: no end of it is picked that noise pushes along."""
    for width in (0.01, 0.1, 1, 10):
        found = {("a", "x", "y"): Estimate(1.0, 1 - width, 1 + width, (1.0,), 4)}
        outcomes = [Claim.parse("", [f"a:x:y {way} 0.8"]).judge(found).outcome for way in "<>"]
        assert outcomes == ([FAILS, HOLDS] if width < 0.2 else [UNDECIDED, UNDECIDED])


def test_a_claim_speaks_of_runs_that_have_learnt() -> None:
    claims = {case: Claim.parse("", [f"{case}:barrier:none < 1"]) for case in "ab"}
    assert claims["a"].judge(QUANTITIES, 0.5).outcome == HOLDS
    assert claims["b"].judge(QUANTITIES, 0.5).outcome == FAILS
    assert claims["b"].judge(QUANTITIES).outcome == HOLDS


def test_conditions_that_cannot_be_judged() -> None:
    for condition in ("a is small", "a:barrier:none@low > 0", "a:barrier:none == 0"):
        with pytest.raises(SettingError, match="cannot be read"):
            parse(condition)
    with pytest.raises(SettingError, match="was not measured"):
        Claim.parse("claim", ["c:barrier:none < 1"]).judge(QUANTITIES)


def test_two_estimates_of_the_same_pairs_are_compared_pair_by_pair() -> None:
    first, second = np.array([1.0, 2.0, 3.0, 5.0]), np.array([0.9, 1.7, 3.1, 4.6])
    found = difference(estimate(first, PAIRS), estimate(second, PAIRS), 0.5)
    expected = estimate(first - 0.5 * second, PAIRS)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_two_independent_estimates_are_compared_as_by_welch() -> None:
    from scipy import stats

    first, second = [1.0, 2.0, 3.0, 5.0], [0.9, 1.7, 3.1, 4.6, 9.0, 3.0]
    found = difference(estimate(first, PAIRS), estimate(second))
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_differences_cover_the_truth() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(800):
        found = difference(
            estimate(rng.normal(size=4), PAIRS), estimate(3 * rng.normal(size=4), PAIRS[::-1]), 0.2
        )
        hits += found.low <= 0 <= found.high
    assert 0.93 <= hits / 800 <= 0.975


def test_what_a_trivial_predictor_does_as_well_is_no_gain() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=18)
    near, far = truth + 0.1 * rng.normal(size=18), truth + 2 * rng.normal(size=18)
    assert rank_gain(near, far, truth).low > 0
    assert rank_gain(near, near, truth).mean == 0
    same = rank_gain(near, truth + 0.1 * rng.normal(size=18), truth)
    assert same.low < 0 < same.high


def test_no_score_at_a_size_that_is_too_small() -> None:
    assert score([HOLDS, FAILS, UNDECIDED]) == "1 of 3 claims hold, 1 not, 1 cannot be decided"
    assert score([HOLDS]) == "1 of 1 claims hold"
    assert score([TOO_SMALL] * 2).startswith("too small to decide")


@pytest.mark.parametrize("name", names())
def test_noise_decides_no_shipped_claim(name: str) -> None:
    definition = read(name)
    assert definition["learnt"] > 0
    for stated in definition["claims"]:
        claim = Claim.parse(stated["text"], stated["conditions"])
        tokens = {token for part in claim.conditions for token in (part[0], part[3]) if ":" in token}
        noise = Estimate(0.0, -1e6, 1e6, (0.0,) * 4, 4)
        found = {(case, what, detail): noise for case, what, detail in (each.split(":") for each in tokens)}
        assert claim.judge(found).outcome == UNDECIDED


def test_exchanged_cases_have_each_others_numbers() -> None:
    found = exchanged(QUANTITIES, ["a", "b"])
    assert found["b", "barrier", "none"] is QUANTITIES["a", "barrier", "none"]


SHORT = {"seeds": 4, "model": {"hidden": [24, 24]}, "threads": 1}


def test_no_claim_holds_on_untrained_networks(outputs) -> None:
    claims = api.reproduce("digits", training={"epochs": 0}, **SHORT)
    assert not claims["holds"].any()
    assert set(claims["outcome"]) <= {FAILS, UNDECIDED}


@pytest.mark.slow
def test_on_other_seeds_no_claim_of_digits_is_refuted_and_no_control_holds(outputs) -> None:
    claims = api.reproduce("digits", seeds=list(range(100, 108)), mask_seed=5)
    assert set(claims["outcome"]) <= {HOLDS, UNDECIDED}, claims["numbers"].tolist()
    assert claims["holds"].sum() >= 2
    assert all("holds" not in control.replace("does not hold", "") for control in claims["control"])
