"""By how much every run beats a constant output, and how sure a finite split makes that."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from lmc.data.chance import chance, constant_output
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.pair import named_split
from lmc.models.stack import batch_norms
from lmc.recording import evaluate, reestimate

_SURE = 2.0
"""Standard errors: some 95 % of a normal distribution."""


@dataclass(frozen=True)
class Gain:
    """One run's loss on a split, beside that of the constant output that is best on the training data.

    Attributes:
        gained: the mean over samples of the constant's loss minus the run's.
        error: standard error of that mean; NaN for a single sample (a graph).
    """

    reference: str
    loss: float
    gained: float
    error: float

    @property
    def learned(self) -> bool:
        """Whether the run beats the constant by more than its sampling noise."""
        return self.gained > (0 if math.isnan(self.error) else _SURE * self.error)

    @property
    def share(self) -> float:
        """What was gained of the constant's loss; for squared errors, the R squared."""
        constant = self.loss + self.gained
        return self.gained / constant if constant > 0 else math.inf

    def __str__(self) -> str:
        noise = "" if math.isnan(self.error) else f" +- {_SURE * self.error:.2g}"
        return f"{self.reference} loses {self.loss:.3g}, a constant {self.loss + self.gained:.3g}{noise}"


Gains = dict[tuple[str, int, int], Gain]
"""By experiment, seed and epoch."""


def gains(lineup: Lineup, name: str) -> Gains:
    """Every run of a lineup on the split ``name``.

    BatchNorm statistics are re-estimated, as they are on the path that the gains are compared with.
    """
    network, split = lineup.network.to(lineup.device), named_split(lineup.dataset, name)
    states, task = lineup.stacked, lineup.dataset.task
    if batch_norms(network):
        states = reestimate(network, states, lineup.dataset.train.inputs)
    constant = constant_output(lineup.dataset).to(lineup.device)

    def squared(outputs: Tensor, targets: Tensor) -> Tensor:
        best = constant.to(outputs.dtype).expand_as(outputs)
        return (task.losses(best, targets) - task.losses(outputs, targets)).square()

    losses, square = evaluate(network, states, split.inputs, split.targets, task.losses, squared)
    whole, count = chance(lineup.dataset, split), len(split)
    spread = (square - (whole - losses) ** 2).clamp(min=0) / (count - 1 if count > 1 else math.nan)
    return {
        opened.key: Gain(f"{opened.run.reference}@{opened.epoch}", loss, whole - loss, error)
        for opened, loss, error in zip(lineup.runs, losses.tolist(), spread.sqrt().tolist(), strict=True)
    }
