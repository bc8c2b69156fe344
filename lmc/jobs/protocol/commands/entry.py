"""A command, declared once: the command line, its settings and the Python API follow from it.

No torch, Hydra, Typer or pydantic: ``lmc --help`` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Words = Literal["settings", "references", "files", "term"]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        settings: the dataclass of what it can be told.
        words: what it takes beside ``key=value``: nothing, references to stored runs, files, or the words
            of a term.
        flags: its own options beside those of every command: dry_run, trust, listing, out.
        help: one line.
        text: what the line leaves out.
        examples: command lines, each with a remark.
        main: the table that is printed as data, where it is always the same.
        doc: what its function in the Python API does.
        module: its file in ``lmc/jobs``, where that is not its name.
        published: whether ``experiment=NAME/CASE`` lays a published case beneath the given settings.
    """

    name: str
    settings: type[Any]
    help: str
    examples: str
    doc: str
    words: Words = "references"
    flags: tuple[str, ...] = ()
    text: str = ""
    main: str | None = None
    module: str = ""
    published: bool = False

    @property
    def page(self) -> str:
        """The help text as Typer reads it; ``\\\\b`` keeps the lines of the examples."""
        return "\n\n".join(part for part in (self.help, self.text, f"\b\n{self.examples}") if part)
