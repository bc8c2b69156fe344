"""Independent masks (THEORY 3): every weight is trainable with a probability, whatever its row."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from lmc.core.seeds import generator
from lmc.variants.constraint import Constraint, Scale, per_layer
from lmc.variants.slots import slots

Share = Annotated[float, Field(gt=0, le=1)]


def bernoulli(
    model: nn.Module,
    mask_seed: int,
    example: Tensor,
    *,
    keep: Share | list[Share] = 0.15,
    scale: Scale | list[Scale] = 0.0,
) -> Constraint:
    """D = 1 with probability ``keep``, independently; f = ``scale`` * N(0, 1) where D = 0.

    Args:
        example: (B, *input_shape), from which the weights of linear maps are found.
        keep: p, or one per layer.
        scale: sigma_F, or one per layer.
    """
    there = slots(model, example)
    weights = {name: slot.stored(slot.weight) for name, slot in there.found.items()}
    shares, scales = per_layer(keep, weights, "keep"), per_layer(scale, weights, "scale")
    masks, centres = {}, {}
    for (name, weight), share, sigma in zip(weights.items(), shares, scales, strict=True):
        masks[name] = torch.rand(weight.shape, generator=generator("mask", mask_seed, name)) < share
        if sigma:
            normal = torch.randn(weight.shape, generator=generator("centre", mask_seed, name))
            centres[name] = torch.where(masks[name], 0.0, sigma * normal)
    meaning = {"keep": [float(share) for share in shares], "scale": [float(sigma) for sigma in scales]}
    return Constraint(masks, centres, meaning=meaning, free=there.free)
