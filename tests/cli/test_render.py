"""Results on stdout in every format, and talk on stderr."""

import io
import json
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmc.cli import render
from lmc.cli.talk import talk_to
from lmc.jobs.protocol.outcome import Outcome
from lmc.summaries import Summary

Run = Callable[..., object]
NAME = "digits-mlp-standard-1f3a9c02"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_csv_is_the_default_when_piped(lmc_run: Run) -> None:
    result = lmc_run("train")
    assert result.out == (
        f"experiment,seed,loss,done,note\n{NAME},0,0.30000000000000004,True,a|b\n{NAME},1,,False,\n"
    )
    assert result.errors == [f"training {NAME}", "warning: one thread", f"written: outputs/train/{NAME}"]


def test_json(lmc_run: Run) -> None:
    records = json.loads(lmc_run("train", "--format", "json").out)
    assert records == [
        {"experiment": NAME, "seed": 0, "loss": 0.1 + 0.2, "done": True, "note": "a|b"},
        {"experiment": NAME, "seed": 1, "loss": None, "done": False, "note": None},
    ]


def test_markdown(lmc_run: Run) -> None:
    assert lmc_run("train", "--format", "markdown").out.splitlines() == [
        "| experiment | seed | loss | done | note |",
        "| --- | ---: | ---: | --- | --- |",
        f"| {NAME} | 0 | 0.3 | yes | a\\|b |",
        f"| {NAME} | 1 |  | no |  |",
    ]


def test_table_when_piped_is_plain_and_whole(lmc_run: Run) -> None:
    assert lmc_run("train", "--format", "table").out.splitlines() == [
        "Runs",
        "experiment                     seed   loss   done   note",
        "─" * 56,
        f"{NAME}      0    0.3   yes    a|b",
        f"{NAME}      1          no",
        "a note [x]",
    ]


def test_quiet_prints_references_and_says_warnings_only(lmc_run: Run) -> None:
    result = lmc_run("train", "-q")
    assert (result.out, result.err) == (f"{NAME}\n", "warning: one thread\n")


def test_a_narrow_terminal_folds_and_never_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    name = "digits-mlp-w-a-very-long-name-of-an-experiment-1f3a9c02"
    frame = pd.DataFrame({"experiment": [name], **{f"loss_{i}": [123.456789] for i in range(8)}})
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    render.show([Outcome(main="run", tables={"run": frame}, summaries=(Summary("Runs", frame),))])
    lines = out.getvalue().splitlines()
    folded = "".join(line.split("  ")[0] for line in lines[3:])
    assert name in folded
    assert "…" not in out.getvalue()
    assert lines[3].count("123.5") == 8


def test_without_summaries_the_main_table_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"a": [1]})
    render.show([Outcome(main="x", tables={"x": frame}), Outcome(main="x", tables={"x": frame[:0]})], "table")
    assert capsys.readouterr().out.splitlines() == ["a", "─", "1"]


@pytest.mark.parametrize("kind", render.FORMATS)
def test_empty_tables(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    render.show([Outcome(main="x", tables={"x": pd.DataFrame({"a": pd.Series([], dtype="float64")})})], kind)
    assert capsys.readouterr().out.split("\n")[0] in (
        "a",
        "[]",
        "| a |",
        r"\begin{tabular}{l}",
    )


@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=5))
def test_csv_and_json_keep_every_digit(values: list[float]) -> None:
    frame = pd.DataFrame({"x": values})
    kept = [record["x"] for record in json.loads(render._json(frame))]
    assert kept == [None if value != value else value for value in values]
    read = [float(line or "nan") for line in render._csv(frame).replace('""', "").split("\n")[1:-1]]
    assert all(a == b or (a != a and b != b) for a, b in zip(read, values, strict=True))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (2.0, "2"), (12345.678, "12346"), (1e-9, "1e-09"), (float("nan"), ""), (None, "")],
)
def test_numbers_for_people(value: float | None, text: str) -> None:
    assert render.text_of(value) == text


def test_bars_and_lines_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for stream, bars in ((Terminal(), True), (io.StringIO(), False)):
        with talk_to(stream) as talk, talk.progress("epochs", 2) as outer, talk.progress("batches", 3) as bar:
            talk.say("half [done]")
            bar.advance(3)
            outer.advance()
            outer.note("loss 1")
        assert "half [done]" in stream.getvalue()
        assert ("epochs" in stream.getvalue()) is bars
