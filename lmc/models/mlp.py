"""The multilayer perceptron of the published MNIST experiments (THEORY 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lmc.core.effect import OnlyWith
from lmc.models.activations import ACTIVATIONS
from lmc.models.initialisation import initialise
from lmc.models.norms import NORMS, calibrate

Width = Annotated[int, Field(ge=1)]


class MLP(nn.Module):
    """Linear, norm, activation, dropout, repeated; then a linear readout of the flattened input."""

    def __init__(
        self, widths: Sequence[int], activation: str, norm: str, affine: bool, bias: bool, dropout: float
    ) -> None:
        super().__init__()
        hidden = widths[1:-1]
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=bias) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(NORMS[norm](width, affine) for width in hidden)
        self.activations = nn.ModuleList(ACTIVATIONS[activation]() for _ in hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *input_shape) to (B, outputs)."""
        x = torch.flatten(x, 1)
        for layer, norm, activation in zip(self.layers, self.norms, self.activations):
            x = self.dropout(activation(norm(layer(x))))
        return self.layers[-1](x)


def mlp(
    input_shape: Sequence[int],
    outputs: int,
    *,
    hidden: list[Width] = [256, 256],  # noqa: B006
    activation: Literal["gelu", "relu", "tanh"] = "gelu",
    norm: Literal["layer", "batch", "linear_layer", "linear_batch", "none"] = "layer",
    affine: Annotated[bool, OnlyWith(norm=tuple(name for name in NORMS if name != "none"))] = True,
    bias: bool = True,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
) -> MLP:
    """An MLP with the published initialisation.

    Args:
        hidden: widths of the hidden layers; may be empty.
        norm: before the activation; the two ``linear`` ones divide by constants measured at the
            initialisation, so that the layer stays affine (``lmc.models.norms``).
        affine: whether the norm has a scale and a shift.
        dropout: after the activation; runs then train one at a time.
    """
    widths = [math.prod(input_shape), *hidden, outputs]
    made = initialise(MLP(widths, activation, norm, affine, bias, dropout))
    return calibrate(made, input_shape)  # type: ignore[return-value]
