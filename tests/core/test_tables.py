"""Every table has the declared columns, in order and type."""

import numpy as np
import pytest

from lmc.core.tables import TABLES, columns, concatenate, frame

ROW = {"experiment": "x", "seed": 1, "epoch": 2, "split": "test"}


def _row(kind):
    values = {"str": "x", "int64": 1, "float64": 0.5, "bool": True}
    return {column.name: values[column.dtype] for column in TABLES[kind]}


@pytest.mark.parametrize("kind", TABLES)
def test_declared_columns_in_order_and_type_even_when_empty(kind):
    for rows in ([], [_row(kind)], [dict(reversed(_row(kind).items()))] * 2):
        table = frame(kind, rows)
        assert [*table.columns] == columns(kind) == [column.name for column in TABLES[kind]]
        assert len(table) == len(rows)
        assert [str(dtype) for dtype in table.dtypes] == [column.dtype for column in TABLES[kind]]
    assert len({*columns(kind)}) == len(columns(kind))
    assert all(column.meaning for column in TABLES[kind])


def test_a_missing_number_is_nan_and_anything_else_missing_is_an_error():
    table = frame("history", [{**ROW, "loss": 1}])
    assert table.loss.tolist() == [1.0]
    assert np.isnan(table.accuracy[0])
    for missing in ("split", "seed"):
        with pytest.raises(KeyError, match=missing):
            frame("history", [{key: value for key, value in ROW.items() if key != missing}])


def test_undeclared_columns_are_refused():
    with pytest.raises(KeyError, match="table history has no column acuracy, lossy"):
        frame("history", [ROW, {**ROW, "lossy": 1.0, "acuracy": 2.0}])
    with pytest.raises(KeyError, match="histroy"):
        frame("histroy", [])


def test_tables_of_one_kind_as_one():
    one, two = frame("history", [ROW]), frame("history", [{**ROW, "seed": 5}, ROW])
    table = concatenate("history", [one, frame("history", []), two])
    assert table.seed.tolist() == [1, 5, 1]
    assert table.index.tolist() == [0, 1, 2]
    assert [str(dtype) for dtype in table.dtypes] == [column.dtype for column in TABLES["history"]]
    assert [*concatenate("history", []).columns] == columns("history")
