"""Claims as conditions on measured quantities, and whether they hold.

A quantity is ``case:name:detail`` (its mean over pairs) or with ``@low`` / ``@high`` an end of its
interval; a condition compares one with a number, or with a factor times another:
``w1:barrier:none < 0.2 * standard:barrier:none``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmc.core.errors import SettingError
from lmc.core.schema import frame
from lmc.core.statistics import Estimate

if TYPE_CHECKING:
    import pandas as pd

Quantities = Mapping[tuple[str, str, str], Estimate]

_QUANTITY = r"[\w.+-]+:\w+:[\w.+-]+(?:@(?:low|high))?"
_CONDITION = re.compile(
    rf"^({_QUANTITY})\s*(<=|>=|<|>|==)\s*(?:([\d.eE+-]+)\s*\*\s*)?({_QUANTITY}|[\d.eE+-]+)$"
)
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}


@dataclass(frozen=True)
class Condition:
    """One comparison with the numbers in it."""

    text: str
    holds: bool


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with the conditions that decide it."""

    text: str
    conditions: tuple[Condition, ...]

    @property
    def holds(self) -> bool:
        """Whether all conditions do."""
        return all(condition.holds for condition in self.conditions)

    @property
    def numbers(self) -> str:
        """The conditions on one line; those that fail say so."""
        return "; ".join(each.text + ("" if each.holds else " (fails)") for each in self.conditions)


@dataclass(frozen=True)
class Claim:
    """A claim as an experiment states it: its conditions, read before anything is trained."""

    text: str
    conditions: tuple[tuple[str, str, str | None, str], ...]

    @classmethod
    def parse(cls, text: str, conditions: Sequence[str]) -> Claim:
        """Raises SettingError: a condition cannot be read."""
        return cls(text, tuple(map(parse, conditions)))

    def judge(self, quantities: Quantities) -> JudgedClaim:
        """Whether every condition holds; a quantity that is undefined (NaN) makes it fail."""
        judged = []
        for left, compare, factor, right in self.conditions:
            limit = (float(factor) if factor else 1.0) * _value(right, quantities)
            times = f"{factor} x " if factor and float(factor) != 1 else ""
            shown = f"{_show(left, quantities)} {compare} {times}{_show(right, quantities)}"
            judged.append(Condition(shown, bool(_COMPARE[compare](_value(left, quantities), limit))))
        return JudgedClaim(self.text, tuple(judged))


def claim_table(name: str, judged: Sequence[JudgedClaim]) -> pd.DataFrame:
    """The table ``claim`` of a named experiment."""
    return frame(
        "claim",
        [
            {"experiment": name, "claim": each.text, "numbers": each.numbers, "holds": each.holds}
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
    case, name, detail = token.partition("@")[0].split(":")
    try:
        return quantities[case, name, detail]
    except KeyError:
        raise SettingError(f"{token}: was not measured") from None


def _value(token: str, quantities: Quantities) -> float:
    if ":" not in token:
        return float(token)
    found = _find(token, quantities)
    end = token.partition("@")[2]
    if not end:
        return found.mean
    return found.ends[end == "high"]


def _show(token: str, quantities: Quantities) -> str:
    if ":" not in token:
        return token
    name, _, end = token.partition("@")
    at = {"": "", "low": ", from ", "high": ", up to "}[end]
    value = f"{at}{_value(token, quantities):.3g}" if end else f" {_find(token, quantities)}"
    return name.replace(":", " ").replace("_", " ") + value
