"""The verdict of ``lmc check`` from what was measured (THEORY 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmc.core.statistics import Estimate
from lmc.jobs.measuring.gains import Gain

ALIGNED = ("activation", "identifiability")
NO_ALIGNMENT, ALIGNMENT, NOT_MERGEABLE = "needs no alignment", "needs alignment", "not linearly mergeable"
UNDECIDED = "cannot be judged"
_BARELY = 0.05
"""Below this share of a constant output's loss, what training gained is too little to measure barriers by."""
_NOTHING_PERMUTES = "no neurons are known to permute (lmc symmetry says why)"
_SHARES = ("identifiable", "identified")
_UNEQUAL = 0.1
"""From this share of what training gained on, the ends of a line lose unequally: a convex loss between
them lies below the chord, whatever the networks."""


@dataclass(frozen=True)
class Finding:
    """A verdict with its reasons.

    ``certain``: whether nothing speaks against it: intervals (of one pair, the value) that lie on one side of
    the threshold, runs that learned something, ends that lose alike.
    """

    verdict: str
    certain: bool
    sentence: str


@dataclass(frozen=True)
class Limits:
    """The share up to which a barrier counts as none, and that of neurons from which on a network is
    identifiable.
    """

    low: float
    identifiable: float


def judge(
    found: Mapping[str, Estimate], ends: Sequence[tuple[Gain, Gain]], limits: Limits, permutes: bool = True
) -> Finding:
    """The verdict from barriers as shares of what training gained, without alignment and with it.

    Args:
        found: ``relative_none``, and ``relative_`` each of ``ALIGNED``; ``identifiable`` and ``identified``
            where they are known.
        ends: the two runs of every pair.
        permutes: whether anything in the network does; else nothing can be aligned.
    """
    reason = _unjudgeable(found["relative_none"], ends)
    if reason:
        return Finding(UNDECIDED, False, reason)
    none, share, limit = found["relative_none"], "of what training gained", f"(limit {limits.low:.0%})"
    best = min(ALIGNED, key=lambda name: found[f"relative_{name}"].mean)
    aligned = found[f"relative_{best}"]
    if none.mean <= limits.low:
        verdict, decisive = NO_ALIGNMENT, [none]
        why = f"without alignment, the barrier is {none.mean:.1%} {share} {limit}"
    elif not permutes:
        verdict, decisive = NOT_MERGEABLE, [none]
        why = f"the barrier is {none.mean:.1%} {share} {limit}, and {_NOTHING_PERMUTES}"
    elif aligned.mean <= limits.low:
        verdict, decisive = ALIGNMENT, [none, aligned]
        why = (
            f"aligned by {best}, the barrier falls from {none.mean:.1%} to {aligned.mean:.1%} {share} {limit}"
        )
    else:
        verdict, decisive = NOT_MERGEABLE, [none, aligned]
        why = f"aligned by {best}, the barrier still is {aligned.mean:.1%} {share} {limit}"
    doubts = [*_doubts(ends)]
    if not all(_on_one_side(each, limits.low) for each in decisive):
        doubts.append("the interval, or one of the pairs, reaches across the limit")
    doubt = f"; not certain: {'; '.join(doubts)}" if doubts else ""
    return Finding(verdict, not doubts, f"{why}{_theory(found, limits.identifiable, verdict)}{doubt}")


def _unjudgeable(none: Estimate, ends: Sequence[tuple[Gain, Gain]]) -> str:
    """Why no verdict follows, if none does."""
    weak = dict.fromkeys(end for pair in ends for end in pair if not end.learned)
    if weak:
        more = f" (and {len(weak) - 1} more)" if len(weak) > 1 else ""
        return f"no verdict without two runs that learned: {next(iter(weak))}{more}"
    if not math.isfinite(none.mean):
        return "the loss on the line is not finite"
    return ""


def _doubts(ends: Sequence[tuple[Gain, Gain]]) -> list[str]:
    """What makes barriers of these pairs a poor measure."""
    doubts = []
    gained = min((end for pair in ends for end in pair), key=lambda end: end.share)
    if gained.share < _BARELY:
        doubts.append(f"{gained.reference} gained only {gained.share:.1%} of a constant output's loss")
    unequal = [pair for pair in ends if _unequal(*pair)]
    if unequal:
        a, b = unequal[0]
        more = f" (and {len(unequal) - 1} more pairs)" if len(unequal) > 1 else ""
        doubts.append(f"unequal ends: {a.reference} loses {a.loss:.3g}, {b.reference} {b.loss:.3g}{more}")
    return doubts


def _unequal(a: Gain, b: Gain) -> bool:
    noise = 0 if math.isnan(a.error + b.error) else 2 * math.hypot(a.error, b.error)
    return abs(a.loss - b.loss) > max(noise, _UNEQUAL * (a.gained + b.gained) / 2)


def _theory(found: Mapping[str, Estimate], identifiable: float, verdict: str) -> str:
    """Whether identifiability says the same (THEORY 4: by cost and in fact must agree)."""
    by_cost, in_fact = (found[name].mean if name in found else math.nan for name in _SHARES)
    if math.isnan(by_cost):
        return ""
    stays = by_cost >= identifiable
    says = f"; {by_cost:.0%} of the neurons are identifiable by cost, {in_fact:.0%} in fact"
    if stays and verdict != NO_ALIGNMENT:
        return says + ", so theory predicts no barrier, but one was measured"
    if not stays and verdict == NO_ALIGNMENT and in_fact < identifiable:
        return says + ": the line is low although neurons could be exchanged"
    return says


def _on_one_side(value: Estimate, limit: float) -> bool:
    low, high = value.ends
    return (low <= limit) == (high <= limit)
