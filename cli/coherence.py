"""``lmc coherence``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Trust, Words, start


def coherence(
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
    """Does a mask break anything? Coherence and anisotropy.

    \b
    lmc coherence digits-mlp-w
    lmc coherence digits-mlp-w/0 layers=layers.1 'deltas=[0.05]'
    """
    return start(context)
