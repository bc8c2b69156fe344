"""What to expect of a training that is not done: costs of functions drawn from its initialisation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.core.schema import frame
from lmc.core.seeds import generator
from lmc.costs import (
    CostedLayer,
    admissible,
    class_distance,
    identifiable,
    off_diagonal,
    record_layers,
)
from lmc.jobs.measuring.anisotropies import slot_anisotropy
from lmc.jobs.measuring.layers import chosen_maps
from lmc.jobs.opening.folders import store_of
from lmc.jobs.planning.identity import stem
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.commands.measuring import Predict
from lmc.jobs.protocol.composing import seed_list
from lmc.jobs.protocol.machine import use_device
from lmc.jobs.protocol.talk import Talk
from lmc.models.stack import stack_states
from lmc.store.identity import Identity, identify
from lmc.store.provenance import provenance
from lmc.store.records import Job

if TYPE_CHECKING:
    import pandas as pd

_OWN = ("layers", "ratio", "tau", "neurons")


def predict(plan: Plan, settings: Predict, talk: Talk) -> pd.DataFrame:
    """The table ``prediction``, one row per layer, averaged over seeds.

    The first layer is exact; deeper ones see a network at its initialisation.
    """
    device = use_device(settings.device, settings.threads)
    network = plan.build(plan.seeds[0]).eval().to(device)
    chosen, others = chosen_maps(network, plan.dataset.train.inputs, settings.layers)
    for line in filter(None, (plan.unconstrained, others)):
        talk.say(line)
    stacked = stack_states([plan.initial_state(seed) for seed in plan.seeds])
    stacked = {name: tensor.to(device) for name, tensor in stacked.items()}
    constraints = [plan.constraint] * len(plan.seeds)
    found = record_layers(network, stacked, constraints, chosen, plan.dataset.train.inputs, settings.ratio)
    rows = []
    for name in (layer.name for layer in chosen):
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


def prediction_identity(settings: Predict, plan: Plan) -> Identity:
    """What was predicted, of which training, and from which initialisations."""
    usual = {**asdict(Predict()), "seeds": seed_list(Predict().seeds)}
    own = {key: getattr(settings, key) for key in _OWN}
    facts = {**plan.identity.content, "kind": Job.kind, "command": "predict"}
    identity = identify(facts, plain={**own, "seeds": plan.seeds}, usual=usual)
    return Identity(identity.content, {**plan.identity.shown, **identity.shown})


def prediction_folder(settings: Predict, plan: Plan) -> tuple[Path, Job]:
    """Where the prediction goes, and the record to keep there."""
    trained, own = plan.record, {key: getattr(settings, key) for key in _OWN}
    groups = {"data": trained.data, "model": trained.model, "variant": trained.variant}
    kept = {**groups, "mask_seed": trained.mask_seed, "seeds": plan.seeds, **own}
    record = Job(command="predict", runs=[], settings=kept, provenance=provenance())
    name = prediction_identity(settings, plan).name(stem(plan.settings))
    return store_of(settings).job("predict", name), record
