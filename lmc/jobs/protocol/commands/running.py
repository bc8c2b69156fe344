"""Commands from training to a verdict: runs are made, matched, merged and scanned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Gt, Le, Lt

from lmc.core.effect import OnlyWith
from lmc.core.names import registered
from lmc.jobs.protocol.commands.entry import Command
from lmc.jobs.protocol.commands.shared import (
    Computed,
    Count,
    Globs,
    Group,
    Name,
    Pairwise,
    Place,
    Points,
    Seed,
    Seeds,
    SplitName,
    group,
)

_KINDS = tuple(registered("lmc.jobs.measuring.paths", "PATHS"))
_BENT = tuple(kind for kind in _KINDS if kind != "line")
if TYPE_CHECKING:
    PathKind = str
else:
    PathKind = Literal[_KINDS]


@dataclass(frozen=True)
class Train(Computed):
    """Settings of ``lmc train``. ``seeds`` is a list or a count; ``start`` a reference to begin from."""

    data: Group = group("digits")
    model: Group = group("mlp")
    variant: Group = group("standard")
    training: Group = field(default_factory=dict)
    seeds: Seeds = 4
    mask_seed: Seed = 0
    init_seed: Seed | None = None
    order_seed: Seed | None = None
    start: Place | None = None
    name: Name | None = None
    stack: Count | None = None
    force: bool = False
    dry_run: bool = False


TRAIN = Command(
    name="train",
    settings=Train,
    main="run",
    doc="Train runs; one row per run (table ``run``).",
    published=True,
    help="Train runs of a network together.",
    words="settings",
    flags=("dry_run",),
    text="""\
An experiment is a set of runs that differ in their seed only. The same command again skips what is
finished, goes on with what is half done, and adds new seeds.""",
    examples="""\
lmc train                                        four runs on the digits that come with scikit-learn
lmc train variant=w seeds=8                      eight runs of a network without symmetry
lmc train 'seeds=[0,1]' training.epochs=5 name=short
lmc train -m variant=standard,w,syre hydra/launcher=joblib""",
)


@dataclass(frozen=True)
class Import(Computed):
    """Settings of ``lmc import``. ``references`` are checkpoint files, which become runs 0, 1, ...

    ``weights``: which are meant where several sets of weights in a file fit the network, by the key or the
    prefix that they lie under, or a word of it (``ema``).
    """

    references: list[Place] = field(default_factory=list)
    data: Group = group("digits")
    model: Group = group("mlp")
    variant: Group = group("standard")
    weights: str | None = None
    mask_seed: Seed = 0
    name: Name | None = None
    force: bool = False
    dry_run: bool = False


IMPORT = Command(
    name="import",
    settings=Import,
    main="run",
    doc="Make runs out of checkpoint files; one row per run (table ``run``).",
    module="import_",
    help="Make runs out of checkpoints that lmc did not train.",
    words="files",
    flags=("dry_run",),
    text="""\
The files, safetensors or torch's, become the runs 0, 1, ... of one experiment. Name the model and the
data that they were trained on; poor losses mean the data were prepared differently (data.standardise=false
leaves inputs unchanged). The same weights again are found stored, other ones are another experiment. Where
several sets of weights in a file fit the network, weights= chooses.""",
    examples="""\
lmc import a.safetensors b.pt model=resnet20 data=cifar10 name=mine
lmc import checkpoints/*.pt model=vgg11 data=cifar10       in the order of their names
lmc import a.pt b.pt model.name=mypkg.nets:make_net model.depth=3
lmc import a.pt b.pt weights=ema                           averaged weights beside the network's
lmc path mine match=activation""",
)


@dataclass(frozen=True)
class Match(Pairwise):
    """Settings of ``lmc match``. ``sensitivity``: also the share moved and the barrier over tau."""

    match: Group = group("identifiability")
    sensitivity: bool = False


MATCH = Command(
    name="match",
    settings=Match,
    main="match",
    doc="Match the neurons of pairs of runs; one row per layer and pair (table ``match``).",
    help="Match the neurons of pairs of runs; which are identifiable?",
    flags=("trust",),
    examples="""\
lmc match digits-mlp-w                           pairs 0-1, 2-3, layer by layer
lmc match digits-mlp-w/0 digits-mlp-w/1
lmc match digits-mlp-w pairs=all match.tau=0.5 --format csv
lmc table neuron digits-mlp-w                    afterwards: one row per neuron""",
)


@dataclass(frozen=True)
class Merge(Computed):
    """Settings of ``lmc merge``: which runs, aligned how, combined how."""

    references: list[Place] = field(default_factory=list)
    match: Group = group("identifiability")
    merge: Group = group("mean")
    restatistics: bool | None = None
    mixed: bool = False
    trust: bool = False
    data: Group = field(default_factory=dict)
    name: Name | None = None
    force: bool = False


MERGE = Command(
    name="merge",
    settings=Merge,
    main="history",
    doc="Merge runs into one network, itself a run; its losses per split (table ``history``).",
    help="Align runs and merge them into one network, itself a run.",
    flags=("trust",),
    examples="""\
lmc merge digits-mlp-w                           the mean of all its runs, aligned
lmc merge digits-mlp-w merge=representation      it computes the mean of their hidden states
lmc merge digits-mlp-w/0 digits-mlp-w/1 match=none
lmc path $(lmc merge -q digits-mlp-w) digits-mlp-w/0""",
)


@dataclass(frozen=True)
class Path(Pairwise):
    """Settings of ``lmc path``. ``alphas`` is a count of points or a list that holds 0 and 1.

    ``restatistics``: re-estimate BatchNorm statistics at every alpha; null means: where there are any.
    ``kind``: average the weights (line), or hidden states (representation), behind every layer and going on
    with the rest of A, of B, or of the weight average. ``gap``: also how far the line leaves the mean hidden
    states, layer by layer. ``layers``: names or globs of layers, for both. ``split``: over whose samples
    the gap is, and which representations are printed.
    """

    match: Group = group("none")
    alphas: Points = 25
    restatistics: bool | None = None
    kind: PathKind = "line"
    gap: bool = False
    layers: Annotated[Globs, OnlyWith(kind=_BENT, gap=True)] = "*"
    split: Annotated[SplitName, OnlyWith(kind=_BENT, gap=True)] = "test"


PATH = Command(
    name="path",
    settings=Path,
    main="barrier",
    doc="Barriers between runs (``barrier``; ``path`` holds the curve), or ``representation``, or ``gap``.",
    help="Barriers on the straight line between pairs of runs.",
    flags=("trust",),
    examples="""\
lmc path digits-mlp-w                            as they are
lmc path digits-mlp-w match=activation           after alignment
lmc path digits-mlp-w alphas=11 pairs=all
lmc path digits-mlp-w/0@0 digits-mlp-w/1@0       between the initialisations
lmc path digits-mlp-w gap=true                   which layer breaks the line, and why
lmc path digits-mlp-w kind=representation        hidden states averaged in place of weights""",
)


@dataclass(frozen=True)
class Check(Pairwise):
    """Settings of ``lmc check``.

    ``low``: a barrier up to this share of what training gained on a constant output is none.
    ``identifiable``: the share of neurons from which on a network counts as identifiable.
    """

    split: SplitName = "test"
    alphas: Points = 11
    low: Annotated[float, Gt(0), Lt(1)] = 0.02
    identifiable: Annotated[float, Gt(0), Le(1)] = 0.9


CHECK = Command(
    name="check",
    settings=Check,
    main="check",
    doc="Whether runs can be averaged, and after what; one row per quantity (table ``check``).",
    help="Can these runs be averaged? A verdict and its numbers.",
    flags=("trust",),
    examples="""\
lmc check digits-mlp-w               as they are, after alignment, or not on a straight line
lmc check mine/0 mine/1              two checkpoints that were imported
lmc check digits-mlp-w low=0.05      a barrier of 5 % of what training gained still counts as none""",
)
