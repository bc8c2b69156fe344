"""One job: what a command line asks for, and how a composed config is run, here or in a worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from lmc.jobs.protocol.outcome import Outcome


@dataclass(frozen=True)
class Request:
    """A command line as Typer read it; the names are those of ``options.py``."""

    command: str
    words: Sequence[str] = ()
    sweep: bool = False
    cfg: str | None = None
    config_dir: str | None = None
    format: str | None = None
    quiet: bool = False
    debug: bool = False
    out: str | None = None
    flags: dict[str, bool] = field(default_factory=dict)


def perform(
    command: str, config: DictConfig, *, quiet: bool, bars: bool, outputs: str | None = None
) -> Outcome:
    """Run the job of one composed config, here or in a worker of a sweep.

    Args:
        outputs: where results go unless the config says otherwise; None is as for ``outputs_of``.
    """
    import lmc.jobs

    from .compose import mapping
    from .talk import talk_to

    given: dict[str, Any] = mapping(config)
    if "outputs" in given:
        given["outputs"] = (
            outputs or outputs_of(None) if given["outputs"] is None else outputs_of(given["outputs"])
        )
    with talk_to(sys.stderr, quiet=quiet, bars=bars) as talk:
        return lmc.jobs.run(command, given, talk)


def outputs_of(setting: str | None) -> str:
    """The outputs folder as an absolute path, so that no job depends on where it runs."""
    from lmc.jobs.protocol.composing import outputs_folder

    return os.path.abspath(os.path.expanduser(outputs_folder(setting)))
