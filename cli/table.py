"""``lmc table``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Words, start


def table(
    context: typer.Context,
    words: Words = None,
    sweep: Sweep = False,
    cfg: Cfg = None,
    config_dir: ConfigDir = None,
    format: Format = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Collect one kind of table from all stored jobs.

    Restricted to the jobs that speak of the references, if any are given.

    The first word is the kind: history, path, barrier, match, neuron, ...
    As latex or markdown it is a table for a paper: means with their intervals, the best in bold.

    \b
    lmc table barrier                                every barrier there is
    lmc table history digits-mlp-w --format csv
    lmc table neuron digits-mlp-w --format json
    lmc table barrier 'digits-*' --format latex columns=loss_barrier where.split=test
    """
    return start(context)
