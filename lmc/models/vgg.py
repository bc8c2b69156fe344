"""VGG-11 for images of 32 x 32 and more (arXiv 1409.1556, configuration A)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from lmc.models import shapes
from lmc.models.cnn import ConvNet
from lmc.models.initialisation import initialise

_CHANNELS = ((64,), (128,), (256, 256), (512, 512), (512, 512))


def vgg11(
    input_shape: Sequence[int],
    outputs: int,
    *,
    width: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0,
    norm: Literal["group", "batch", "layer", "none"] = "none",
    hidden: list[Annotated[int, Field(ge=1)]] = [],  # noqa: B006
) -> nn.Module:
    """Eight convolutions of 3 x 3 in five stages, each halved by max pooling; then a classifier.

    Args:
        width: a factor; the stages have 64, 128, 256, 512 and 512 channels times it.
        norm: before each activation, as for ``resnet20``.
        hidden: widths of hidden layers between the flattened maps and the readout.

    Raises:
        SettingError: the data are no images, or smaller than 32 x 32.
    """
    shape = shapes.image("vgg11", input_shape, len(_CHANNELS))
    stages = [[max(1, round(width * channels)) for channels in stage] for stage in _CHANNELS]
    return initialise(ConvNet(shape, outputs, stages, hidden, 3, 2, "max", norm, "relu"))
