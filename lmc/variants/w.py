"""W-asymmetric networks: part of each weight row is fixed (THEORY 1; arXiv 2405.20231)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lmc.core.errors import SettingError, raise_together
from lmc.core.seeds import generator
from lmc.variants.constraint import Constraint, Scale, constrained_weights, per_layer

NumFixed = int | float


def w(
    model: nn.Module,
    mask_seed: int,
    *,
    num_fixed: NumFixed | list[NumFixed] | None = None,
    scale: Scale | list[Scale] = 1.0,
) -> Constraint:
    """Fix ``num_fixed`` random inputs of every neuron at ``scale`` * N(0, 1).

    ``scale`` = 0 gives sparse rows: asymmetric in structure, yet not in effect.

    Args:
        num_fixed: a count (int) or a share (float) of each layer's inputs, or one of these per layer; by
            default an eighth, and half of the last layer's.
        scale: sigma_F, or one per layer.

    Raises:
        SettingError: more fixed entries than inputs, or a list of the wrong length.
    """
    weights = constrained_weights(model)
    sizes = [math.prod(weight.shape[1:]) for weight in weights.values()]
    counts = _counts(num_fixed, weights, sizes)
    scales = per_layer(scale, weights, "scale")
    masks, centres = {}, {}
    for name, count, sigma in zip(weights, counts, scales, strict=True):
        if count == 0:
            continue
        shape = weights[name].shape
        rank = torch.rand(
            shape[0], math.prod(shape[1:]), generator=generator("mask", mask_seed, name)
        ).argsort(1)
        fixed = torch.zeros_like(rank, dtype=torch.bool).scatter_(1, rank[:, :count], True)
        masks[name] = ~fixed.view(shape)
        if sigma:
            normal = torch.randn(shape, generator=generator("centre", mask_seed, name))
            centres[name] = torch.where(masks[name], 0.0, sigma * normal)
    return Constraint(
        masks, centres, meaning={"num_fixed": counts, "scale": [float(sigma) for sigma in scales]}
    )


def _counts(
    num_fixed: NumFixed | list[NumFixed] | None, weights: dict[str, Tensor], sizes: list[int]
) -> list[int]:
    if num_fixed is None:
        return [size // 8 for size in sizes[:-1]] + [size // 2 for size in sizes[-1:]]
    counts, faults = [], []
    for name, size, value in zip(weights, sizes, per_layer(num_fixed, weights, "num_fixed"), strict=True):
        layer = name.removesuffix(".weight")
        if isinstance(value, float) and not 0 <= value <= 1:
            faults.append(
                SettingError(
                    f"variant.num_fixed={value}: outside [0, 1] at {layer}", "a share, or a whole number"
                )
            )
            continue
        count = round(value * size) if isinstance(value, float) else value
        if not 0 <= count <= size:
            faults.append(
                SettingError(f"variant.num_fixed={count}: {layer} has {size} inputs", f"at most {size}")
            )
        counts.append(count)
    raise_together(faults)
    return counts
