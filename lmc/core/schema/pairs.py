"""Tables of pairs of runs: lines between them, matchings, measures and verdicts."""

from __future__ import annotations

from lmc.core.schema.columns import (
    ACCURACY,
    ALPHA,
    ESTIMATED,
    GROUP,
    IDENTIFIABLE,
    IDENTIFIED,
    LAYER,
    LOSS,
    LOSS_BARRIER,
    MATCH,
    NEURON,
    NEURONS,
    OWN_COST,
    PAIR,
    PAIRS,
    QUANTITY,
    RATIO,
    RELATIVE_SWAP_COST,
    SIMILARITY,
    SPLIT,
    SWAP_COST,
    count,
    flag,
    number,
    text,
)
from lmc.core.schema.settings import ALPHAS, COURSE, JUDGED, PATH_KIND, RESTATISTICS
from lmc.core.schema.table import Figure, Table, ends

BARRIER = Table(
    "barrier",
    "Barriers on the line between pairs of runs",
    (
        *PAIR,
        MATCH,
        SPLIT,
        LOSS_BARRIER,
        number("loss_barrier_max", "max_l L(l) - max(L(0), L(1))", "low"),
        number("midpoint_barrier", "L(1/2) - mean(L(0), L(1)); NaN where 1/2 was not scanned", "low"),
        number("accuracy_barrier", "max_l [(1-l) A(0) + l A(1) - A(l)]", "low"),
        number("relative_accuracy_drop", "(max(A(0), A(1)) - min_l A(l)) / max(A(0), A(1))", "low"),
        number("alpha_of_max", "the l at which loss_barrier is reached"),
    ),
    made_by="lmc path",
    figure=Figure("Loss barriers, without alignment and with it", "barriers.draw"),
    in_report="Barriers",
    wanted="barriers",
    settings=(PATH_KIND, RESTATISTICS, ALPHAS),
)
PATH = Table(
    "path",
    "Loss and accuracy on the line between pairs of runs",
    (*PAIR, MATCH, SPLIT, ALPHA, LOSS, ACCURACY),
    made_by="lmc path",
    figure=Figure("Loss on the line between pairs of runs", "path.draw"),
    settings=(PATH_KIND, RESTATISTICS, ALPHAS),
)
GAP = Table(
    "gap",
    "What separates the line from the merged representations, layer by layer",
    (
        *PAIR,
        MATCH,
        SPLIT,
        LAYER,
        ALPHA,
        number(
            "cross_term",
            "E||l (1-l) (W_A - W_B)(h_A - h_B)||^2 divided by the mean output's square",
            "low",
        ),
        number(
            "additivity_gap",
            "E||phi_m of the mean output - mean of phi||^2 divided by the square of the mean of phi",
            "low",
        ),
        number(
            "feature_gap",
            "E||h of the line - mean of h||^2 divided by the mean square of h_A and h_B",
            "low",
        ),
        number("feature_cosine", "mean of 1 - cos(h of the line, mean of h)", "low"),
    ),
    made_by="lmc path gap=true",
    figure=Figure("What keeps the line from the merged representations, layer by layer", "gap.draw"),
    settings=(RESTATISTICS,),
)
REPRESENTATION = Table(
    "representation",
    "Loss of merged representations, layer by layer",
    (
        *PAIR,
        MATCH,
        LAYER.here(
            "hidden states are averaged behind this module; output is the ensemble of logits, "
            "input the line itself"
        ),
        text("head", "whose weights compute the rest: a, b, or mean, the weight average"),
        ALPHA.here("weight of B, THEORY's l, in the states and in the weight average"),
        SPLIT,
        LOSS,
        ACCURACY,
    ),
    made_by="lmc path kind=representation",
    figure=Figure("Loss of merged representations, layer by layer", "representation.draw"),
    settings=(RESTATISTICS,),
)
MATCHED = Table(
    "match",
    "How well a matcher aligned two runs, group by group",
    (
        *PAIR,
        MATCH,
        GROUP,
        LAYER,
        NEURONS,
        SIMILARITY.here("mean similarity along the matcher's permutation"),
        number("optimal", "mean similarity along the best permutation"),
        number("identity", "mean similarity along the identity"),
        number("random", "mean similarity over 100 random permutations"),
        number("random_sd", "standard deviation over the random permutations"),
        RATIO,
        IDENTIFIABLE,
        count("fixed_points", "number of neurons that the matcher leaves in place", "value"),
        count("constant_a", "number of constant units of A (similarity 0)", "value"),
        count("constant_b", "number of constant units of B (similarity 0)", "value"),
        IDENTIFIED,
        SWAP_COST.here("mean Delta over unequal neurons and both runs; NaN where undefined"),
        OWN_COST.here("mean C[i, i] over both runs; NaN where undefined"),
    ),
    made_by="lmc match",
    figure=Figure("How identifiable the neurons are, layer by layer", "layers.draw_match"),
    in_report="Matched neurons, layer by layer",
    wanted="matched neurons",
)
NEURON_BY_NEURON = Table(
    "neuron",
    "Matched neurons, one by one",
    (
        *PAIR,
        MATCH,
        GROUP,
        LAYER,
        NEURON.here("slot i of A"),
        count("partner", "the neuron of B that the matcher puts in slot i", "unit"),
        SIMILARITY,
        number("identity_similarity", "similarity of neuron i of A and neuron i of B"),
        number("margin", "identity_similarity minus the next best of its row and column"),
        flag("mutual", "whether neuron and partner are each other's most similar", "value"),
        count("admissible", "number of other neurons that it could cheaply be exchanged with", "value"),
        number("swap_cost_a", "cost of the cheapest exchange in A"),
        number("swap_cost_b", "cost of the cheapest exchange in B"),
        IDENTIFIABLE.here("whether it has no cheap exchange: identifiable by cost", "bool"),
        IDENTIFIED.here("whether it is identified in fact: margin > 0", "bool"),
    ),
    made_by="lmc match",
)
TAU = Table(
    "tau",
    "Matching by identifiability for several thresholds",
    (
        *PAIR,
        MATCH,
        number("tau", "threshold below which an exchange counts as cheap", role="block"),
        number("share_moved", "share of all neurons that the matching moves"),
        LOSS_BARRIER.here("loss barrier on the test split after this matching"),
    ),
    made_by="lmc match sensitivity=true",
    in_report="Matching by identifiability, as its threshold changes",
)
DYNAMICS = Table(
    "dynamics",
    "How runs move and differ over their stored epochs",
    (
        *PAIR,
        text(
            "measure",
            "between two runs at one epoch, or one run at two epochs: update_cosine, distance, agreement, "
            "cka, ntk_alignment, ntk_distance, linearisation_agreement, linearisation_error (A is "
            "linearised)",
            "block",
        ),
        LAYER.here("the module's name in the model; * is the whole network"),
        SPLIT.here("train, val or test; - for measures of the weights alone"),
        number(
            "since",
            "epoch from which the updates of both runs count; NaN for other measures",
            role="block",
        ),
        number("value", "the cosine, norm or share"),
    ),
    made_by="lmc dynamics",
    figure=Figure("Runs over their stored epochs", "dynamics.draw", ("match", "barrier"), course=True),
    settings=COURSE,
)
CHECK = Table(
    "check",
    "Whether runs can be merged, with the numbers behind the verdict",
    (
        PAIR[0],
        PAIR[3],
        text(
            "verdict",
            "needs no alignment, needs alignment, not linearly mergeable, or cannot be judged",
            "text",
        ),
        flag(
            "certain",
            "whether the interval lies on one side of the threshold and the runs can be judged",
            "text",
        ),
        QUANTITY,
        LAYER.here("layer where the largest value was measured; * is the whole network"),
        *ESTIMATED,
        PAIRS,
    ),
    made_by="lmc check",
    apart=True,
    settings=JUDGED,
    best_of=ends(
        *(LOSS, IDENTIFIABLE, IDENTIFIED, RATIO, RELATIVE_SWAP_COST),
        low="barrier_none barrier_activation barrier_identifiability "
        "relative_none relative_activation relative_identifiability",
    ),
)
