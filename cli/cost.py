"""``lmc cost``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Trust, Words, start


def cost(
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
    """What functions cost the neurons, and exchanging two.

    \b
    lmc cost digits-mlp-w                            per layer: subspace, own and swap costs, verdict
    lmc cost digits-mlp-w/0 estimate=ridge 'betas=[0.01,0.1]'
    lmc cost digits-mlp-w/0 estimate=ridge activation=true neurons=24
    lmc cost digits-mlp-w layers=layers.0 distance=true neurons=32
    """
    return start(context)
