"""Merging representations in place of weights: mean hidden states, then the rest of a network (THEORY 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lmc.models.stack import Point, State, forward, stack_states
from lmc.paths.line import Split, interpolate
from lmc.paths.sections import ROOT, Call, Section, bypass, calls, evaluating, has_weight
from lmc.recording import evaluate, reestimate
from lmc.recording.evaluation import Losses
from lmc.symmetry import Group

Head = Literal["a", "b", "average"]


@dataclass(frozen=True)
class Cut:
    """Where hidden states are averaged: behind ``layer``, at ``point``, on which alone the outputs depend."""

    layer: str
    point: Point


def merge_representations(
    module: nn.Module,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    alphas: Sequence[float],
    point: Point,
    heads: Iterable[Head],
    split: Split,
    losses: Losses,
    correct: Losses,
    statistics: Tensor | None = None,
) -> dict[Head, tuple[Tensor, Tensor]]:
    """Mean loss and accuracy, (L,) float64, of going on from (1 - l) h_A + l h_B with the rest of each head.

    What precedes ``point`` is computed for A and B only. At the outputs this is the logit ensemble, whatever
    the head.

    Args:
        a, b: state dicts of one architecture.
        alphas: the l, of the hidden states and of the weight average.
        split: inputs and targets.
        statistics: training inputs from which to re-estimate BatchNorm statistics, of A and B before the
            point, and behind it of every head at every l on the averaged hidden states that it reads; None
            leaves A's and B's, and interpolates those of the average.
    """
    ends = stack_states([a, b])
    if statistics is not None:
        ends = reestimate(module, ends, statistics)
    section = Section(module, ends, alphas, point)
    found: dict[Head, tuple[Tensor, Tensor]] = {}
    for head in heads:
        tensors = _head(head, a, b, alphas)
        if statistics is not None and point != ROOT:
            tensors = reestimate(module, tensors, statistics, section.replacements)
        found[head] = evaluate(module, tensors, *split, losses, correct, section.replacements)
    return found


def _head(head: Head, a: Mapping[str, Tensor], b: Mapping[str, Tensor], alphas: Sequence[float]) -> State:
    if head == "average":
        return interpolate(a, b, alphas)
    own = a if head == "a" else b
    return {name: tensor.expand(len(alphas), *tensor.shape) for name, tensor in own.items()}


def cuts(
    module: nn.Module, state: Mapping[str, Tensor], inputs: Tensor, groups: Iterable[Group] = ()
) -> tuple[list[Cut], dict[str, str]]:
    """Where a network can be cut in two, behind its layers' activations and at the ends of residual blocks.

    Proved at each place by computing the outputs from it with NaN everywhere else.

    Args:
        inputs: a small batch.
        groups: say which points come after an activation; without, the last place before the next layer.

    Returns:
        the cuts in order, named after the layer, or after the block where a cut ends several layers; and
        the layers that have none of their own, with the operation that reads what goes past them (empty:
        what follows is the outputs).
    """
    tensors = {name: tensor[None] for name, tensor in state.items()}
    made = calls(module, tensors, inputs)
    bypasses = _bypasses(module, tensors, inputs, made)
    activations = {
        (feature.point.module, feature.point.call)
        for group in groups
        for feature in group.points.get("activation", ())
    }
    weighted = [call for call in made if has_weight(module, call)]
    found: list[Cut] = []
    pending: list[Call] = []
    for index, call in enumerate(weighted):
        pending.append(call)
        until = weighted[index + 1].began if index + 1 < len(weighted) else made[-1].ended
        here = [point for point, (ended, by) in bypasses.items() if not by and call.ended <= ended <= until]
        if here:
            after = [
                point for point in here if {(point.module, None), (point.module, point.call)} & activations
            ]
            point = after[-1] if after else here[0 if activations else -1]
            layers = [each.point.module for each in pending]
            found.append(Cut(_name(layers, point.module, {cut.layer for cut in found}), point))
            pending = []
    names = {cut.layer for cut in found}
    return found, {
        call.point.module: bypasses[call.point][1] if call.point in bypasses else ""
        for call in weighted
        if call.point.module not in names
    }


def _bypasses(
    module: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor, made: Sequence[Call]
) -> dict[Point, tuple[int, str]]:
    """Of every call but those that give the outputs: when it ends, and what bypasses it (empty: nothing)."""
    candidates = [call for call in made if call.point.module and call.shape is not None]
    with evaluating(module):
        outputs, seen = forward(module, tensors, inputs, capture=[call.point for call in candidates])
    return {
        call.point: (call.ended, bypass(module, tensors, inputs, call.point, made=made) or "")
        for call in candidates
        if not (seen[call.point].shape == outputs.shape and torch.equal(seen[call.point], outputs))
    }


def _name(layers: Sequence[str], module: str, taken: set[str]) -> str:
    if len(layers) == 1 and layers[0] not in taken:
        return layers[0]
    paths = [layer.split(".")[:-1] for layer in layers]
    shared = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    block = ".".join(shared)
    return block if block and block not in taken else module
