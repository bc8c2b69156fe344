"""``lmc explain`` through the API and the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lmc import api, matching, merging
from lmc.core.errors import SettingError
from lmc.core.schema import TABLES
from lmc.jobs.reporting.vocabulary import head_meanings

from .conftest import train


def told(*words: str) -> dict[str, str]:
    table = api.explain(*words)
    return {f"{row.kind}:{row.label}": row.text for row in table.itertuples()}


def test_a_term_has_a_definition_a_formula_and_a_source() -> None:
    found = told("identifiability", "ratio")
    assert found["glossary:formula"] == "(identity - random) / (optimal - random)"
    assert "arXiv 2606.04754" in found["glossary:source"]
    assert found == told("Identifiability_Ratio")
    assert any(key.startswith("column:in match") for key in found)


def test_every_table_its_columns_and_every_part_can_be_asked_for() -> None:
    for kind, table in TABLES.items():
        found = told("table", kind)
        assert [*found] == ["table:", *(f"table:{column.name}" for column in table)]
        assert found["table:"].startswith(table.title)
    for name in (*matching.MATCHERS, *merging.MERGERS):
        kinds = set(api.explain(name)["kind"])
        assert kinds & {"matcher", "merger"}, name
    assert "2.0" not in told("identifiability")["matcher:tau"]
    assert "default 1.0" in told("identifiability")["matcher:tau"]


def test_a_word_of_several_meanings_gives_all() -> None:
    assert {"table", "command"} <= set(api.explain("match")["kind"])


def test_an_unknown_term_suggests_the_nearest() -> None:
    with pytest.raises(SettingError, match=r"unknown term \(did you mean .*identifiability ratio") as caught:
        api.explain("identifiabilty")
    assert caught.value.exit_code == 2


def test_without_a_term_all_are_listed() -> None:
    table = api.explain()
    assert {"glossary", "theory", "table", "matcher", "merger", "variant", "model", "command"} <= {
        *table["kind"]
    }
    assert "coherence" in table["label"].tolist()


def test_lines_fit_a_terminal_and_torch_stays_out(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from lmc.jobs.reporting.vocabulary import terms\n"
        "assert 'cross term' in terms() and 'activation' in terms()\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    words = ["explain", "swap", "cost", "--format", "table"]
    done = subprocess.run(
        [sys.executable, "-m", "lmc.cli", *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("swap cost (glossary)\n")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert [*tmp_path.iterdir()] == []


def test_a_report_says_what_its_columns_mean(outputs: Path, tmp_path: Path) -> None:
    train(seeds=2)
    api.path("digits-mlp-standard")
    api.report(out=str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    meaning = head_meanings("barrier")["loss barrier"]
    assert meaning.startswith(next(c.meaning for c in TABLES["barrier"] if c.name == "loss_barrier"))
    told = page[page.index("What the columns mean") :]
    assert re.search(r"<dt>loss barrier</dt><dd>[^<]*\(lmc explain loss_barrier\)</dd>", told)
