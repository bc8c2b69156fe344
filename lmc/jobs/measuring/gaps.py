"""The gap between the line and the mean representation, layer by layer (THEORY 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from lmc import paths
from lmc.core.errors import SettingError
from lmc.core.names import matching
from lmc.core.schema import frame
from lmc.data import Dataset
from lmc.figures import gap as figure
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.pair import Aligned, named_split
from lmc.jobs.measuring.pairwise import Tables, inner_alphas
from lmc.recording import linear_maps
from lmc.summaries import Summary
from lmc.summaries.gaps import MEASURES, gaps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EXAMPLES = 4


class Gap:
    """The table ``gap`` of aligned pairs at some alphas, on one split."""

    main = "gap"

    def __init__(
        self,
        alphas: int | list[float],
        split: str,
        layers: str | Sequence[str] = "*",
        restatistics: bool | None = None,
    ) -> None:
        self.alphas = [0.5] if alphas == [0.5] else inner_alphas(alphas, "the gap is zero at the ends")
        self.split, self.layers, self.restatistics = split, layers, restatistics
        self._layers: dict[int, tuple[list[str], list[str]]] = {}

    def check(self, lineup: Lineup) -> None:
        """The split has samples and the layers are there."""
        named_split(lineup.dataset, self.split)
        chosen, others = self._chosen(lineup.network, lineup.dataset)
        if not chosen:
            raise SettingError(
                "gap=true: no layer of the network is a module that is called",
                "gap=false; the line needs none",
            )
        if others:
            lineup.talk.say(f"no gap of {', '.join(others)}: no module's calls show these maps")

    def _chosen(self, network: nn.Module, dataset: Dataset) -> tuple[list[str], list[str]]:
        """The layers whose modules are called, and the weights of other maps."""
        if id(network) not in self._layers:
            maps = linear_maps(network, dataset.train.inputs)
            shown = list(maps.shown)
            others = [layer.weight for layer in maps.found.values() if not layer.module]
            others += maps.unmeasured
            chosen = matching(self.layers, shown, "layer") if shown else []
            self._layers[id(network)] = chosen, others
        return self._layers[id(network)]

    def of(self, pair: Aligned) -> Tables:
        """The table of one aligned pair."""
        inputs = named_split(pair.dataset, self.split).inputs
        chosen, _ = self._chosen(pair.network, pair.dataset)
        if not chosen:
            return {"gap": frame("gap", [])}
        examples = inputs[:_EXAMPLES].to(next(iter(pair.a.values())).device)
        segments = paths.segments(pair.network, pair.a, examples, chosen)
        found = paths.gaps(pair.scene(self.alphas, self.restatistics), segments, self.split)
        rows = [
            {
                **pair.which,
                "split": self.split,
                "layer": layer,
                "alpha": alpha,
                **{name: float(getattr(gap, name)[place]) for name in MEASURES},
            }
            for layer, gap in found.items()
            for place, alpha in enumerate(self.alphas)
        ]
        return {"gap": frame("gap", rows)}

    def derived(self, tables: Tables) -> Tables:
        """Nothing follows."""
        return {}

    def figures(self, tables: Tables) -> dict[str, Figure | None]:
        """Gaps by layer."""
        return {"gap": figure.draw(tables["gap"])}

    def summaries(self, tables: Tables) -> list[Summary]:
        """Every measure in the middle."""
        return gaps(tables["gap"])
