"""What to expect of a training that is not done: costs of functions drawn from its initialisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.core.names import matching
from lmc.core.schema import frame
from lmc.core.seeds import generator
from lmc.costs import (
    CostedLayer,
    admissible,
    class_distance,
    costed_layers,
    identifiable,
    off_diagonal,
    record_layers,
)
from lmc.jobs.measuring.anisotropies import slot_anisotropy
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.machine import use_device
from lmc.jobs.protocol.settings import Predict
from lmc.jobs.protocol.talk import Talk
from lmc.models.stack import stack_states

if TYPE_CHECKING:
    import pandas as pd


def predict(plan: Plan, settings: Predict, talk: Talk) -> pd.DataFrame:
    """The table ``prediction``, one row per layer, averaged over seeds.

    The first layer is exact; deeper ones see a network at its initialisation.
    """
    device = use_device(settings.device, settings.threads)
    network = plan.build(plan.seeds[0]).eval().to(device)
    names = matching(settings.layers, costed_layers(network), "layer")
    stacked = stack_states([plan.initial_state(seed) for seed in plan.seeds])
    stacked = {name: tensor.to(device) for name, tensor in stacked.items()}
    constraints = [plan.constraint] * len(plan.seeds)
    found = record_layers(network, stacked, constraints, names, plan.dataset.train.inputs, settings.ratio)
    rows = []
    for name in names:
        try:
            drawn = [_measure(found[run, name], settings) for run in range(len(plan.seeds))]
        except LmcError as error:
            talk.warn(f"{name}: undefined, {error}")
            drawn = []
        means = {key: sum(each[key] for each in drawn) / len(drawn) for key in (drawn[0] if drawn else ())}
        rows.append({"experiment": plan.experiment.name, "layer": name, **means})
    return frame("prediction", rows)


def _measure(layer: CostedLayer, settings: Predict) -> dict[str, float]:
    cost = layer.swap_cost()
    by_cost = identifiable(admissible([cost], settings.tau))
    return {
        "coherence": layer.subspace.coherence,
        "anisotropy_mean": float(slot_anisotropy(layer).mean()),
        "class_distance": _distance(layer, settings.neurons),
        "swap_cost": float(cost.pairs.mean()),
        "own_cost": float(cost.own.mean()),
        "relative_swap_cost": float(cost.relative.mean()),
        "identifiable": float(by_cost.double().mean()),
    }


def _distance(layer: CostedLayer, count: int) -> float:
    """Mean distance between the classes of a seeded sample of slots."""
    if layer.mask is None and layer.centre is None:
        return 0.0
    n = len(layer.weight)
    chosen = torch.randperm(n, generator=generator("neurons", layer.name))[:count]
    part = [None if each is None else each[chosen] for each in (layer.mask, layer.centre)]
    found: Tensor = class_distance(part[0], part[1], layer.subspace.basis)
    return float(off_diagonal(found).mean())
