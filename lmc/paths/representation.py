"""Merging representations in place of weights: mean hidden states, then the rest of a network (THEORY 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

from torch import Tensor, nn

from lmc.models.stack import Point, State, stack_states
from lmc.paths.cuts import OUTPUTS, calls, captured
from lmc.paths.line import Between, Split, interpolate
from lmc.recording import evaluate, reestimate
from lmc.recording.evaluation import Losses, Replacements, Rows

Head = Literal["a", "b", "mean"]
HEADS: tuple[Head, ...] = get_args(Head)


def merge_representations(
    module: nn.Module,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    alphas: Sequence[float],
    point: Point,
    heads: Iterable[Head],
    splits: Mapping[str, Split],
    losses: Losses,
    correct: Losses,
    statistics: Tensor | None = None,
) -> dict[Head, dict[str, tuple[Tensor, Tensor]]]:
    """Mean loss and accuracy, (L,) float64, of every split, going on from (1 - l) h_A + l h_B.

    The rest is that of A, of B, or of the weights (1 - l) A + l B. At the outputs this is the logit
    ensemble whatever the head. The layers before ``point`` are computed for A and B only.

    Args:
        a, b: state dicts of one architecture.
        point: on which alone what follows depends (``cuts``); else the rest also reads A's own states.
        splits: name to (inputs, targets).
        statistics: training inputs from which to re-estimate BatchNorm statistics, of A and B before the
            point, and behind it of every head at every l on the averaged hidden states that it reads; None
            leaves A's and B's, and interpolates those of the weight average.
    """
    ends = stack_states([a, b])
    if statistics is not None:
        ends = reestimate(module, ends, statistics)
    example = next(inputs[:1] for inputs, _ in splits.values() if len(inputs))
    replace = _means(module, ends, alphas, point, example)
    found: dict[Head, dict[str, tuple[Tensor, Tensor]]] = {}
    for head in heads:
        tensors = _rest(head, a, b, alphas)
        if statistics is not None and point != OUTPUTS:
            tensors = reestimate(module, tensors, statistics, replace)
        found[head] = {
            name: evaluate(module, tensors, *split, losses, correct, replace)
            for name, split in splits.items()
        }
    return found


def _rest(head: Head, a: Mapping[str, Tensor], b: Mapping[str, Tensor], alphas: Sequence[float]) -> State:
    if head == "mean":
        return interpolate(a, b, alphas)
    own = a if head == "a" else b
    return {name: tensor.expand(len(alphas), *tensor.shape) for name, tensor in own.items()}


def _means(
    module: nn.Module, ends: State, alphas: Sequence[float], point: Point, example: Tensor
) -> Replacements:
    """The mean hidden states; before them, A's outputs stand in for the layers, so as not to compute any."""
    first = {name: tensor[0] for name, tensor in ends.items()}
    made = calls(module, first, example.to(next(iter(first.values())).device))
    begins = min(
        call.began for call in made if call.point[:2] == point[:2] and point.call in (None, call.point.call)
    )
    names = [call.point.module for call in made]
    before = [
        call.point
        for call in made
        if call.layer and call.ended < begins and names.count(call.point.module) == 1
    ]

    def replace(x: Tensor) -> Mapping[str | Point, Rows]:
        seen = captured(module, ends, x, [point, *before])
        known: dict[str | Point, Rows] = {
            place: seen[place][0].expand(len(alphas), *seen[place][0].shape) for place in before
        }
        known[point] = Between(seen[point][0], seen[point][1], alphas)
        return known

    return replace
