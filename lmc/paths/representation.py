"""Merging representations in place of weights: mean hidden states, then the rest of a network (THEORY 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from torch import Tensor

from lmc.models.stack import Point, State
from lmc.paths.cuts import OUTPUTS, calls, captured
from lmc.paths.first_layer import Between
from lmc.paths.scene import Evaluated, Scene
from lmc.recording.evaluation import Replacements, RowsOfStack

Head = Literal["a", "b", "mean"]
HEADS: tuple[Head, ...] = get_args(Head)


def merge_representations(scene: Scene, point: Point, heads: Iterable[Head]) -> dict[Head, Evaluated]:
    """What a scene's networks become if they go on from the mean hidden states (1 - l) h_A + l h_B.

    The rest is that of A, of B, or of the weights on the way at l. At the outputs this is the logit
    ensemble whatever the head. The layers before ``point`` are computed for A and B only. BatchNorm
    statistics behind the point are re-estimated on the mean hidden states, where the scene asks for it.

    Args:
        point: on which alone what follows depends (``cuts``); else the rest also reads A's own states.
    """
    replace = _means(scene, point)
    found: dict[Head, Evaluated] = {}
    for head in heads:
        tensors = _rest(scene, head)
        if point != OUTPUTS:
            tensors = scene.reestimated(tensors, replace)
        found[head] = scene.evaluate(tensors, replace)
    return found


def _rest(scene: Scene, head: Head) -> State:
    if head == "mean":
        return scene.weights()
    own = scene.a if head == "a" else scene.b
    return {name: tensor.expand(len(scene.alphas), *tensor.shape) for name, tensor in own.items()}


def _means(scene: Scene, point: Point) -> Replacements:
    """The mean hidden states; before them, A's outputs stand in for the layers, so as not to compute any."""
    module, alphas, ends = scene.module, scene.alphas, scene.ends()
    first = {name: tensor[0] for name, tensor in ends.items()}
    made = calls(module, first, scene.example.to(next(iter(first.values())).device))
    begins = min(
        call.began for call in made if call.point[:2] == point[:2] and point.call in (None, call.point.call)
    )
    names = [call.point.module for call in made]
    before = [
        call.point
        for call in made
        if call.layer and call.ended < begins and names.count(call.point.module) == 1
    ]

    def replace(x: Tensor) -> Mapping[str | Point, RowsOfStack]:
        seen = captured(module, ends, x, [point, *before])
        known: dict[str | Point, RowsOfStack] = {
            place: seen[place][0].expand(len(alphas), *seen[place][0].shape) for place in before
        }
        known[point] = Between(seen[point][0], seen[point][1], alphas)
        return known

    return replace
