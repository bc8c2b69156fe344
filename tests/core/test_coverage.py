"""How often intervals hold the truth, simulated; the percentile bootstrap that they replace fails the same test."""

import itertools

import numpy as np
import pytest

from lmc.core.ranks import rank_correlation
from lmc.core.statistics import estimate, ratio

DRAWS = 1200
LEAST = 0.95 - 3 * np.sqrt(0.05 * 0.95 / DRAWS)
MOST = 0.95 + 3 * np.sqrt(0.05 * 0.95 / DRAWS)


def drawn(rng, shape, skewed):
    return rng.exponential(size=shape) - 1 if skewed else rng.normal(size=shape)


def disjoint(rng, units, effect, skewed):
    """Pairs of their own runs."""
    runs, own = drawn(rng, (units, 2), skewed), drawn(rng, units, skewed)
    return effect * runs.sum(axis=1) + own, {"pairs": [(2 * pair, 2 * pair + 1) for pair in range(units)]}


def all_pairs(rng, units, effect, skewed):
    """Every two of some runs."""
    pairs = list(itertools.combinations(range(units), 2))
    runs, own = drawn(rng, units, skewed), drawn(rng, len(pairs), skewed)
    return effect * np.array([runs[a] + runs[b] for a, b in pairs]) + own, {"pairs": pairs}


def nested(rng, units, effect, skewed):
    """Six pairs in each outer unit."""
    values = effect * drawn(rng, (units, 1), skewed) + drawn(rng, (units, 6), skewed)
    return values.ravel(), {"outer": [outer for outer in range(units) for _ in range(6)]}


def student(values, pairs=None, outer=None):
    found = estimate(values, pairs, outer)
    return found.low, found.high


def bootstrap(values, pairs=None, outer=None):
    """The 95 % percentile bootstrap over pairs, whatever they share."""
    rng = np.random.default_rng(0)
    return np.quantile(np.mean(rng.choice(values, size=(400, len(values))), axis=1), [0.025, 0.975])


def coverage(interval, design, units, effect, skewed=False, draws=DRAWS):
    rng = np.random.default_rng(units)
    hits = 0
    for _ in range(draws):
        values, units_of = design(rng, units, effect, skewed)
        low, high = interval(values, **units_of)
        hits += low <= 0 <= high
    return hits / draws


@pytest.mark.parametrize("units", [3, 4, 8, 16])
@pytest.mark.parametrize("effect", [0, 0.5, 1])
@pytest.mark.parametrize("design", [disjoint, nested])
def test_independent_units_cover_what_they_say(design, effect, units):
    assert LEAST <= coverage(student, design, units, effect) <= MOST


@pytest.mark.parametrize("units", [3, 4, 8, 16])
def test_pairs_that_share_runs_cover_what_they_say_or_more(units):
    found = [coverage(student, all_pairs, units, effect, draws=600) for effect in (0, 0.5, 1, 3)]
    assert min(found) >= 0.93
    assert found[-1] <= 0.97  # the runs decide; where they do not, the jackknife is too wide
    assert found[0] >= found[-1]


@pytest.mark.parametrize("units", [3, 4, 8, 16])
@pytest.mark.parametrize("design", [disjoint, all_pairs, nested])
def test_skewed_values_are_covered_nearly_as_often(design, units):
    assert coverage(student, design, units, 1, skewed=True, draws=600) >= 0.87


@pytest.mark.parametrize("units", [3, 4, 8])
@pytest.mark.parametrize("design", [disjoint, all_pairs, nested])
def test_the_percentile_bootstrap_fails(design, units):
    assert coverage(bootstrap, design, units, 1, draws=400) < 0.93


@pytest.mark.parametrize("units", [3, 8])
def test_ratios_cover_what_they_say(units):
    rng = np.random.default_rng(units)
    hits = 0
    for _ in range(DRAWS):
        below = 4 + 0.2 * rng.normal(size=units)
        found = ratio(0.5 * below + 0.3 * rng.normal(size=units), below)
        hits += found.low <= 0.5 <= found.high
    assert LEAST <= hits / DRAWS <= MOST


@pytest.mark.parametrize(("cases", "rho"), [(6, 0.5), (7, 0.9), (18, 0.0), (18, 0.9)])
def test_rank_correlations_cover_what_they_say_or_more(cases, rho):
    rng = np.random.default_rng(cases)
    truth = 6 / np.pi * np.arcsin(rho / 2)
    hits = 0
    for _ in range(400):
        x, own = rng.normal(size=(2, cases))
        found = rank_correlation(x, rho * x + np.sqrt(1 - rho**2) * own)
        hits += found.low <= truth <= found.high
    assert hits / 400 >= 0.93
