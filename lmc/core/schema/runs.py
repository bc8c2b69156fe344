"""Tables of runs, of experiments, of models, and of what a command wrote."""

from __future__ import annotations

from lmc.core.schema.columns import (
    ACCURACY,
    AXIS,
    CASE,
    ESTIMATED,
    EXPERIMENT,
    GROUP,
    IDENTIFIABLE,
    IDENTIFIED,
    LOSS,
    MODEL,
    NEURONS,
    PAIRS,
    QUANTITY,
    RATIO,
    RELATIVE_SWAP_COST,
    RUN,
    SECONDS,
    SPLIT,
    TENSOR,
    count,
    flag,
    number,
    text,
)
from lmc.core.schema.settings import STUDIED
from lmc.core.schema.table import Figure, Table, ends

HISTORY = Table(
    "history",
    "Training, epoch by epoch",
    (
        *RUN,
        SPLIT.here("train (exact, at stored epochs), train_running, val or test"),
        LOSS,
        ACCURACY,
        number("learning_rate", "learning rate of the epoch's last step"),
        SECONDS.here("seconds since training of the run began, wall clock of its stack"),
    ),
    made_by="lmc train",
    figure=Figure("Training: loss and accuracy by epoch", "history.draw", course=True),
)
PROJECTION = Table(
    "projection",
    "Merged networks, kept in the class of their runs or not",
    (
        *RUN,
        SPLIT,
        flag("projected", "whether the merged network was kept in the class of its runs"),
        LOSS,
        ACCURACY,
    ),
    made_by="lmc merge",
    in_report="Merged networks, kept in the class of their runs or not",
)
RUNS = Table(
    "run",
    "Runs: how far they are, and how good",
    (
        *RUN,
        text("status", "running, interrupted, diverged or done"),
        *(
            number(f"{split}_{what}", f"{what} on the {split} split at the last epoch")
            for what in ("loss", "accuracy")
            for split in ("train", "val", "test")
        ),
        SECONDS.here("wall clock of the stack in which it trained, in seconds"),
        number("megabytes", "size on disk"),
        text("stored", "stored epochs"),
    ),
)
CLAIM = Table(
    "claim",
    "Whether the claims of a named experiment hold",
    (
        EXPERIMENT.here("the named experiment"),
        text("claim", "what the paper says"),
        text("numbers", "what was measured", "text"),
        flag("holds", "whether the claim holds", "text"),
        text("outcome", "holds, does not hold, cannot be decided, or too small to decide", "text"),
        text("control", "the outcome of the same claim where it must not hold", "text"),
    ),
    made_by="lmc reproduce",
    apart=True,
    settings=STUDIED,
)
MEASURE = Table(
    "measure",
    "What a named experiment measured",
    (
        CASE,
        QUANTITY,
        text("detail", "layer or matcher", "quantity"),
        *ESTIMATED,
        PAIRS.here("number of values"),
        count("units", "number of independent units that the interval rests on", "pairs"),
    ),
    made_by="lmc reproduce",
    apart=True,
    settings=STUDIED,
    best_of=ends(
        *(ACCURACY, IDENTIFIABLE, IDENTIFIED, RATIO, RELATIVE_SWAP_COST),
        low="barrier barrier_none barrier_activation barrier_identifiability",
    ),
)
EXPERIMENTS = Table(
    "experiment",
    "Named experiments",
    (
        EXPERIMENT.here("the named experiment"),
        text("title", "what it is about"),
        text("data", "data sets that it needs"),
        count("cases", "number of cases that it trains"),
        count("runs", "number of runs in all cases"),
        count("claims", "number of claims that it states"),
    ),
)
SYMMETRY = Table(
    "symmetry",
    "Which neurons permute together, and where they lie",
    (
        MODEL,
        GROUP,
        NEURONS.here("number of neurons that permute together"),
        count("blocks", "number of blocks of equal size that permutations respect; 1: none"),
        flag("inner", "whether neurons also permute inside their block"),
        text("family", "groups of one family move their blocks alike"),
        TENSOR.here("tensor that the neurons lie in"),
        AXIS.here("axis of the tensor that the neurons lie on"),
        count("copies", "how often every neuron lies on the axis"),
        flag("proved", "whether the group is proved, by a trial that fails with this axis left out", "value"),
        number("control", "change of the outputs, over the largest, with this axis left out"),
        number("change", "change of the outputs, over the largest, when the group is permuted alone"),
        number("tolerance", "change up to which outputs count as equal, from the network's own rounding"),
        text("precision", "float type in which outputs were compared"),
    ),
)
FIXED = Table(
    "fixed",
    "Axes that no permutation moves",
    (
        MODEL,
        TENSOR.here("a tensor of the model"),
        AXIS.here("axis of the tensor that no permutation moves"),
        text("reason", "the operation that fixes the axis"),
    ),
)
FIGURE = Table(
    "figure",
    "Figures that were drawn",
    (
        text("figure", "kind of figure"),
        EXPERIMENT.here("experiment shown in it"),
        count("rows", "number of rows of the stored table that are drawn"),
        text("file", "file that it was written to"),
    ),
)
SETTING = Table(
    "setting",
    "Settings of experiments",
    (EXPERIMENT, text("key", "dotted key of the setting"), text("value", "value of the setting")),
)
EXPLANATION = Table(
    "explanation",
    "Meanings of terms",
    (
        text("term", "term, table, column or part that is explained"),
        text("kind", "what it is: glossary, theory, table, column, or a part's kind"),
        text("label", "what the text says of it: formula, range, large, small, source, or a column's name"),
        text("text", "explanation"),
    ),
)
