"""Values that are not there: empty cells, the words that programs write for them, and the label -1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from lmc.core.errors import DataError
from lmc.data import columns

Missing = Literal["refuse", "drop", "keep"]
WORDS = (
    "", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NaN", "nan", "-NaN", "-nan", "NAN",
    "NULL", "null", "None", "NaT", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
)  # fmt: skip
"""What spreadsheets, R, pandas and the UCI sets write where there is no value."""
UNLABELLED = -1
_DROP = "data.missing=drop leaves such samples out"


def absent(values: pa.Array, spelled: bool = True) -> pa.Array:
    """Where a column has no value: bool (N,), without nulls.

    Args:
        spelled: whether the words of ``WORDS`` count as none; an empty cell always does.
    """
    none = pc.is_null(values, nan_is_null=True)
    if columns.is_word(values.type):
        known = pa.array(WORDS if spelled else WORDS[:1], values.type)
        return pc.or_(none, pc.is_in(columns.trimmed(values), value_set=known))
    if pa.types.is_struct(values.type) and columns.is_image(values.type):
        names = [values.type.field(i).name for i in range(values.type.num_fields)]
        parts = dict(zip(names, values.flatten(), strict=True))
        empty = pc.is_null(parts["bytes"])
        return pc.or_(none, pc.and_(empty, pc.is_null(parts["path"])) if "path" in parts else empty)
    return none


def unlabelled(values: pa.Array, described: bool) -> pa.Array:
    """Where a class is -1 for "no label": bool (N,), without nulls.

    So it is in a column that its table calls a ClassLabel (``described``), and where the other labels are
    0, 1, 2 and so on, three or more. -1 and 1, or -1, 0 and 1, are classes like others.
    """
    whole = pa.types.is_integer(values.type)
    others = {*pc.unique(values).drop_null().to_pylist()} - {UNLABELLED} if whole else set()
    counted = len(others) > 2 and others == {*range(len(others))}
    if not (described or counted) or not whole:
        return pa.array([False] * len(values), pa.bool_())
    return pc.fill_null(pc.equal(values, UNLABELLED), False)


def require_labels(values: pa.Array, described: bool, keep: bool, setting: str) -> None:
    """Refuse a column of classes with a sample that has none.

    Args:
        keep: words such as NA, and -1 in a column that is not described, are classes.
    """
    gone = absent(values, spelled=not keep)
    marked = unlabelled(values, described) if described or not keep else pa.array([], pa.bool_())
    found = pc.unique(values.filter(pc.or_(gone, marked) if len(marked) else gone)).to_pylist()
    count = (pc.sum(gone).as_py() or 0) + (pc.sum(marked).as_py() or 0)
    if not count:
        return
    written = ", ".join("empty" if each in (None, "") else str(each).strip() for each in found[:4])
    kept = any(each not in (None, "") for each in found) and not (keep or described)
    hint = f"{_DROP}, data.missing=keep makes them classes" if kept else _DROP
    raise DataError(f"{setting}: {count} of {len(values)} labels are missing: {written}", hint)


def require_values(values: pa.Array, setting: str) -> None:
    """Refuse a column of numbers, lists or text that lacks some."""
    if count := pc.sum(absent(values)).as_py():
        what = "lists" if columns.is_list(values.type) else "values"
        raise DataError(f"{setting}: {count} of {len(values)} {what} are missing", _DROP)


def complete(table: pa.Table, names: Iterable[str], label: str | None) -> pa.Table:
    """The rows in which every one of the columns has its value; ``label`` is a column of classes."""
    for name in names:
        values = columns.column(table, name, "data")
        gone = absent(values)
        if name == label:
            gone = pc.or_(gone, unlabelled(values, columns.is_class_label(table, name)))
        table = table.filter(pc.invert(gone))
    return table
