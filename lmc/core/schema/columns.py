"""Columns: what each is for in a table of means, and those that several tables have, declared once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

DType = Literal["str", "int64", "float64", "bool"]
Role = Literal[
    "key",  # says what a row is of; rows that differ in it are compared
    "block",  # the same, but numbers are compared where it agrees
    "along",  # a block that is the coordinate of a curve
    "run",  # which run: averaged over, with an interval
    "unit",  # which part of a run: averaged over within a run
    "quantity",  # names what the row's mean is of
    "text",  # words that follow from the numbers
    "value",  # measured
    "mean",  # measured and averaged already, as are the next three
    "low",
    "high",
    "pairs",
]
Direction = Literal["low", "high"]


@dataclass(frozen=True)
class Column:
    """One column; ``best`` is the end of its numbers that is best, None where neither is."""

    name: str
    dtype: DType
    meaning: str
    role: Role
    best: Direction | None = None

    def here(self, meaning: str, dtype: DType | None = None) -> Column:
        """The same column with what it means, and how it is stored, in one table."""
        return replace(self, meaning=meaning, dtype=dtype or self.dtype)


def text(name: str, meaning: str, role: Role = "key") -> Column:
    """A column of words."""
    return Column(name, "str", meaning, role)


def count(name: str, meaning: str, role: Role = "key", best: Direction | None = None) -> Column:
    """A column of whole numbers."""
    return Column(name, "int64", meaning, role, best)


def flag(name: str, meaning: str, role: Role = "key") -> Column:
    """A column of true and false."""
    return Column(name, "bool", meaning, role)


def number(name: str, meaning: str, best: Direction | None = None, role: Role = "value") -> Column:
    """A column of real numbers; NaN where there is none."""
    return Column(name, "float64", meaning, role, best)


EXPERIMENT = text("experiment", "name of the experiment")
RUN = (EXPERIMENT, count("seed", "seed of the run", "run"), count("epoch", "stored epoch"))
PAIR = tuple(
    replace(column, name=f"{column.name}_{side}", meaning=f"{column.meaning}, run {side.upper()}")
    for side in "ab"
    for column in RUN
)
MODEL = text("model", "name of the model, or of the experiment")
CASE = text("case", "case of the named experiment")
MATCH = text("match", "matcher that aligned B to A")
SPLIT = text("split", "train, val or test", "block")
LAYER = text("layer", "the module's name in the model", "block")
GROUP = text("group", "permutation group, named after the first module that has it", "block")
ESTIMATE = (
    text("estimate", "mahalanobis or ridge", "block"),
    number("beta", "beta of the ridge estimate; NaN for mahalanobis", role="block"),
)
TENSOR = text("tensor", "name of the tensor")
AXIS = count("axis", "axis of the tensor")

ALPHA = number("alpha", "weight of B, THEORY's l", role="along")
LOSS = number("loss", "mean loss", "low")
ACCURACY = number("accuracy", "mean accuracy; NaN for regression", "high")
LOSS_BARRIER = number("loss_barrier", "max_l [L(l) - ((1-l) L(0) + l L(1))]", "low")
SECONDS = number("seconds", "wall clock in seconds")

NEURONS = count("neurons", "number of neurons", "value")
SLOT = count("slot", "slot i", "unit")
NEURON = count("neuron", "neuron j", "unit")
NEURON_PAIR = (count("neuron_a", "neuron i", "unit"), count("neuron_b", "neuron j > i", "unit"))
SIMILARITY = number("similarity", "similarity of neuron and partner", "high")
IDENTIFIABLE = count("identifiable", "number of neurons identifiable by cost", "value", "high")
IDENTIFIED = count(
    "identified",
    "number of neurons identified in fact: the neurons at one place are each other's most similar",
    "value",
    "high",
)
RATIO = number(
    "identifiability_ratio",
    "(identity - random) / (optimal - random); NaN where optimal = random",
    "high",
)
SWAP_COST = number("swap_cost", "swap cost Delta[i, j]")
OWN_COST = number("own_cost", "own cost C[i, i]")
RELATIVE_SWAP_COST = number("relative_swap_cost", "mean Delta[i, j] / (C[i, i] + C[j, j])", "high")
COHERENCE = number("coherence", "max_r ||U_r||^2")
ANISOTROPY_MEAN = number("anisotropy_mean", "mean anisotropy over slots")

QUANTITY = text("quantity", "what was measured", "quantity")
ESTIMATED = (
    number("mean", "mean over pairs of runs", role="mean"),
    number("low", "lower end of the 95 % interval", role="low"),
    number("high", "upper end of the 95 % interval", role="high"),
)
PAIRS = count("pairs", "number of pairs of runs", "pairs")
