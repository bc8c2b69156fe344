"""What a path leads through: two networks, the points between them, and the data they are evaluated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from lmc.models.computed import settled, unified
from lmc.models.stack import State, stack_states
from lmc.paths.first_layer import Pair
from lmc.paths.line import Alphas, Line
from lmc.recording import evaluate, reestimate
from lmc.recording.evaluation import Losses, Replacements

_EXAMPLES = 4
Split = tuple[Tensor, Tensor]
Evaluated = dict[str, tuple[Tensor, Tensor]]
"""By split: mean loss and accuracy, each (L,) float64."""


class Curve(Protocol):
    """A way from A (l = 0) to B (l = 1) in weight space."""

    def points(self, pair: Pair, alphas: Alphas) -> State:
        """The weights at every l, stacked (L, *shape)."""

    def shortcut(
        self, module: nn.Module, pair: Pair, alphas: Alphas, examples: Tensor
    ) -> Replacements | None:
        """What need not be computed at every l, for ``evaluate``; None where everything must be.

        Args:
            examples: (N, *input_shape) of the data, a few.
        """


@dataclass(frozen=True, eq=False)
class Scene:
    """Networks A and B of one architecture, and where and on what the way between them is measured.

    Attributes:
        module: the template; its own weights are not used.
        a, b: state dicts, on the device that computes.
        alphas: the L points l, from 0 (A) to 1 (B).
        splits: name to (inputs, targets); at least one has samples.
        losses, correct: the task's loss and accuracy of each sample.
        statistics: training inputs from which BatchNorm statistics are re-estimated wherever a network
            is evaluated; None takes A's and B's own, and those that ``curve`` gives in between.
        curve: the way from A to B.
    """

    module: nn.Module
    a: Mapping[str, Tensor]
    b: Mapping[str, Tensor]
    alphas: Alphas
    splits: Mapping[str, Split]
    losses: Losses
    correct: Losses
    statistics: Tensor | None = None
    curve: Curve = Line()

    def ends(self) -> State:
        """A and B, (2, *shape), with their statistics re-estimated."""
        return self.reestimated(stack_states([self.a, self.b]))

    def weights(self) -> State:
        """The networks on the way as the curve gives them, (L, *shape); masks and estimates are their own."""
        a, b = unified(self.module, (self.a, self.b))
        inner = [place for place, alpha in enumerate(self.alphas) if 0 < alpha < 1]
        return settled(self.module, self.curve.points((a, b), self.alphas), inner)

    def points(self) -> State:
        """The networks on the way, (L, *shape), with their statistics re-estimated."""
        return self.reestimated(self.weights())

    def reestimated(self, tensors: State, replace: Replacements | None = None) -> State:
        """A stack with its BatchNorm statistics re-estimated, where the scene asks for that."""
        if self.statistics is None:
            return tensors
        return reestimate(self.module, tensors, self.statistics, replace)

    def evaluate(self, tensors: State, replace: Replacements | None = None) -> Evaluated:
        """Mean loss and accuracy of a stack (L, *shape) on every split."""
        return {
            name: evaluate(self.module, tensors, *split, self.losses, self.correct, replace)
            for name, split in self.splits.items()
        }

    @property
    def example(self) -> Tensor:
        """A sample or two (B, *input_shape): statistics of a batch need two."""
        return self.examples[:2]

    @property
    def examples(self) -> Tensor:
        """A few samples (N, *input_shape)."""
        return next(inputs[:_EXAMPLES] for inputs, _ in self.splits.values() if len(inputs))


def scan(scene: Scene) -> Evaluated:
    """Mean loss and accuracy at every point of the way. All points are evaluated together."""
    replace = scene.curve.shortcut(scene.module, (scene.a, scene.b), scene.alphas, scene.examples)
    return scene.evaluate(scene.points(), replace)
