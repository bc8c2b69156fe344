"""Colours, dashes and spans that figures share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lmc.core.statistics import Estimate

_MATCHERS = ("none", "activation", "identifiability")
# Curves that coincide are a finding (a matcher that moved no neuron), so each must show through the next.
DASHES = ("-", (0, (6, 3)), (0, (1.5, 3)))


def looks(lines: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """A colour and dashes per line: those of the style but black, first solid, then dashed, then dotted."""
    import matplotlib

    colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][:-1]
    return {
        line: (colours[index % len(colours)], DASHES[index // len(colours) % len(DASHES)])
        for index, line in enumerate(lines)
    }


def matchers(table: Any) -> list[str]:
    """The matchers of a table, those of the paper first, so that each looks the same in every figure."""
    there = dict.fromkeys(table["match"])
    return [
        *(each for each in _MATCHERS if each in there),
        *(each for each in there if each not in _MATCHERS),
    ]


def sized(estimates: Sequence[Estimate], name: str, unit: str = "pair") -> str:
    """A name, and over how many runs or pairs its means are: one number, or the least and the most."""
    numbers = sorted({len(value.values) for value in estimates if value.values})
    if not numbers:
        return name
    number = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    return f"{name} ({number} {unit}{'' if number == '1' else 's'})"


def spread(values: Sequence[Estimate]) -> list[list[float]]:
    """The lengths of error bars below and above the means."""
    below = [max(0.0, value.mean - value.ends[0]) for value in values]
    return [below, [max(0.0, value.ends[1] - value.mean) for value in values]]


def spread_of(values: Iterable[Estimate]) -> str:
    """What bars and bands of these estimates are, and over how many independent units."""
    counts = sorted({value.units for value in values if value.values})
    if not counts or counts[-1] < 2:
        return "no interval"
    n = str(counts[0]) if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
    return f"95 % interval, n = {n}" if counts[-1] > 2 else f"range, n = {n}"


def subjects(table: Any) -> Any:
    """What each row is of: its experiment, or both of a pair."""
    if "experiment" in table:
        return table["experiment"]
    both = zip(table["experiment_a"], table["experiment_b"], strict=True)
    return [" and ".join(dict.fromkeys(names)) for names in both]
