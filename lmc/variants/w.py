"""W-asymmetric networks: part of each weight row is fixed (THEORY 1; arXiv 2405.20231)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lmc.core.errors import SettingError, raise_together
from lmc.core.seeds import generator
from lmc.variants.constraint import Constraint, Scale, per_layer
from lmc.variants.slots import slots

NumFixed = int | float


def w(
    model: nn.Module,
    mask_seed: int,
    example: Tensor,
    *,
    num_fixed: NumFixed | list[NumFixed] | None = None,
    scale: Scale | list[Scale] = 1.0,
) -> Constraint:
    """Fix ``num_fixed`` random inputs of every neuron at ``scale`` * N(0, 1).

    ``scale`` = 0 gives sparse rows: asymmetric in structure, yet not in effect.

    Args:
        example: (B, *input_shape), from which the weights of linear maps are found.
        num_fixed: a count (int) or a share (float) of each layer's inputs, or one of these per layer; by
            default an eighth, and half of the last layer's.
        scale: sigma_F, or one per layer.

    Raises:
        SettingError: more fixed entries than inputs, or a list of the wrong length.
    """
    there = slots(model, example)
    found = there.found
    sizes = [math.prod(slot.weight.shape[1:]) for slot in found.values()]
    counts = _counts(num_fixed, list(found), sizes)
    scales = per_layer(scale, found, "scale")
    masks, centres = {}, {}
    for (name, slot), count, sigma in zip(found.items(), counts, scales, strict=True):
        if count == 0:
            continue
        shape = len(slot.weight), math.prod(slot.weight.shape[1:])
        rank = torch.rand(shape, generator=generator("mask", mask_seed, name)).argsort(1)
        fixed = torch.zeros_like(rank, dtype=torch.bool).scatter_(1, rank[:, :count], True)
        masks[name] = slot.stored(~fixed)
        if sigma:
            normal = torch.randn(masks[name].shape, generator=generator("centre", mask_seed, name))
            centres[name] = torch.where(masks[name], 0.0, sigma * normal)
    meaning = {"num_fixed": counts, "scale": [float(sigma) for sigma in scales]}
    return Constraint(masks, centres, meaning=meaning, free=there.free)


def _counts(num_fixed: NumFixed | list[NumFixed] | None, weights: list[str], sizes: list[int]) -> list[int]:
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
