"""``lmc predict``: will neurons be identifiable? From D, f and the data, before any training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.core.seeds import generator
from lmc.core.tables import frame
from lmc.costs import class_distance
from lmc.jobs.coherence import slot_anisotropy
from lmc.jobs.measuring.layers import Layer, chosen_layers, off_diagonal, record_layers
from lmc.jobs.opening.data import use_device
from lmc.jobs.opening.folders import store_of
from lmc.jobs.planning.identity import stem
from lmc.jobs.planning.plan import Plan, untrained
from lmc.jobs.protocol.outcome import Outcome, Summary, Talk
from lmc.jobs.protocol.settings import Predict, seed_list
from lmc.matching.identifiability import admissible, identifiable
from lmc.models.stack import stack_states
from lmc.store import files, results
from lmc.store.identity import Identity, identify
from lmc.store.provenance import provenance
from lmc.store.records import Job

if TYPE_CHECKING:
    import pandas as pd

_OWN = ("layers", "ratio", "tau", "neurons")


def run(settings: Predict, talk: Talk) -> Outcome:
    """The table ``prediction``, a row a layer: the first is exact, deeper ones see a random network."""
    plan = untrained(settings, settings.seeds)
    table = predict(plan, settings, talk)
    folder, record = _folder(settings, plan)
    files.check_writable(folder)
    results.write(folder, record, {"prediction": table})
    return Outcome(
        "prediction", {"prediction": table}, (str(folder),), (_summary(plan, table),), (str(folder),)
    )


def prediction_identity(settings: Predict, plan: Plan) -> Identity:
    """What was predicted, of which training, and from which initialisations."""
    usual = {**asdict(Predict()), "seeds": seed_list(Predict().seeds)}
    own = {key: getattr(settings, key) for key in _OWN}
    facts = {**plan.identity.content, "kind": Job.kind, "command": "predict"}
    identity = identify(facts, plain={**own, "seeds": plan.seeds}, usual=usual)
    return Identity(identity.content, {**plan.identity.shown, **identity.shown})


def _folder(settings: Predict, plan: Plan) -> tuple[Path, Job]:
    """Where the prediction goes, and the record to keep there."""
    trained, own = plan.record, {key: getattr(settings, key) for key in _OWN}
    groups = {"data": trained.data, "model": trained.model, "variant": trained.variant}
    kept = {**groups, "mask_seed": trained.mask_seed, "seeds": plan.seeds, **own}
    record = Job(command="predict", runs=[], settings=kept, provenance=provenance())
    name = prediction_identity(settings, plan).name(stem(plan.settings))
    return store_of(settings).job("predict", name), record


def predict(plan: Plan, settings: Predict, talk: Talk) -> pd.DataFrame:
    """Costs of functions drawn from the initialisation, layer by layer, averaged over seeds."""
    device = use_device(settings.device, settings.threads)
    network = plan.build(plan.seeds[0]).eval().to(device)
    names = chosen_layers(network, settings.layers)
    stacked = stack_states([plan.initial_state(seed) for seed in plan.seeds])
    stacked = {name: tensor.to(device) for name, tensor in stacked.items()}
    constraints = [plan.constraint] * len(plan.seeds)
    found = record_layers(network, stacked, constraints, names, plan.dataset.train.inputs, settings.ratio)
    rows = []
    for name in names:
        try:
            drawn = [_measure(found[run, name], settings) for run in range(len(plan.seeds))]
        except LmcError as error:
            talk.say(f"warning: {name}: undefined, {error}")
            drawn = []
        means = {key: sum(each[key] for each in drawn) / len(drawn) for key in (drawn[0] if drawn else ())}
        rows.append({"experiment": plan.experiment.name, "layer": name, **means})
    return frame("prediction", rows)


def _measure(layer: Layer, settings: Predict) -> dict[str, float]:
    cost = layer.swap_cost()
    pairs = off_diagonal(cost.delta)
    paid = off_diagonal(cost.own[:, None] + cost.own[None, :])
    by_cost = identifiable(admissible([cost], settings.tau))
    return {
        "coherence": layer.subspace.coherence,
        "anisotropy_mean": float(slot_anisotropy(layer).mean()),
        "class_distance": _distance(layer, settings.neurons),
        "swap_cost": float(pairs.mean()),
        "own_cost": float(cost.own.mean()),
        "relative_swap_cost": float((pairs / paid).mean()),
        "identifiable": float(by_cost.double().mean()),
    }


def _distance(layer: Layer, count: int) -> float:
    """Mean distance between the classes of a seeded sample of slots."""
    if layer.mask is None and layer.centre is None:
        return 0.0
    n = len(layer.weight)
    chosen = torch.randperm(n, generator=generator("neurons", layer.name))[:count]
    part = lambda tensor: None if tensor is None else tensor[chosen]  # noqa: E731
    found: Tensor = class_distance(part(layer.mask), part(layer.centre), layer.subspace.basis)
    return float(off_diagonal(found).mean())


def _summary(plan: Plan, table: pd.DataFrame) -> Summary:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for row in table.itertuples():
        rows.append(
            {
                "layer": row.layer,
                "coherence": f"{row.coherence:.3f}",
                "anisotropy": f"{row.anisotropy_mean:.3f}",
                "class distance": f"{row.class_distance:.3g}",
                "own cost": f"{row.own_cost:.3g}",
                "swap cost": f"{row.swap_cost:.3g}",
                "swap / own": f"{row.relative_swap_cost:.3g}",
                "identifiable": f"{row.identifiable:.1%}",
            }
        )
    hidden = table["identifiable"].iloc[:-1] if len(table) > 1 else table["identifiable"]
    verdict = f"expected share of hidden neurons identifiable by cost: {hidden.mean():.1%}"
    note = f"{len(plan.seeds)} random initialisations; layers after the first see the initialised network"
    return Summary(plan.experiment.name, pd.DataFrame(rows), (verdict, note))
