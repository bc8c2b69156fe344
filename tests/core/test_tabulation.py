"""Tables of means: the numbers are those of core.statistics, the best is the best of what is comparable."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmc.core.digits import shown
from lmc.core.schema import TABLES, concatenate, frame
from lmc.core.statistics import Estimate, estimate
from lmc.core.tabulation import tabulate


def barriers(**values):
    """The table ``barrier``: experiment name to the loss barriers of its disjoint pairs."""
    rows = []
    for name, listed in values.items():
        for pair, value in enumerate(listed):
            ends = {f"experiment_{side}": name for side in "ab"} | {f"epoch_{side}": 3 for side in "ab"}
            seeds = {"seed_a": 2 * pair, "seed_b": 2 * pair + 1}
            rows += [
                {**ends, **seeds, "match": "none", "split": split, "loss_barrier": value * factor}
                for split, factor in (("train", -1.0), ("test", 1.0))
            ]
    return frame("barrier", rows)


def cells(found, heading):
    index = [each.name for each in found.headings].index(heading)
    return {(*row.block, *row.keys): row.cells[index] for row in found.rows}


def test_a_cell_is_the_estimate_over_pairs():
    values = [0.3, 0.1, 0.2, 0.7]
    found = tabulate("barrier", barriers(a=values))
    assert cells(found, "loss barrier")["test", "test"].value == estimate(values)
    assert found.same == {"experiment": "a", "epoch": "3", "match": "none"}


def test_pairs_that_share_runs_are_resampled_by_run():
    values, ends = [0.3, 0.1, 0.2, 0.9, 0.4, 0.8], list(combinations(range(4), 2))
    table = barriers(a=values)
    table = table[table["split"] == "test"].assign(seed_a=[a for a, _ in ends], seed_b=[b for _, b in ends])
    found = tabulate("barrier", table).rows[0].cells[0].value
    assert found == estimate(values, [(("a", a), ("a", b)) for a, b in ends])
    assert found.high != estimate(values).high


def test_the_best_is_that_of_its_own_split_and_direction():
    found = cells(tabulate("barrier", barriers(a=[0.3, 0.3, 0.4], b=[0.1, 0.1, 0.2])), "loss barrier")
    best = {key for key, cell in found.items() if cell.best}
    assert best == {("train", "train", "a"), ("test", "test", "b")}


def test_a_lone_row_is_no_best():
    assert not any(
        cell.best for cell in cells(tabulate("barrier", barriers(a=[0.3])), "loss barrier").values()
    )


def test_what_prints_the_same_is_as_good():
    found = cells(tabulate("barrier", barriers(a=[0.5, 0.5], b=[0.5, 0.5], c=[0.9, 0.9])), "loss barrier")
    assert [cell.best for key, cell in found.items() if key[0] == "test"] == [True, True, False]


def test_epochs_are_compared_only_where_an_experiment_has_one():
    table = barriers(a=[0.3, 0.3], b=[0.1, 0.1])
    other = table.assign(epoch_a=5, epoch_b=5)
    apart = concatenate("barrier", [table[table["experiment_a"] == "a"], other[other["experiment_a"] == "b"]])
    assert sum(cell.best for cell in cells(tabulate("barrier", apart), "loss barrier").values()) == 2
    both = tabulate("barrier", concatenate("barrier", [table, other]))
    assert sum(cell.best for cell in cells(both, "loss barrier").values()) == 4


def test_neurons_are_averaged_within_a_pair_first():
    keys = {f"experiment_{side}": "a" for side in "ab"} | {f"epoch_{side}": 0 for side in "ab"}
    rows = [
        {**keys, "seed_a": seed, "seed_b": seed + 1, "match": "none", "group": "g", "layer": "l"}
        | {"neuron": neuron, "partner": 0, "mutual": True, "admissible": 0}
        | {"identifiable": neuron < seed, "identified": False, "margin": float(neuron)}
        for seed in (0, 2, 4)
        for neuron in range(seed + 1)
    ]
    found = tabulate("neuron", frame("neuron", rows))
    values = {heading.name: cell.value for heading, cell in zip(found.headings, found.rows[0].cells)}
    assert values["margin"] == estimate([0.0, 1.0, 2.0])
    assert values["identifiable"].mean == pytest.approx((0 + 2 / 3 + 4 / 5) / 3)


def test_stored_means_keep_their_intervals_and_become_columns():
    row = {"experiment_a": "a", "experiment_b": "a", "verdict": "v", "certain": True, "pairs": 4, "layer": ""}
    rows = [
        {**row, "quantity": "loss", "mean": 0.5, "low": 0.4, "high": 0.6},
        {**row, "quantity": "gained", "mean": 1.5},
    ]
    found = tabulate("check", frame("check", rows))
    assert [heading.name for heading in found.headings] == ["loss", "gained"]
    loss, gained = (cell.value for cell in found.rows[0].cells)
    assert (loss.mean, loss.low, loss.high) == (0.5, 0.4, 0.6)
    assert gained.values == (1.5,)
    assert math.isnan(gained.low)


def test_infinite_costs_have_no_interval():
    rows = [
        {"experiment": "a", "seed": seed, "epoch": 0, "layer": "l", "estimate": "mahalanobis"}
        | {"neuron_a": 0, "neuron_b": 1, "swap_cost": value}
        for seed, value in enumerate((1.0, math.inf, 2.0))
    ]
    assert shown(tabulate("swap", frame("swap", rows)).rows[0].cells[0].value) == (["inf"], [])


@pytest.mark.parametrize("kind", TABLES)
def test_every_table_is_tabulated(kind):
    row = {
        column.name: {"str": "x", "int64": 1, "float64": 0.5, "bool": True}[column.dtype]
        for column in TABLES[kind]
    }
    found = tabulate(kind, frame(kind, [row]))
    assert len(found.rows) == 1
    assert not tabulate(kind, frame(kind, [])).rows


def test_best_ends_are_those_of_columns_or_of_printed_quantities():
    from lmc.summaries.verdicts import LABELS

    assert {*TABLES["check"].best_of} < {*LABELS}
    assert TABLES["check"].best("barrier_none") == TABLES["measure"].best("barrier none") == "low"
    assert TABLES["match"].best("identifiable") == TABLES["check"].best("identifiable") == "high"
    assert TABLES["check"].best("gained") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Estimate(0.2453, 0.2101, 0.2804, (1.0,) * 3), "0.245 [0.210, 0.280]"),
        (Estimate(0.2453, 0.2451, 0.2455, (1.0,) * 3), "0.24530 [0.24510, 0.24550]"),
        (Estimate(12.3, 2.1, 40.2, (1.0,) * 3), "12 [2, 40]"),
        (Estimate(-0.0001, -0.2, 0.2, (1.0,) * 3), "0.00 [-0.20, 0.20]"),
        (Estimate(1.23e-6, 1.1e-6, 1.4e-6, (1.0,) * 3), "1.23e-6 [1.10e-6, 1.40e-6]"),
        (Estimate(64.0, 64.0, 64.0, (64.0,) * 3), "64 [64, 64]"),
        (Estimate(1.5, math.nan, math.nan, (1.0, 2.0)), "1, 2"),
        (Estimate(0.3, math.nan, math.nan, (0.12345, 0.5)), "0.123, 0.500"),
        (Estimate(math.nan, math.nan, math.nan, ()), ""),
    ],
)
def test_digits_follow_the_interval(value, text):
    means, ends = shown(value)
    assert ", ".join(means) + (f" [{', '.join(ends)}]" if ends else "") == text


@given(st.floats(-1e8, 1e8), st.floats(1e-9, 1e6), st.floats(1e-9, 1e6))
def test_printed_numbers_are_off_by_a_twentieth_of_the_interval_at_most(mean, below, above):
    value = Estimate(mean, mean - below, mean + above, (mean,) * 3)
    size = max(abs(mean), abs(value.low), abs(value.high))
    means, ends = shown(value)
    printed = np.array([float(text) for text in (*means, *ends)])
    off = np.abs(printed - [mean, value.low, value.high]).max()
    assert off <= max((value.high - value.low) / 2 / 20, size / 100)
