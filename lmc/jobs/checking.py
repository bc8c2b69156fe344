"""``lmc check``: can these runs be averaged? A verdict, and the numbers that decide it (THEORY 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.core.statistics import Estimate, estimate
from lmc.core.tables import concatenate, frame
from lmc.data import Dataset
from lmc.jobs.aligning.lineup import Matcher
from lmc.jobs.aligning.pair import Aligned, named_split
from lmc.jobs.match import match_tables
from lmc.jobs.measuring.gaps import breaking_layer, gap_table
from lmc.jobs.measuring.verdict import ALIGNED, judge
from lmc.jobs.opening.data import use_device
from lmc.jobs.opening.folders import pair_folder
from lmc.jobs.opening.pairs import pair_sets
from lmc.jobs.path import alpha_list, barrier_table, scan_aligned
from lmc.jobs.protocol.outcome import Outcome, Summary, Talk
from lmc.jobs.protocol.pairing import INTERVAL, pair_count, run_pairs
from lmc.jobs.protocol.settings import Check
from lmc.store import results
from lmc.store.files import check_writable

if TYPE_CHECKING:
    import pandas as pd

WHOLE = "*"


def run(settings: Check, talk: Talk) -> Outcome:
    """Match, scan and take apart every pair, unaligned and aligned.

    Tables ``check``, ``barrier``, ``match``, ``path`` and ``gap``, the last at alpha 1/2.
    """
    matchers = {name: Matcher.bind({"name": name}) for name in ("none", *ALIGNED)}
    sets = pair_sets(settings, talk)
    folder, record = pair_folder("check", settings, sets)
    check_writable(folder)
    device = use_device(settings.device, settings.threads)
    alphas = alpha_list(settings.alphas)
    parts: dict[str, list[pd.DataFrame]] = {"path": [], "gap": [], "match": []}
    gained: dict[tuple[str, str], float] = {}
    steps = sum(len(pairs.pairs) for pairs in sets) * len(matchers)
    with talk.progress("checking", steps) as bar:
        for pairs in sets:
            lineup = pairs.lineup(matchers["identifiability"], device, talk)
            parts["match"].append(match_tables(lineup)["match"])
            for a, b in lineup.pairs:
                for matcher in matchers.values():
                    pair = Aligned.of(lineup, a, b, matcher)
                    parts["path"].append(scan_aligned(pair, alphas, None))
                    parts["gap"].append(gap_table(pair, [0.5], settings.split))
                    bar.advance()
                names = (lineup.runs[a].run.experiment.name, lineup.runs[b].run.experiment.name)
                gained[names] = chance(lineup.dataset, settings.split)
    tables = {kind: concatenate(kind, found) for kind, found in parts.items()}
    tables["barrier"] = barrier_table(tables["path"])
    tables["check"], shown = _judge(settings, tables, gained)
    results.write(folder, record, tables)
    return Outcome("check", tables, (str(folder),), tuple(shown), (str(folder),))


def chance(dataset: Dataset, split: str) -> float:
    """The mean loss on a split of the best constant output on the training data."""
    seen, wanted = dataset.train.targets, named_split(dataset, split).targets
    if not seen.is_floating_point():
        counts = torch.bincount(seen[seen >= 0].flatten(), minlength=dataset.outputs).double()
        constant = ((counts + 1) / (counts + 1).sum()).log()
        outputs = constant.expand(*wanted.shape, -1)
    else:
        constant = seen.double().mean(dim=0)
        if dataset.task.name == "binary_cross_entropy":
            constant = torch.logit(constant, eps=1e-6)
        outputs = constant.expand_as(wanted)
    losses: Tensor = dataset.task.losses(outputs.float().contiguous(), wanted)
    return float(losses.double().mean())


def _judge(
    settings: Check, tables: Mapping[str, pd.DataFrame], gained: Mapping[tuple[str, str], float]
) -> tuple[pd.DataFrame, list[Summary]]:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    shown = []
    for names, part in tables["match"].groupby(["experiment_a", "experiment_b"], sort=False):
        which = dict(zip(("experiment_a", "experiment_b"), map(str, names), strict=True))
        own = {kind: _of(table, which) for kind, table in tables.items()}
        constant = gained[which["experiment_a"], which["experiment_b"]]
        found = _quantities(own, settings.split, constant)
        title = " and ".join(dict.fromkeys(which.values()))
        if not found["gained"].mean > 0:
            loss = found["loss"].mean
            raise LmcError(
                f"{title}: loss {loss:.3g} on {settings.split}, {constant:.3g} of a constant output",
                "barriers are judged by what training gained",
            )
        gaps = _gap_quantities(own["gap"])
        layers = {name: layer for name, (layer, _) in gaps.items()}
        finding = judge(found, settings.low, settings.identifiable)
        found.update({name: value for name, (_, value) in gaps.items()})
        pairs = len(set(run_pairs(part)))
        verdict = {**which, "verdict": finding.verdict, "certain": finding.certain, "pairs": pairs}
        rows += [
            {
                **verdict,
                "quantity": name,
                "layer": layers.get(name, WHOLE),
                "mean": value.mean,
                "low": value.low,
                "high": value.high,
            }
            for name, value in found.items()
        ]
        lines = [
            {"": _LABELS[name], " ": _shown(name, value), "layer": layers.get(name, "")}
            for name, value in found.items()
        ]
        notes = (f"{finding.sentence}; {_leaving(own['gap'])}", f"{pair_count(part)}; {INTERVAL}")
        shown.append(Summary(f"{title}: {finding.verdict}", pd.DataFrame(lines), notes))
    return frame("check", rows), shown


def _of(table: pd.DataFrame, which: Mapping[str, str]) -> pd.DataFrame:
    return table[
        (table["experiment_a"] == which["experiment_a"]) & (table["experiment_b"] == which["experiment_b"])
    ]


_LABELS = {
    "loss": "loss of the runs themselves",
    "gained": "what training gained on a constant output",
    "barrier_none": "loss barrier as they are",
    "barrier_activation": "... aligned by activation",
    "barrier_identifiability": "... aligned by identifiability",
    "relative_none": "as a share of what training gained, as they are",
    "relative_activation": "... aligned by activation",
    "relative_identifiability": "... aligned by identifiability",
    "identifiable": "neurons identifiable by cost",
    "identified": "neurons identified in fact",
    "identifiability_ratio": "identifiability ratio",
    "relative_swap_cost": "swap cost over own cost",
    "cross_term_none": "largest cross term of a layer, as they are",
    "cross_term_activation": "... aligned by activation",
    "cross_term_identifiability": "... aligned by identifiability",
    "feature_gap_none": "largest feature gap of a layer, as they are",
    "feature_gap_activation": "... aligned by activation",
    "feature_gap_identifiability": "... aligned by identifiability",
}
_SHARES = ("relative_none", "relative_activation", "relative_identifiability", "identifiable", "identified")


def _shown(quantity: str, value: Estimate) -> str:
    if quantity not in _SHARES or value.mean != value.mean:
        return str(value)
    if value.low != value.low:
        return ", ".join(f"{each:.1%}" for each in value.values)
    return f"{value.mean:.1%} [{value.low:.1%}, {value.high:.1%}]"


def _quantities(tables: Mapping[str, pd.DataFrame], split: str, constant: float) -> dict[str, Estimate]:
    path = tables["path"]
    ends = path[(path["split"] == split) & (path["match"] == "none") & path["alpha"].isin([0.0, 1.0])]
    keys = [name for name in path.columns if name.startswith(("experiment", "seed", "epoch"))]
    loss = ends.groupby(keys, as_index=False, sort=False)[["loss"]].mean()
    gain = constant - loss["loss"].to_numpy()
    found = {
        "loss": estimate(loss["loss"], run_pairs(loss)),
        "gained": estimate(gain, run_pairs(loss)),
    }
    barriers = tables["barrier"]
    relative: dict[str, Estimate] = {}
    for match in ("none", *ALIGNED):
        part = barriers[(barriers["split"] == split) & (barriers["match"] == match)]
        found[f"barrier_{match}"] = estimate(part["loss_barrier"], run_pairs(part))
        relative[f"relative_{match}"] = estimate(part["loss_barrier"].to_numpy() / gain, run_pairs(part))
    found.update(relative)
    matched = tables["match"]
    sums = matched.groupby(keys, as_index=False, sort=False)[["neurons", "identifiable", "identified"]].sum()
    pairs = run_pairs(sums)
    costed = matched["own_cost"].notna().any()
    by_cost = sums["identifiable"] / sums["neurons"] if costed else sums["neurons"] * float("nan")
    found["identifiable"] = estimate(by_cost, pairs)
    found["identified"] = estimate(sums["identified"] / sums["neurons"], pairs)
    means = matched.assign(relative=matched["swap_cost"] / (2 * matched["own_cost"]))
    means = means.groupby(keys, as_index=False, sort=False)[["identifiability_ratio", "relative"]].mean()
    found["identifiability_ratio"] = estimate(means["identifiability_ratio"], pairs)
    found["relative_swap_cost"] = estimate(means["relative"], pairs)
    return found


def _gap_quantities(gap: pd.DataFrame) -> dict[str, tuple[str, Estimate]]:
    """Cross term and feature gap where they are largest in the mean over pairs, by matcher."""
    found = {}
    for name in ("cross_term", "feature_gap"):
        for match in ("none", *ALIGNED):
            part = gap[gap["match"] == match]
            means = part.groupby("layer", sort=False)[[name]].mean()
            layer = str(means.index[int(means[name].to_numpy().argmax())])
            at = part[part["layer"] == layer]
            found[f"{name}_{match}"] = (layer, estimate(at[name], run_pairs(at)))
    return found


def _leaving(gap: pd.DataFrame) -> str:
    layer, cross, additivity = breaking_layer(gap[gap["match"] == "none"])
    measured = f"cross term {cross:.2g}, additivity gap {additivity:.2g}"
    return f"as they are, the line leaves the mean representation most at {layer} ({measured})"
