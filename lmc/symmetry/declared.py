"""Groups that a model declares by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lmc.core.errors import LmcError
from lmc.models.stack import Feature, Point, state_of
from lmc.symmetry.groups import Axis, Group, Groups


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
