"""Commands that measure the layers and neurons of runs, stored or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from lmc.jobs.protocol.commands.entry import Command
from lmc.jobs.protocol.commands.shared import Common, Count, Group, Layerwise, group


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
    help="What functions cost the neurons, and exchanging two.",
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
    help="Does a mask break anything? Coherence and anisotropy.",
    flags=("trust",),
    examples="""\
lmc coherence digits-mlp-w
lmc coherence digits-mlp-w/0 layers=layers.1 'deltas=[0.05]'""",
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
