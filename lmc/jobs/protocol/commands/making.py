"""Commands that make runs, or whole experiments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lmc.jobs.protocol.commands.entry import Command
from lmc.jobs.protocol.commands.shared import Common, Count, Group, group


@dataclass(frozen=True)
class Train(Common):
    """Settings of ``lmc train``. ``seeds`` is a list or a count; ``start`` a reference to begin from."""

    data: Group = group("digits")
    model: Group = group("mlp")
    variant: Group = group("standard")
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


TRAIN = Command(
    name="train",
    settings=Train,
    main="run",
    doc="Train runs; one row a run (table ``run``).",
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
class Import(Common):
    """Settings of ``lmc import``. ``references`` are checkpoint files, which become runs 0, 1, ..."""

    references: list[str] = field(default_factory=list)
    data: Group = group("digits")
    model: Group = group("mlp")
    variant: Group = group("standard")
    mask_seed: int = 0
    name: str | None = None
    force: bool = False
    dry_run: bool = False


IMPORT = Command(
    name="import",
    settings=Import,
    main="run",
    doc="Make runs out of checkpoint files; one row a run (table ``run``).",
    module="import_",
    help="Make runs out of checkpoints that lmc did not train.",
    words="files",
    flags=("dry_run",),
    text="""\
The files, .safetensors or torch's, become the runs 0, 1, ... of one experiment. Name the model and the
data that they were trained on: the losses in the table tell whether these fit (data.standardise=false
leaves inputs as they are). The same weights again are found stored, other ones are another experiment.""",
    examples="""\
lmc import a.safetensors b.pt model=resnet20 data=cifar10 name=mine
lmc import checkpoints/*.pt model=vgg11 data=cifar10       in the order of their names
lmc import a.pt b.pt model.name=mypkg.nets:make_net model.depth=3
lmc path mine match=activation""",
)


@dataclass(frozen=True)
class Merge(Common):
    """Settings of ``lmc merge``: which runs, aligned how, combined how."""

    references: list[str] = field(default_factory=list)
    match: Group = group("identifiability")
    merge: Group = group("mean")
    restatistics: bool | None = None
    mixed: bool = False
    trust: bool = False
    data: Group = field(default_factory=dict)
    name: str | None = None
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
    doc="Run a named experiment; one row a claim (table ``claim``).",
    help="Run a named experiment from training to its claims.",
    flags=("listing",),
    examples="""\
lmc reproduce --list                             which there are
lmc reproduce digits                             in its small size
lmc reproduce digits size=tiny training.epochs=2""",
)
