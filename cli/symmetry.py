"""``lmc symmetry``."""

from __future__ import annotations

import typer

from .options import Cfg, ConfigDir, Debug, Format, Quiet, Sweep, Trust, Words, start


def symmetry(
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
    """Which neurons permute together, traced and proved.

    \b
    lmc symmetry model=mlp
    lmc symmetry model=resnet20 'input_shape=[3,32,32]'        without any data
    lmc symmetry model.name=mypkg.nets:make_net                your own network
    lmc symmetry digits-mlp-w                                  a stored run's
    """
    return start(context)
