"""A report as one HTML page that loads nothing: what it is made of, and how it is written."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lmc.core.digits import shown
from lmc.core.tabulation import Cell, Tabulated
from lmc.figures.writing import style

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Header:
    """A column of a table: its name, whether it holds numbers, which end is best, and what it means."""

    text: str
    number: bool = False
    best: str | None = None
    meaning: str = ""


@dataclass(frozen=True)
class Entry:
    """A cell as it is shown; ``order`` is what it is sorted by, its text where that is None."""

    text: str
    order: float | None = None
    ends: str = ""
    best: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table that can be sorted."""

    title: str
    heads: Sequence[Header]
    rows: Sequence[Sequence[Entry]]
    note: str = ""


@dataclass(frozen=True)
class VerdictCard:
    """Whether some runs can be averaged; ``mood`` (good, fair, bad, none) decides the colour."""

    subject: str
    text: str
    mood: str
    hedge: str = ""
    lines: Sequence[str] = ()
    command: str = ""


@dataclass(frozen=True)
class Problem:
    """Something that is missing or unfinished, and the command that completes it."""

    text: str
    command: str = ""


@dataclass(frozen=True)
class ClaimLine:
    """A claim of a named experiment with the numbers that decide it."""

    text: str
    outcome: str
    numbers: Sequence[str]


@dataclass(frozen=True)
class ClaimCard:
    """One named experiment's claims; ``image`` is its figure, a PNG in base64."""

    title: str
    subtitle: str
    claims: Sequence[ClaimLine]
    image: str
    measured: Sheet | None


@dataclass(frozen=True)
class Picture:
    """A figure inline."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class Page:
    """A report, in the order in which it is read."""

    title: str
    subtitle: str
    verdicts: Sequence[VerdictCard]
    problems: Sequence[Problem]
    claims: Sequence[ClaimCard]
    tables: Sequence[Sheet]
    more: Sequence[str]
    figures: Sequence[Picture]
    runs: Sheet
    differing: Sheet | None
    settings: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    commands: Sequence[str]
    command_notes: Sequence[str]
    footer: str


def write(page: Page) -> str:
    """The page as HTML: every text escaped, style and script inside, nothing from elsewhere."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files("lmc.figures") / "page"
    environment = Environment(
        loader=FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("report.html.j2").render(page=page)


def sheet(title: str, table: Tabulated, meanings: Mapping[str, str] | None = None) -> Sheet:
    """A table of means, sortable by its means.

    Args:
        meanings: what a column's head means, by its name.
    """
    told = meanings or {}
    heads = [
        *(Header(key, meaning=told.get(key, "")) for key in table.keys),
        *(Header(each.name, True, each.best, told.get(each.name, "")) for each in table.headings),
    ]
    rows = [[*map(entry, row.keys), *map(_estimated, row.cells)] for row in table.rows]
    same = ", ".join(f"{key} {text}" for key, text in table.same.items())
    notes = [*table.notes, *([f"all rows: {same}"] if same else [])]
    return Sheet(title, heads, rows, "; ".join(notes))


def entry(value: Any) -> Entry:
    """A text or a number; a number keeps four digits."""
    if isinstance(value, float):
        return Entry("–") if math.isnan(value) else Entry(f"{value:.4g}", value)
    return Entry(str(value), float(value) if isinstance(value, int) else None)


def _estimated(cell: Cell | None) -> Entry:
    means, ends = shown(cell.value) if cell else ([], [])
    if cell is None or not means:
        return Entry("–")
    return Entry(", ".join(means), cell.value.mean, f"[{', '.join(ends)}]" if ends else "", cell.best)


def inline(figure: Figure, title: str, number: int) -> Picture:
    """A figure as SVG that follows the page's colours, so that it can be read on light and on dark.

    What is black takes the colour of the text, the grid that of the page's rules, and the ground is left out.
    On a narrow screen it keeps three fifths of its size, and its box scrolls.

    Args:
        number: keeps the ids of a page's figures distinct.
    """
    from markupsafe import Markup, escape

    text = io.StringIO()
    with style():
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = re.sub(r"<!--.*?-->\s*", "", text.getvalue()[text.getvalue().index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>f{number}-", svg)
    svg = svg.replace("#000000", "currentColor").replace("#e6e6e6", "var(--grid)")
    width, height = (float(size) for size in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[0])
    size = f"width: 100%; min-width: {0.8 * width:.0f}px; max-width: {4 / 3 * width:.0f}px"
    head = f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width} {height}" style="{size}">'
    return Picture(title, Markup(head + svg[svg.index(">") + 1 :]))
