"""Norm costs of one layer of one run as tables (THEORY 2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmc.core.errors import LmcError, SettingError
from lmc.core.schema import concatenate, frame
from lmc.core.seeds import generator
from lmc.costs import (
    CostedLayer,
    RidgeCost,
    SwapCost,
    activation_after,
    admissible,
    class_distances,
    fixed_norm,
    identifiable,
    mixed_layers,
    off_diagonal,
    outside_range,
    ridge_cost,
    swap_cost,
)
from lmc.jobs.measuring.layers import Recorded, layer_row
from lmc.jobs.measuring.pairwise import Tables
from lmc.jobs.protocol.commands.measuring import Cost
from lmc.jobs.protocol.machine import free_memory
from lmc.jobs.protocol.talk import Talk
from lmc.models.stack import stack_of_one, state_of
from lmc.recording import sample
from lmc.symmetry import permutation_groups

if TYPE_CHECKING:
    import pandas as pd

_BYTES_PER_PAIR = 150
Means = dict[str, Any]


def check_memory(layers: dict[str, CostedLayer], settings: Cost) -> None:
    """Raise SettingError where the tables of all pairs would take half of the free memory."""
    largest = max(len(layer.weight) for layer in layers.values())
    count = min(largest, settings.neurons or largest)
    estimates = len(settings.betas) if settings.estimate == "ridge" else 1
    needed = _BYTES_PER_PAIR * count**2 * estimates * len(layers)
    if needed > free_memory(torch.device("cpu")) // 2:
        raise SettingError(f"all pairs would take {needed / 1e9:.1f} GB", "neurons=256 samples 256 a layer")


def cost_tables(run: Recorded, settings: Cost, talk: Talk) -> Iterator[tuple[Tables, list[Means]]]:
    """The tables of every chosen layer of a run, with the means that are said of it.

    A layer whose costs are undefined gives its row of the table ``layer`` only.
    """
    check_memory(run.layers, settings)
    example = run.dataset.train.inputs[:2].to(run.device)
    linear: list[str] = []
    mixed = mixed_layers(run.opened.constraint, run.network, example)
    for layer in run.layers.values():
        try:
            if layer.name in mixed:
                raise LmcError("norm costs describe the linear part only, and sigma mixes what follows it")
            layer.check()
        except LmcError as error:
            talk.warn(f"{run.opened.run.reference}, {layer.name}: undefined, {error}")
            yield {"layer": frame("layer", [layer_row(run.opened, layer)])}, []
            continue
        if layer.moments.count < layer.weight.shape[1]:
            talk.warn(
                f"{layer.name}: {layer.moments.count} samples for {layer.weight.shape[1]} "
                "inputs, so the subspace is that of the sample"
            )
        work = _LayerCosts(run, layer, settings, talk)
        yield work.tables(), work.means
        if work.linear:
            linear.append(layer.name)
    if linear:
        talk.say(f"costs of the linear map alone, as no activation module follows: {', '.join(linear)}")


class _LayerCosts:
    """One layer of one run."""

    def __init__(self, run: Recorded, layer: CostedLayer, settings: Cost, talk: Talk) -> None:
        self.run, self.layer, self.settings, self.talk = run, layer, settings, talk
        self.which = {**run.opened.columns, "layer": layer.name}
        n = len(layer.weight)
        count = min(n, settings.neurons or n)
        self.chosen = torch.randperm(n, generator=generator("neurons", layer.name))[:count].sort().values
        self.means: list[Means] = []
        self.linear = False

    def tables(self) -> Tables:
        """Tables ``cost``, ``swap``, ``layer``, and ``distance`` where it is asked for."""
        costs, swaps = [], []
        outside = missed = math.nan
        for beta, cost in self._estimates():
            about = {**self.which, "estimate": self.settings.estimate, "beta": beta}
            costs.append(self._cost_table(about, cost))
            swaps.append(self._swap_table(about, cost.total))
            self.means.append({**about, **self._means(cost.total)})
            if self.settings.activation:
                missed = (0 if math.isnan(missed) else missed) + cost.not_converged
        if self.settings.estimate == "mahalanobis":
            outside = outside_range(self.layer.mahalanobis()[self.chosen][:, self.chosen])
        row = layer_row(self.run.opened, self.layer, outside_range=outside, not_converged=missed)
        found = {
            "cost": concatenate("cost", costs),
            "swap": concatenate("swap", swaps),
            "layer": frame("layer", [row]),
        }
        if self.settings.distance:
            found["distance"] = distance_table(self.layer, self.chosen, self.which)
            for each in self.means:
                each["distance"] = float(found["distance"]["distance"].mean())
        return found

    def _estimates(self) -> Iterator[tuple[float, RidgeCost]]:
        settings, layer, at = self.settings, self.layer, self.chosen
        if settings.estimate == "mahalanobis":
            total = layer.mahalanobis(settings.outside)[at][:, at]
            yield math.nan, RidgeCost(total, torch.full_like(total, torch.nan), total)
            return
        x, activation, norm = self._inputs()
        wanted = self._wanted()
        if activation:
            count = (len(at) ** 2 if wanted is None else int(wanted.sum())) * len(settings.betas)
            which = f"{self.run.opened.run.reference}, {layer.name}"
            self.talk.say(f"{which}: {count} ridge problems through {activation}; neurons= or pairs= samples")
        with self.talk.progress(f"ridge costs, {layer.name}", len(settings.betas)) as bar:
            for beta in settings.betas:
                yield (
                    beta,
                    ridge_cost(
                        x,
                        layer.weight[at],
                        _at(layer.bias, at),
                        _at(layer.mask, at),
                        _at(layer.centre, at),
                        beta,
                        activation=activation,
                        fit_bias=settings.fit_bias,
                        norm=norm,
                        pairs=wanted if activation else None,
                    ),
                )
                bar.advance()

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
        network, inputs = self.run.network, self.run.dataset.train.inputs.to(self.run.device)
        if not self.settings.activation:
            return self.layer.moments, None, None
        groups = permutation_groups(network, inputs[:2].to(next(network.parameters()).device))
        activation = activation_after(network, groups, self.layer.name)
        if activation is None:
            self.linear = True
            return self.layer.moments, None, None
        tensors = stack_of_one(state_of(network))
        rows = sample(network, tensors, inputs, self.layer.rows, self.settings.samples)[0].cpu()
        return rows, activation, fixed_norm(network, groups, self.layer, rows, self.chosen)

    def _cost_table(self, about: Means, cost: RidgeCost) -> pd.DataFrame:
        slots, neurons = (~cost.total.isnan()).nonzero(as_tuple=True)
        return frame(
            "cost",
            {
                **about,
                "slot": self.chosen[slots].numpy(),
                "neuron": self.chosen[neurons].numpy(),
                "cost": cost.total[slots, neurons].numpy(),
                "data_term": cost.data_term[slots, neurons].numpy(),
                "norm_term": cost.norm_term[slots, neurons].numpy(),
            },
        )

    def _swap_table(self, about: Means, cost: Tensor) -> pd.DataFrame:
        return swap_table(about, swap_cost(cost), self.chosen)

    def _means(self, cost: Tensor) -> Means:
        delta, own = swap_cost(cost), cost.diagonal()
        pairs = off_diagonal(delta)
        sampled = bool(pairs.isnan().any())
        pairs = pairs[~pairs.isnan()]
        by_cost = identifiable(admissible([SwapCost(delta, own)], self.settings.tau)).double().mean()
        return {
            "own": float(own.mean()),
            "mean": float(pairs.mean()) if len(pairs) else math.nan,
            "least": float(pairs.min()) if len(pairs) else math.nan,
            "cheap": float((pairs <= 0).double().mean()) if len(pairs) else math.nan,
            "identifiable": math.nan if sampled else float(by_cost),
        }


def _at(tensor: Tensor | None, chosen: Tensor) -> Tensor | None:
    return None if tensor is None else tensor[chosen]


def swap_table(about: Means, delta: Tensor, chosen: Tensor) -> pd.DataFrame:
    """The table ``swap`` of Delta (n, n) between chosen neurons; pairs that are NaN are left out."""
    rows, columns = (~delta.isnan()).triu(1).nonzero(as_tuple=True)
    return frame(
        "swap",
        {
            **about,
            "neuron_a": chosen[rows].numpy(),
            "neuron_b": chosen[columns].numpy(),
            "swap_cost": delta[rows, columns].numpy(),
        },
    )


def distance_table(layer: CostedLayer, chosen: Tensor, which: Means) -> pd.DataFrame:
    """The table ``distance`` between the classes of chosen neurons; zero where D and f are trivial."""
    count = len(chosen)
    rows, columns = torch.triu_indices(count, count, offset=1)
    if layer.mask is None and layer.centre is None:
        found = bound = torch.zeros(count, count, dtype=torch.float64)
    else:
        both = class_distances(_at(layer.mask, chosen), _at(layer.centre, chosen), layer.subspace.basis)
        found, bound = both.distance, both.lower_bound
    return frame(
        "distance",
        {
            **which,
            "neuron_a": chosen[rows].numpy(),
            "neuron_b": chosen[columns].numpy(),
            "distance": found[rows, columns].numpy(),
            "lower_bound": bound[rows, columns].numpy(),
        },
    )
