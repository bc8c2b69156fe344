"""A mean never travels without its values or its interval; each interval against a formula of its own."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lmc.core.ranks import FEWEST_CASES, rank_correlation
from lmc.core.statistics import estimate, paired, ratio

DISJOINT = [(0, 1), (2, 3), (4, 5), (6, 7)]
VALUES = [0.1, 0.4, 0.2, 0.9]


def student(values):
    return stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))


def ends(found):
    return found.low, found.high


@pytest.mark.parametrize(("values", "text"), [([], "-"), ([0.25], "0.25"), ([math.nan], "-")])
def test_one_unit_has_no_interval(values, text):
    found = estimate(values)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert str(found) == text
    assert found.values == tuple(value for value in values if not math.isnan(value))


def test_nan_is_left_out_and_its_pair_too():
    found = estimate([*VALUES, math.nan], [*DISJOINT, (0, 3)])
    assert found == estimate(VALUES, DISJOINT)
    assert ratio([1, 2, math.nan, 3], [1, 1, 1, math.nan]).values == (1, 2)


@pytest.mark.parametrize("values", [VALUES[:2], VALUES, [0.3, 7.0, -2.0, 0.1, 0.1, 5.0, 1.0, 2.0]])
def test_independent_units_have_the_interval_of_student(values):
    count = len(values)
    apart = [(2 * each, 2 * each + 1) for each in range(count)]
    for found in (
        estimate(values),
        estimate(values, apart),
        estimate(values, [(i, i) for i in range(count)]),
    ):
        assert found.mean == np.mean(values)
        assert ends(found) == pytest.approx(student(values))
        assert found.units == count
    assert str(found) == f"{found.mean:.3g} [{found.low:.3g}, {found.high:.3g}]"


def test_rows_of_one_pair_are_one_unit_whichever_run_is_named_first():
    twice = estimate([*VALUES, *VALUES], [*DISJOINT, *[(b, a) for a, b in DISJOINT]])
    assert ends(twice) == pytest.approx(student(VALUES))
    assert twice.units == 4
    epochs = estimate([1.0, 3.0, 2.0, 6.0, 4.0, 9.0], [(0, 0), (0, 0), (1, 1), (1, 1), (2, 2), (2, 2)])
    assert ends(epochs) == pytest.approx(student([2, 4, 6.5]))


def test_an_outer_unit_is_one_value_however_many_pairs_it_has():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 10)) + 3 * rng.normal(size=(5, 1))
    nested = estimate(values.ravel(), outer=[outer for outer in range(5) for _ in range(10)])
    assert ends(nested) == pytest.approx(student(values.mean(axis=1)))
    assert nested.units == 5
    assert nested.high - nested.low > 2 * (estimate(values.ravel()).high - estimate(values.ravel()).low)


@pytest.mark.parametrize("count", [3, 4, 7])
def test_pairs_that_share_runs_against_leaving_each_run_out(count):
    pairs = list(itertools.combinations(range(count), 2))
    values = np.random.default_rng(count).normal(size=len(pairs)) ** 2
    left = [
        np.mean([v for v, pair in zip(values, pairs, strict=True) if run not in pair]) for run in range(count)
    ]
    error = math.sqrt((count - 1) / count * sum((each - values.mean()) ** 2 for each in left))
    found = estimate(values, pairs)
    assert ends(found) == pytest.approx(stats.t.interval(0.95, count - 1, values.mean(), error))
    assert found.units == count


def test_no_interval_where_all_pairs_share_a_run():
    found = estimate(VALUES, [(0, 1), (0, 2), (0, 3), (0, 4)])
    assert math.isnan(found.low)
    assert str(found) == "0.1, 0.4, 0.2, 0.9"


def test_a_ratio_is_that_of_the_sums_and_its_interval_that_of_its_derivative():
    rng = np.random.default_rng(0)
    below = 5 + rng.random(30)
    above = 0.4 * below + 0.1 * rng.normal(size=30)
    found = ratio(above, below)
    assert found.mean == pytest.approx(above.sum() / below.sum())
    gradient = np.array([1, -found.mean]) / below.mean()
    error = math.sqrt(gradient @ np.cov(above, below) @ gradient / 30)
    assert ends(found) == pytest.approx(stats.t.interval(0.95, 29, found.mean, error))


def test_a_ratio_of_equal_denominators_is_the_mean():
    assert ends(ratio([2 * each for each in VALUES], [2.0] * 4)) == pytest.approx(student(VALUES))


def test_a_ratio_has_no_interval_where_its_denominator_may_be_zero():
    assert math.isnan(ratio([1, 2, 3], [-1, 1, 0.3]).low)
    assert math.isnan(ratio([1, 2], [1, -1]).mean)
    assert str(ratio([], [])) == "-"


def test_infinite_values_have_no_interval():
    found = estimate([1.0, math.inf, 2.0])
    assert found.mean == math.inf
    assert math.isnan(found.low)


def test_equal_values_have_an_interval_of_no_width():
    found = estimate([0.3] * 5, [(i, i + 1) for i in range(5)])
    assert found.low == pytest.approx(0.3)
    assert found.high == pytest.approx(0.3)


def test_the_runs_of_a_table():
    pairs = pd.DataFrame({"experiment_a": ["x"], "seed_a": [0], "experiment_b": ["x"], "seed_b": [1]})
    assert paired(pairs) == [("x/0", "x/1")]
    assert paired(pd.DataFrame({"experiment": ["x", "x"], "seed": [0, 1]})) == [
        ("x/0", "x/0"),
        ("x/1", "x/1"),
    ]
    assert paired(pd.DataFrame({"mean": [0.0]})) is None


def test_rank_correlation_is_spearmans_with_fishers_interval():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 12))
    found = rank_correlation(x, y)
    rho = stats.spearmanr(x, y).statistic
    assert found.mean == pytest.approx(rho)
    assert found.units == 12
    half = 1.959964 * math.sqrt((1 + rho**2 / 2) / 9)
    assert [math.atanh(each) for each in ends(found)] == pytest.approx(
        [math.atanh(rho) - half, math.atanh(rho) + half]
    )


def test_a_perfect_order_of_few_cases_is_not_certain():
    widths = [1 - rank_correlation(range(count), range(count)).low for count in (5, 7, 10, 20)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.3
    assert rank_correlation(range(5), range(5)).high == pytest.approx(1)
    few = rank_correlation(range(FEWEST_CASES - 1), range(FEWEST_CASES - 1))
    assert few.mean == 1
    assert math.isnan(few.low)
    assert math.isnan(rank_correlation(range(9), [1] * 9).mean)
