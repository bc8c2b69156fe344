"""Columns of classes: which there are, and each value's place among them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmc.core.errors import DataError
from lmc.data import columns

_USE = "data.task=squared_error regresses them"


def tidy(values: pa.Array, setting: str) -> pa.Array:
    """Labels of one kind: text without spaces around it, whole floats as int64, truth values as int8."""
    if columns.is_word(values.type):
        return columns.trimmed(values)
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        return _whole(values, setting)
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int8())
    if not pa.types.is_integer(values.type):
        kind = columns.called(values.type)
        raise DataError(f"{setting}: the column holds {kind}", "classes are words or whole numbers")
    return values


def _whole(values: pa.Array, setting: str) -> pa.Array:
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise DataError(f"{setting}: holds fractions, not classes", _USE) from error


def classes(values: pa.Array) -> pa.Array:
    """The distinct values of a tidy column, sorted."""
    distinct = pc.unique(values)
    return distinct.take(pc.array_sort_indices(distinct))


def indices(values: pa.Array, known: pa.Array, setting: str) -> np.ndarray:
    """Each value's place among the classes ``known``, int64 (N,)."""
    try:
        found = pc.index_in(values.cast(known.type), value_set=known)
    except pa.ArrowException as error:
        raise DataError(f"{setting}: holds {values.type} here and {known.type} in train") from error
    if found.null_count:
        strange = pc.unique(values.filter(pc.is_null(found))).to_pylist()
        listed = ", ".join(map(str, strange[:5])) + (", ..." if len(strange) > 5 else "")
        raise DataError(f"{setting}: {found.null_count} labels of classes unseen in train: {listed}")
    return found.to_numpy().astype(np.int64)
