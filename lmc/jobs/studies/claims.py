"""Claims as conditions on measured quantities: whether they hold, do not hold, or cannot be decided.

A quantity is ``case:name:detail``; a condition compares it with a number (the margin), or with a factor
times another quantity: ``w1:barrier:none < 0.2 * standard:barrier:none``. It holds where the whole 95 %
interval of the difference lies on its side, does not where all of it lies on the other, and else cannot be
decided: noise never makes a claim hold. A quantity without an interval (one pair, undefined) decides nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lmc.core.errors import SettingError
from lmc.core.schema import frame
from lmc.core.statistics import Estimate, difference

if TYPE_CHECKING:
    import pandas as pd

Quantities = Mapping[tuple[str, str, str], Estimate]

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "cannot be decided"
TOO_SMALL = "too small to decide"

_QUANTITY = r"[\w.+-]+:\w+:[\w.+-]+"
_NUMBER = r"-?[\d.]+(?:[eE][+-]?\d+)?"
_CONDITION = re.compile(rf"^({_QUANTITY})\s*(<|>)\s*(?:({_NUMBER})\s*\*\s*)?({_QUANTITY}|{_NUMBER})$")


@dataclass(frozen=True)
class Condition:
    """One comparison with the numbers in it, and what came of it."""

    text: str
    outcome: str


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with the conditions that decide it.

    ``controls``: what comes of the same claim where it must not hold, such as on untrained networks.
    """

    text: str
    conditions: tuple[Condition, ...]
    controls: Mapping[str, str] = field(default_factory=dict)
    too_small: bool = False

    @property
    def decided(self) -> str:
        """What its conditions say together: one that fails refutes it."""
        outcomes = {condition.outcome for condition in self.conditions}
        return next((each for each in (FAILS, UNDECIDED) if each in outcomes), HOLDS)

    @property
    def outcome(self) -> str:
        """The same; at a size that is too small that, whatever was measured."""
        return TOO_SMALL if self.too_small else self.decided

    @property
    def holds(self) -> bool:
        """Whether all conditions do."""
        return self.outcome == HOLDS

    @property
    def remarks(self) -> list[tuple[str, str]]:
        """The text of each condition, and what came of it where it does not hold."""
        said = {FAILS, UNDECIDED} if not self.too_small else set()
        return [(each.text, each.outcome if each.outcome in said else "") for each in self.conditions]

    @property
    def numbers(self) -> str:
        """The same on one line."""
        return "; ".join(text + (f" ({remark})" if remark else "") for text, remark in self.remarks)

    @property
    def control(self) -> str:
        """What comes of the controls on one line."""
        return "; ".join(f"{name}: {outcome}" for name, outcome in self.controls.items())


@dataclass(frozen=True)
class Claim:
    """A claim as an experiment states it: its conditions, read before anything is trained."""

    text: str
    conditions: tuple[tuple[str, str, str | None, str], ...]

    @classmethod
    def parse(cls, text: str, conditions: Sequence[str]) -> Claim:
        """Raises SettingError: a condition cannot be read."""
        return cls(text, tuple(map(parse, conditions)))

    @property
    def named(self) -> set[str]:
        """The cases, or series of cases, that its conditions name."""
        return {
            each.partition(":")[0] for part in self.conditions for each in (part[0], part[3]) if ":" in each
        }

    def judge(self, quantities: Quantities, learnt: float | None = None) -> JudgedClaim:
        """What comes of every condition.

        Args:
            learnt: the share of the loss of a constant output that the runs of every case named must have
                removed: claims speak of trained networks.
        """
        judged = [_condition(*each, quantities) for each in self.conditions]
        if learnt is not None:
            judged.append(_least_learnt(self.named, quantities, learnt))
        return JudgedClaim(self.text, tuple(judged))


def _condition(left: str, compare: str, factor: str | None, right: str, quantities: Quantities) -> Condition:
    value = _find(left, quantities)
    if ":" not in right:
        limit = float(factor or 1) * float(right)
        return Condition(f"{_show(left, value)} {compare} {limit:g}", _side(value, compare, limit))
    other, times = _find(right, quantities), float(factor or 1)
    apart = difference(value, other, times)
    scaled = "" if times == 1 else f"{times:g} x "
    text = f"{_show(left, value)} {compare} {scaled}{_show(right, other)}, difference {apart}"
    return Condition(text, _side(apart, compare, 0.0))


def _side(value: Estimate, compare: str, limit: float) -> str:
    """On which side of a limit an interval lies."""
    if math.isnan(value.low) or math.isnan(value.high):
        return UNDECIDED
    below, above = value.high < limit, value.low > limit
    if not (below or above):
        exact = value.low == value.high == limit
        return FAILS if exact else UNDECIDED
    return HOLDS if below == (compare == "<") else FAILS


def _least_learnt(named: Iterable[str], quantities: Quantities, limit: float) -> Condition:
    """Whether the case that learnt least did learn; names that are no case and no series stand for all."""
    there = {case: value for (case, name, _), value in quantities.items() if name == "learnt"}
    meant = {case for case in there for name in named if case == name or case.startswith(f"{name}-")}
    if not there:
        return Condition("learnt: not measured", UNDECIDED)
    case, value = min(
        ((case, there[case]) for case in meant or there),
        key=lambda each: -math.inf if math.isnan(each[1].low) else each[1].low,
    )
    return Condition(f"learnt at least (by {case}) {value} > {limit:g}", _side(value, ">", limit))


def claim_table(name: str, judged: Sequence[JudgedClaim]) -> pd.DataFrame:
    """The table ``claim`` of a named experiment."""
    return frame(
        "claim",
        [
            {
                "experiment": name,
                "claim": each.text,
                "numbers": each.numbers,
                "holds": each.holds,
                "outcome": each.outcome,
                "control": each.control,
            }
            for each in judged
        ],
    )


def measure_table(quantities: Quantities) -> pd.DataFrame:
    """The table ``measure``: every quantity that a claim may use."""
    return frame(
        "measure",
        [
            {
                "case": case,
                "quantity": quantity,
                "detail": detail,
                "mean": value.mean,
                "low": value.low,
                "high": value.high,
                "pairs": len(value.values),
                "units": value.units,
            }
            for (case, quantity, detail), value in quantities.items()
        ],
    )


def parse(condition: str) -> tuple[str, str, str | None, str]:
    """The parts of a condition; raises SettingError if it is not of the form above."""
    match = _CONDITION.match(condition.strip())
    if match is None:
        raise SettingError(
            f"condition {condition!r} cannot be read", "case:name:detail < 0.2 * case:name:detail"
        )
    return match[1], match[2], match[3], match[4]


def _find(token: str, quantities: Quantities) -> Estimate:
    case, name, detail = token.split(":")
    try:
        return quantities[case, name, detail]
    except KeyError:
        raise SettingError(f"{token}: was not measured") from None


def _show(token: str, value: Estimate) -> str:
    rests_on = f" (n={value.units})" if value.units else ""
    return f"{token.replace(':', ' ').replace('_', ' ')} {value}{rests_on}"
