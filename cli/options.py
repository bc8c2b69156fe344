"""The options of the commands, each written once, and the class that every command is made of."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer
import typer.core

from lmc.core.errors import Interrupted
from lmc.jobs.protocol import commands

from . import complete

METAVARS = {
    "references": "[REFERENCE ...] [KEY=VALUE ...]",
    "files": "[FILE ...] [KEY=VALUE ...]",
    "settings": "[KEY=VALUE ...]",
    "term": "[TERM]",
}
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
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print references only, one per line.")]
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

FLAGS: dict[str, Any] = {"dry_run": DryRun, "trust": Trust, "listing": Listing}
LAST: dict[str, Any] = {
    "cfg": Cfg,
    "config_dir": ConfigDir,
    "format": Format,
    "quiet": Quiet,
    "debug": Debug,
}


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


def function(command: commands.Command) -> Callable[..., int]:
    """The function that Typer makes a command of: its signature and its docstring are the entry's."""

    def run(context: typer.Context, **_: Any) -> int:
        return start(context)

    words = Annotated[
        list[str] | None,
        typer.Argument(metavar=METAVARS[command.words], autocompletion=complete.words, hidden=True),
    ]
    own = {flag: FLAGS[flag] for flag in command.flags if flag in FLAGS}
    out = {"out": Out} if "out" in command.flags else {}
    options: dict[str, Any] = {"words": words, **out, "sweep": Sweep, **own, **LAST}
    parameters = [Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    for name, kind in options.items():
        default = False if kind.__origin__ is bool else None
        parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind))
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__doc__ = command.page
    return run
