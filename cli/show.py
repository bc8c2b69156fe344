"""``lmc show``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Words, start


def show(
    context: typer.Context,
    words: Words = None,
    sweep: Sweep = False,
    cfg: Cfg = None,
    config_dir: ConfigDir = None,
    format: Format = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Show the settings of an experiment or a run.

    \b
    lmc show digits-mlp-w
    lmc show digits-mlp-w/0 --format json
    """
    return start(context)
