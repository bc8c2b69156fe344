"""A mean never travels without its values or its interval."""

import itertools
import math

import numpy as np
import pytest

from lmc.core.statistics import estimate

DISJOINT = [(0, 1), (2, 3), (4, 5), (6, 7)]
VALUES = [0.1, 0.4, 0.2, 0.9]


@pytest.mark.parametrize(
    ("values", "text"), [([], "-"), ([0.25], "0.25"), ([0.25, 0.5], "0.25, 0.5"), ([math.nan], "-")]
)
def test_below_three_values_the_values_themselves(values, text):
    found = estimate(values)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert str(found) == text
    assert found.values == tuple(value for value in values if not math.isnan(value))


def test_nan_is_left_out_and_its_pair_too():
    found = estimate([*VALUES, math.nan], [*DISJOINT, (0, 3)])
    assert found == estimate(VALUES, DISJOINT)
    assert math.isnan(estimate([1.0, 2.0, math.nan]).low)


def test_mean_and_interval():
    found = estimate(VALUES)
    assert found.mean == pytest.approx(0.4)
    assert 0.1 <= found.low < found.mean < found.high <= 0.9
    assert found.values == tuple(VALUES)
    assert str(found) == f"0.4 [{found.low:.3g}, {found.high:.3g}]"
    assert estimate(VALUES) == found


def test_the_interval_is_that_of_all_resamples():
    means = [np.mean(draw) for draw in itertools.product(VALUES, repeat=4)]
    found = estimate(VALUES)
    assert found.low == pytest.approx(np.quantile(means, 0.025), abs=0.02)
    assert found.high == pytest.approx(np.quantile(means, 0.975), abs=0.02)


def test_disjoint_pairs_are_resampled_themselves_and_shared_runs_are():
    assert estimate(VALUES, DISJOINT) == estimate(VALUES)
    # Six pairs of four runs: everything hangs on run 0.
    pairs = [*itertools.combinations(range(4), 2)]
    values = [1.0 if 0 in pair else 0.0 for pair in pairs]
    shared, apart = estimate(values, pairs), estimate(values)
    assert shared.mean == apart.mean == 0.5
    assert (shared.low, shared.high) == (0.0, 1.0)
    assert apart.low > 0


def test_shared_runs_against_all_resamples_of_runs():
    pairs, values = [(0, 1), (1, 2), (0, 2)], [0.0, 1.0, 5.0]
    means = []
    for drawn in itertools.product(range(3), repeat=3):
        weights = [drawn.count(a) * drawn.count(b) for a, b in pairs]
        if sum(weights):
            means.append(np.average(values, weights=weights))
    found = estimate(values, pairs)
    assert found.mean == 2
    assert found.low == pytest.approx(np.quantile(means, 0.025), abs=1e-9)
    assert found.high == pytest.approx(np.quantile(means, 0.975), abs=1e-9)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = [(found := estimate(rng.normal(size=20), seed=i)).low <= 0 <= found.high for i in range(100)]
    assert 85 <= sum(hits) <= 99


def test_intervals_shrink_with_the_number_of_pairs():
    rng = np.random.default_rng(1)
    few, many = estimate(rng.normal(size=10)), estimate(rng.normal(size=160))
    assert (many.high - many.low) * 2 < few.high - few.low


def test_equal_values_have_an_interval_of_no_width():
    found = estimate([0.3] * 5, [(i, i + 1) for i in range(5)])
    assert found.low == pytest.approx(0.3)
    assert found.high == pytest.approx(0.3)
