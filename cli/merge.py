"""``lmc merge``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Trust, Words, start


def merge(
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
    """Align runs and merge them into one network, itself a run.

    \b
    lmc merge digits-mlp-w                           the mean of all its runs, aligned
    lmc merge digits-mlp-w merge=representation      it computes the mean of their hidden states
    lmc merge digits-mlp-w/0 digits-mlp-w/1 match=none
    lmc path $(lmc merge -q digits-mlp-w) digits-mlp-w/0
    """
    return start(context)
