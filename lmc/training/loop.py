"""The one training loop: any tree of stacked tensors, a loss, and batches.

It depends on no network, data set or file. Measuring and storing are hooks; a run's batches come
from its own orders, so a run trained alone and beside others sees the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from lmc.core.recipe import Recipe
from lmc.training.optimisers import OPTIMISERS, Decay, clip
from lmc.training.schedules import SCHEDULES, Moment

Passes = tuple[Tensor, Tensor]
"""What a step computes: losses and accuracies, (K,) each."""


@dataclass(frozen=True)
class Batch:
    """Sample indices (K, B), one row per run, and their epoch and step."""

    epoch: int
    step: int
    indices: Tensor


class BatchLoss(Protocol):
    """Mean loss (K,), differentiable, and mean accuracy (K,) of every run on its batch."""

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Evaluate one batch."""


@dataclass(frozen=True)
class Epoch:
    """The end of an epoch; ``loss`` and ``accuracy`` are means over its batches, (K,)."""

    number: int
    loss: Tensor
    accuracy: Tensor
    learning_rate: float
    alive: Tensor


Hook = Callable[[Epoch], None]


@dataclass
class Position:
    """Where training stands: epochs done, steps done in the next, and that epoch's sums so far (K,)."""

    epoch: int
    step: int
    loss: Tensor
    accuracy: Tensor
    samples: int = 0


@dataclass
class Fit:
    """Training of K runs in step.

    Attributes:
        leaves: name to (K, ...) leaf tensors, trained in place.
        objective: losses of a batch.
        orders: epoch (from 0) to sample indices (K, N), one permutation per run.
        masks: name to float D in the leaf's layout; absent is all ones.
        centres: name to f in the leaf's layout; absent is all zeros.
        within: calls a step's two passes, within whatever both need.
        alive: runs whose loss is finite; the others are carried along and no longer mean anything.
    """

    leaves: Mapping[str, Tensor]
    objective: BatchLoss
    orders: Callable[[int], Tensor]
    recipe: Recipe
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    centres: Mapping[str, Tensor] = field(default_factory=dict)
    within: Callable[[Callable[[], Passes]], Passes] = lambda passes: passes()

    def __post_init__(self) -> None:
        recipe = self.recipe
        for leaf in self.leaves.values():
            leaf.requires_grad_(True)
        self.optimiser = OPTIMISERS[recipe.optimiser](
            list(self.leaves.values()), recipe.learning_rate, recipe.momentum, recipe.nesterov
        )
        decayed = {
            name: leaf for name, leaf in self.leaves.items() if recipe.decay_bias or not name.endswith("bias")
        }
        self._decay = Decay(decayed, self.centres)
        first = next(iter(self.leaves.values()))
        self._zeros = torch.zeros(len(first), dtype=torch.float64, device=first.device)
        self.alive = torch.ones(len(first), dtype=torch.bool)
        self.position = Position(0, 0, self._zeros.clone(), self._zeros.clone())

    def run(self, hooks: Sequence[Hook] = (), stopped: Callable[[], bool] = lambda: False) -> bool:
        """Train to the last epoch; True when it got there.

        Args:
            hooks: called in turn at the end of every epoch.
            stopped: asked before every step; training can go on from ``position`` later.
        """
        while self.position.epoch < self.recipe.epochs and self.alive.any():
            order = self.orders(self.position.epoch)
            bounds = batch_bounds(order.shape[1], self.recipe.batch_size)
            for step in range(self.position.step, len(bounds)):
                if stopped():
                    return False
                self._step(Batch(self.position.epoch, step, order[:, slice(*bounds[step])]), len(bounds))
            self._end_epoch(hooks, len(bounds))
        return True

    def _step(self, batch: Batch, steps: int) -> None:
        rate = self.rate(batch.epoch, batch.step, steps)
        self.optimiser.zero_grad(set_to_none=True)
        loss, accuracy = self.within(lambda: self._passes(batch))
        with torch.no_grad():
            for name, mask in self.masks.items():
                gradient = self.leaves[name].grad
                if gradient is not None:
                    gradient.mul_(mask)
        if self.recipe.clip is not None:
            clip(self.leaves.values(), self.recipe.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self._decay(rate * self.recipe.weight_decay)
        self.optimiser.step()
        size = batch.indices.shape[1]
        position = self.position
        position.step = batch.step + 1
        position.samples += size
        position.loss += loss.detach() * size
        position.accuracy += accuracy * size

    def _passes(self, batch: Batch) -> Passes:
        loss, accuracy = self.objective(batch)
        loss.sum().backward()
        return loss, accuracy

    def _end_epoch(self, hooks: Sequence[Hook], steps: int) -> None:
        position = self.position
        loss = position.loss / max(position.samples, 1)
        self.alive = self.alive & torch.isfinite(loss).cpu()
        rate = self.rate(position.epoch, steps - 1, steps)
        ended = Epoch(
            position.epoch + 1, loss, position.accuracy / max(position.samples, 1), rate, self.alive
        )
        self.position = Position(position.epoch + 1, 0, self._zeros.clone(), self._zeros.clone())
        for hook in hooks:
            hook(ended)

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """The learning rate of a step."""
        recipe = self.recipe
        moment = Moment(epoch, epoch + step / steps, 1 / steps, recipe.epochs)
        return recipe.learning_rate * SCHEDULES[recipe.schedule](moment, recipe.warmup, recipe.warmup_factor)

    def tensors(self, run: int) -> dict[str, Tensor]:
        """What one run needs to go on bit by bit: optimiser state and position (leaves are not included)."""
        kept: dict[str, Tensor] = {}
        for name, leaf in self.leaves.items():
            for key, value in self.optimiser.state.get(leaf, {}).items():
                if isinstance(value, Tensor):
                    kept[f"{name}#{key}"] = value.clone() if value.dim() == 0 else value[run].clone()
        position = self.position
        kept["#sums"] = torch.stack([position.loss[run], position.accuracy[run]]).cpu()
        kept["#position"] = torch.tensor([position.epoch, position.step, position.samples])
        return kept

    def restore(self, runs: Sequence[Mapping[str, Tensor]]) -> None:
        """Go on from what ``tensors`` gave for each run; all must stand at the same position."""
        epoch, step, samples = (int(value) for value in runs[0]["#position"])
        sums = torch.stack([run["#sums"] for run in runs]).to(self._zeros.device)
        self.position = Position(epoch, step, sums[:, 0].clone(), sums[:, 1].clone(), samples)
        for name, leaf in self.leaves.items():
            keys = [key for key in runs[0] if key.startswith(f"{name}#")]
            if keys:
                self.optimiser.state[leaf] = {
                    key.removeprefix(f"{name}#"): self._gather([run[key] for run in runs], leaf)
                    for key in keys
                }

    @staticmethod
    def _gather(values: Sequence[Tensor], leaf: Tensor) -> Tensor:
        return values[0].clone() if values[0].dim() == 0 else torch.stack(list(values)).to(leaf.device)


def batch_bounds(samples: int, batch_size: int) -> list[tuple[int, int]]:
    """Start and end of each batch; a last one of a single sample is left out, as BatchNorm cannot use it."""
    steps = max(1, math.ceil(samples / batch_size))
    bounds = [(start * batch_size, min((start + 1) * batch_size, samples)) for start in range(steps)]
    if len(bounds) > 1 and batch_size > 1 and bounds[-1][1] - bounds[-1][0] == 1:
        bounds.pop()
    return bounds
