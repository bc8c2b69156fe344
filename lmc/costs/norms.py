"""What stands between a linear layer and its readers: a norm held fixed, and an activation (THEORY 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmc.core.errors import LmcError, SettingError
from lmc.costs.layer import CostedLayer
from lmc.models.activations import ACTIVATIONS
from lmc.models.norms import LinearBatchNorm, LinearLayerNorm, LinearNorm
from lmc.symmetry import Groups

_NORMS = (nn.LayerNorm, nn.modules.batchnorm._BatchNorm, nn.GroupNorm, LinearNorm)
_NAMES = {type(build()): name for name, build in ACTIVATIONS.items()}


def _next(
    network: nn.Module, groups: Groups, layer: str, kinds: tuple[type[nn.Module], ...]
) -> nn.Module | None:
    """The module of some kind on a layer's neurons; None where other layers add to them."""
    for group in groups:
        if group.layers == (layer,):
            for feature in (feature for features in group.points.values() for feature in features):
                part = network.get_submodule(feature.point.module)
                if isinstance(part, kinds) and feature.point.side == "output":
                    return part
    return None


def activation_after(network: nn.Module, groups: Groups, layer: str) -> str | None:
    """The name of the activation after a layer; None where it has none of its own, as the last."""
    found = _next(network, groups, layer, tuple(_NAMES))
    return None if found is None else _NAMES[type(found)]


def fixed_norm(
    network: nn.Module, groups: Groups, layer: CostedLayer, rows: Tensor, chosen: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Scale and shift of the norm after a layer, as the stored network applies it to these inputs.

    BatchNorm in evaluation and its linear proxy are one scale and shift a neuron. LayerNorm divides by
    statistics of the whole layer, which are held at the stored ones, so there is one per sample and neuron.

    Args:
        rows: the layer's inputs (N, d).
        chosen: the neurons wanted.

    Returns:
        scale and shift, (n,) or (N, n) each; None where there is no norm.
    """
    norm = _next(network, groups, layer.name, _NORMS)
    if norm is None:
        return None
    if isinstance(norm, nn.GroupNorm):
        raise SettingError(
            f"{layer.name}: ridge costs through a GroupNorm are not defined", "activation=false"
        )
    n = len(layer.weight)
    ones, zeros = torch.ones(n), torch.zeros(n)
    state = norm.state_dict()
    weight, bias = (
        state.get(key, usual).cpu().double() for key, usual in (("weight", ones), ("bias", zeros))
    )
    if isinstance(norm, LinearBatchNorm):
        scale = weight / norm.scale.cpu().double()
        return scale[chosen], (bias - scale * norm.centre.cpu().double())[chosen]
    if isinstance(norm, (nn.LayerNorm, LinearLayerNorm)):
        pre = rows.double() @ layer.weight.double().mT
        pre = pre if layer.bias is None else pre + layer.bias.double()
        if isinstance(norm, LinearLayerNorm):
            spread = norm.scale.cpu().double().reciprocal()
        else:
            spread = (pre.var(dim=1, correction=0, keepdim=True) + norm.eps).rsqrt()
        scale, shift = spread * weight, bias - spread * pre.mean(dim=1, keepdim=True) * weight
        return scale[:, chosen], shift[:, chosen]
    if "running_var" not in state:
        raise LmcError(f"{layer.name}: its norm keeps no statistics to evaluate with")
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    scale = weight * (state["running_var"].cpu().double() + norm.eps).rsqrt()
    return scale[chosen], (bias - scale * state["running_mean"].cpu().double())[chosen]
