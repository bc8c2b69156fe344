"""Which axes of which tensors permute together, and permuting them (THEORY 4).

A *group* is one set of neurons and every (tensor, axis) that is indexed by them: the rows of the layer
that owns them, its norm's parameters and statistics, and the input axes of its readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmc.core.errors import LmcError
from lmc.models.stack import State, state_of


@dataclass(frozen=True)
class Group:
    """One set of ``size`` neurons.

    ``axes``: the (tensor, axis) pairs that permute together. ``layers``: the modules whose outputs the
    neurons are. ``points``: recording point (activation, norm, linear) to the modules recorded there.
    """

    name: str
    size: int
    axes: tuple[tuple[str, int], ...]
    layers: tuple[str, ...]
    points: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Groups:
    """All groups of a model, in order of the forward pass."""

    groups: tuple[Group, ...]

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    def identity(self) -> dict[str, Tensor]:
        """The permutation that moves nothing, per group (n,) int64."""
        return {group.name: torch.arange(group.size) for group in self}


def permutation_groups(model: nn.Module, example_input: Tensor) -> Groups:
    """The permutation groups of a model, as the model declares them.

    Args:
        example_input: (B, *input_shape).

    Raises:
        LmcError: the model declares no groups, or they do not fit its tensors.
    """
    declare = getattr(model, "permutation_groups", None)
    if declare is None:
        raise LmcError(
            f"{type(model).__name__} does not say which of its neurons permute together",
            "give it a method permutation_groups(), as lmc.models.mlp.MLP has",
        )
    state = state_of(model)
    found = []
    for name, declared in declare().items():
        axes = tuple((str(tensor), int(axis)) for tensor, axis in declared["axes"])
        unknown = [tensor for tensor, _ in axes if tensor not in state]
        if unknown:
            raise LmcError(f"group {name} names {unknown[0]}, which the model does not have")
        sizes = {state[tensor].shape[axis] for tensor, axis in axes}
        if len(sizes) != 1:
            raise LmcError(f"group {name} joins axes of sizes {sorted(sizes)}")
        points = {kind: tuple(modules) for kind, modules in declared["points"].items()}
        found.append(Group(name, sizes.pop(), axes, tuple(declared["layers"]), points))
    return Groups(tuple(found))


def apply(groups: Iterable[Group], permutations: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> State:
    """The state with every group's neurons permuted: slot i takes neuron ``p[i]`` (B' = B[p]).

    Args:
        permutations: group name to (n,) int64; a group that is missing stays as it is.
        state: name to tensor; left unchanged.

    Raises:
        LmcError: a permutation of the wrong length, or none at all.
    """
    moved = dict(state)
    for group in groups:
        permutation = permutations.get(group.name)
        if permutation is None:
            continue
        if not torch.equal(permutation.sort().values.cpu(), torch.arange(group.size)):
            raise LmcError(f"group {group.name}: not a permutation of its {group.size} neurons")
        for tensor, axis in group.axes:
            moved[tensor] = moved[tensor].index_select(axis, permutation.to(moved[tensor].device))
    return moved


def random(groups: Iterable[Group], generator: torch.Generator) -> dict[str, Tensor]:
    """A random element of the product of the groups."""
    return {group.name: torch.randperm(group.size, generator=generator) for group in groups}


def compose(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The permutation that applies ``first``, then ``second``: B[first][second] = B[first[second]]."""
    return {name: first[name][second[name]] for name in first}
