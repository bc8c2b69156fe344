"""ResNet-20 for small images (arXiv 1512.03385), with a width and a choice of norm (THEORY 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from lmc.models import shapes
from lmc.models.initialisation import initialise
from lmc.models.norms import IMAGE_NORMS

_CHANNELS, _BLOCKS = (16, 32, 64), 3


class ResidualBlock(nn.Module):
    """Two convolutions and a skip connection: a 1 x 1 convolution where the shape changes (option B)."""

    def __init__(self, inputs: int, channels: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, channels, 3, stride, norm)
        self.norm1 = IMAGE_NORMS[norm](channels, True)
        self.activation1 = nn.ReLU(inplace=True)
        self.conv2 = _conv(channels, channels, 3, 1, norm)
        self.norm2 = IMAGE_NORMS[norm](channels, True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != channels:
            self.shortcut = nn.Sequential(
                _conv(inputs, channels, 1, stride, norm), IMAGE_NORMS[norm](channels, True)
            )
        self.activation2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, channels, H / stride, W / stride)."""
        h = self.activation1(self.norm1(self.conv1(x)))
        h = self.norm2(self.conv2(h))
        h += self.shortcut(x)  # in place, as the activations: measured 8 % of a training step
        return self.activation2(h)


class ResNet20(nn.Module):
    """A convolution, three stages of three blocks, the mean over positions, a linear readout."""

    def __init__(self, inputs: int, outputs: int, width: int, norm: str) -> None:
        super().__init__()
        first, *_ = widths = [width * channels for channels in _CHANNELS]
        self.conv = _conv(inputs, first, 3, 1, norm)
        self.norm = IMAGE_NORMS[norm](first, True)
        self.activation = nn.ReLU(inplace=True)
        self.layer1 = _stage(first, widths[0], 1, norm)
        self.layer2 = _stage(widths[0], widths[1], 2, norm)
        self.layer3 = _stage(widths[1], widths[2], 2, norm)
        self.linear = nn.Linear(widths[2], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, outputs)."""
        x = self.activation(self.norm(self.conv(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def _conv(inputs: int, channels: int, kernel: int, stride: int, norm: str) -> nn.Conv2d:
    return nn.Conv2d(inputs, channels, kernel, stride, padding=kernel // 2, bias=norm == "none")


def _stage(inputs: int, channels: int, stride: int, norm: str) -> nn.Sequential:
    rest = [ResidualBlock(channels, channels, 1, norm) for _ in range(_BLOCKS - 1)]
    return nn.Sequential(ResidualBlock(inputs, channels, stride, norm), *rest)


def resnet20(
    input_shape: Sequence[int],
    outputs: int,
    *,
    width: Annotated[int, Field(ge=1)] = 1,
    norm: Literal["group", "batch", "layer", "none"] = "group",
) -> ResNet20:
    """ResNet-20 for images of any size.

    Args:
        width: a factor; the stages have 16, 32 and 64 channels times it.
        norm: ``group`` is GroupNorm over all channels and positions, ``layer`` LayerNorm over the channels
            of each position. Convolutions have a bias only without a norm.

    Raises:
        SettingError: the data are no images.
    """
    channels, _, _ = shapes.image("resnet20", input_shape)
    return initialise(ResNet20(channels, outputs, width, norm))  # type: ignore[return-value]
