"""Tables of the layers of single runs: costs of neurons, and the inputs and masks that decide them."""

from __future__ import annotations

from lmc.core.schema.columns import (
    ANISOTROPY_MEAN,
    CASE,
    COHERENCE,
    ESTIMATE,
    EXPERIMENT,
    IDENTIFIABLE,
    LAYER,
    NEURON,
    NEURON_PAIR,
    OWN_COST,
    RELATIVE_SWAP_COST,
    RUN,
    SLOT,
    SWAP_COST,
    count,
    number,
)
from lmc.core.schema.settings import COSTED, NEURONS, PREDICTED, RATIO, RECORDED
from lmc.core.schema.table import Figure, Table

LAYERS = Table(
    "layer",
    "Inputs, coherence and anisotropy of each layer",
    (
        *RUN,
        LAYER,
        count("inputs", "inputs per neuron, d", "value"),
        count("dimension", "dimension of the input subspace, k", "value"),
        number("explained_variance", "share of the inputs' variance that the subspace explains"),
        COHERENCE,
        ANISOTROPY_MEAN.here("mean anisotropy over slots; NaN where not asked for"),
        number("anisotropy_max", "largest anisotropy over slots; NaN where not asked for"),
        number("outside_range", "pairs whose function is outside the slot's range; NaN where not computed"),
        number("not_converged", "ridge costs above the gradient tolerance; NaN where there are none"),
    ),
    made_by="lmc match",
    figure=Figure("Coherence and anisotropy, layer by layer", "layers.draw_layer"),
    in_report="Coherence and anisotropy, layer by layer",
    settings=RECORDED,
)
COST = Table(
    "cost",
    "Cost of every function in every slot",
    (
        *RUN,
        LAYER,
        *ESTIMATE,
        SLOT.here("slot i, whose D and f are used"),
        NEURON.here("neuron j, whose function is realised"),
        number("cost", "C[i, j] or r(i <- j)"),
        number("data_term", "the cost's error on the data; NaN for mahalanobis"),
        number("norm_term", "the cost's squared norm"),
    ),
    made_by="lmc cost",
    settings=COSTED,
)
SWAP = Table(
    "swap",
    "Swap costs of pairs of neurons",
    (*RUN, LAYER, *ESTIMATE, *NEURON_PAIR, SWAP_COST),
    made_by="lmc cost",
    figure=Figure("Swap costs of pairs of neurons", "costs.draw_stored"),
    settings=COSTED,
)
DISTANCE = Table(
    "distance",
    "Distances of the classes of pairs of neurons",
    (
        *RUN,
        LAYER,
        *NEURON_PAIR,
        number("distance", "Hausdorff distance of the classes"),
        number("lower_bound", "certified lower bound of the distance"),
    ),
    made_by="lmc cost",
    settings=(RATIO, NEURONS),
)
ANISOTROPY = Table(
    "anisotropy",
    "Anisotropy of each slot",
    (*RUN, LAYER, SLOT, number("anisotropy", "||S_i - p I||")),
    made_by="lmc coherence",
    settings=(RATIO,),
)
BOUND = Table(
    "bound",
    "The bound on the anisotropy of each layer",
    (
        *RUN,
        LAYER,
        number("delta", "probability that a slot may exceed the bound", role="block"),
        number("bound", "bound on the anisotropy (THEORY 3)"),
        number("share_within", "share of slots at or below the bound"),
    ),
    made_by="lmc coherence",
    in_report="The bound on the anisotropy",
    settings=(RATIO,),
)
PREDICTION = Table(
    "prediction",
    "What the initialisation says about each layer",
    (
        EXPERIMENT,
        LAYER,
        COHERENCE.here("coherence of the inputs' subspace at initialisation"),
        ANISOTROPY_MEAN,
        number("class_distance", "mean distance of the classes over sampled pairs of slots"),
        SWAP_COST.here("mean Delta of functions drawn from the initialisation"),
        OWN_COST.here("mean C[i, i] of functions drawn from the initialisation"),
        RELATIVE_SWAP_COST,
        IDENTIFIABLE.here("expected share of neurons identifiable by cost", "float64"),
    ),
    made_by="lmc predict",
    apart=True,
    settings=PREDICTED,
)
ESTIMATES = Table(
    "estimate",
    "Ridge costs beside Mahalanobis costs",
    (
        CASE,
        *RUN,
        LAYER,
        *ESTIMATE,
        OWN_COST.here("mean own cost over neurons"),
        SWAP_COST.here("mean swap cost over pairs of neurons"),
        RELATIVE_SWAP_COST.here("swap cost divided by the own costs of the two neurons"),
        number("spearman", "rank correlation with the swap costs by mahalanobis, over pairs of neurons"),
    ),
)
