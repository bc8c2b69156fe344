"""Outcomes on stdout: a table for people on a terminal, data when piped, references alone with ``-q``."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from lmc.core.registry import unknown

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from lmc.jobs.protocol.outcome import Outcome
    from lmc.summaries import Summary

FORMATS = ("table", "csv", "json", "markdown", "latex")
NARROWEST_TEXT = 16
NUMBER = re.compile(r"|[+-]?[\d.]+(e[+-]?\d+)?%?")


def check(format: str | None) -> None:
    """Refuse a format that there is not.

    Raises:
        SettingError: with the formats there are.
    """
    if format is not None and format not in FORMATS:
        raise unknown("--format", format, FORMATS)


def show(outcomes: Sequence[Outcome], format: str | None = None, quiet: bool = False) -> None:
    """Print the results of one job, or of all jobs of a sweep as one."""
    out = sys.stdout
    if quiet and format is None:
        for reference in dict.fromkeys(name for outcome in outcomes for name in outcome.references):
            print(reference, file=out)
        out.flush()
        return
    format = format or ("table" if out.isatty() else "csv")
    if format == "table":
        for number, summary in enumerate(_summaries(outcomes)):
            out.write("\n" if number else "")
            _print_summary(summary, out)
    elif format in ("latex", "markdown") and len(outcomes) == 1 and outcomes[0].paper is not None:
        from . import paper

        out.write(getattr(paper, format)(outcomes[0].paper()))
    elif outcomes:
        write = {"csv": _csv, "json": _json, "markdown": _markdown, "latex": _latex}[format]
        out.write(write(main_table(outcomes)))
    out.flush()
    if not quiet:
        for path in dict.fromkeys(path for outcome in outcomes for path in outcome.files):
            print(f"written: {_short(path)}", file=sys.stderr)


def main_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """The main tables of all outcomes, one below the other."""
    import pandas as pd

    frames = [outcome.tables[outcome.main] for outcome in outcomes]
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if len(filled) > 1 else (filled or frames)[0]


def text_of(value: Any) -> str:
    """A value for people: four digits of a number, nothing for what is missing."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    return str(value)


def _summaries(outcomes: Sequence[Outcome]) -> list[Summary]:
    from lmc.summaries import Summary

    found = [summary for outcome in outcomes for summary in outcome.summaries]
    return found or ([Summary("", main_table(outcomes))] if outcomes else [])


def _print_summary(summary: Summary, out: TextIO) -> None:
    """Title, table, notes. Numbers keep to one line; long text is folded on a terminal, never cut."""
    from rich.console import Console, ConsoleDimensions

    table, needed = _rich_table(summary.table)
    target: TextIO = out if out.isatty() else io.StringIO()
    console = Console(file=target, highlight=False, markup=False, emoji=False)
    unbounded = console.options.update(max_width=100_000)
    natural = console.measure(table, options=unbounded).maximum
    width = max(console.width, needed) if target is out else max(natural, 1)
    console.size = ConsoleDimensions(width, console.height)  # the width alone is not kept on a dumb terminal
    if summary.title:
        console.print(summary.title, style="bold", soft_wrap=True)
    if len(summary.table.columns):
        console.print(table)
    for note in summary.notes:
        console.print(note, soft_wrap=True)
    if target is not out:
        assert isinstance(target, io.StringIO)
        out.write("".join(f"{line.rstrip()}\n" for line in target.getvalue().splitlines()))


def _rich_table(frame: pd.DataFrame) -> tuple[Table, int]:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    needed = 0
    columns = []
    for name, values in frame.items():
        cells = [text_of(value) for value in values.tolist()]
        numeric = values.dtype.kind in "iuf" or (any(cells) and all(NUMBER.fullmatch(cell) for cell in cells))
        longest = max(map(len, cells), default=0)
        heading = max(map(len, str(name).split()), default=0)
        smallest = max(heading, longest if numeric else min(longest, NARROWEST_TEXT))
        table.add_column(
            Text(str(name)), justify="right" if numeric else "left", overflow="fold", min_width=smallest
        )
        columns.append(cells)
        needed += smallest + 3
    for row in zip(*columns):
        table.add_row(*(Text(cell) for cell in row))
    return table, needed


def _csv(frame: pd.DataFrame) -> str:
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def _json(frame: pd.DataFrame) -> str:
    """Records, one per line; pandas' own writer would round to 15 digits."""
    names = [str(name) for name in frame.columns]
    records = [
        json.dumps({name: _plain(value) for name, value in zip(names, row)}, default=str, allow_nan=False)
        for row in zip(*(frame[name].tolist() for name in frame.columns))
    ]
    return "[\n" + ",\n".join(records) + "\n]\n" if records else "[]\n"


def _plain(value: Any) -> Any:
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return None
    return value


def _markdown(frame: pd.DataFrame) -> str:
    right = [values.dtype.kind in "iuf" for _, values in frame.items()]
    rows = [
        [str(name) for name in frame.columns],
        ["---:" if numeric else "---" for numeric in right],
        *zip(*([text_of(value) for value in values.tolist()] for _, values in frame.items())),
    ]
    return "".join("| " + " | ".join(_cell(cell) for cell in row) + " |\n" for row in rows)


def _latex(frame: pd.DataFrame) -> str:
    from lmc.core.tabulation import Row, Tabulated

    from .paper import latex

    columns = [[text_of(value) for value in values.tolist()] for _, values in frame.items()]
    rows = tuple(Row(row, (), ()) for row in zip(*columns))
    return latex(Tabulated(tuple(map(str, frame.columns)), (), rows, {}, ()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _short(path: str) -> str:
    """``path`` from the working folder, where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return path
    return relative if len(relative) < len(path) and not relative.startswith("..") else path
