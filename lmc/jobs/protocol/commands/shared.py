"""What several commands can be told. Neither torch nor pydantic: ``lmc --help`` reads it.

A *group* (data, model, variant, match, merge) is a mapping with a registry ``name``; its other keys are
checked against the builder's signature.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from lmc.core.names import Checked, check_name, check_place
from lmc.core.recipe import Recipe

Group = dict[str, Any]
Count = Annotated[int, Ge(1)]
Seed = Annotated[int, Lt(2**63)]
Seeds = Annotated[int, Le(100_000)] | list[Seed]
Points = Annotated[int, Le(100_000)] | list[float]
Name = Annotated[str, Checked(check_name)]
Place = Annotated[str, Checked(check_place)]
Globs = str | Annotated[list[str], MinLen(1)]
Pairs = Literal["disjoint", "all", "consecutive"]
SplitName = Literal["train", "val", "test"]
Measure = Literal["updates", "distance", "agreement", "cka", "ntk", "linearisation", "objective", "barrier"]


def group(name: str) -> Any:
    """A field of settings: a choice, by default the one of this name."""
    return field(default_factory=lambda: {"name": name})


@dataclass(frozen=True)
class Common:
    """What every command can be told: nothing."""


@dataclass(frozen=True)
class Stored(Common):
    """Where results lie."""

    outputs: Place | None = None


@dataclass(frozen=True)
class Computed(Stored):
    """What computes results; it changes no number beyond rounding."""

    device: Place = "auto"
    threads: Annotated[Count, Le(1024)] | None = None


@dataclass(frozen=True)
class Training(Recipe):
    """A recipe, and which epochs of it are stored.

    ``checkpoints``: an epoch every n (int) or a list of epochs to store; the initialisation and the last
    epoch always are. They are no part of a run's identity.
    """

    checkpoints: Count | list[Annotated[int, Ge(0)]] | None = None


@dataclass(frozen=True)
class Pairwise(Computed):
    """What every command over pairs of runs can be told.

    ``mixed`` lets runs of different (D, f) be compared as the plain networks that they are. ``data`` may
    say where a stored run's data lie now (``data.path=``). ``trust`` lets a stored run import its own code.
    """

    references: list[Place] = field(default_factory=list)
    pairs: Pairs = "disjoint"
    mixed: bool = False
    trust: bool = False
    data: Group = field(default_factory=dict)


@dataclass(frozen=True)
class Layerwise(Computed):
    """What every command over the layers of runs can be told.

    ``layers``: names or globs of layers. ``ratio``: share of variance of a layer's input subspace.
    """

    references: list[Place] = field(default_factory=list)
    layers: Globs = "*"
    ratio: Annotated[float, Gt(0), Le(1)] = 0.9
    trust: bool = False
    data: Group = field(default_factory=dict)
