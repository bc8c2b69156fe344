"""Proof that a model's groups are symmetries: run before any permutation is used."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmc.core.errors import JobError
from lmc.core.seeds import generator
from lmc.models.stack import Point, State, forward, state_of
from lmc.symmetry.groups import Group, Groups, apply, families, random

TOLERANCE = 1e-10


def verify(model: nn.Module, groups: Groups, example_input: Tensor) -> None:
    """Check in float64 that each family of groups alone leaves the outputs and changes the weights.

    Also, that the neurons move alike at all their recording points: the check that matching reads what
    it permutes. Other tools check the outputs in their tests only, and their users find the typo in the
    specification after a day of matching.

    Raises:
        JobError: names the group that is no symmetry of the model.
    """
    double = copy.deepcopy(model).double().cpu().eval()
    # Norms start at one and zero, where permuting them shows nothing: give every tensor its own values.
    noise = generator("verify")
    state = {
        name: tensor + torch.rand(tensor.shape, generator=noise, dtype=torch.float64) * 0.1
        if tensor.is_floating_point()
        else tensor
        for name, tensor in state_of(double).items()
    }
    inputs = example_input.cpu()
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    features = {each for group in groups for found in group.points.values() for each in found}
    points = tuple({feature.point for feature in features})
    with torch.no_grad():
        expected = _run(double, state, inputs, points)
        for family in families(groups):
            _check_family(double, family, state, inputs, expected, points)


def _check_family(
    model: nn.Module,
    family: Sequence[Group],
    state: State,
    inputs: Tensor,
    expected: tuple[Tensor, dict[Point, Tensor]],
    points: tuple[Point, ...],
) -> None:
    names = " and ".join(group.name for group in family)
    permutations = random(family, generator("verify", family[0].name))
    for group in family:
        own = permutations[group.name]
        if group.blocks == 1 and group.size > 1 and torch.equal(own, torch.arange(group.size)):
            permutations[group.name] = own.roll(1)
    moved = apply(family, permutations, state)
    outputs, seen = _run(model, moved, inputs, points)
    if not _close(outputs, expected[0]):
        difference = (outputs - expected[0]).abs().max()
        raise JobError(
            f"permuting the neurons of {names} changes the outputs by {difference:.2g}",
            "its group names the wrong axes",
        )
    moving = [
        group for group in family if not torch.equal(permutations[group.name], torch.arange(group.size))
    ]
    tensors = {axis.tensor for group in moving for axis in group.axes}
    if moving and all(torch.equal(moved[name], state[name]) for name in tensors):
        raise JobError(f"permuting the neurons of {names} moves no weight", "its group names no axes")
    for group in family:
        for feature in dict.fromkeys(each for found in group.points.values() for each in found):
            side = feature.point.side
            before, after = feature.read(expected[1][feature.point]), feature.read(seen[feature.point])
            if not _close(after, before[..., permutations[group.name]]):
                raise JobError(
                    f"permuting the neurons of {group.name} does not permute {feature.point.module}'s {side}",
                    "its group names the wrong recording point",
                )


def _run(
    model: nn.Module, state: State, inputs: Tensor, points: tuple[Point, ...]
) -> tuple[Tensor, dict[Point, Tensor]]:
    return forward(model, {name: tensor[None] for name, tensor in state.items()}, inputs, capture=points)


def _close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= TOLERANCE * (1 + b.abs().max()))
