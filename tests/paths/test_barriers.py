"""Each barrier against its definition (THEORY 5)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmc.core.errors import LmcError
from lmc.paths import barriers

LOSSES = st.floats(0, 100)


@st.composite
def paths(draw):
    inner = draw(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6, unique=True))
    alpha = [0.0, *sorted(inner), 1.0]
    many = lambda values: draw(st.lists(values, min_size=len(alpha), max_size=len(alpha)))  # noqa: E731
    return alpha, many(LOSSES), many(st.floats(0.01, 1))


def test_by_hand():
    found = barriers([0, 0.25, 0.5, 1], [1.0, 3.0, 2.0, 2.0], [0.9, 0.5, 0.6, 0.8])
    assert found == pytest.approx(
        {
            "loss_barrier": 3 - 1.25,
            "loss_barrier_max": 3 - 2,
            "midpoint_barrier": 2 - 1.5,
            "accuracy_barrier": 0.75 * 0.9 + 0.25 * 0.8 - 0.5,
            "relative_accuracy_drop": (0.9 - 0.5) / 0.9,
            "alpha_of_max": 0.25,
        }
    )


@given(paths())
def test_against_plain_loops(path):
    alpha, loss, accuracy = path
    found = barriers(alpha, loss, accuracy)
    excess = [y - ((1 - x) * loss[0] + x * loss[-1]) for x, y in zip(alpha, loss, strict=True)]
    drop = [(1 - x) * accuracy[0] + x * accuracy[-1] - y for x, y in zip(alpha, accuracy, strict=True)]
    best = max(accuracy[0], accuracy[-1])
    close = lambda value: pytest.approx(value, abs=1e-9)  # noqa: E731
    assert found["loss_barrier"] == close(max(excess))
    assert found["loss_barrier_max"] == close(max(loss) - max(loss[0], loss[-1]))
    assert found["accuracy_barrier"] == close(max(drop))
    assert found["relative_accuracy_drop"] == close((best - min(accuracy)) / best)
    assert excess[alpha.index(found["alpha_of_max"])] == close(max(excess))
    assert found["loss_barrier"] >= -1e-12
    assert found["accuracy_barrier"] >= -1e-12
    assert 0 <= found["loss_barrier_max"] <= found["loss_barrier"] + 1e-9
    assert 0 <= found["relative_accuracy_drop"] <= 1
    if 0.5 in alpha:
        assert found["midpoint_barrier"] == close(loss[alpha.index(0.5)] - (loss[0] + loss[-1]) / 2)
    else:
        assert math.isnan(found["midpoint_barrier"])


@given(LOSSES, LOSSES)
def test_there_is_no_barrier_without_a_point_between_the_ends(first, last):
    assert all(math.isnan(value) for value in barriers([0, 1], [first, last], [0.5, 0.6]).values())
    assert not any(math.isnan(value) for value in barriers([0, 0.5, 1], [first, 1, last], [1, 1, 1]).values())


@given(LOSSES, LOSSES, st.integers(1, 20))
def test_a_straight_path_has_no_barrier(first, last, steps):
    alpha = [step / (2 * steps) for step in range(2 * steps + 1)]
    along = [(1 - x) * first + x * last for x in alpha]
    found = barriers(alpha, along, [value / 100 for value in along])
    for name in ("loss_barrier", "loss_barrier_max", "midpoint_barrier", "accuracy_barrier"):
        assert found[name] == pytest.approx(0, abs=1e-9), name


@given(paths())
def test_the_way_back_has_the_same_barriers(path):
    alpha, loss, accuracy = path
    there = barriers(alpha, loss, accuracy)
    back = barriers([1 - x for x in reversed(alpha)], loss[::-1], accuracy[::-1])
    for name in ("loss_barrier", "loss_barrier_max", "accuracy_barrier", "relative_accuracy_drop"):
        assert back[name] == pytest.approx(there[name], abs=1e-9)


def test_regression_and_divergence_are_not_numbers():
    nan = float("nan")
    found = barriers([0, 0.5, 1], [1, 2, 1], [nan] * 3)
    assert found["loss_barrier"] == 1
    assert math.isnan(found["accuracy_barrier"])
    assert math.isnan(found["relative_accuracy_drop"])
    found = barriers([0, 0.5, 1], [1, nan, 1], [0, 0, 0])
    assert all(math.isnan(found[name]) for name in ("loss_barrier", "alpha_of_max", "relative_accuracy_drop"))
    assert barriers([0, 0.5, 1], [1, math.inf, 1], [1, 0, 1])["loss_barrier"] == math.inf


@pytest.mark.parametrize(
    "alpha", [[0, 0.5], [0.1, 1], [0, 0.5, 0.5, 1], [0, 0.6, 0.5, 1], [1, 0], [0], [], [0, float("nan"), 1]]
)
def test_points_that_do_not_run_from_zero_to_one_are_refused(alpha):
    with pytest.raises(LmcError, match="do not increase from 0 to 1"):
        barriers(alpha, [1.0] * len(alpha), [1.0] * len(alpha))


@pytest.mark.parametrize(("losses", "accuracies"), [(2, 3), (3, 2), (4, 3)])
def test_lengths_that_differ_are_refused(losses, accuracies):
    with pytest.raises(LmcError, match="lengths differ"):
        barriers([0, 0.5, 1], [1.0] * losses, [1.0] * accuracies)
