"""The groups of a model: declared by hand, or found by tracing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lmc.core.errors import LmcError
from lmc.models.stack import Feature, Point, state_of
from lmc.symmetry.groups import Axis, Group, Groups
from lmc.symmetry.traced import traced_groups


def permutation_groups(model: nn.Module, example_input: Tensor) -> Groups:
    """The permutation groups of a model: as it declares them, or as tracing finds them.

    A model declares with a method ``permutation_groups()``: group name to ``axes`` [(tensor, axis), ...],
    ``layers`` [module, ...] and ``points`` {linear | norm | activation: [module, ...]}, neurons on axis 1.

    Args:
        example_input: (B, *input_shape).

    Raises:
        LmcError: the declared groups do not fit the tensors; or the model does not run on the input or
            cannot be traced.
    """
    declare = getattr(model, "permutation_groups", None)
    if declare is None:
        return traced_groups(model, example_input)
    return Groups(tuple(_group(model, name, declared) for name, declared in declare().items()))


def _group(model: nn.Module, name: str, declared: Mapping[str, Any]) -> Group:
    state = state_of(model)
    axes = tuple(Axis(str(tensor), int(axis)) for tensor, axis in declared["axes"])
    unknown = [axis.tensor for axis in axes if axis.tensor not in state]
    if unknown:
        raise LmcError(f"group {name} names {unknown[0]}, which the model does not have")
    sizes = {state[axis.tensor].shape[axis.axis] for axis in axes}
    if len(sizes) != 1:
        raise LmcError(f"group {name} joins axes of sizes {sorted(sizes)}")
    points = {
        kind: tuple(Feature(Point(module, "output"), 1) for module in modules)
        for kind, modules in declared["points"].items()
    }
    return Group(name, sizes.pop(), axes, tuple(declared["layers"]), points)
