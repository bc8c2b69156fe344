"""What a matcher wants measured of the runs, declared by the types of its parameters.

A parameter annotated with one of the types below says what the matcher looks at, whatever it is called:
a matcher ``def mine(evidence, *, recorded: RecordingPoint = "norm")`` is shown similarities after the norm.
What a matcher does not declare has the default of ``Needs``.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import Field


@dataclass(frozen=True)
class Need:
    """Marks a parameter as one field of ``Needs``."""

    field: str


Similarity = Annotated[Literal["pearson", "absolute", "dot"], Need("similarity")]
"""How alike two neurons are over the training inputs."""

RecordingPoint = Annotated[Literal["activation", "norm", "linear"], Need("point")]
"""Where neurons are recorded: after the activation, the norm, or the linear map."""

Reference = Annotated[Literal["mean", "first"], Need("reference")]
"""What the neurons of more than two runs are matched to: the mean of the other runs, or the first run."""

Samples = Annotated[int | None, Field(ge=1), Need("samples")]
"""How many training inputs are recorded, a sample that is always the same; None is all."""

Tau = Annotated[float, Field(ge=0), Need("tau")]
"""An exchange is cheap up to tau times what training paid for the two neurons."""

Ratio = Annotated[float, Field(gt=0, le=1), Need("ratio")]
"""Share of variance of the input subspace that mahalanobis costs are measured on."""

CostEstimate = Annotated[Literal["mahalanobis", "ridge"], Need("estimate")]
"""Of norm costs."""

Beta = Annotated[float, Field(gt=0), Need("beta")]
"""Of ridge costs."""


@dataclass(frozen=True)
class Needs:
    """What is measured for a matcher, and reported beside its permutations."""

    similarity: str = "pearson"
    point: str = "activation"
    samples: int | None = None
    tau: float = 1.0
    ratio: float = 0.9
    estimate: str = "mahalanobis"
    beta: float = 0.01
    reference: str = "first"

    @classmethod
    def of(cls, matcher: Callable[..., Any], settings: Mapping[str, Any]) -> Needs:
        """What a matcher declares, with the values of its settings.

        Args:
            settings: the matcher's complete keyword arguments.
        """
        hints = typing.get_type_hints(matcher, include_extras=True)
        found = {
            mark.field: settings[name]
            for name, hint in hints.items()
            for mark in getattr(hint, "__metadata__", ())
            if isinstance(mark, Need) and name in settings
        }
        return dataclasses.replace(cls(), **found)

    @property
    def recorded(self) -> tuple[Any, ...]:
        """What decides which activations are recorded."""
        return self.point, self.samples

    def pairs(self, runs: int) -> list[tuple[int, int]]:
        """Which of N runs are compared with which."""
        return (
            list(combinations(range(runs), 2))
            if self.reference == "mean"
            else [(0, b) for b in range(1, runs)]
        )

    @property
    def costs(self) -> tuple[Any, ...]:
        """What decides the norm costs; beta counts for ridge costs, the ratio for the others."""
        return (self.estimate, self.beta) if self.estimate == "ridge" else (self.estimate, self.ratio)
