"""The verdict of ``lmc check`` from what was measured (THEORY 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lmc.core.statistics import Estimate

ALIGNED = ("activation", "identifiability")
NO_ALIGNMENT, ALIGNMENT, NOT_MERGEABLE = "needs no alignment", "needs alignment", "not linearly mergeable"


@dataclass(frozen=True)
class Finding:
    """A verdict with its reasons.

    ``certain``: whether every interval lies on one side of the threshold; with fewer than three pairs,
    whether every value does.
    """

    verdict: str
    certain: bool
    sentence: str


def judge(found: Mapping[str, Estimate], low: float, identifiable: float) -> Finding:
    """The verdict from barriers as shares of what training gained, without alignment and with it.

    Args:
        found: ``relative_none`` and ``relative_`` each of ``ALIGNED``; ``identifiable`` and ``identified``.
        low: the share up to which a barrier counts as none.
        identifiable: the share of neurons from which on a network counts as identifiable.
    """
    none = found["relative_none"]
    best = min(ALIGNED, key=lambda name: found[f"relative_{name}"].mean)
    aligned = found[f"relative_{best}"]
    share, limit = "of what training gained", f"(limit {low:.0%})"
    if none.mean <= low:
        verdict, decisive = NO_ALIGNMENT, [none]
        why = f"without alignment, the barrier is {none.mean:.1%} {share} {limit}"
    elif aligned.mean <= low:
        verdict, decisive = ALIGNMENT, [none, aligned]
        why = (
            f"aligned by {best}, the barrier falls from {none.mean:.1%} to {aligned.mean:.1%} {share} {limit}"
        )
    else:
        verdict, decisive = NOT_MERGEABLE, [none, aligned]
        why = f"aligned by {best}, the barrier still is {aligned.mean:.1%} {share} {limit}"
    certain = all(_on_one_side(each, low) for each in decisive)
    doubt = "" if certain else "; not certain: the interval, or one of the pairs, reaches across the limit"
    return Finding(verdict, certain, f"{why}{_theory(found, identifiable, verdict)}{doubt}")


def _theory(found: Mapping[str, Estimate], identifiable: float, verdict: str) -> str:
    """Whether identifiability says the same (THEORY 4: by cost and in fact must agree)."""
    by_cost, in_fact = found["identifiable"].mean, found["identified"].mean
    if by_cost != by_cost:
        return ""
    stays = by_cost >= identifiable
    says = f"; {by_cost:.0%} of the neurons are identifiable by cost, {in_fact:.0%} in fact"
    if stays and verdict != NO_ALIGNMENT:
        return says + ", so theory predicts no barrier, but one was measured"
    if not stays and verdict == NO_ALIGNMENT and in_fact < identifiable:
        return says + ": the line is low although neurons could be exchanged"
    return says


def _on_one_side(value: Estimate, limit: float) -> bool:
    ends = (value.low, value.high) if value.low == value.low else (min(value.values), max(value.values))
    return (ends[0] <= limit) == (ends[1] <= limit)
