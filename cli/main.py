"""The program ``lmc``: its commands, and how it ends.

Only Typer is imported here, so that ``lmc --help`` is quick; Hydra, pandas, Rich and torch come
when a command needs them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import typer.core

from lmc.jobs.protocol.commands import COMMANDS

from . import complete
from .exits import guarded
from .options import Command, function


class Program(typer.core.TyperGroup):
    """The command group: errors as plain lines, near misses of commands, completion in every shell."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run one command line and leave with its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        name = prog_name or "lmc"
        extra["standalone_mode"] = False
        run = super().main
        with complete.for_shell(name):
            sys.exit(guarded(lambda: run(words, name, **extra), debug="--debug" in words))

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order of a day's work rather than of the alphabet."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or say which was probably meant."""
        word = args[0]
        if word not in self.commands and not word.startswith("-") and not ctx.resilient_parsing:
            from lmc.core.errors import SettingError
            from lmc.core.registry import near_miss

            close = near_miss(word, self.commands)
            listed = "commands: " + ", ".join(self.commands)
            hint = f"did you mean {close}? {listed}" if close else listed
            raise SettingError(f"{word}: unknown command", hint)
        return super().resolve_command(ctx, args)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"lmc {version('linear-mode-connectivity')}")
        raise typer.Exit()


SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

app = typer.Typer(
    name="lmc",
    cls=Program,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Experiments on linear mode connectivity.

    Train runs of a network, ask whether each neuron ends up in the same place in every run, align the
    neurons that do not, merge the weights, and scan the straight line between the runs.

    \b
    lmc train variant=w seeds=4          four runs, trained together
    lmc path digits-mlp-w                the barriers between them
    lmc match digits-mlp-w               which neurons are identifiable
    lmc merge digits-mlp-w               one network out of them
    lmc train --help                     groups, choices, and every key with its default
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


for _entry in COMMANDS.values():
    app.command(_entry.name, cls=Command, context_settings=SETTINGS)(function(_entry))
