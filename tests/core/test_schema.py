"""Every table is declared once, and frames of it have the declared columns, in order and type."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

from lmc.core.schema import STORED, TABLES, columns, concatenate, frame
from lmc.core.schema.columns import PAIR, RUN
from lmc.figures import FIGURES

ROW = {"experiment": "x", "seed": 1, "epoch": 2, "split": "test"}


def _row(kind):
    values = {"str": "x", "int64": 1, "float64": 0.5, "bool": True}
    return {column.name: values[column.dtype] for column in TABLES[kind]}


@pytest.mark.parametrize("kind", TABLES)
def test_a_declaration_is_whole(kind):
    table = TABLES[kind]
    assert table.kind == kind
    assert len({*columns(kind)}) == len(columns(kind))
    for column in table:
        assert column.meaning.strip() == column.meaning != ""
        assert column.dtype in ("str", "int64", "float64", "bool")
        assert column.role != "key" or column.dtype != "float64", "numbers are measured, or a block"
        assert column.best is None or column.role == "value"
    assert table.title[0].isupper()
    assert not table.best_of or "quantity" in columns(kind)
    assert not table.wanted or table.made_by


def test_what_a_report_shows_is_stored():
    for table in TABLES.values():
        if table.figure or table.in_report or table.wanted or table.apart:
            assert table.kind in STORED
        assert not (table.apart and table.in_report)


def test_numbers_of_one_name_have_one_role_and_one_best_end():
    found = {}
    for table in TABLES.values():
        for column in table:
            if column.dtype != "str":
                found.setdefault(column.name, set()).add((column.role, column.best))
    assert {name: declared for name, declared in found.items() if len(declared) > 1} == {}


@pytest.mark.parametrize("kind", TABLES)
def test_which_runs_a_row_is_of_comes_first(kind):
    """Whole runs or pairs of runs stand before what is said of them; only a case may stand before."""
    listed = [*TABLES[kind]]
    for group in (RUN, PAIR):
        if group[1] in listed:
            start = listed.index(group[0])
            assert tuple(listed[start : start + len(group)]) == group
            assert columns(kind)[:start] in ([], ["case"])


@pytest.mark.parametrize("kind", STORED)
def test_a_command_of_lmc_makes_it(kind):
    from lmc.jobs.protocol.commands import COMMANDS

    program, command, *settings = STORED[kind].made_by.split()
    assert program == "lmc"
    assert command in COMMANDS
    assert {setting.partition("=")[0] for setting in settings} <= {
        *COMMANDS[command].settings.__annotations__
    }


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_function_of_its_tables(name):
    kind = FIGURES[name]
    assert kind.tables[0] == name
    assert {*kind.tables} <= {*STORED}
    inspect.signature(kind.function).bind(*kind.tables)


def test_naming_figures_imports_nothing_that_draws():
    code = "import sys; from lmc.figures import FIGURES; print(*{'matplotlib', 'torch', 'pandas'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("kind", TABLES)
def test_declared_columns_in_order_and_type_even_when_empty(kind):
    for rows in ([], [_row(kind)], [dict(reversed(_row(kind).items()))] * 2):
        table = frame(kind, rows)
        assert [*table.columns] == columns(kind) == [column.name for column in TABLES[kind]]
        assert len(table) == len(rows)
        assert [str(dtype) for dtype in table.dtypes] == [column.dtype for column in TABLES[kind]]


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
