"""Commands that measure runs, or predict what they will do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt

from lmc.jobs.protocol.commands.entry import Command
from lmc.jobs.protocol.commands.shared import (
    Common,
    Count,
    Group,
    Layerwise,
    Measure,
    Pairwise,
    SplitName,
    group,
)


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
    betas: list[Annotated[float, Gt(0)]] = field(default_factory=lambda: [0.001, 0.01, 0.1, 1.0])
    activation: bool = False
    fit_bias: bool = True
    outside: Literal["infinite", "projected"] = "infinite"
    neurons: Count | None = None
    pairs: Count | None = None
    samples: Count = 1024
    distance: bool = False
    tau: Annotated[float, Ge(0)] = 1.0
    epochs: Literal["referenced", "all"] = "referenced"


COST = Command(
    name="cost",
    settings=Cost,
    main="layer",
    doc="Norm costs of every layer (table ``layer``; ``cost`` and ``swap`` hold the pairs).",
    help="Norm costs of realising functions and swapping neurons.",
    flags=("trust",),
    examples="""\
lmc cost digits-mlp-w                            per layer: subspace, own and swap costs, verdict
lmc cost digits-mlp-w/0 estimate=ridge 'betas=[0.01,0.1]'
lmc cost digits-mlp-w/0 estimate=ridge activation=true neurons=24
lmc cost digits-mlp-w layers=layers.0 distance=true neurons=32""",
)


@dataclass(frozen=True)
class Coherence(Layerwise):
    """Settings of ``lmc coherence``. ``deltas``: probabilities for which the bound is stated."""

    deltas: list[Annotated[float, Gt(0), Lt(1)]] = field(default_factory=lambda: [0.01, 0.05, 0.1, 0.5])


COHERENCE = Command(
    name="coherence",
    settings=Coherence,
    main="layer",
    doc="Coherence and anisotropy of every layer (table ``layer``; also ``anisotropy`` and ``bound``).",
    help="Does the mask break permutation symmetry on these data?",
    flags=("trust",),
    examples="""\
lmc coherence digits-mlp-w
lmc coherence digits-mlp-w/0 layers=layers.1 'deltas=[0.05]'""",
)


@dataclass(frozen=True)
class Dynamics(Pairwise):
    """Settings of ``lmc dynamics``: runs over their stored epochs, up to the referenced.

    ``measures``: which to take. ``epochs``: of the stored ones; null takes all. ``layers``: names or globs.
    ``match``: barriers also after this. ``samples``: inputs of a split for linearisation. ``ntk_samples``,
    ``ntk_outputs``: inputs and outputs of the tangent kernel. ``memory``: GB that may be used; null is half
    of what is free.
    """

    measures: list[Measure] = field(default_factory=lambda: list(get_args(Measure)))
    epochs: list[Annotated[int, Ge(0)]] | None = None
    layers: str | list[str] = "*"
    splits: list[SplitName] = field(default_factory=lambda: ["train", "val", "test"])
    match: Group = group("none")
    alphas: int | list[float] = 11
    samples: Count = 1024
    ntk_samples: Count = 32
    ntk_outputs: Count = 10
    memory: Annotated[float, Gt(0)] | None = None


DYNAMICS = Command(
    name="dynamics",
    settings=Dynamics,
    main="dynamics",
    doc="Runs over their stored epochs (table ``dynamics``; also ``match``, ``path`` and ``barrier``).",
    help="How runs part or stay together in training.",
    flags=("trust",),
    examples="""\
lmc train variant=w training.checkpoints=5       stores every fifth epoch
lmc dynamics digits-mlp-w                        updates, predictions, CKA, NTK, barriers over epochs
lmc dynamics digits-mlp-w match=activation 'measures=[objective,barrier]'
lmc dynamics digits-mlp-w 'measures=[ntk]' ntk_samples=128 memory=4""",
)


@dataclass(frozen=True)
class Predict(Common):
    """Settings of ``lmc predict``: a training that is not done. ``seeds`` draws initialisations."""

    data: Group = group("digits")
    model: Group = group("mlp")
    variant: Group = group("standard")
    seeds: int | list[int] = 2
    mask_seed: int = 0
    layers: str | list[str] = "*"
    ratio: Annotated[float, Gt(0), Le(1)] = 0.9
    tau: Annotated[float, Ge(0)] = 1.0
    neurons: Count = 24


PREDICT = Command(
    name="predict",
    settings=Predict,
    main="prediction",
    doc="What identifiability to expect of a training (table ``prediction``).",
    published=True,
    help="Will neurons be identifiable? Before any training.",
    examples="""\
lmc predict variant=w variant.scale=0.5
lmc predict -m variant=w variant.scale=0,0.5,1 --format csv""",
)


@dataclass(frozen=True)
class Symmetry(Common):
    """Settings of ``lmc symmetry``: stored runs, or a model and the data it is for.

    ``input_shape``: of one sample, in place of data; ``classes`` is then the number of outputs.
    """

    references: list[str] = field(default_factory=list)
    data: Group = group("digits")
    model: Group = group("mlp")
    input_shape: list[Count] | None = None
    classes: Count = 10
    trust: bool = False


SYMMETRY = Command(
    name="symmetry",
    settings=Symmetry,
    main="symmetry",
    doc="Which axes of which tensors permute together (table ``symmetry``).",
    help="Which neurons permute together, traced and proved.",
    flags=("trust",),
    examples="""\
lmc symmetry model=mlp
lmc symmetry model=resnet20 'input_shape=[3,32,32]'        without any data
lmc symmetry model.name=mypkg.nets:make_net                your own network
lmc symmetry digits-mlp-w                                  a stored run's""",
)


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


REPRODUCE = Command(
    name="reproduce",
    settings=Reproduce,
    main="claim",
    doc="Run a named experiment; one row per claim (table ``claim``).",
    help="Run a named experiment from training to its claims.",
    flags=("listing",),
    examples="""\
lmc reproduce --list                             which there are
lmc reproduce digits                             in its small size
lmc reproduce digits size=tiny training.epochs=2""",
)
