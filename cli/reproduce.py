"""``lmc reproduce``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Listing, Quiet, Sweep, Words, start


def reproduce(
    context: typer.Context,
    words: Words = None,
    sweep: Sweep = False,
    listing: Listing = False,
    cfg: Cfg = None,
    config_dir: ConfigDir = None,
    format: Format = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Run a named experiment from training to its claims.

    \b
    lmc reproduce --list                             which there are
    lmc reproduce digits                             in its small size
    lmc reproduce digits size=tiny training.epochs=2
    """
    return start(context)
