"""Tables of means as LaTeX (booktabs) and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lmc.core.digits import shown

if TYPE_CHECKING:
    from lmc.core.tabulation import Cell, Tabulated

_SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\n": " ",
}
_ARROWS = {"low": (r"$\downarrow$", "↓"), "high": (r"$\uparrow$", "↑")}
_EXPONENT = re.compile(r"e(-?\d+)$")


def latex(table: Tabulated) -> str:
    """A ``tabular`` with what it says of its numbers as comments above it; needs the package booktabs."""
    heads = [
        f"{escaped(heading.name)} {_ARROWS[heading.best][0]}" if heading.best else escaped(heading.name)
        for heading in table.headings
    ]
    lines = [f"% {note}" for note in _notes(table)]
    lines.append(r"\begin{tabular}{" + "l" * len(table.keys) + "r" * len(heads) + "}")
    lines += [r"\toprule", _latex_row([*map(escaped, table.keys), *heads]), r"\midrule"]
    block = table.rows[0].block if table.rows else ()
    for row in table.rows:
        if row.block != block:
            lines.append(r"\midrule")
            block = row.block
        lines.append(_latex_row([*map(escaped, row.keys), *map(_latex_cell, row.cells)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def escaped(text: str) -> str:
    """Any text as LaTeX that prints it."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def markdown(table: Tabulated) -> str:
    """A pipe table, and what it says of its numbers below it."""
    heads = [
        f"{_plain(heading.name)} {_ARROWS[heading.best][1]}" if heading.best else _plain(heading.name)
        for heading in table.headings
    ]
    rows = [
        [*map(_plain, table.keys), *heads],
        ["---"] * len(table.keys) + ["---:"] * len(heads),
        *([*map(_plain, row.keys), *map(_markdown_cell, row.cells)] for row in table.rows),
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, *(["", "; ".join(_notes(table)) + "."] if table.notes else []), ""])


def _notes(table: Tabulated) -> Iterable[str]:
    yield from table.notes
    if table.same:
        yield "all rows: " + ", ".join(f"{key} {text}" for key, text in table.same.items())


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell | None) -> str:
    means, ends = shown(cell.value) if cell else ([], [])
    if cell is None or not means:
        return "--"
    numbers = ", ".join(map(_latex_number, means))
    best = rf"\mathbf{{{numbers}}}" if cell.best else numbers
    return f"${best}$" if not ends else rf"${best}\;[{', '.join(map(_latex_number, ends))}]$"


def _latex_number(text: str) -> str:
    return _EXPONENT.sub(r" \\times 10^{\1}", text).replace("inf", r"\infty")


def _markdown_cell(cell: Cell | None) -> str:
    means, ends = shown(cell.value) if cell else ([], [])
    if cell is None or not means:
        return "–"
    best = f"**{', '.join(means)}**" if cell.best else ", ".join(means)
    return best if not ends else f"{best} [{', '.join(ends)}]"


def _plain(text: str) -> str:
    return re.sub(r"([\\|*_`<\[\]])", r"\\\1", text).replace("\n", " ")
