"""``lmc remove``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, DryRun, Format, Quiet, Sweep, Words, start


def remove(
    context: typer.Context,
    words: Words = None,
    sweep: Sweep = False,
    dry_run: DryRun = False,
    cfg: Cfg = None,
    config_dir: ConfigDir = None,
    format: Format = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Delete runs. Tables and merged runs made from them stay, and are listed.

    \b
    lmc remove digits-mlp-w/3 --dry-run              what would go
    lmc remove digits-mlp-w
    """
    return start(context)
