"""What ``lmc explain`` answers, as data, and the lines it prints."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """One meaning of a term; ``kind`` is glossary, theory, table, column, or a part's.

    ``sections`` are (label, text). A label may be empty; a text of several lines is kept as it is.
    """

    kind: str
    title: str
    sections: tuple[tuple[str, str], ...]

    def lines(self, width: int) -> list[str]:
        """The meaning as text."""
        found = [f"{self.title} ({self.kind})"]
        for label, text in self.sections:
            start, indent = (f"  {label}: ", "    ") if label else ("  ", "  ")
            wrapped = textwrap.wrap(start + text, width, subsequent_indent=indent, break_on_hyphens=False)
            found += text.split("\n") if "\n" in text else wrapped
        return found


@dataclass(frozen=True)
class Explanation:
    """All meanings of what was asked for, the glossary's first."""

    meanings: tuple[Meaning, ...]

    def rows(self) -> list[dict[str, str]]:
        """One row per section, as a table, CSV or JSON shows them."""
        return [
            {"term": each.title, "kind": each.kind, "label": label, "text": text.strip("\n")}
            for each in self.meanings
            for label, text in each.sections
        ]

    def lines(self, width: int = 80) -> list[str]:
        """All as text, with an empty line between two meanings."""
        return "\n\n".join("\n".join(each.lines(width)) for each in self.meanings).split("\n")
