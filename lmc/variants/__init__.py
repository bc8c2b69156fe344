"""Variants: which part of a model is fixed. A builder looks at a model and returns its Constraint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from lmc.core import registry
from lmc.variants.bernoulli import bernoulli
from lmc.variants.constraint import Constraint, constrained_weights
from lmc.variants.sigma import sigma
from lmc.variants.slots import Slot, Slots, slots
from lmc.variants.standard import standard
from lmc.variants.syre import syre
from lmc.variants.w import w

__all__ = ["VARIANTS", "Constraint", "Slot", "Slots", "build", "constrained_weights", "slots"]

VARIANTS: dict[str, Callable[..., Constraint]] = {
    "standard": standard,
    "w": w,
    "syre": syre,
    "sigma": sigma,
    "bernoulli": bernoulli,
}

GIVEN = ("model", "mask_seed", "example")


def build(
    name: str, settings: Mapping[str, Any], model: nn.Module, mask_seed: int, example: Tensor
) -> Constraint:
    """The constraint of ``model`` under a variant; the same ``mask_seed`` gives the same D, f and C."""
    builder = registry.find(VARIANTS, name, "variant")
    supplied = {"model": model, "mask_seed": mask_seed, "example": example}
    wanted = registry.parameters(builder)
    given = {key: value for key, value in supplied.items() if key in wanted}
    return builder(**given, **registry.keywords(builder, settings))
