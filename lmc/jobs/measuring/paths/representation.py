"""Losses when hidden states are averaged in place of weights, behind every layer (THEORY 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from lmc import paths
from lmc.core.errors import LmcError, SettingError
from lmc.core.names import matching
from lmc.core.schema import frame
from lmc.data import Dataset
from lmc.figures import representation as figure
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.pair import Aligned, named_split
from lmc.jobs.measuring.ends import scan_between
from lmc.jobs.measuring.pairwise import Tables, alpha_list
from lmc.models.stack import Point, state_of
from lmc.paths.cuts import OUTPUTS, decides
from lmc.paths.scene import Evaluated
from lmc.recording import linear_maps
from lmc.summaries import Summary
from lmc.summaries.representations import ENSEMBLE, LINE, representations

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EXAMPLES = 4


class Settings(Protocol):
    """What of the settings of ``lmc path`` is read."""

    @property
    def alphas(self) -> int | list[float]: ...  # noqa: D102
    @property
    def restatistics(self) -> bool | None: ...  # noqa: D102
    @property
    def layers(self) -> str | list[str]: ...  # noqa: D102
    @property
    def split(self) -> str: ...  # noqa: D102


class Representation:
    """The table ``representation``: the line, every cut by every head, and the ensemble."""

    main = "representation"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.alphas = alpha_list(settings.alphas)
        self._cuts: dict[int, list[paths.Cut]] = {}

    def check(self, lineup: Lineup) -> None:
        """Find where the network can be cut."""
        named_split(lineup.dataset, self.settings.split)
        self._cuts[id(lineup.network)] = chosen_cuts(lineup.network, lineup.dataset, self.settings.layers)

    def of(self, pair: Aligned) -> Tables:
        """The table of one aligned pair."""
        scene = pair.scene(self.alphas, self.settings.restatistics)
        rows = [*self._rows(pair, LINE, "mean", scan_between(pair, scene))]
        places = [(cut.layer, cut.point, paths.HEADS) for cut in self._cuts[id(pair.network)]]
        for layer, point, heads in [*places, (ENSEMBLE, OUTPUTS, paths.HEADS[-1:])]:
            for head, found in paths.merge_representations(scene, point, heads).items():
                rows += self._rows(pair, layer, head, found)
        return {"representation": frame("representation", rows)}

    def _rows(self, pair: Aligned, layer: str, head: str, found: Evaluated) -> list[dict[str, Any]]:
        return [
            {
                **pair.which,
                "layer": layer,
                "head": head,
                "alpha": alpha,
                "split": split,
                "loss": loss,
                "accuracy": accuracy,
            }
            for split, (losses, accuracies) in found.items()
            for alpha, loss, accuracy in zip(self.alphas, losses.tolist(), accuracies.tolist(), strict=True)
        ]

    def derived(self, tables: Tables) -> Tables:
        """Nothing follows."""
        return {}

    def figures(self, tables: Tables) -> dict[str, Figure | None]:
        """Loss by layer."""
        return {"representation": figure.draw(tables["representation"], self.settings.split)}

    def summaries(self, tables: Tables) -> list[Summary]:
        """Loss and accuracy in the middle."""
        return representations(tables["representation"], self.settings.split)


def chosen_cuts(network: nn.Module, dataset: Dataset, wanted: str | Sequence[str]) -> list[paths.Cut]:
    """The cuts whose layer, or block, matches names or globs, in order.

    Raises:
        SettingError: a pattern matches no layer, or only such as a skip connection bypasses.
    """
    examples = dataset.train.inputs[:_EXAMPLES]
    there = paths.cuts(network, state_of(network), examples)
    shown = list(linear_maps(network, examples).shown)
    if not there and not shown:
        called = "no layer of the network is a module that is called"
        raise SettingError(f"kind=representation: {called}", "kind=line")
    names = [cut.layer for cut in there]
    until = {layer: cut.layer for cut in there for layer in cut.layers}

    def why(layer: str) -> str:
        if layer not in until and decides(network, state_of(network), examples, Point(layer, "output")):
            return f"{layer} gives the outputs, whose mean is the ensemble"
        return f"a skip connection bypasses {layer} up to {until.get(layer, 'the outputs')}"

    def fault(pattern: str) -> LmcError | None:
        if pattern == "*":
            return None
        reasons = "; ".join(map(why, matching(pattern, shown, "layer")))
        choices = ", ".join(names) or "none but the outputs"
        return SettingError(f"layers={pattern}: cannot be cut: {reasons}", f"there are: {choices}")

    chosen = matching(wanted, names, "layer", fault)
    return [cut for cut in there if cut.layer in chosen]
