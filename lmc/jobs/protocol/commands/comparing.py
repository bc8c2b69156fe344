"""Commands that measure runs, or predict what they will do."""

from __future__ import annotations

from lmc.jobs.protocol.commands.entry import Command

MATCH = Command(
    name="match",
    help="Match the neurons of pairs of runs; which are identifiable?",
    flags=("trust",),
    examples="""\
lmc match digits-mlp-w                           pairs 0-1, 2-3, layer by layer
lmc match digits-mlp-w/0 digits-mlp-w/1
lmc match digits-mlp-w pairs=all match.tau=0.5 --format csv
lmc table neuron digits-mlp-w                    afterwards: one row a neuron""",
)

PATH = Command(
    name="path",
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

CHECK = Command(
    name="check",
    help="Can these runs be averaged? A verdict and its numbers.",
    flags=("trust",),
    examples="""\
lmc check digits-mlp-w               as they are, after alignment, or not on a straight line
lmc check mine/0 mine/1              two checkpoints that were imported
lmc check digits-mlp-w low=0.05      a barrier of 5 % of what training gained still counts as none""",
)

COST = Command(
    name="cost",
    help="What functions cost the neurons, and exchanging two.",
    flags=("trust",),
    examples="""\
lmc cost digits-mlp-w                            per layer: subspace, own and swap costs, verdict
lmc cost digits-mlp-w/0 estimate=ridge 'betas=[0.01,0.1]'
lmc cost digits-mlp-w/0 estimate=ridge activation=true neurons=24
lmc cost digits-mlp-w layers=layers.0 distance=true neurons=32""",
)

COHERENCE = Command(
    name="coherence",
    help="Does a mask break anything? Coherence and anisotropy.",
    flags=("trust",),
    examples="""\
lmc coherence digits-mlp-w
lmc coherence digits-mlp-w/0 layers=layers.1 'deltas=[0.05]'""",
)

DYNAMICS = Command(
    name="dynamics",
    help="How runs part or stay together in training.",
    flags=("trust",),
    examples="""\
lmc train variant=w training.checkpoints=5       stores every fifth epoch
lmc dynamics digits-mlp-w                        updates, predictions, CKA, NTK, barriers over epochs
lmc dynamics digits-mlp-w match=activation 'measures=[objective,barrier]'
lmc dynamics digits-mlp-w 'measures=[ntk]' ntk_samples=128 memory=4""",
)

PREDICT = Command(
    name="predict",
    help="Will neurons be identifiable? Before any training.",
    examples="""\
lmc predict variant=w variant.scale=0.5
lmc predict -m variant=w variant.scale=0,0.5,1 --format csv""",
)

SYMMETRY = Command(
    name="symmetry",
    help="Which neurons permute together, traced and proved.",
    flags=("trust",),
    examples="""\
lmc symmetry model=mlp
lmc symmetry model=resnet20 'input_shape=[3,32,32]'        without any data
lmc symmetry model.name=mypkg.nets:make_net                your own network
lmc symmetry digits-mlp-w                                  a stored run's""",
)
