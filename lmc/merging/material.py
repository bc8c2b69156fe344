"""What a merger may look at, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from lmc.models.stack import State
from lmc.variants import Constraint


class Bar(Protocol):
    """A progress bar under way."""

    def advance(self) -> None:
        """Count a step as done."""


class _NoBar:
    def advance(self) -> None: ...


@contextmanager
def _silent(title: str, total: int) -> Iterator[Bar]:
    yield _NoBar()


@dataclass(frozen=True)
class Material:
    """N runs of one architecture, their neurons aligned, and what they were trained on.

    Attributes:
        states: each run's effective weights.
        network: the template; its own weights are not used.
        inputs: (samples, *input_shape), training inputs.
        constraint: the D, f and C that all runs share; None where they differ.
        restatistics: whether BatchNorm statistics are to be re-estimated. Of what a merger returns they
            are afterwards; it needs to do so itself only for what it measures on the way.
        device: computes; states and inputs may lie elsewhere.
        progress: a bar from a title and a number of steps.
    """

    states: Sequence[Mapping[str, Tensor]]
    network: nn.Module
    inputs: Tensor
    constraint: Constraint | None
    restatistics: bool = True
    device: torch.device = torch.device("cpu")
    progress: Callable[[str, int], AbstractContextManager[Bar]] = _silent


@dataclass(frozen=True)
class Merged:
    """One network out of several.

    Attributes:
        state: its weights, by the names and in the types of the first run's.
        outside: where ``state`` was kept in the class {D theta + f} of the runs, what it would be without.
        notes: what the user should know, one line each.
    """

    state: State
    outside: State | None = None
    notes: tuple[str, ...] = ()
