"""``lmc report``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Out, Quiet, Sweep, Words, start


def report(
    context: typer.Context,
    words: Words = None,
    out: Out = None,
    sweep: Sweep = False,
    cfg: Cfg = None,
    config_dir: ConfigDir = None,
    format: Format = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Write everything stored about runs as one HTML page.

    Verdict, claims, tables, figures, settings, seeds, and the commands that repeat it.
    The page loads nothing from elsewhere. Without a reference it is about all experiments.

    \b
    lmc report 'digits-*' -o report.html
    lmc report -o all.html
    """
    return start(context)
