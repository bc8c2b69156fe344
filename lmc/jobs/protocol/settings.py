"""What each command can be told: one frozen dataclass per command, checked in one place.

This module imports neither torch nor Hydra: the command line reads it to compose, show and complete
settings, the Python API to check them. A *group* (data, model, variant, match, merge) is a mapping with
a registry ``name``; its other keys are checked against the builder's signature by the job.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import Field

from lmc.core.errors import LmcError, SettingError, raise_together
from lmc.core.registry import bind, registered

Group = dict[str, Any]
Count = Annotated[int, Field(ge=1)]
Settings = TypeVar("Settings", bound="Common")
Pairs = Literal["disjoint", "all", "consecutive"]
SplitName = Literal["train", "val", "test"]
if TYPE_CHECKING:
    PathKind = str
else:
    PathKind = Literal[tuple(registered("lmc.jobs.measuring.paths", "PATHS"))]
Measure = Literal["updates", "distance", "agreement", "cka", "ntk", "linearisation", "objective", "barrier"]


def _group(name: str) -> Any:
    return field(default_factory=lambda: {"name": name})


@dataclass(frozen=True)
class Common:
    """Where results go and what computes them; none of it changes a number beyond rounding."""

    outputs: str | None = None
    device: str = "auto"
    threads: Count | None = None


@dataclass(frozen=True)
class Training:
    """One training recipe; every key is part of a run's identity but for ``checkpoints``.

    ``checkpoints``: an epoch every n (int) or a list of epochs to store; the initialisation and the last
    epoch always are. ``clip``: largest gradient norm of a run. ``decay_bias``: whether biases decay, as
    published for most experiments. ``warmup``: epochs of rising rate. ``warmup_factor``: the exponential
    schedule's growth per epoch during warm-up, starting at ``learning_rate``; no other schedule uses it.
    """

    epochs: Annotated[int, Field(ge=0)] = 40
    batch_size: Count = 64
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    schedule: Literal["constant", "linear", "cosine", "exponential"] = "constant"
    warmup: Annotated[int, Field(ge=0)] = 0
    warmup_factor: Annotated[float, Field(gt=0)] = 1.259
    clip: Annotated[float, Field(gt=0)] | None = None
    decay_bias: bool = True
    checkpoints: Count | list[Annotated[int, Field(ge=0)]] | None = None


@dataclass(frozen=True)
class Train(Common):
    """Settings of ``lmc train``. ``seeds`` is a list or a count; ``start`` a reference to begin from."""

    data: Group = _group("digits")
    model: Group = _group("mlp")
    variant: Group = _group("standard")
    training: Group = field(default_factory=dict)
    seeds: int | list[int] = 4
    mask_seed: int = 0
    init_seed: int | None = None
    order_seed: int | None = None
    start: str | None = None
    name: str | None = None
    stack: Count | None = None
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Import(Common):
    """Settings of ``lmc import``. ``references`` are checkpoint files, which become runs 0, 1, ..."""

    references: list[str] = field(default_factory=list)
    data: Group = _group("digits")
    model: Group = _group("mlp")
    variant: Group = _group("standard")
    mask_seed: int = 0
    name: str | None = None
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Pairwise(Common):
    """What every command over pairs of runs can be told.

    ``mixed`` lets runs of different (D, f) be compared as the plain networks that they are. ``data`` may
    say where a stored run's data lie now (``data.path=``). ``trust`` lets a stored run import its own code.
    """

    references: list[str] = field(default_factory=list)
    pairs: Pairs = "disjoint"
    mixed: bool = False
    trust: bool = False
    data: Group = field(default_factory=dict)


@dataclass(frozen=True)
class Match(Pairwise):
    """Settings of ``lmc match``. ``sensitivity``: also the share moved and the barrier over tau."""

    match: Group = _group("identifiability")
    sensitivity: bool = False


@dataclass(frozen=True)
class Path(Pairwise):
    """Settings of ``lmc path``. ``alphas`` is a count of points or a list that holds 0 and 1.

    ``restatistics``: re-estimate BatchNorm statistics at every alpha; null means: where there are any.
    ``kind``: average the weights (line), or hidden states (representation), behind every layer and going on
    with the rest of A, of B, or of the weight average. ``gap``: also how far the line leaves the mean hidden
    states, layer by layer. ``layers``: names or globs of layers, for both. ``split``: over whose samples
    the gap is, and which representations are printed.
    """

    match: Group = _group("none")
    alphas: int | list[float] = 25
    restatistics: bool | None = None
    kind: PathKind = "line"
    gap: bool = False
    layers: str | list[str] = "*"
    split: SplitName = "test"


@dataclass(frozen=True)
class Check(Pairwise):
    """Settings of ``lmc check``.

    ``low``: a barrier up to this share of what training gained on a constant output is none.
    ``identifiable``: the share of neurons from which on a network counts as identifiable.
    """

    split: SplitName = "test"
    alphas: int | list[float] = 11
    low: Annotated[float, Field(gt=0, lt=1)] = 0.02
    identifiable: Annotated[float, Field(gt=0, le=1)] = 0.9


@dataclass(frozen=True)
class Layerwise(Common):
    """What every command over the layers of runs can be told.

    ``layers``: names or globs of layers. ``ratio``: share of variance of a layer's input subspace.
    """

    references: list[str] = field(default_factory=list)
    layers: str | list[str] = "*"
    ratio: Annotated[float, Field(gt=0, le=1)] = 0.9
    trust: bool = False
    data: Group = field(default_factory=dict)


@dataclass(frozen=True)
class Cost(Layerwise):
    """Settings of ``lmc cost``.

    ``estimate``: mahalanobis, or ridge at each of ``betas``, through the activation where ``activation``.
    ``outside``: what a function outside a slot's range costs. ``neurons``: sample so many neurons a layer;
    null takes all. ``pairs``: sample so many pairs of these for ridge costs through an activation.
    ``samples``: inputs for these. ``distance``: also distances between the neurons' classes. ``tau``: what
    counts as a cheap exchange. ``epochs``: all stored ones, or the referenced.
    """

    estimate: Literal["mahalanobis", "ridge"] = "mahalanobis"
    betas: list[Annotated[float, Field(gt=0)]] = field(default_factory=lambda: [0.001, 0.01, 0.1, 1.0])
    activation: bool = False
    fit_bias: bool = True
    outside: Literal["infinite", "projected"] = "infinite"
    neurons: Count | None = None
    pairs: Count | None = None
    samples: Count = 1024
    distance: bool = False
    tau: Annotated[float, Field(ge=0)] = 1.0
    epochs: Literal["referenced", "all"] = "referenced"


@dataclass(frozen=True)
class Coherence(Layerwise):
    """Settings of ``lmc coherence``. ``deltas``: probabilities for which the bound is stated."""

    deltas: list[Annotated[float, Field(gt=0, lt=1)]] = field(default_factory=lambda: [0.01, 0.05, 0.1, 0.5])


@dataclass(frozen=True)
class Dynamics(Pairwise):
    """Settings of ``lmc dynamics``: runs over their stored epochs, up to the referenced.

    ``measures``: which to take. ``epochs``: of the stored ones; null takes all. ``layers``: names or globs.
    ``match``: barriers also after this. ``samples``: inputs of a split for linearisation. ``ntk_samples``,
    ``ntk_outputs``: inputs and outputs of the tangent kernel. ``memory``: GB that may be used; null is half
    of what is free.
    """

    measures: list[Measure] = field(default_factory=lambda: list(get_args(Measure)))
    epochs: list[Annotated[int, Field(ge=0)]] | None = None
    layers: str | list[str] = "*"
    splits: list[SplitName] = field(default_factory=lambda: ["train", "val", "test"])
    match: Group = _group("none")
    alphas: int | list[float] = 11
    samples: Count = 1024
    ntk_samples: Count = 32
    ntk_outputs: Count = 10
    memory: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True)
class Predict(Common):
    """Settings of ``lmc predict``: a training that is not done. ``seeds`` draws initialisations."""

    data: Group = _group("digits")
    model: Group = _group("mlp")
    variant: Group = _group("standard")
    seeds: int | list[int] = 2
    mask_seed: int = 0
    layers: str | list[str] = "*"
    ratio: Annotated[float, Field(gt=0, le=1)] = 0.9
    tau: Annotated[float, Field(ge=0)] = 1.0
    neurons: Count = 24


@dataclass(frozen=True)
class Symmetry(Common):
    """Settings of ``lmc symmetry``: stored runs, or a model and the data it is for.

    ``input_shape``: of one sample, in place of data; ``classes`` is then the number of outputs.
    """

    references: list[str] = field(default_factory=list)
    data: Group = _group("digits")
    model: Group = _group("mlp")
    input_shape: list[Count] | None = None
    classes: Count = 10
    trust: bool = False


@dataclass(frozen=True)
class Merge(Common):
    """Settings of ``lmc merge``: which runs, aligned how, combined how."""

    references: list[str] = field(default_factory=list)
    match: Group = _group("identifiability")
    merge: Group = _group("mean")
    restatistics: bool | None = None
    mixed: bool = False
    trust: bool = False
    data: Group = field(default_factory=dict)
    name: str | None = None
    force: bool = False


@dataclass(frozen=True)
class Reproduce(Common):
    """Settings of ``lmc reproduce``: a named experiment, its size, and what to change in every case.

    ``listing``: say which there are, and do nothing.
    """

    references: list[str] = field(default_factory=list)
    size: Literal["tiny", "small", "full"] = "small"
    seeds: int | list[int] | None = None
    mask_seed: int | None = None
    data: Group = field(default_factory=dict)
    model: Group = field(default_factory=dict)
    training: Group = field(default_factory=dict)
    force: bool = False
    listing: bool = False


@dataclass(frozen=True)
class List(Common):
    """Settings of ``lmc list``: references to restrict it to."""

    references: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Show(Common):
    """Settings of ``lmc show``."""

    references: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Table(Common):
    """Settings of ``lmc table KIND [REFERENCE ...]``; the first reference is the kind.

    ``where``: values that a column must have (``where.split=test``). ``columns``: the quantities wanted;
    null takes all.
    """

    references: list[str] = field(default_factory=list)
    columns: str | list[str] | None = None
    where: Group = field(default_factory=dict)


@dataclass(frozen=True)
class Plot(Common):
    """Settings of ``lmc plot KIND [REFERENCE ...]``; the first reference is the kind.

    ``out``: the file, which ends in .pdf, .png or .svg; null is KIND.png. ``where``: values that a column
    must have (``where.match=none``).
    """

    references: list[str] = field(default_factory=list)
    out: str | None = None
    where: Group = field(default_factory=dict)


@dataclass(frozen=True)
class Report(Common):
    """Settings of ``lmc report``: references to restrict it to. ``out``: the HTML file."""

    references: list[str] = field(default_factory=list)
    out: str = "report.html"


@dataclass(frozen=True)
class Remove(Common):
    """Settings of ``lmc remove``."""

    references: list[str] = field(default_factory=list)
    dry_run: bool = False


COMMANDS: dict[str, type[Common]] = {
    "train": Train,
    "import": Import,
    "match": Match,
    "merge": Merge,
    "path": Path,
    "check": Check,
    "cost": Cost,
    "coherence": Coherence,
    "dynamics": Dynamics,
    "predict": Predict,
    "symmetry": Symmetry,
    "reproduce": Reproduce,
    "list": List,
    "show": Show,
    "table": Table,
    "plot": Plot,
    "report": Report,
    "remove": Remove,
}


def groups(command: type[Common]) -> dict[str, str | None]:
    """The command's groups and the default choice of each (None: open, nothing is chosen)."""
    made = dataclasses.asdict(command())
    return {key: value.get("name") for key, value in made.items() if isinstance(value, dict)}


def plain_defaults(command: type[Common]) -> dict[str, Any]:
    """Every key that is not a group, with its default; ``training`` with its own keys."""
    chosen = groups(command)
    made = dataclasses.asdict(command())
    values = {key: value for key, value in made.items() if key not in chosen}
    if command is Train:
        values["training"] = dataclasses.asdict(Training())
    return values


def compose(
    command: type[Settings],
    given: Mapping[str, Any],
    check: Callable[[Mapping[str, Any]], list[LmcError]] = lambda groups: [],
) -> Settings:
    """Checked settings of a command from a nested mapping.

    A group may be its choice's name alone, or a mapping; a key may be dotted (``"variant.scale"``).

    Args:
        check: gives the faults of the groups, to be reported beside those of the command's own keys.

    Raises:
        SettingError: all faults, together.
    """
    nested = unfold(given)
    chosen = groups(command)
    faults: list[LmcError] = []
    for key, default in chosen.items():
        value = nested.get(key)
        if isinstance(value, str):
            nested[key] = {"name": value}
        elif isinstance(value, Mapping):
            nested[key] = {**({"name": default} if default else {}), **value}
        elif value is not None or key in nested:
            faults.append(
                SettingError(f"{key}={value}: expected the name of a choice", f"e.g. {key}={default}")
            )
            del nested[key]
    bound: dict[str, Any] = {}
    try:
        bound = bind(command, nested)
    except LmcError as error:
        faults.extend(SettingError(line) for line in str(error).splitlines())
    faults += check({key: nested[key] for key in chosen if key in nested})
    raise_together(faults)
    return command(**bound)


def seed_list(seeds: int | list[int], key: str = "seeds") -> list[int]:
    """A count n means 0 .. n-1; a list stands for itself.

    Raises:
        SettingError: no seed, a negative one, or one given twice.
    """
    listed = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not listed:
        raise SettingError(
            f"{key}={seeds}: no seed to run", f"a count of at least 1, or a list such as {key}=[0,1]"
        )
    twice = sorted({seed for seed in listed if listed.count(seed) > 1})
    if twice:
        raise SettingError(f"{key}={listed}: {', '.join(map(str, twice))} given twice", "name each seed once")
    if min(listed) < 0:
        raise SettingError(f"{key}={listed}: seeds are whole numbers from 0")
    return listed


def outputs_folder(outputs: str | None) -> str:
    """The outputs folder: the setting, else ``LMC_OUTPUTS``, else ``outputs`` in the working folder."""
    return outputs or os.environ.get("LMC_OUTPUTS") or "outputs"


def unfold(given: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested mappings; a choice given by name alone becomes its mapping."""
    nested: dict[str, Any] = {}
    for key, value in sorted(given.items(), key=lambda item: item[0].count(".")):
        head, *rest = str(key).split(".")
        if not rest:
            nested[head] = dict(value) if isinstance(value, Mapping) else value
            continue
        inside = nested.get(head, {})
        nested[head] = {"name": inside} if isinstance(inside, str) else dict(inside)
        nested[head][".".join(rest)] = value
    return nested
