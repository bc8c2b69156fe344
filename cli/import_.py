"""``lmc import``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, DryRun, Files, Format, Quiet, Sweep, start


def import_(
    context: typer.Context,
    words: Files = None,
    sweep: Sweep = False,
    dry_run: DryRun = False,
    cfg: Cfg = None,
    config_dir: ConfigDir = None,
    format: Format = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Make runs out of checkpoints that lmc did not train.

    The files, .safetensors or torch's, become the runs 0, 1, ... of one experiment. Name the model and the
    data that they were trained on: the losses in the table tell whether these fit (data.standardise=false
    leaves inputs as they are). The same weights again are found stored, other ones are another experiment.

    \b
    lmc import a.safetensors b.pt model=resnet20 data=cifar10 name=mine
    lmc import checkpoints/*.pt model=vgg11 data=cifar10       in the order of their names
    lmc import a.pt b.pt model.name=mypkg.nets:make_net model.depth=3
    lmc path mine match=activation
    """
    return start(context)
