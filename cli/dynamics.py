"""``lmc dynamics``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Trust, Words, start


def dynamics(
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
    """How runs part or stay together in training.

    \b
    lmc train variant=w training.checkpoints=5       stores every fifth epoch
    lmc dynamics digits-mlp-w                        updates, predictions, CKA, NTK, barriers over epochs
    lmc dynamics digits-mlp-w match=activation 'measures=[objective,barrier]'
    lmc dynamics digits-mlp-w 'measures=[ntk]' ntk_samples=128 memory=4
    """
    return start(context)
