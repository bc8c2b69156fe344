"""A plain convolutional network: stages of convolutions, each pooled, and a flattened readout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from lmc.core.errors import SettingError
from lmc.models import shapes
from lmc.models.activations import ACTIVATIONS
from lmc.models.initialisation import initialise
from lmc.models.norms import IMAGE_NORMS

_POOLS = {"max": nn.MaxPool2d, "mean": nn.AvgPool2d}


class Unit(nn.Module):
    """Convolution that keeps the size, norm, activation."""

    def __init__(self, inputs: int, channels: int, kernel: int, norm: str, activation: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, kernel, padding=kernel // 2)
        self.norm = IMAGE_NORMS[norm](channels, True)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, channels, H, W)."""
        return self.activation(self.norm(self.conv(x)))


class ConvNet(nn.Module):
    """Stages of units with a pool after each; then linear layers on the flattened maps."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        outputs: int,
        stages: Sequence[Sequence[int]],
        hidden: Sequence[int],
        kernel: int,
        pool: int,
        pooling: str,
        norm: str,
        activation: str,
    ) -> None:
        super().__init__()
        inputs, *sides = shape
        self.stages = nn.ModuleList()
        for channels in stages:
            units = []
            for count in channels:
                units.append(Unit(inputs, count, kernel, norm, activation))
                inputs = count
            self.stages.append(nn.Sequential(*units))
            sides = [side // pool for side in sides]
        self.pool = _POOLS[pooling](pool) if pool > 1 else nn.Identity()
        widths = [inputs * sides[0] * sides[1], *hidden, outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activations = nn.ModuleList(ACTIVATIONS[activation]() for _ in hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, outputs)."""
        for stage in self.stages:
            x = self.pool(stage(x))
        x = x.flatten(1)
        for layer, activation in zip(self.layers, self.activations):
            x = activation(layer(x))
        return self.layers[-1](x)


def cnn(
    input_shape: Sequence[int],
    outputs: int,
    *,
    channels: list[Annotated[int, Field(ge=1)]] = [16, 32],  # noqa: B006
    kernel: Annotated[int, Field(ge=1)] = 3,
    pool: Annotated[int, Field(ge=1)] = 2,
    pooling: Literal["max", "mean"] = "max",
    norm: Literal["group", "batch", "layer", "none"] = "none",
    activation: Literal["gelu", "relu", "tanh"] = "relu",
    hidden: list[Annotated[int, Field(ge=1)]] = [],  # noqa: B006
) -> nn.Module:
    """A small network for images of any size that can be pooled once per convolution.

    Args:
        channels: of each convolution.
        kernel: its height and width, odd: the maps keep their size.
        pool: the factor by which each convolution's maps shrink; 1 leaves them.
        norm: before each activation, as for ``resnet20``.
        hidden: widths of hidden layers between the flattened maps and the readout.

    Raises:
        SettingError: the data are no images or too small, or an even kernel.
    """
    if kernel % 2 == 0:
        raise SettingError(
            f"model.kernel={kernel}: even", f"odd keeps the size: {kernel - 1} or {kernel + 1}"
        )
    shape = shapes.image("cnn", input_shape, len(channels), pool)
    stages = [[count] for count in channels]
    return initialise(ConvNet(shape, outputs, stages, hidden, kernel, pool, pooling, norm, activation))
