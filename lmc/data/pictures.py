"""Columns of encoded images as pixels, alike in all splits."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa

from lmc.core.errors import DataError

_GREY = ("1", "L")
_COLOUR = ("RGB", "RGBA", "RGBX", "P", "LA", "PA", "CMYK", "YCbCr", "HSV", "LAB")
_TRANSPARENT = "are partly transparent: their colours are read as they are stored, without a background"
_DEEP = "have 16 bits per channel: the upper 8 are read"


def images(
    found: Mapping[str, pa.Array], setting: str, doubt: Callable[[str], None] = lambda text: None
) -> dict[str, np.ndarray]:
    """Decoded images of several columns, uint8 (N, 1, H, W) if all of them are greyscale, else (N, 3, H, W).

    Args:
        found: the columns, by the name of their split.
        doubt: is told what reading the pixels lost.
    """
    lost: Counter[str] = Counter()
    pixels = {split: _pixels(values, f"{setting} ({split})", lost) for split, values in found.items()}
    channels = max(each.shape[1] for each in pixels.values())
    for what, count in lost.items():
        doubt(f"{setting}: {count} images {what}")
    if grey := [split for split, each in pixels.items() if each.shape[1] < channels]:
        doubt(f"{setting}: {' and '.join(grey)} images are grey, others in colour: grey is repeated")
        pixels = {
            split: each if each.shape[1] == channels else each.repeat(channels, axis=1)
            for split, each in pixels.items()
        }
    return pixels


def _pixels(values: pa.Array, setting: str, lost: Counter[str]) -> np.ndarray:
    """The images of one split."""
    paths: list[str | None] = [None] * len(values)
    if pa.types.is_struct(values.type):
        names = [values.type.field(i).name for i in range(values.type.num_fields)]
        parts = dict(zip(names, values.flatten(), strict=True))
        if "path" in names and parts["bytes"].null_count:
            paths = parts["path"].to_pylist()
        values = parts["bytes"]
    seen: Counter[str] = Counter()
    pixels = _decode(values, paths, "L", setting, seen)
    if pixels is not None:
        lost.update(seen)
        return pixels[:, None]
    pixels = _decode(values, paths, "RGB", setting, lost)
    assert pixels is not None
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _decode(
    values: pa.Array, paths: list[str | None], mode: str, setting: str, lost: Counter[str]
) -> np.ndarray | None:
    """All images in one mode; None when one of them is in colour and ``mode`` is greyscale."""
    pixels, size = np.empty(0, np.uint8), None
    for row in range(len(values)):
        where = f"{setting}: image {row}"
        with _open(values[row], paths[row], where) as image:
            if image.mode not in _GREY + _COLOUR:
                hint = "8-bit greyscale and colour images are read"
                raise DataError(f"{where} has mode {image.mode}", hint)
            if mode == "L" and image.mode not in _GREY:
                return None
            if size is None:
                size = image.size
                pixels = np.empty((len(values), size[1], size[0], *((3,) if mode == "RGB" else ())), np.uint8)
            elif image.size != size:
                given = f"image {row} is {image.size[0]} x {image.size[1]}, image 0 is {size[0]} x {size[1]}"
                raise DataError(f"{setting}: images of unequal sizes: {given}", "resize them first")
            pixels[row] = _read(image, mode, where, lost)
    return pixels


def _read(image: PIL.Image.Image, mode: str, where: str, lost: Counter[str]) -> np.ndarray:
    """One image's pixels, and what they lose in 8 bits without transparency."""
    deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    try:
        image.load()
        if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] != 255:
            lost[_TRANSPARENT] += 1
        if deep:
            lost[_DEEP] += 1
        return np.asarray(image if image.mode == mode else image.convert(mode))
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise DataError(f"{where} cannot be decoded: {error}") from error


def _open(value: Any, path: str | None, where: str) -> PIL.Image.Image:
    if not value.is_valid and path is None:
        raise DataError(f"{where} is missing")
    try:
        return PIL.Image.open(io.BytesIO(value.as_buffer()) if value.is_valid else str(path))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{where} cannot be decoded: {error}") from error
