"""Learning-rate schedules: the factor on the base rate at a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """A moment of training, in epochs: ``done`` of ``total``, ``epoch`` whole ones; a step takes ``step``."""

    epoch: int
    done: float
    step: float
    total: int


Schedule = Callable[[Moment, int, float], float]


def constant(moment: Moment, warmup: int, factor: float) -> float:
    """Always the base rate."""
    return 1.0


def linear(moment: Moment, warmup: int, factor: float) -> float:
    """Rises linearly over ``warmup`` epochs, then the base rate."""
    return min(1.0, (moment.done + moment.step) / warmup) if warmup else 1.0


def cosine(moment: Moment, warmup: int, factor: float) -> float:
    """Rises linearly over ``warmup`` epochs, then falls to zero along half a cosine."""
    if moment.done < warmup:
        return linear(moment, warmup, factor)
    left = max(moment.total - warmup, 1e-12)
    return 0.5 * (1 + math.cos(math.pi * (moment.done - warmup) / left))


def exponential(moment: Moment, warmup: int, factor: float) -> float:
    """Grows by ``factor`` per epoch over ``warmup`` epochs, as published for ResNet-20 (THEORY 1)."""
    return factor ** min(moment.epoch, warmup)


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "exponential": exponential,
}
