"""``lmc check``: can these runs be averaged? A verdict, and the numbers that decide it (THEORY 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmc.core.errors import SettingError
from lmc.core.statistics import Estimate, estimate
from lmc.core.tables import concatenate, frame
from lmc.data import Dataset
from lmc.jobs.alignment import Matcher
from lmc.jobs.loading import use_device
from lmc.jobs.match import match_tables
from lmc.jobs.naming import job_folder
from lmc.jobs.outcome import Outcome, Summary, Talk
from lmc.jobs.pairing import INTERVAL, pair_count, run_pairs
from lmc.jobs.pairs import pair_sets
from lmc.jobs.path import alpha_list, barrier_table, scan_pair
from lmc.jobs.settings import Check
from lmc.store import results
from lmc.store.files import check_writable

if TYPE_CHECKING:
    import pandas as pd

ALIGNED = ("activation", "identifiability")
NO_ALIGNMENT, ALIGNMENT, NOT_MERGEABLE = "needs no alignment", "needs alignment", "not linearly mergeable"


@dataclass(frozen=True)
class Finding:
    """A verdict with its reasons.

    ``certain``: whether every interval lies on one side of the threshold; with fewer than three pairs,
    whether every value does.
    """

    verdict: str
    certain: bool
    sentence: str


def run(settings: Check, talk: Talk) -> Outcome:
    """Match and scan every pair, unaligned and aligned; tables ``check``, ``barrier``, ``match``, ``path``."""
    matchers = {name: Matcher.bind({"name": name}) for name in ("none", *ALIGNED)}
    sets = pair_sets(settings, talk)
    folder, record = job_folder("check", settings, [opened for pairs in sets for opened in pairs.runs])
    check_writable(folder)
    device = use_device(settings.device, settings.threads)
    alphas = alpha_list(settings.alphas)
    parts: dict[str, list[pd.DataFrame]] = {"path": [], "match": []}
    gained: dict[tuple[str, str], float] = {}
    steps = sum(len(pairs.pairs) for pairs in sets) * len(matchers)
    with talk.progress("checking", steps) as bar:
        for pairs in sets:
            lineup = pairs.lineup(matchers["identifiability"], device, talk)
            parts["match"].append(match_tables(lineup)["match"])
            for a, b in lineup.pairs:
                for matcher in matchers.values():
                    parts["path"].append(scan_pair(lineup, a, b, matcher, alphas, None))
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
    if not len(dataset.splits[split]):
        there = ", ".join(name for name, part in dataset.splits.items() if len(part))
        raise SettingError(f"split={split}: the data have none", f"there are: {there}")
    seen, wanted = dataset.train.targets, dataset.splits[split].targets
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
        found = _quantities(own, settings.split, gained[which["experiment_a"], which["experiment_b"]])
        finding = judge(found, settings)
        pairs = len(set(run_pairs(part)))
        rows += [
            {
                **which,
                "verdict": finding.verdict,
                "certain": finding.certain,
                "quantity": quantity,
                "mean": value.mean,
                "low": value.low,
                "high": value.high,
                "pairs": pairs,
            }
            for quantity, value in found.items()
        ]
        title = " and ".join(dict.fromkeys(which.values())) + f": {finding.verdict}"
        lines = [{"": _LABELS[quantity], " ": _shown(quantity, value)} for quantity, value in found.items()]
        notes = (finding.sentence, f"{pair_count(part)}; {INTERVAL}")
        shown.append(Summary(title, pd.DataFrame(lines), notes))
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
    loss = ends.groupby(keys, as_index=False, sort=False)["loss"].mean()
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


def judge(found: Mapping[str, Estimate], settings: Check) -> Finding:
    """The verdict from relative barriers: below ``settings.low`` counts as none."""
    none = found["relative_none"]
    best = min(ALIGNED, key=lambda name: found[f"relative_{name}"].mean)
    aligned = found[f"relative_{best}"]
    limit = f"{settings.low:.0%}"
    if none.mean <= settings.low:
        verdict, certain = NO_ALIGNMENT, _on_one_side(none, settings.low)
        why = f"as they are, the barrier is {none.mean:.1%} of what training gained (limit {limit})"
    elif aligned.mean <= settings.low:
        verdict = ALIGNMENT
        certain = _on_one_side(none, settings.low) and _on_one_side(aligned, settings.low)
        why = f"the barrier falls from {none.mean:.1%} to {aligned.mean:.1%} of what training gained, aligned by {best} (limit {limit})"
    else:
        verdict, certain = NOT_MERGEABLE, _on_one_side(aligned, settings.low)
        why = f"aligned by {best} the barrier still is {aligned.mean:.1%} of what training gained (limit {limit})"
    return Finding(
        verdict,
        certain,
        f"{why}{_theory(found, settings, verdict)}{'' if certain else '; not certain: some pairs lie on the other side'}",
    )


def _theory(found: Mapping[str, Estimate], settings: Check, verdict: str) -> str:
    """Whether identifiability says the same (THEORY 4: by cost and in fact must agree)."""
    by_cost, in_fact = found["identifiable"].mean, found["identified"].mean
    if by_cost != by_cost:
        return ""
    stays = by_cost >= settings.identifiable
    says = f"; {by_cost:.0%} of the neurons are identifiable by cost, {in_fact:.0%} in fact"
    if stays and verdict != NO_ALIGNMENT:
        return says + ", so the theory expects no barrier: it does not hold here"
    if not stays and verdict == NO_ALIGNMENT and in_fact < settings.identifiable:
        return says + ": the line is low although neurons could be exchanged"
    return says


def _on_one_side(value: Estimate, limit: float) -> bool:
    ends = (value.low, value.high) if value.low == value.low else (min(value.values), max(value.values))
    return (ends[0] <= limit) == (ends[1] <= limit)
