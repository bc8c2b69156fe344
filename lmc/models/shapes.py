"""The shape of a sample that a builder needs, and the error for another shape."""

from __future__ import annotations

from collections.abc import Sequence

from lmc.core.errors import SettingError


def image(model: str, input_shape: Sequence[int], halvings: int = 0, factor: int = 2) -> tuple[int, int, int]:
    """(C, H, W) of image data that can be pooled ``halvings`` times by ``factor``.

    Raises:
        SettingError: the data are no images, or smaller than that.
    """
    shape = tuple(input_shape)
    if len(shape) != 3:
        given = f"the data have samples of shape {shape}"
        raise SettingError(f"model={model}: takes images (channels, height, width), {given}", "model=mlp")
    side, least = min(shape[1:]), factor**halvings
    if side < least:
        message = (
            f"model={model}: pools {halvings} times, which {shape[1]} x {shape[2]} images are too small for"
        )
        raise SettingError(
            message, f"at least {least} x {least}; model=cnn pools once for each of model.channels"
        )
    return shape[0], shape[1], shape[2]
