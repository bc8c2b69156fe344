"""``lmc list``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Words, start


def list_(
    context: typer.Context,
    words: Words = None,
    sweep: Sweep = False,
    cfg: Cfg = None,
    config_dir: ConfigDir = None,
    format: Format = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """List stored runs.

    \b
    lmc list
    lmc list 'digits-mlp-w*'
    lmc list -q | head -1                            a reference, for another command
    """
    return start(context)
