"""Settings that change no number of what a command stores, and why: all others are in its identity."""

from __future__ import annotations

from lmc.jobs.protocol.commands.measuring import Dynamics, Predict, Reproduce
from lmc.jobs.protocol.commands.running import Import, Merge, Train
from lmc.jobs.protocol.commands.shared import Common, Computed, Layerwise, Pairwise, Stored

_RUNS = "the runs that they stand for are in the identity"
_PLACE = "only says where a stored run's data lie; the run's identity has their digest"
_TRUST = "allows code to be imported, or refuses"
_FORCE = "computes the same again"
_DRY = "computes nothing"
_STEM = "is the readable part of the name itself"

UNNAMED: dict[type[Common], dict[str, str]] = {
    Stored: {"outputs": "where results go"},
    Computed: {
        "device": "what computes, up to rounding",
        "threads": "what computes, up to rounding",
    },
    Train: {
        "seeds": "each run has a folder of its own",
        "name": _STEM,
        "stack": "how many runs train in step, up to rounding",
        "force": _FORCE,
        "dry_run": _DRY,
    },
    Import: {
        "references": "the weights in the files are in the identity",
        "weights": "the weights that it chooses are in the identity",
        "name": _STEM,
        "force": _FORCE,
        "dry_run": _DRY,
    },
    Pairwise: {
        "references": _RUNS,
        "pairs": "the pairs that it forms are in the identity",
        "mixed": "allows pairs to be compared, or refuses",
        "trust": _TRUST,
        "data": _PLACE,
    },
    Layerwise: {"references": _RUNS, "trust": _TRUST, "data": _PLACE},
    Dynamics: {"memory": "how much is computed at once, up to rounding"},
    Merge: {
        "references": _RUNS,
        "mixed": "allows runs to be merged, or refuses",
        "trust": _TRUST,
        "data": _PLACE,
        "name": _STEM,
        "force": _FORCE,
    },
    Predict: {},
    Reproduce: {
        "references": "the experiment is in the name",
        "force": _FORCE,
        "listing": _DRY,
    },
}


REPEATED = ("pairs", "mixed")
"""Of these, what a record keeps, as the command could not be given again without it."""


def unnamed(command: type[Common]) -> dict[str, str]:
    """The settings of a command that its identity leaves out, each with the reason."""
    return {key: why for base in command.__mro__ for key, why in UNNAMED.get(base, {}).items()}
