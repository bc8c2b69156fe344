"""``lmc path``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Trust, Words, start


def path(
    context: typer.Context,
    words: Words = None,
    sweep: Sweep = False,
    trust: Trust = False,
    cfg: Cfg = None,
    config_dir: ConfigDir = None,
    format: Format = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Barriers on the straight line between pairs of runs.

    \b
    lmc path digits-mlp-w                            as they are
    lmc path digits-mlp-w match=activation           after alignment
    lmc path digits-mlp-w alphas=11 pairs=all
    lmc path digits-mlp-w/0@0 digits-mlp-w/1@0       between the initialisations
    lmc path digits-mlp-w gap=true                   which layer breaks the line, and why
    lmc path digits-mlp-w kind=representation        hidden states averaged in place of weights
    """
    return start(context)
