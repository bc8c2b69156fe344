"""Normalisation before the activation, by name: over the neurons of a layer, and over maps (B, C, H, W).

The *linear proxies* (THEORY 1) keep a norm's centring and its affine map, but divide by constants that are
measured once, at the initialisation: the layer stays affine in its input. As no data are at hand when a
network is built, the constants are those of standard normal inputs, to which standardised data are
nearest. They are buffers, so they are stored and permuted with the weights, and every run has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lmc.core import seeds
from lmc.models.modes import evaluating
from lmc.models.stack import State

Norm = Callable[[int, bool], nn.Module]

_EPS = 1e-5
_SAMPLES = 1024


class LinearNorm(nn.Module):
    """What the two linear proxies share: a scale and a shift per neuron, and constants to be measured."""

    scale: Tensor

    def __init__(self, width: int, affine: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width)) if affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if affine else None

    def centred(self, h: Tensor) -> Tensor:
        """(B, n) pre-activations about their centre."""
        raise NotImplementedError

    def measure(self, h: Tensor) -> None:
        """Take the constants from (B, n) pre-activations."""
        raise NotImplementedError

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, n) to (B, n)."""
        h = self.centred(h) / self.scale
        return h if self.weight is None or self.bias is None else h * self.weight + self.bias


class LinearLayerNorm(LinearNorm):
    """LayerNorm with one constant for the standard deviation over neurons: its root mean square."""

    def __init__(self, width: int, affine: bool) -> None:
        super().__init__(width, affine)
        self.register_buffer("scale", torch.ones(()))

    def centred(self, h: Tensor) -> Tensor:
        """About the mean over neurons."""
        return h - h.mean(-1, keepdim=True)

    def measure(self, h: Tensor) -> None:
        """The root of the mean variance over neurons."""
        self.scale.copy_((self.centred(h).square().mean() + _EPS).sqrt())


class LinearBatchNorm(LinearNorm):
    """BatchNorm with a constant mean and standard deviation per neuron."""

    centre: Tensor

    def __init__(self, width: int, affine: bool) -> None:
        super().__init__(width, affine)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def centred(self, h: Tensor) -> Tensor:
        """About each neuron's constant."""
        return h - self.centre

    def measure(self, h: Tensor) -> None:
        """Mean and standard deviation over samples."""
        self.centre.copy_(h.mean(0))
        self.scale.copy_((h.var(0, correction=0) + _EPS).sqrt())


def calibrate(model: nn.Module, input_shape: Sequence[int]) -> nn.Module:
    """Measure the constants of all linear proxies at the model's weights, in place, on N(0, 1) inputs.

    The inputs are always the same, so that equal weights have equal constants. Real inputs whose features
    are correlated differ from these: constants are then off by a factor, which the affine map can learn.
    """
    norms = [part for part in model.modules() if isinstance(part, LinearNorm)]
    if not norms:
        return model
    x = torch.randn(_SAMPLES, *input_shape, generator=seeds.generator("linear_norm"))
    with ExitStack() as context, evaluating(model):
        for norm in norms:
            context.enter_context(norm.register_forward_pre_hook(_measure))
        model(x.to(next(model.parameters())))
    return model


def _measure(norm: nn.Module, args: tuple[Tensor]) -> None:
    assert isinstance(norm, LinearNorm)
    norm.measure(args[0])


def calibrated(model: nn.Module, state: Mapping[str, Tensor], input_shape: Sequence[int]) -> State:
    """``state`` with the constants of the model's linear proxies measured at these weights.

    For weights that a variant has changed since the model was built; other models' states come back as
    they are. ``model`` is left alone.
    """
    fresh = {name: tensor.clone() for name, tensor in state.items()}
    if any(isinstance(part, LinearNorm) for part in model.modules()):
        functional_call(_Calibration(model), {f"model.{k}": v for k, v in fresh.items()}, (input_shape,))
    return fresh


class _Calibration(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_shape: Sequence[int]) -> nn.Module:
        return calibrate(self.model, input_shape)


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, H, W), at each position."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class NodeBatchNorm(nn.BatchNorm1d):
    """BatchNorm per feature of (B, n, f), over samples and nodes."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, n, f) to the same shape."""
        return super().forward(input.flatten(0, 1)).view(input.shape)


def layer(width: int, affine: bool) -> nn.Module:
    """LayerNorm over the neurons of a layer, the last axis."""
    return nn.LayerNorm(width, elementwise_affine=affine)


def batch(width: int, affine: bool) -> nn.Module:
    """BatchNorm per neuron, with running statistics."""
    return nn.BatchNorm1d(width, affine=affine)


def none(width: int, affine: bool) -> nn.Module:
    """No norm; an identity keeps the recording point."""
    return nn.Identity()


NORMS: dict[str, Norm] = {
    "layer": layer,
    "batch": batch,
    "linear_layer": LinearLayerNorm,
    "linear_batch": LinearBatchNorm,
    "none": none,
}

IMAGE_NORMS: dict[str, Norm] = {
    "group": lambda width, affine: nn.GroupNorm(1, width, affine=affine),
    "batch": lambda width, affine: nn.BatchNorm2d(width, affine=affine),
    "layer": lambda width, affine: ChannelNorm(width, elementwise_affine=affine),
    "none": none,
}

NODE_NORMS: dict[str, Norm] = {
    "layer": layer,
    "batch": lambda width, affine: NodeBatchNorm(width, affine=affine),
    "none": none,
}
