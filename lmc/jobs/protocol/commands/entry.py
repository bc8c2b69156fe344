"""What the command line says of a command. No torch, Hydra, Typer or pydantic: ``lmc --help`` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Words = Literal["settings", "references", "files"]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command as a person meets it.

    Attributes:
        words: what it takes beside ``key=value``: nothing, references to stored runs, or files.
        flags: its own options beside those of every command: dry_run, trust, listing, out.
        help: one line.
        text: what the line leaves out.
        examples: command lines, each with a remark.
    """

    name: str
    help: str
    examples: str
    words: Words = "references"
    flags: tuple[str, ...] = ()
    text: str = ""

    @property
    def page(self) -> str:
        """The help text as Typer reads it; ``\\\\b`` keeps the lines of the examples."""
        return "\n\n".join(part for part in (self.help, self.text, f"\b\n{self.examples}") if part)
