"""Normalisation before the activation, by name."""

from __future__ import annotations

from torch import nn


def layer(width: int, affine: bool) -> nn.Module:
    """LayerNorm over the neurons of a layer."""
    return nn.LayerNorm(width, elementwise_affine=affine)


def batch(width: int, affine: bool) -> nn.Module:
    """BatchNorm per neuron, with running statistics."""
    return nn.BatchNorm1d(width, affine=affine)


def none(width: int, affine: bool) -> nn.Module:
    """No norm; an identity keeps the recording point."""
    return nn.Identity()


NORMS = {"layer": layer, "batch": batch, "none": none}
