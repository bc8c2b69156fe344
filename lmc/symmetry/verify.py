"""Proof that a model's groups are symmetries: run before any permutation is used."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lmc.core.errors import JobError
from lmc.core.seeds import generator
from lmc.models.stack import state_of
from lmc.symmetry.groups import Groups, apply, random

TOLERANCE = 1e-10


def verify(model: nn.Module, groups: Groups, example_input: Tensor) -> None:
    """Check in float64 that each group alone leaves the outputs and changes the weights.

    Other tools check this in their tests only, and their users find the typo in the specification after
    a day of matching.

    Raises:
        JobError: names the group that is no symmetry of the model.
    """
    double = copy.deepcopy(model).double().eval()
    # Norms start at one and zero, where permuting them shows nothing: give every tensor its own values.
    noise = generator("verify")
    state = {
        name: tensor + torch.rand(tensor.shape, generator=noise, dtype=torch.float64) * 0.1
        if tensor.is_floating_point()
        else tensor
        for name, tensor in state_of(double.cpu()).items()
    }
    inputs = example_input.cpu().double()
    with torch.no_grad():
        expected = functional_call(double, state, (inputs,))
        for group in groups:
            permutation = random([group], generator("verify", group.name))
            if group.size > 1 and torch.equal(permutation[group.name], torch.arange(group.size)):
                permutation[group.name] = permutation[group.name].roll(1)
            moved = apply([group], permutation, state)
            difference = (functional_call(double, moved, (inputs,)) - expected).abs().max()
            if not difference <= TOLERANCE * (1 + expected.abs().max()):
                raise JobError(
                    f"permuting the neurons of {group.name} changes the outputs by {difference:.2g}",
                    "its group names the wrong axes",
                )
            if group.size > 1 and all(
                torch.equal(moved[name], state[name]) for name in {axis.tensor for axis in group.axes}
            ):
                raise JobError(
                    f"permuting the neurons of {group.name} moves no weight", "its group names no axes"
                )
