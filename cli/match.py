"""``lmc match``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Trust, Words, start


def match(
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
    """Match the neurons of pairs of runs; which are identifiable?

    \b
    lmc match digits-mlp-w                           pairs 0-1, 2-3, layer by layer
    lmc match digits-mlp-w/0 digits-mlp-w/1
    lmc match digits-mlp-w pairs=all match.tau=0.5 --format csv
    lmc table neuron digits-mlp-w                    afterwards: one row a neuron
    """
    return start(context)
