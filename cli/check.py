"""``lmc check``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Trust, Words, start


def check(
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
    """Can these runs be averaged? A verdict and its numbers.

    \b
    lmc check digits-mlp-w               as they are, after alignment, or not on a straight line
    lmc check mine/0 mine/1              two checkpoints that were imported
    lmc check digits-mlp-w low=0.05      a barrier of 5 % of what training gained still counts as none
    """
    return start(context)
