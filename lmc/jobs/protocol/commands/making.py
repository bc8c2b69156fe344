"""Commands that make runs."""

from __future__ import annotations

from lmc.jobs.protocol.commands.entry import Command

TRAIN = Command(
    name="train",
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

IMPORT = Command(
    name="import",
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

MERGE = Command(
    name="merge",
    help="Align runs and merge them into one network, itself a run.",
    flags=("trust",),
    examples="""\
lmc merge digits-mlp-w                           the mean of all its runs, aligned
lmc merge digits-mlp-w merge=representation      it computes the mean of their hidden states
lmc merge digits-mlp-w/0 digits-mlp-w/1 match=none
lmc path $(lmc merge -q digits-mlp-w) digits-mlp-w/0""",
)

REPRODUCE = Command(
    name="reproduce",
    help="Run a named experiment from training to its claims.",
    flags=("listing",),
    examples="""\
lmc reproduce --list                             which there are
lmc reproduce digits                             in its small size
lmc reproduce digits size=tiny training.epochs=2""",
)
