"""The options of the commands, each written once, and the class that every command is made of."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import typer.core

from lmc.core.errors import Interrupted

from . import complete

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[REFERENCE ...] [KEY=VALUE ...]", autocompletion=complete.words, hidden=True),
]
Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE ...] [KEY=VALUE ...]", autocompletion=complete.words, hidden=True),
]
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE ...]", autocompletion=complete.words, hidden=True),
]
Sweep = Annotated[
    bool,
    typer.Option("--multirun", "-m", help="Sweep: KEY=A,B runs a job for A and one for B."),
]
Cfg = Annotated[
    str | None,
    typer.Option("--cfg", metavar="job|hydra|all", help="Show the composed settings, run nothing."),
]
ConfigDir = Annotated[
    str | None,
    typer.Option("--config-dir", metavar="DIR", help="Your own choices: DIR/model/mine.yaml."),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="table|csv|json|markdown|latex",
        help="How to print the result. Default: table on a terminal, csv when piped.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print references only, one a line.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, do nothing.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Let a stored run import the code of your own that it names.")
]

Listing = Annotated[bool, typer.Option("--list", help="Say which named experiments there are.")]

Out = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to write it; the same as out=FILE."),
]

FLAGS = ("dry_run", "trust", "listing")


class Command(typer.core.TyperCommand):
    """A command whose help ends with its groups, their choices, and every key with its default."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words before the options, as people type them."""
        words = next(param for param in self.params if param.name == "words")
        return [str(words.metavar), "[OPTIONS]"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Typer's help, then the settings."""
        from .help import settings_help

        super().format_help(ctx, formatter)
        formatter.write(settings_help(str(self.name)))


def start(context: typer.Context) -> int:
    """Hand what Typer read to the dispatcher."""
    from .dispatch import carry_out
    from .job import Request

    given = dict(context.params)
    flags = {flag: bool(given.pop(flag)) for flag in FLAGS if flag in given}
    given["words"] = given["words"] or []
    try:
        return carry_out(Request(command=str(context.command.name), flags=flags, **given))
    except KeyboardInterrupt as stop:  # Typer would end without a word
        raise Interrupted(str(stop) or "stopped") from stop
