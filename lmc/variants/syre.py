"""syre: a static bias on every weight, towards which weight decay pulls (THEORY 1)."""

from __future__ import annotations

import torch
from torch import nn

from lmc.core.seeds import generator
from lmc.variants.constraint import Constraint, Scale, constrained_weights, per_layer


def syre(model: nn.Module, mask_seed: int, *, scale: Scale | list[Scale] = 1.0) -> Constraint:
    """D = 1 and f = ``scale`` * N(0, 1) everywhere.

    Args:
        scale: sigma_F, or one per layer.
    """
    weights = constrained_weights(model)
    scales = per_layer(scale, weights, "scale")
    centres = {
        name: sigma * torch.randn(weight.shape, generator=generator("centre", mask_seed, name))
        for (name, weight), sigma in zip(weights.items(), scales, strict=True)
        if sigma
    }
    return Constraint(centres=centres, meaning={"scale": [float(sigma) for sigma in scales]})
