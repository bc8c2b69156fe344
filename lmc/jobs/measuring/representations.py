"""Merged representations behind every layer (THEORY 4): table and summary."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from torch import nn

from lmc import paths
from lmc.core.errors import SettingError
from lmc.core.statistics import estimate
from lmc.core.tables import frame, nearest_middle
from lmc.data import Dataset
from lmc.jobs.aligning.pair import Aligned
from lmc.jobs.measuring.layers import chosen_layers
from lmc.jobs.protocol.outcome import Summary
from lmc.jobs.protocol.pairing import INTERVAL, pair_count, run_pairs
from lmc.models.stack import Point, state_of
from lmc.paths.cuts import OUTPUTS, decides

if TYPE_CHECKING:
    import pandas as pd

LINE, ENSEMBLE = "input", "output"
_EXAMPLES = 4


def chosen_cuts(network: nn.Module, dataset: Dataset, wanted: str | Sequence[str]) -> list[paths.Cut]:
    """The cuts whose layer, or block, matches names or globs, in order.

    Raises:
        SettingError: a pattern matches no layer, or only such as something goes past.
    """
    examples = dataset.train.inputs[:_EXAMPLES]
    there = paths.cuts(network, state_of(network), examples)
    names = [cut.layer for cut in there]
    until = {layer: cut.layer for cut in there for layer in cut.layers}

    def why(layer: str) -> str:
        if layer not in until and decides(network, state_of(network), examples, Point(layer, "output")):
            return f"{layer} gives the outputs, whose mean is the ensemble"
        return f"something goes past {layer} as far as {until.get(layer, 'the outputs')}"

    patterns = [wanted] if isinstance(wanted, str) else list(wanted)
    for pattern in patterns:
        if pattern != "*" and not any(fnmatchcase(name, pattern) for name in names):
            reasons = "; ".join(map(why, chosen_layers(network, pattern)))
            choices = ", ".join(names) or "none but the outputs"
            raise SettingError(f"layers={pattern}: cannot be cut: {reasons}", f"there are: {choices}")
    return [cut for cut in there if any(fnmatchcase(cut.layer, pattern) for pattern in patterns)]


def representation_table(
    pair: Aligned, cuts: Sequence[paths.Cut], alphas: Sequence[float], restatistics: bool | None
) -> pd.DataFrame:
    """The table ``representation`` of one aligned pair: the line, every cut by every head, the ensemble."""
    task, splits = pair.dataset.task, pair.splits
    statistics = pair.statistics(restatistics)
    scene = paths.Scene(pair.network, pair.a, pair.b, alphas, splits, task.losses, task.correct, statistics)
    rows: list[dict[str, Any]] = []

    def add(layer: str, head: str, found: Any) -> None:
        for split, (losses, accuracies) in found.items():
            for alpha, loss, accuracy in zip(alphas, losses.tolist(), accuracies.tolist(), strict=True):
                at = {"layer": layer, "head": head, "alpha": alpha, "split": split}
                rows.append({**pair.which, **at, "loss": loss, "accuracy": accuracy})

    def merged(layer: str, point: Point, heads: Sequence[Any]) -> None:
        for head, by_split in paths.merge_representations(scene, point, heads).items():
            add(layer, head, by_split)

    add(LINE, "mean", paths.scan(scene))
    for cut in cuts:
        merged(cut.layer, cut.point, paths.HEADS)
    merged(ENSEMBLE, OUTPUTS, ["mean"])
    return frame("representation", rows)


def summaries(table: pd.DataFrame, split: str) -> list[Summary]:
    """Per experiment: loss and accuracy at alpha 1/2, and the largest loss, by matcher, layer and head."""
    import pandas as pd

    shown = table[table["split"] == split]
    keys = ["experiment_a", "experiment_b"]
    found = []
    for names, part in shown.groupby(keys, sort=False):
        rows: list[dict[str, Any]] = []
        alpha, _ = nearest_middle(part)
        for (match, layer, head), group in part.groupby(["match", "layer", "head"], sort=False):
            _, at = nearest_middle(group)
            pairs = run_pairs(at)
            largest = group.groupby([*keys, "seed_a", "seed_b"], as_index=False, sort=False)[["loss"]].max()
            rows.append(
                {
                    "match": match,
                    "averaged behind": {LINE: "nothing (the line)", ENSEMBLE: "the outputs (ensemble)"}.get(
                        str(layer), layer
                    ),
                    "head": "" if layer in (LINE, ENSEMBLE) else head,
                    "loss": str(estimate(at["loss"], pairs)),
                    "accuracy": str(estimate(at["accuracy"], pairs)),
                    "largest loss on the way": str(estimate(largest["loss"], run_pairs(largest))),
                }
            )
        title = " and ".join(dict.fromkeys(map(str, names)))
        title = f"{title}: averaged hidden states, alpha {alpha:.3g}, {split} split"
        notes = (f"{pair_count(part)}; {INTERVAL}",)
        found.append(Summary(title, pd.DataFrame(rows), notes))
    return found
