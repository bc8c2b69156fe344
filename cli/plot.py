"""``lmc plot``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Out, Quiet, Sweep, Words, start


def plot(
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
    """Draw stored tables of several experiments together.

    The first word is the kind: barrier, path, match, layer, swap, dynamics, history.
    The name of the file says its format: .pdf, .png or .svg.

    \b
    lmc plot path digits-mlp-w digits-mlp-standard -o paths.pdf
    lmc plot barrier 'digits-*' -o barriers.svg      every pair, as it is and aligned
    lmc plot history 'digits-*' where.split=train
    """
    return start(context)
