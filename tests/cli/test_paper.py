"""Tables for papers: LaTeX that prints any name, Markdown that shows it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmc.cli.paper import escaped, latex, markdown
from lmc.core.statistics import Estimate
from lmc.core.tabulation import Cell, Heading, Row, Tabulated

NAN = float("nan")
TABLE = Tabulated(
    ("experiment",),
    (Heading("loss_barrier", "low"), Heading("swap cost", None)),
    (
        Row(("w_0 & 100%",), (Cell(Estimate(0.245, 0.21, 0.28, (0.2,) * 3), True), None), ("test",)),
        Row(
            ("[a|b]",),
            (Cell(Estimate(-1.0, NAN, NAN, (-1.5, -0.5))), Cell(Estimate(2e-7, NAN, NAN, (2e-7,)))),
            ("val",),
        ),
    ),
    {"epoch": "3"},
    ("a note",),
)


def test_latex():
    assert latex(TABLE).splitlines() == [
        "% a note",
        "% all rows: epoch 3",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"experiment & loss\_barrier $\downarrow$ & swap cost \\",
        r"\midrule",
        r"w\_0 \& 100\% & $\mathbf{0.245}\;[0.210, 0.280]$ & -- \\",
        r"\midrule",
        r"{[}a\textbar{}b{]} & $-1.50, -0.50$ & $2.00 \times 10^{-7}$ \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_markdown():
    assert markdown(TABLE).splitlines() == [
        r"| experiment | loss\_barrier ↓ | swap cost |",
        "| --- | ---: | ---: |",
        r"| w\_0 & 100% | **0.245** [0.210, 0.280] | – |",
        r"| \[a\|b\] | -1.50, -0.50 | 2.00e-7 |",
        "",
        "a note; all rows: epoch 3.",
    ]


@given(st.text())
def test_escaped_text_holds_nothing_that_latex_acts_on(text):
    left = re.sub(r"\\[&%$#_{}]|\\text\w+\{\}|\{[\[\]*]\}", "", escaped(text))
    assert not re.search(r"[\\&%$#_{}~^<>|\n]", left)


@pytest.mark.parametrize("format", ["latex", "markdown"])
def test_a_stored_table_as_a_paper_has_it(format, lmc_process, in_empty_folder):
    from lmc.core.schema import frame
    from lmc.store.files import write_table

    ends = {"experiment_b": "a", "seed_b": 1, "epoch_b": 2, "experiment_a": "a", "seed_a": 0, "epoch_a": 2}
    rows = [
        {**ends, "match": match, "split": "test", "loss_barrier": 0.5} for match in ("none", "activation")
    ]
    write_table(in_empty_folder / "outputs/path/a/barrier.parquet", frame("barrier", rows))
    result = lmc_process("table", "barrier", "--format", format, fake=False)
    assert (result.code, result.err) == (0, "")
    assert result.out.count("0.500") == 2
    csv = lmc_process("table", "barrier", "--format", "csv", fake=False)
    assert len(csv.out.splitlines()) == 3


def test_where_and_columns_narrow_every_format(lmc_process, in_empty_folder):
    from lmc.core.schema import frame
    from lmc.store.files import write_table

    ends = {"experiment_b": "a", "seed_b": 1, "epoch_b": 2, "experiment_a": "a", "seed_a": 0, "epoch_a": 2}
    rows = [{**ends, "match": "none", "split": split, "loss_barrier": 0.5} for split in ("train", "test")]
    write_table(in_empty_folder / "outputs/path/a/barrier.parquet", frame("barrier", rows))
    words = ("table", "barrier", "where.split=test", "columns=loss_barrier")
    result = lmc_process(*words, fake=False)
    assert result.out.splitlines()[0].split(",")[-2:] == ["split", "loss_barrier"]
    assert len(result.out.splitlines()) == 2
    wrong = lmc_process("table", "barrier", "where.splt=test", "columns=loss", fake=False)
    assert wrong.code == 2
    assert [line.split(":")[1] for line in wrong.errors] == [" where=splt", " columns=loss"]
