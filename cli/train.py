"""``lmc train``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, DryRun, Format, Quiet, Settings, Sweep, start


def train(
    context: typer.Context,
    words: Settings = None,
    sweep: Sweep = False,
    dry_run: DryRun = False,
    cfg: Cfg = None,
    config_dir: ConfigDir = None,
    format: Format = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Train runs of a network together.

    An experiment is a set of runs that differ in their seed only. The same command again skips what is
    finished, goes on with what is half done, and adds new seeds.

    \b
    lmc train                                        four runs on the digits that come with scikit-learn
    lmc train variant=w seeds=8                      eight runs of a network without symmetry
    lmc train 'seeds=[0,1]' training.epochs=5 name=short
    lmc train -m variant=standard,w,syre hydra/launcher=joblib
    """
    return start(context)
