"""``lmc cost``: what it costs each slot to realise each neuron's function, and to exchange two neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lmc.core.errors import LmcError, SettingError
from lmc.core.seeds import generator
from lmc.core.statistics import estimate
from lmc.core.tables import concatenate, frame
from lmc.costs import RidgeCost, class_distances, outside_range, ridge_cost, swap_cost
from lmc.figures import costs as figure
from lmc.figures.writing import save
from lmc.jobs.measuring.layers import Layer, layer_row, mixed_layers, off_diagonal, open_layers
from lmc.jobs.measuring.norms import activation_after, fixed_norm
from lmc.jobs.opening.folders import job_folder
from lmc.jobs.opening.runs import Opened
from lmc.jobs.protocol.outcome import Outcome, Summary
from lmc.jobs.protocol.settings import Cost
from lmc.jobs.protocol.talk import Talk
from lmc.matching.identifiability import SwapCost, admissible, identifiable
from lmc.models.stack import Point
from lmc.recording import sample
from lmc.store import results
from lmc.symmetry import permutation_groups

if TYPE_CHECKING:
    import pandas as pd

_BYTES_A_PAIR = 150


def run(settings: Cost, talk: Talk) -> Outcome:
    """Costs of every layer of the references' runs; tables ``cost``, ``swap``, ``layer`` and ``distance``."""
    if settings.activation and settings.estimate != "ridge":
        raise SettingError("activation=true: mahalanobis costs are of the linear map", "estimate=ridge")
    parts: dict[str, list[pd.DataFrame]] = {"cost": [], "swap": [], "layer": [], "distance": []}
    verdicts: list[dict[str, Any]] = []
    runs: list[Opened] = []
    for opened, network, dataset, layers, device in open_layers(settings, talk, settings.epochs == "all"):
        runs.append(opened)
        _check_memory(layers, settings)
        mixed = mixed_layers(opened.constraint, network, dataset.train.inputs[:2].to(device))
        for layer in layers.values():
            try:
                if layer.name in mixed:
                    raise LmcError(
                        "norm costs describe the linear part only, and sigma mixes what follows it"
                    )
                layer.subspace  # noqa: B018
            except LmcError as error:
                talk.warn(f"{opened.run.reference}, {layer.name}: undefined, {error}")
                parts["layer"].append(frame("layer", [layer_row(opened, layer)]))
                continue
            if layer.moments.count < layer.weight.shape[1]:
                talk.warn(
                    f"{layer.name}: {layer.moments.count} samples for {layer.weight.shape[1]} "
                    "inputs, so the subspace is that of the sample"
                )
            work = _Work(opened, network, dataset.train.inputs.to(device), layer, settings, talk)
            for kind, table in work.tables().items():
                parts[kind].append(table)
            verdicts += work.verdicts
    tables = {kind: concatenate(kind, found) for kind, found in parts.items()}
    if not settings.distance:
        del tables["distance"]
    folder, record = job_folder("cost", settings, runs)
    results.write(folder, record, tables)
    drawn = figure.draw(tables["swap"])
    if drawn is not None:
        save(drawn, folder / "cost.png")
    files = (str(folder / "cost.png"), str(folder)) if drawn is not None else (str(folder),)
    return Outcome(
        main="layer",
        tables=tables,
        references=(str(folder),),
        summaries=(_summary(verdicts, tables["layer"]),),
        files=files,
    )


def _check_memory(layers: dict[str, Layer], settings: Cost) -> None:
    from lmc.jobs.train import free_memory

    largest = max(len(layer.weight) for layer in layers.values())
    count = min(largest, settings.neurons or largest)
    estimates = len(settings.betas) if settings.estimate == "ridge" else 1
    needed = _BYTES_A_PAIR * count**2 * estimates * len(layers)
    if needed > free_memory(torch.device("cpu")) // 2:
        raise SettingError(f"all pairs would take {needed / 1e9:.1f} GB", "neurons=256 samples 256 a layer")


class _Work:
    """One layer of one run."""

    def __init__(
        self,
        opened: Opened,
        network: nn.Module,
        inputs: Tensor,
        layer: Layer,
        settings: Cost,
        talk: Talk,
    ) -> None:
        self.talk = talk
        self.opened, self.network, self.inputs = opened, network, inputs
        self.layer, self.settings = layer, settings
        n = len(layer.weight)
        draw = generator("neurons", layer.name)
        count = min(n, settings.neurons or n)
        self.chosen = torch.randperm(n, generator=draw)[:count].sort().values
        self.verdicts: list[dict[str, Any]] = []

    def tables(self) -> dict[str, pd.DataFrame]:
        """The layer's rows of every table."""
        costs, swaps, missed, outside = [], [], float("nan"), float("nan")
        for beta, cost in self._estimates():
            costs.append(self._cost_table(beta, cost))
            swaps.append(self._swap_table(beta, cost.total))
            self.verdicts.append(self._verdict(beta, cost.total))
            if self.settings.activation:
                missed = (0 if missed != missed else missed) + cost.not_converged
        if self.settings.estimate == "mahalanobis":
            outside = outside_range(self.layer.mahalanobis()[self.chosen][:, self.chosen])
        row = layer_row(self.opened, self.layer, outside_range=outside, not_converged=missed)
        found = {
            "cost": concatenate("cost", costs),
            "swap": concatenate("swap", swaps),
            "layer": frame("layer", [row]),
        }
        if self.settings.distance:
            found["distance"] = self._distance_table()
            for verdict in self.verdicts:
                verdict["distance"] = float(found["distance"]["distance"].mean())
        return found

    def _estimates(self) -> list[tuple[float, RidgeCost]]:
        settings, layer, at = self.settings, self.layer, self.chosen
        if settings.estimate == "mahalanobis":
            total = layer.mahalanobis(settings.outside)[at][:, at]
            return [(float("nan"), RidgeCost(total, torch.full_like(total, torch.nan), total))]
        x, activation, norm = self._inputs()
        wanted = self._wanted()
        if activation:
            count = (len(at) ** 2 if wanted is None else int(wanted.sum())) * len(settings.betas)
            which = f"{self.opened.run.reference}, {layer.name}"
            self.talk.say(f"{which}: {count} ridge problems through {activation}; neurons= or pairs= samples")
        part = lambda tensor: None if tensor is None else tensor[at]  # noqa: E731
        found = []
        with self.talk.progress(f"ridge costs, {layer.name}", len(settings.betas)) as bar:
            for beta in settings.betas:
                cost = ridge_cost(
                    x,
                    layer.weight[at],
                    part(layer.bias),
                    part(layer.mask),
                    part(layer.centre),
                    beta,
                    activation=activation,
                    fit_bias=settings.fit_bias,
                    norm=norm,
                    pairs=wanted if activation else None,
                )
                found.append((beta, cost))
                bar.advance()
        return found

    def _wanted(self) -> Tensor | None:
        """A seeded sample of pairs, both ways, with every neuron's own cost; None for all."""
        count, n = self.settings.pairs, len(self.chosen)
        rows, columns = torch.triu_indices(n, n, offset=1)
        if count is None or count >= len(rows):
            return None
        drawn = torch.randperm(len(rows), generator=generator("pairs", self.layer.name))[:count]
        wanted = torch.eye(n, dtype=torch.bool)
        wanted[rows[drawn], columns[drawn]] = wanted[columns[drawn], rows[drawn]] = True
        return wanted

    def _inputs(self) -> tuple[Any, str | None, tuple[Tensor, Tensor] | None]:
        """Moments for the linear map; rows, activation and norm for what follows it."""
        if not self.settings.activation:
            return self.layer.moments, None, None
        groups = permutation_groups(self.network, self.inputs[:2].to(next(self.network.parameters()).device))
        activation = activation_after(self.network, groups, self.layer.name)
        if activation is None:
            return self.layer.moments, None, None
        tensors = {name: tensor.detach()[None] for name, tensor in self.network.state_dict().items()}
        rows = sample(
            self.network, tensors, self.inputs, Point(self.layer.name, "input"), self.settings.samples
        )[0].cpu()
        return rows, activation, fixed_norm(self.network, groups, self.layer, rows, self.chosen)

    @property
    def _which(self) -> dict[str, Any]:
        experiment, seed, epoch = self.opened.key
        return {"experiment": experiment, "seed": seed, "epoch": epoch, "layer": self.layer.name}

    def _estimate(self, beta: float) -> dict[str, Any]:
        return {**self._which, "estimate": self.settings.estimate, "beta": beta}

    def _cost_table(self, beta: float, cost: RidgeCost) -> pd.DataFrame:
        slots, neurons = (~cost.total.isnan()).nonzero(as_tuple=True)
        return frame(
            "cost",
            {
                **self._estimate(beta),
                "slot": self.chosen[slots].numpy(),
                "neuron": self.chosen[neurons].numpy(),
                "cost": cost.total[slots, neurons].numpy(),
                "data_term": cost.data_term[slots, neurons].numpy(),
                "norm_term": cost.norm_term[slots, neurons].numpy(),
            },
        )

    def _swap_table(self, beta: float, cost: Tensor) -> pd.DataFrame:
        delta = swap_cost(cost)
        rows, columns = (~delta.isnan()).triu(1).nonzero(as_tuple=True)
        return frame(
            "swap",
            {
                **self._estimate(beta),
                "neuron_a": self.chosen[rows].numpy(),
                "neuron_b": self.chosen[columns].numpy(),
                "swap_cost": delta[rows, columns].numpy(),
            },
        )

    def _verdict(self, beta: float, cost: Tensor) -> dict[str, Any]:
        delta, own = swap_cost(cost), cost.diagonal()
        pairs = off_diagonal(delta)
        sampled = bool(pairs.isnan().any())
        pairs = pairs[~pairs.isnan()]
        by_cost = identifiable(admissible([SwapCost(delta, own)], self.settings.tau)).double().mean()
        return {
            **self._estimate(beta),
            "own": float(own.mean()),
            "mean": float(pairs.mean()) if len(pairs) else float("nan"),
            "least": float(pairs.min()) if len(pairs) else float("nan"),
            "cheap": float((pairs <= 0).double().mean()) if len(pairs) else float("nan"),
            "identifiable": float("nan") if sampled else float(by_cost),
        }

    def _distance_table(self) -> pd.DataFrame:
        layer, at = self.layer, self.chosen
        mask = None if layer.mask is None else layer.mask[at]
        centre = None if layer.centre is None else layer.centre[at]
        count = len(at)
        rows, columns = torch.triu_indices(count, count, offset=1)
        if mask is None and centre is None:
            found = torch.zeros(count, count, dtype=torch.float64)
            bound = found
        else:
            both = class_distances(mask, centre, layer.subspace.basis)
            found, bound = both.distance, both.lower_bound
        return frame(
            "distance",
            {
                **self._which,
                "neuron_a": at[rows].numpy(),
                "neuron_b": at[columns].numpy(),
                "distance": found[rows, columns].numpy(),
                "lower_bound": bound[rows, columns].numpy(),
            },
        )


def _summary(verdicts: list[dict[str, Any]], layers: pd.DataFrame) -> Summary:
    import pandas as pd

    table = pd.DataFrame(verdicts)
    rows = []
    if len(table):
        several = table["epoch"].nunique() > 1
        for (name, layer, beta, epoch), part in table.groupby(
            ["experiment", "layer", "beta", table["epoch"] if several else table["epoch"] * 0],
            sort=False,
            dropna=False,
        ):
            facts = layers[(layers["experiment"] == name) & (layers["layer"] == layer)]
            facts = facts[facts["epoch"] == epoch] if several else facts
            row = {
                "experiment": name,
                "layer": layer,
                **({"epoch": str(epoch)} if several else {}),
                "k": f"{facts['dimension'].mean():.0f} of {facts['inputs'].iloc[0]}",
                "explained": f"{facts['explained_variance'].mean():.3f}",
                "coherence": f"{facts['coherence'].mean():.3f}",
                "own cost": str(estimate(part["own"])),
                "swap cost": str(estimate(part["mean"])),
                "least": f"{part['least'].min():.3g}",
                "share <= 0": f"{part['cheap'].mean():.1%}",
                "identifiable": f"{part['identifiable'].mean():.1%}"
                if part["identifiable"].notna().all()
                else "-",
            }
            if "distance" in part:
                row["class distance"] = str(estimate(part["distance"]))
            rows.append(row if beta != beta else {**row, "layer": f"{layer}, beta {beta:g}"})
    known = set() if table.empty else set(zip(table["experiment"], table["layer"], strict=True))
    for name, layer in layers[["experiment", "layer"]].drop_duplicates().itertuples(index=False):
        if (name, layer) not in known:
            rows.append({"experiment": name, "layer": layer, "own cost": "undefined"})
    runs = len(layers[["experiment", "seed"]].drop_duplicates())
    outside = int(layers["outside_range"].fillna(0).sum())
    missed = int(layers["not_converged"].fillna(0).sum())
    notes = [
        f"{runs} run{'s' if runs != 1 else ''}; mean [95 % bootstrap] over runs, or the values below three"
    ]
    if outside:
        notes.append(f"{outside} pairs outside the slot's range")
    if missed:
        notes.append(f"{missed} ridge costs did not converge")
    return Summary("norm costs", pd.DataFrame(rows).fillna("-"), tuple(notes))
