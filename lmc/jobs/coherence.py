"""``lmc coherence``: does a layer's mask break anything on its inputs? (THEORY 3)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.core.statistics import estimate
from lmc.core.tables import concatenate, frame
from lmc.costs import anisotropy, bound
from lmc.jobs.measuring.layers import Layer, layer_row, open_layers
from lmc.jobs.opening.folders import job_folder
from lmc.jobs.opening.runs import Opened
from lmc.jobs.protocol.outcome import Outcome, Summary
from lmc.jobs.protocol.settings import Coherence
from lmc.jobs.protocol.talk import Talk
from lmc.store import results

if TYPE_CHECKING:
    import pandas as pd


def run(settings: Coherence, talk: Talk) -> Outcome:
    """Coherence of every layer's inputs, anisotropy of its slots, and the bound on it."""
    parts: dict[str, list[pd.DataFrame]] = {"layer": [], "anisotropy": [], "bound": []}
    runs: list[Opened] = []
    for opened, _, _, layers, _ in open_layers(settings, talk):
        runs.append(opened)
        for layer in layers.values():
            try:
                found = slot_anisotropy(layer)
            except LmcError as error:
                talk.warn(f"{opened.run.reference}, {layer.name}: undefined, {error}")
                parts["layer"].append(frame("layer", [layer_row(opened, layer)]))
                continue
            row = layer_row(
                opened, layer, anisotropy_mean=float(found.mean()), anisotropy_max=float(found.max())
            )
            parts["layer"].append(frame("layer", [row]))
            which = {key: row[key] for key in ("experiment", "seed", "epoch", "layer")}
            slots = torch.arange(len(found)).numpy()
            parts["anisotropy"].append(
                frame("anisotropy", {**which, "slot": slots, "anisotropy": found.numpy()})
            )
            parts["bound"].append(frame("bound", _bounds(which, layer, found, settings.deltas)))
    tables = {kind: concatenate(kind, found) for kind, found in parts.items()}
    folder, record = job_folder("coherence", settings, runs)
    results.write(folder, record, tables)
    return Outcome(
        main="layer",
        tables=tables,
        references=(str(folder),),
        summaries=(_summary(tables),),
        files=(str(folder),),
    )


def slot_anisotropy(layer: Layer) -> Tensor:
    """||S_i - p I|| of every slot; zero where D is trivial."""
    if layer.mask is None:
        layer.subspace  # noqa: B018
        return torch.zeros(len(layer.weight), dtype=torch.float64)
    return anisotropy(layer.mask, layer.subspace.basis)


def _bounds(which: dict[str, Any], layer: Layer, found: Tensor, deltas: list[float]) -> list[dict[str, Any]]:
    rows = []
    for delta in deltas:
        limit = 0.0 if layer.mask is None else bound(layer.mask, layer.subspace.basis, delta)
        within = float((found <= limit).double().mean())
        rows.append({**which, "delta": delta, "bound": limit, "share_within": within})
    return rows


def _summary(tables: dict[str, pd.DataFrame]) -> Summary:
    import pandas as pd

    rows = []
    for (name, layer), part in tables["layer"].groupby(["experiment", "layer"], sort=False):
        row = {
            "experiment": name,
            "layer": layer,
            "k": f"{part['dimension'].mean():.0f} of {part['inputs'].iloc[0]}",
            "coherence": str(estimate(part["coherence"])),
            "anisotropy": str(estimate(part["anisotropy_mean"])),
            "largest": f"{part['anisotropy_max'].max():.3g}",
        }
        bounds = tables["bound"]
        bounds = bounds[(bounds["experiment"] == name) & (bounds["layer"] == layer)]
        for delta, group in bounds.groupby("delta"):
            row[f"bound, delta {delta:g}"] = (
                f"{group['bound'].mean():.3g} ({group['share_within'].mean():.0%} within)"
            )
        rows.append(row)
    runs = len(tables["layer"][["experiment", "seed", "epoch"]].drop_duplicates())
    note = f"{runs} run{'s' if runs != 1 else ''}; mean [95 % bootstrap] over runs, or the values below three"
    return Summary("coherence of the inputs, anisotropy of the slots", pd.DataFrame(rows), (note,))
