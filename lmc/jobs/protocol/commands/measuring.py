"""Commands that measure runs, or predict what they will do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt, MinLen

from lmc.core.effect import OnlyWith
from lmc.jobs.protocol.commands.entry import Command
from lmc.jobs.protocol.commands.shared import (
    Computed,
    Count,
    Globs,
    Group,
    Layerwise,
    Measure,
    Pairwise,
    Place,
    Points,
    Seed,
    Seeds,
    SplitName,
    Stored,
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
    betas: Annotated[list[Annotated[float, Gt(0)]], MinLen(1), OnlyWith(estimate="ridge")] = field(
        default_factory=lambda: [0.001, 0.01, 0.1, 1.0]
    )
    activation: Annotated[bool, OnlyWith(estimate="ridge")] = False
    fit_bias: Annotated[bool, OnlyWith(estimate="ridge")] = True
    outside: Annotated[Literal["infinite", "projected"], OnlyWith(estimate="mahalanobis")] = "infinite"
    neurons: Count | None = None
    pairs: Annotated[Count | None, OnlyWith(activation=True)] = None
    samples: Annotated[Count, OnlyWith(activation=True)] = 1024
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

    deltas: Annotated[list[Annotated[float, Gt(0), Lt(1)]], MinLen(1)] = field(
        default_factory=lambda: [0.01, 0.05, 0.1, 0.5]
    )


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

    measures: Annotated[list[Measure], MinLen(1)] = field(default_factory=lambda: list(get_args(Measure)))
    epochs: Annotated[list[Annotated[int, Ge(0)]], MinLen(1)] | None = None
    layers: Annotated[Globs, OnlyWith(measures=("updates", "distance", "cka"))] = "*"
    splits: Annotated[
        list[SplitName], MinLen(1), OnlyWith(measures=("agreement", "linearisation", "barrier"))
    ] = field(default_factory=lambda: ["train", "val", "test"])
    match: Annotated[Group, OnlyWith(measures=("objective", "barrier"))] = group("none")
    alphas: Annotated[Points, OnlyWith(measures=("barrier",))] = 11
    samples: Annotated[Count, OnlyWith(measures=("linearisation",))] = 1024
    ntk_samples: Annotated[Count, OnlyWith(measures=("ntk",))] = 32
    ntk_outputs: Annotated[Count, OnlyWith(measures=("ntk",))] = 10
    memory: Annotated[float, Gt(0), OnlyWith(measures=("cka", "ntk"))] | None = None


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
class Predict(Computed):
    """Settings of ``lmc predict``: a training that is not done. ``seeds`` draws initialisations."""

    data: Group = group("digits")
    model: Group = group("mlp")
    variant: Group = group("standard")
    seeds: Seeds = 2
    mask_seed: Seed = 0
    layers: Globs = "*"
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
class Symmetry(Stored):
    """Settings of ``lmc symmetry``: stored runs, or a model and the data it is for.

    ``input_shape``: of one sample, in place of data; ``classes`` is then the number of outputs.
    """

    references: list[Place] = field(default_factory=list)
    data: Annotated[Group, OnlyWith(references=[]), OnlyWith(input_shape=None)] = group("digits")
    model: Annotated[Group, OnlyWith(references=[])] = group("mlp")
    input_shape: Annotated[list[Count], MinLen(1), OnlyWith(references=[])] | None = None
    classes: Annotated[Count, OnlyWith(input_shape=...)] = 10
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
class Reproduce(Computed):
    """Settings of ``lmc reproduce``: a named experiment, its size, and what to change in every case.

    ``listing``: say which there are, and do nothing.
    """

    references: Annotated[list[Place], OnlyWith(listing=False)] = field(default_factory=list)
    size: Literal["tiny", "small", "full"] = "small"
    seeds: Seeds | None = None
    mask_seed: Annotated[Seed | None, OnlyWith(listing=False)] = None
    data: Group = field(default_factory=dict)
    model: Group = field(default_factory=dict)
    training: Group = field(default_factory=dict)
    force: Annotated[bool, OnlyWith(listing=False)] = False
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
