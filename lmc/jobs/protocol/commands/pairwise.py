"""Commands that measure pairs of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, get_args

from annotated_types import Ge, Gt, Le, Lt

from lmc.core.names import registered
from lmc.jobs.protocol.commands.entry import Command
from lmc.jobs.protocol.commands.shared import Count, Group, Measure, Pairwise, SplitName, group

if TYPE_CHECKING:
    PathKind = str
else:
    PathKind = Literal[tuple(registered("lmc.jobs.measuring.paths", "PATHS"))]


@dataclass(frozen=True)
class Match(Pairwise):
    """Settings of ``lmc match``. ``sensitivity``: also the share moved and the barrier over tau."""

    match: Group = group("identifiability")
    sensitivity: bool = False


MATCH = Command(
    name="match",
    settings=Match,
    main="match",
    doc="Match the neurons of pairs of runs; one row a layer and pair (table ``match``).",
    help="Match the neurons of pairs of runs; which are identifiable?",
    flags=("trust",),
    examples="""\
lmc match digits-mlp-w                           pairs 0-1, 2-3, layer by layer
lmc match digits-mlp-w/0 digits-mlp-w/1
lmc match digits-mlp-w pairs=all match.tau=0.5 --format csv
lmc table neuron digits-mlp-w                    afterwards: one row a neuron""",
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
    alphas: int | list[float] = 25
    restatistics: bool | None = None
    kind: PathKind = "line"
    gap: bool = False
    layers: str | list[str] = "*"
    split: SplitName = "test"


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
    alphas: int | list[float] = 11
    low: Annotated[float, Gt(0), Lt(1)] = 0.02
    identifiable: Annotated[float, Gt(0), Le(1)] = 0.9


CHECK = Command(
    name="check",
    settings=Check,
    main="check",
    doc="Whether runs can be averaged, and after what; one row a quantity (table ``check``).",
    help="Can these runs be averaged? A verdict and its numbers.",
    flags=("trust",),
    examples="""\
lmc check digits-mlp-w               as they are, after alignment, or not on a straight line
lmc check mine/0 mine/1              two checkpoints that were imported
lmc check digits-mlp-w low=0.05      a barrier of 5 % of what training gained still counts as none""",
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
