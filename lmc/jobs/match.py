"""``lmc match``: which neurons are identifiable, and the permutation that aligns the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmc.core.errors import SettingError
from lmc.core.statistics import estimate
from lmc.core.tables import concatenate, frame
from lmc.jobs.aligning.lineup import Lineup, Matcher
from lmc.jobs.measuring.layers import layer_row
from lmc.jobs.opening.data import use_device
from lmc.jobs.opening.folders import pair_folder
from lmc.jobs.opening.pairs import pair_sets
from lmc.jobs.opening.runs import pair_columns
from lmc.jobs.path import alpha_list, barrier_table, scan_pair
from lmc.jobs.protocol.outcome import Outcome, Summary, Talk
from lmc.jobs.protocol.pairing import INTERVAL, pair_count, run_pairs
from lmc.jobs.protocol.settings import Match
from lmc.matching.blocks import reachable
from lmc.matching.identifiability import admissible, identifiable, margins, mutual, objectives
from lmc.matching.similarity import constant
from lmc.store import results
from lmc.store.files import check_writable
from lmc.symmetry import Group

if TYPE_CHECKING:
    import pandas as pd

TAUS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def run(settings: Match, talk: Talk) -> Outcome:
    """Match the pairs of the references; tables ``match``, ``neuron``, ``layer`` and the permutations."""
    matcher = Matcher.bind(settings.match)
    sets = pair_sets(settings, talk)
    folder, record = pair_folder("match", settings, sets)
    check_writable(folder)
    device = use_device(settings.device, settings.threads)
    tables: dict[str, list[pd.DataFrame]] = {"match": [], "neuron": [], "layer": []}
    if settings.sensitivity:
        if matcher.choice.name != "identifiability":
            raise SettingError(
                "sensitivity=true: only matching by identifiability has a tau", "match=identifiability"
            )
        tables["tau"] = []
    permutations: dict[str, Tensor] = {}
    for pairs in sets:
        lineup = pairs.lineup(matcher, device, talk)
        for kind, table in match_tables(lineup).items():
            tables[kind].append(table)
        for a, b in lineup.pairs:
            label = ":".join(lineup.runs[index].run.reference for index in (a, b))
            _, aligned = matcher(lineup.evidence([a, b]))
            permutations.update({f"{label}:{group}": value for group, value in aligned.items()})
        if settings.sensitivity:
            tables["tau"].append(_sensitivity(lineup, talk))
    joined = {kind: concatenate(kind, parts) for kind, parts in tables.items()}
    results.write(folder, record, joined, {"permutations": permutations})
    shown = [*summaries(joined["match"]), *([_tau_summary(joined["tau"])] if settings.sensitivity else [])]
    return Outcome("match", joined, (str(folder),), tuple(shown), (str(folder),))


def match_tables(lineup: Lineup) -> dict[str, pd.DataFrame]:
    """The tables ``match``, ``neuron`` and ``layer`` of every pair of a lineup."""
    layers: list[dict[str, Any]] = []
    neurons: list[dict[str, Any]] = []
    for a, b in lineup.pairs:
        _, permutations = lineup.matcher(lineup.evidence([a, b]))
        for group in lineup.groups:
            match_row, neuron_rows = _group_rows(lineup, a, b, group, permutations[group.name])
            layers.append(match_row)
            neurons += neuron_rows
    return {
        "match": frame("match", layers),
        "neuron": frame("neuron", neurons),
        "layer": _layer_table(lineup),
    }


def _group_rows(
    lineup: Lineup, a: int, b: int, group: Group, permutation: Tensor
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    similarity = lineup.similarity(a, b, group)
    costs = lineup.costs[group.name]
    constants = [_constant(lineup, run, group) for run in (a, b)]
    found = objectives(similarity, group)
    margin = margins(similarity)
    identified = (margin > 0) & ~constants[0] & ~constants[1]
    place = torch.arange(group.size)
    nan = torch.full((group.size,), torch.nan, dtype=torch.float64)
    if costs is None:
        allowed, cheapest = torch.zeros(group.size, group.size, dtype=torch.bool), [nan, nan]
        by_cost = torch.zeros(group.size, dtype=torch.bool)
        swap = own = float("nan")
    else:
        pair = [costs[a], costs[b]]
        allowed = reachable(group, admissible(pair, lineup.matcher.tau))
        by_cost = identifiable(allowed)
        diagonal = torch.eye(group.size, dtype=torch.bool)
        cheapest = [cost.delta.masked_fill(diagonal, torch.inf).amin(dim=1) for cost in pair]
        swap = float(torch.stack([cost.delta[~diagonal].mean() for cost in pair]).mean())
        own = float(torch.stack([cost.own.mean() for cost in pair]).mean())
    which = {
        **pair_columns(lineup.runs[a], lineup.runs[b]),
        "match": lineup.matcher.label,
        "group": group.name,
        "layer": group.layers[0],
    }
    match_row = {
        **which,
        "neurons": group.size,
        "similarity": float(similarity[place, permutation].mean()),
        "optimal": found.optimal,
        "identity": found.identity,
        "random": found.random,
        "random_sd": found.random_sd,
        "identifiability_ratio": found.ratio,
        "identifiable": int(by_cost.sum()),
        "fixed_points": int((permutation == place).sum()),
        "constant_a": int(constants[0].sum()),
        "constant_b": int(constants[1].sum()),
        "identified": int(identified.sum()),
        "swap_cost": swap,
        "own_cost": own,
    }
    columns = {
        "neuron": place,
        "partner": permutation,
        "similarity": similarity[place, permutation],
        "identity_similarity": similarity.diagonal(),
        "margin": margin,
        "mutual": mutual(similarity, permutation),
        "admissible": allowed.sum(dim=1) - allowed.diagonal().long(),
        "swap_cost_a": cheapest[0],
        "swap_cost_b": cheapest[1],
        "identifiable": by_cost,
        "identified": identified,
    }
    values = {name: column.tolist() for name, column in columns.items()}
    return match_row, [{**which, **{name: values[name][i] for name in values}} for i in range(group.size)]


def _sensitivity(lineup: Lineup, talk: Talk) -> pd.DataFrame:
    """Share of neurons moved and test barrier over tau, pair by pair (table ``tau``)."""
    own = lineup.matcher.choice
    rows = []
    with talk.progress("tau", len(lineup.pairs) * len(TAUS)) as bar:
        for a, b in lineup.pairs:
            for tau in TAUS:
                matcher = Matcher.bind({"name": own.name, **own.settings, "tau": tau})
                _, moves = matcher(lineup.evidence([a, b]))
                still = sum(int((p == torch.arange(len(p))).sum()) for p in moves.values())
                total = sum(len(p) for p in moves.values())
                path = scan_pair(lineup, a, b, matcher, alpha_list(25), None)
                barriers = barrier_table(path).set_index("split")["loss_barrier"]
                rows.append(
                    {
                        **pair_columns(lineup.runs[a], lineup.runs[b]),
                        "match": own.label,
                        "tau": tau,
                        "share_moved": 1 - still / total,
                        "loss_barrier": float(barriers["test"]) if "test" in barriers else float("nan"),
                    }
                )
                bar.advance()
    return frame("tau", rows)


def _tau_summary(table: pd.DataFrame) -> Summary:
    import pandas as pd

    rows = []
    for tau, part in table.groupby("tau"):
        pairs = run_pairs(part)
        moved, barrier = (str(estimate(part[name], pairs)) for name in ("share_moved", "loss_barrier"))
        rows.append({"tau": f"{tau:g}", "share moved": moved, "test loss barrier": barrier})
    return Summary("sensitivity to tau", pd.DataFrame(rows), (f"{pair_count(table)}; {INTERVAL}",))


def _constant(lineup: Lineup, run: int, group: Group) -> Tensor:
    found = [constant(lineup.moments[feature], run) for feature in group.points[lineup.matcher.point]]
    return torch.stack(found).all(dim=0)


def _layer_table(lineup: Lineup) -> pd.DataFrame:
    return frame(
        "layer",
        [layer_row(lineup.runs[index], layer) for (index, _), layer in sorted(lineup.layers.items())],
    )


def summaries(table: pd.DataFrame) -> list[Summary]:
    """Per experiment and layer: means over pairs, with intervals."""
    import pandas as pd

    found = []
    for names, part in table.groupby(["experiment_a", "experiment_b"], sort=False):
        rows = []
        for layer, group in part.groupby("layer", sort=False):
            pairs = run_pairs(group)
            shares = {
                key: group[key] / group["neurons"] for key in ("identifiable", "identified", "fixed_points")
            }
            costed = group["own_cost"].notna().any()
            rows.append(
                {
                    "layer": layer,
                    "neurons": str(group["neurons"].iloc[0]),
                    **{key: str(estimate(group[key], pairs)) for key in ("optimal", "identity", "random")},
                    "identifiability ratio": str(estimate(group["identifiability_ratio"], pairs)),
                    "identifiable by cost": _percent(shares["identifiable"]) if costed else "undefined",
                    "identified in fact": _percent(shares["identified"]),
                    "moved": _percent(1 - shares["fixed_points"]),
                    "swap / own cost": f"{(group['swap_cost'] / group['own_cost']).mean():.3g}"
                    if costed
                    else "-",
                }
            )
        title = " and ".join(dict.fromkeys(map(str, names))) + f", match={part['match'].iloc[0]}"
        constants = int(part["constant_a"].sum() + part["constant_b"].sum())
        notes = [f"{pair_count(part)}; {INTERVAL}"]
        if constants:
            notes.append(f"{constants} constant units, similarity 0")
        found.append(Summary(title, pd.DataFrame(rows), tuple(notes)))
    return found


def _percent(shares: Any) -> str:
    return f"{shares.mean():.1%}"
