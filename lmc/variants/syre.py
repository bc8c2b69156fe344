"""syre: a static bias on every weight, towards which weight decay pulls (THEORY 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmc.core.seeds import generator
from lmc.variants.constraint import Constraint, Scale, per_layer
from lmc.variants.slots import slots


def syre(
    model: nn.Module, mask_seed: int, example: Tensor, *, scale: Scale | list[Scale] = 1.0
) -> Constraint:
    """D = 1 and f = ``scale`` * N(0, 1) everywhere.

    Args:
        example: (B, *input_shape), from which the weights of linear maps are found.
        scale: sigma_F, or one per layer.
    """
    there = slots(model, example)
    weights = {name: slot.stored(slot.weight) for name, slot in there.found.items()}
    scales = per_layer(scale, weights, "scale")
    centres = {
        name: sigma * torch.randn(weight.shape, generator=generator("centre", mask_seed, name))
        for (name, weight), sigma in zip(weights.items(), scales, strict=True)
        if sigma
    }
    meaning = {"scale": [float(sigma) for sigma in scales]}
    return Constraint(centres=centres, meaning=meaning, free=there.free)
