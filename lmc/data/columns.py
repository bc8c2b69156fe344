"""Columns of a table: found by name, told apart by type, read as numbers or fixed-length lists."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmc.core.errors import DataError
from lmc.core.registry import near_miss


def column(table: pa.Table, name: str, setting: str) -> pa.Array:
    """One column in one piece; ``setting`` is the key that named it."""
    if name not in table.column_names:
        raise DataError(f"{setting}={name}: no such column", _columns_of(name, table.column_names))
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


def _columns_of(name: str, known: list[str]) -> str:
    close, listed = near_miss(name, known), "columns: " + ", ".join(known)
    if sum(map(_is_number, known)) > len(known) / 2 and not all(text.isdigit() for text in known):
        return f"{listed}; if these are values, give the file a first line that names the columns"
    return f"did you mean {close}? {listed}" if close else listed


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


def is_word(kind: pa.DataType) -> bool:
    """Whether a column holds text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def trimmed(values: pa.Array) -> pa.Array:
    """Text without the spaces around it."""
    return pc.utf8_trim_whitespace(values)


def called(kind: pa.DataType) -> str:
    """What a column of this type holds, in a word."""
    if is_image(kind):
        return "images"
    return "lists" if is_list(kind) else "words" if is_word(kind) else str(kind)


def is_class_label(table: pa.Table, name: str) -> bool:
    """Whether the table's own description calls the column a ClassLabel."""
    try:
        described = json.loads((table.schema.metadata or {})[b"huggingface"])
        return described["info"]["features"][name]["_type"] == "ClassLabel"
    except (KeyError, TypeError, ValueError):
        return False


def numbers(values: pa.Array, setting: str) -> np.ndarray:
    """A column of numbers, or of text that spells them: float64 (N,), finite also as float32."""
    if is_word(values.type):
        values = _spelled(values, setting)
    if not (is_number(values.type) or pa.types.is_null(values.type)):
        raise DataError(f"{setting}: the column holds {called(values.type)}, not numbers")
    found = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    _require_finite(found, setting)
    return found


def _spelled(values: pa.Array, setting: str) -> pa.Array:
    """Text as the numbers that it spells."""
    try:
        return trimmed(values).cast(pa.float64())
    except pa.ArrowInvalid as error:
        strange = [text for text in pc.unique(trimmed(values)).to_pylist() if text and not _is_number(text)]
        raise DataError(
            f"{setting}: the column holds words, not numbers: {', '.join(strange[:4]) or 'empty cells'}"
        ) from error


def _is_number(text: str) -> bool:
    try:
        return float(text) is not None
    except ValueError:
        return False


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
