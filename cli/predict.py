"""``lmc predict``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Words, start


def predict(
    context: typer.Context,
    words: Words = None,
    sweep: Sweep = False,
    cfg: Cfg = None,
    config_dir: ConfigDir = None,
    format: Format = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Will neurons be identifiable? Before any training.

    \b
    lmc predict variant=w variant.scale=0.5
    lmc predict -m variant=w variant.scale=0,0.5,1 --format csv
    """
    return start(context)
