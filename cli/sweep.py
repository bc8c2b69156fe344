"""Many jobs from one command line, through Hydra's sweepers and launchers."""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from lmc.core.errors import Interrupted

from .job import Request, outputs_of, perform
from .tokens import key_of, quote

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from omegaconf import DictConfig

    from lmc.jobs.protocol.outcome import Outcome

LOCAL = ("basic", "joblib")


@dataclass(frozen=True)
class Failure:
    """A job of a sweep that failed; the others go on."""

    job: str
    lines: tuple[str, ...]
    exit_code: int


def run(
    hydra: Hydra, request: Request, overrides: Sequence[str], config: DictConfig
) -> tuple[list[Outcome], int]:
    """Run every job of a sweep: the outcomes of the good ones, the exit code of the first that failed.

    Hydra leaves a folder per job and a copy of its config. They hold nothing of ours, so they go after a
    sweep that ran on this machine, unless the user chose the folder.
    """
    folder = os.path.join(
        outputs_of(config.get("outputs")),
        "sweeps",
        f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}",
    )
    own_folder = not any(key_of(text) == "hydra.sweep.dir" for text in overrides)
    extra = ["hydra.mode=MULTIRUN"] + ([f"hydra.sweep.dir={quote(folder)}"] if own_folder else [])
    here = config.hydra.runtime.choices.get("hydra/launcher") in LOCAL
    job = partial(
        task,
        command=request.command,
        outputs=outputs_of(None),
        quiet=request.quiet,
        debug=request.debug,
    )
    try:
        returned = hydra.multirun(request.command, job, [*overrides, *extra])
    finally:
        if own_folder and here:
            _remove_leftovers(folder)
    return _sort_out(returned)


def task(
    config: DictConfig, *, command: str, outputs: str, quiet: bool, debug: bool
) -> Outcome | Failure | float | None:
    """One job of a sweep. At module level, because workers receive it by its name."""
    from hydra.core.hydra_config import HydraConfig

    from .exits import describe

    hydra = HydraConfig.get()
    job = f"job {hydra.job.num}: {' '.join(hydra.overrides.task)}"
    if not quiet:
        print(job, file=sys.stderr, flush=True)
    try:
        here = hydra.runtime.choices.get("hydra/launcher") == "basic"
        outcome = perform(command, config, quiet=quiet, bars=here, outputs=outputs)
        searching = hydra.runtime.choices.get("hydra/sweeper") != "basic"
        return outcome.objective if searching else outcome
    except Interrupted as error:
        raise KeyboardInterrupt(str(error)) from error
    except Exception as error:
        if debug:
            traceback.print_exc()
        lines, exit_code = describe(error)
        return Failure(job, tuple(lines), exit_code)


def _sort_out(returned: Any) -> tuple[list[Outcome], int]:
    """Outcomes and exit code; a sweeper that returns nothing of its jobs has nothing to show."""
    batches: Iterable[Any] = returned if isinstance(returned, list) else []
    results = [job.return_value for batch in batches for job in batch]
    failures = [result for result in results if isinstance(result, Failure)]
    for failure in failures:
        for line in failure.lines:
            print(f"error: {failure.job}: {line}", file=sys.stderr)
    outcomes = [result for result in results if not isinstance(result, Failure)]
    return outcomes, failures[0].exit_code if failures else 0


def _remove_leftovers(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for parent in (os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))):
        try:
            os.rmdir(parent)
        except OSError:
            return
