"""Columns of a table as arrays: images, numbers, fixed-length lists, class indices."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.compute as pc

from lmc.core.errors import DataError
from lmc.core.registry import near_miss

_GREY = ("1", "L")
_COLOUR = ("RGB", "RGBA", "RGBX", "P", "LA", "PA", "CMYK", "YCbCr", "HSV", "LAB")


def column(table: pa.Table, name: str, setting: str) -> pa.Array:
    """One column in one piece; ``setting`` is the key that named it."""
    if name not in table.column_names:
        close = near_miss(name, table.column_names)
        listed = "columns: " + ", ".join(table.column_names)
        hint = f"did you mean {close}? {listed}" if close else listed
        raise DataError(f"{setting}={name}: no such column", hint)
    if not len(table):
        raise DataError(f"{setting}={name}: the table has no rows")
    if table.column_names.count(name) > 1:
        raise DataError(f"{setting}={name}: {table.column_names.count(name)} columns have this name")
    try:
        values = pa.concat_arrays(table.column(name).chunks)
    except pa.ArrowInvalid as error:
        raise DataError(f"{setting}={name}: more than fits in memory at once: {error}") from error
    values = values.storage if isinstance(values, pa.ExtensionArray) else values
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def is_image(kind: pa.DataType) -> bool:
    """Whether a column's type is that of Hugging Face's Image feature, or plain bytes."""
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether a column holds lists, of fixed length or not."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether a column holds numbers or true/false values."""
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(test(kind) for test in tests)


def _is_word(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _called(kind: pa.DataType) -> str:
    if is_image(kind):
        return "images"
    return "lists" if is_list(kind) else "words" if _is_word(kind) else str(kind)


def is_class_label(table: pa.Table, name: str) -> bool:
    """Whether the table's own description calls the column a ClassLabel."""
    try:
        described = json.loads((table.schema.metadata or {})[b"huggingface"])
        return described["info"]["features"][name]["_type"] == "ClassLabel"
    except (KeyError, TypeError, ValueError):
        return False


def images(values: pa.Array, setting: str) -> np.ndarray:
    """Decoded images, uint8 (N, 1, H, W) if all are greyscale, else (N, 3, H, W)."""
    paths: list[str | None] = [None] * len(values)
    if pa.types.is_struct(values.type):
        names = [values.type.field(i).name for i in range(values.type.num_fields)]
        if "path" in names and values.field("bytes").null_count:
            paths = values.field("path").to_pylist()
        values = values.field("bytes")
    pixels = _decode(values, paths, "L", setting)
    if pixels is None:
        pixels = _decode(values, paths, "RGB", setting)
    assert pixels is not None
    return pixels[:, None] if pixels.ndim == 3 else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _decode(values: pa.Array, paths: list[str | None], mode: str, setting: str) -> np.ndarray | None:
    """All images in one mode; None when one of them is in colour and ``mode`` is greyscale."""
    pixels, size = np.empty(0, np.uint8), None
    for row in range(len(values)):
        with _open(values[row], paths[row], f"{setting}: image {row}") as image:
            if image.mode not in _GREY + _COLOUR:
                hint = "8-bit greyscale and colour images are read"
                raise DataError(f"{setting}: image {row} has mode {image.mode}", hint)
            if image.mode != mode:
                if mode == "L" and image.mode not in _GREY:
                    return None
                image = image.convert(mode)
            if size is None:
                size = image.size
                pixels = np.empty((len(values), size[1], size[0], *((3,) if mode == "RGB" else ())), np.uint8)
            elif image.size != size:
                given = f"image {row} is {image.size[0]} x {image.size[1]}, image 0 is {size[0]} x {size[1]}"
                raise DataError(f"{setting}: images of unequal sizes: {given}", "resize them first")
            try:
                pixels[row] = np.asarray(image)
            except OSError as error:
                raise DataError(f"{setting}: image {row} cannot be decoded: {error}") from error
    return pixels


def _open(value: Any, path: str | None, where: str) -> PIL.Image.Image:
    if not value.is_valid and path is None:
        raise DataError(f"{where} is missing")
    try:
        return PIL.Image.open(io.BytesIO(value.as_buffer()) if value.is_valid else str(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{where} cannot be decoded: {error}") from error


def numbers(values: pa.Array, setting: str) -> np.ndarray:
    """A numeric column, float64 (N,), finite also as float32."""
    if not (is_number(values.type) or pa.types.is_null(values.type)):
        raise DataError(f"{setting}: the column holds {_called(values.type)}, not numbers")
    found = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    _require_finite(found, setting)
    return found


def lists(values: pa.Array, setting: str) -> np.ndarray:
    """A column of equally long lists of numbers, nested or not: float64 (N, length, ...)."""
    shape = [len(values)]
    while is_list(values.type):
        if values.null_count:
            raise DataError(f"{setting}: {values.null_count} of {len(values)} lists are missing")
        lengths = pc.list_value_length(values)
        low, high = pc.min_max(lengths).as_py().values()
        if low != high or not high:
            given = f"from {low} to {high}" if low != high else "of length 0"
            raise DataError(f"{setting}: lists {given}", "all must have the same length")
        shape.append(high)
        values = values.flatten()
        values = values.storage if isinstance(values, pa.ExtensionArray) else values
    return numbers(values, setting).reshape(shape)


def _require_finite(found: np.ndarray, setting: str) -> None:
    with np.errstate(over="ignore"):
        bad = int((~np.isfinite(found.astype(np.float32))).sum())
    if bad:
        raise DataError(f"{setting}: {bad} of {len(found)} values are missing, NaN or infinite")


def classes(values: pa.Array, setting: str) -> pa.Array:
    """The distinct values of a column of words, whole numbers or true/false values, sorted."""
    _require_present(values, setting)
    if pa.types.is_floating(values.type):
        values = whole(values, setting)
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _is_word(kind)):
        raise DataError(f"{setting}: the column holds {_called(kind)}", "classes are words or whole numbers")
    distinct = pc.unique(values.cast(pa.int8()) if pa.types.is_boolean(kind) else values)
    return distinct.take(pc.array_sort_indices(distinct))


def whole(values: pa.Array, setting: str) -> pa.Array:
    """Floats that are whole numbers, as int64."""
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise DataError(f"{setting}: holds fractions, not classes", "use task=squared_error") from error


def _require_present(values: pa.Array, setting: str) -> None:
    if values.null_count:
        raise DataError(f"{setting}: {values.null_count} of {len(values)} labels are missing")


def require_labelled(values: pa.Array, setting: str) -> None:
    """Refuse the -1 by which a ClassLabel marks a sample without a label."""
    if missing := pc.sum(pc.equal(values, -1)).as_py():
        raise DataError(f"{setting}: {missing} of {len(values)} samples have no label (-1)")


def indices(values: pa.Array, known: pa.Array, setting: str) -> np.ndarray:
    """Each value's place among the classes ``known``, int64 (N,)."""
    _require_present(values, setting)
    try:
        found = pc.index_in(values.cast(known.type), value_set=known)
    except pa.ArrowException as error:
        raise DataError(f"{setting}: holds {values.type} here and {known.type} in train") from error
    if found.null_count:
        strange = pc.unique(values.filter(pc.is_null(found))).to_pylist()
        listed = ", ".join(map(str, strange[:5])) + (", ..." if len(strange) > 5 else "")
        raise DataError(f"{setting}: {found.null_count} labels of classes unseen in train: {listed}")
    return found.to_numpy().astype(np.int64)
