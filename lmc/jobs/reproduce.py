"""``lmc reproduce``: a named experiment from training to claims."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lmc.core.errors import SettingError
from lmc.core.registry import unknown
from lmc.core.statistics import Estimate, estimate
from lmc.core.tables import concatenate, frame
from lmc.figures import path as path_figure
from lmc.figures.writing import save
from lmc.jobs.alignment import Lineup, Matcher
from lmc.jobs.claims import Verdict, judge
from lmc.jobs.loading import use_device
from lmc.jobs.match import match_tables, run_pairs
from lmc.jobs.outcome import Bar, Outcome, Summary, Talk
from lmc.jobs.pairs import make_pairs
from lmc.jobs.path import alpha_list, barrier_table, scan_pair
from lmc.jobs.plan import Plan, make_plan
from lmc.jobs.runs import Opened
from lmc.jobs.settings import Reproduce, Train, compose, outputs_folder
from lmc.jobs.train import run_table, train
from lmc.store import results
from lmc.store.files import check_writable
from lmc.store.identity import fingerprint

if TYPE_CHECKING:
    import pandas as pd

Quantities = dict[tuple[str, str, str], Estimate]
_LAYER = ("optimal", "identity", "random", "identifiability_ratio", "swap_cost", "own_cost")
_SHARES = ("identifiable", "identified")


def run(settings: Reproduce, talk: Talk) -> Outcome:
    """Train what is not stored, match and scan every case, judge the claims."""
    name = _name(settings)
    definition = resize(read(name), settings)
    plans = {
        case: make_plan(_settings(settings, definition, own)) for case, own in definition["cases"].items()
    }
    folder = (
        Path(outputs_folder(settings.outputs))
        / "reproduce"
        / f"{name}-{settings.size}-{fingerprint(definition)}"
    )
    check_writable(folder)
    _announce(name, definition, plans, talk)
    train(list(plans.values()), talk)
    matchers = [Matcher.bind({"name": each}) for each in ("none", *definition["match"])]
    tables = _measure(plans, matchers, definition, talk)
    quantities = _quantities(plans, tables, definition)
    verdicts = [judge(claim["text"], claim["conditions"], quantities) for claim in definition["claims"]]
    tables["measure"] = _measure_table(quantities)
    tables["claim"] = frame(
        "claim",
        [
            {"experiment": name, "claim": verdict.text, "numbers": verdict.numbers, "holds": verdict.holds}
            for verdict in verdicts
        ],
    )
    results.write(folder, {"command": "reproduce", "experiment": name, **definition}, tables)
    figure = folder / f"{name}.png"
    save(path_figure.draw(_by_case(tables["path"], plans), definition["split"]), figure)
    summaries = (_summary(definition, plans, quantities, matchers), _claims(verdicts))
    return Outcome("claim", tables, (str(folder),), summaries, (str(figure), str(folder)))


def names() -> list[str]:
    """The named experiments."""
    folder = package_files("lmc.conf") / "experiment"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def read(name: str) -> dict[str, Any]:
    """An experiment's definition; raises SettingError with the near miss."""
    if name not in names():
        raise unknown("experiment", name, names())
    text = (package_files("lmc.conf") / "experiment" / f"{name}.yaml").read_text()
    return dict(yaml.safe_load(text))


def _name(settings: Reproduce) -> str:
    if len(settings.references) != 1:
        raise SettingError("name one experiment", "lmc reproduce NAME; there are: " + ", ".join(names()))
    return settings.references[0]


def resize(definition: dict[str, Any], settings: Reproduce) -> dict[str, Any]:
    """The definition at a size, with what the user changes in every case."""
    sizes = definition.pop("sizes")
    changes = {key: getattr(settings, key) for key in ("data", "model", "training") if getattr(settings, key)}
    if settings.seeds is not None:
        changes["seeds"] = settings.seeds
    if settings.mask_seed is not None:
        changes["mask_seed"] = settings.mask_seed
    runs = _merged(_merged(definition["runs"], sizes[settings.size]), changes)
    return {**definition, "runs": runs}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if nested else value
    return merged


def _settings(settings: Reproduce, definition: Mapping[str, Any], case: Mapping[str, Any]) -> Train:
    common = {key: getattr(settings, key) for key in ("outputs", "device", "threads", "force")}
    return compose(Train, {**_merged(definition["runs"], case), **common})


def _announce(name: str, definition: Mapping[str, Any], plans: Mapping[str, Plan], talk: Talk) -> None:
    total = sum(len(plan.seeds) for plan in plans.values())
    remaining = sum(len(plan.pending()) for plan in plans.values())
    talk.say(f"{name}: {definition['title']}; {len(plans)} cases, {remaining} of {total} runs to train")


def _measure(
    plans: Mapping[str, Plan], matchers: list[Matcher], definition: Mapping[str, Any], talk: Talk
) -> dict[str, pd.DataFrame]:
    parts: dict[str, list[pd.DataFrame]] = {"path": [], "match": [], "neuron": [], "layer": []}
    alphas = alpha_list(definition["alphas"])
    pairs = sum(len(plan.seeds) // 2 for plan in plans.values())
    with talk.progress("matching and scanning", pairs * len(matchers)) as bar:
        for plan in plans.values():
            lineup = _lineup(plan, definition["pairs"], matchers[-1], talk)
            for kind, table in match_tables(lineup).items():
                parts[kind].append(table)
            parts["path"] += _scan(lineup, matchers, alphas, bar)
    tables = {kind: concatenate(kind, found) for kind, found in parts.items()}
    tables["barrier"] = barrier_table(tables["path"])
    tables["run"] = run_table(list(plans.values()))
    return tables


def _lineup(plan: Plan, how: str, matcher: Matcher, talk: Talk) -> Lineup:
    last = plan.training.epochs
    opened = [Opened(plan.experiment.run(seed), last) for seed in plan.seeds]
    device = use_device(plan.settings.device, plan.settings.threads)
    moved = {"path": plan.settings.data["path"]} if "path" in plan.settings.data else {}
    return make_pairs(opened, how, False, moved).lineup(matcher, device, talk)


def _scan(lineup: Lineup, matchers: list[Matcher], alphas: list[float], bar: Bar) -> list[pd.DataFrame]:
    parts = []
    for a, b in lineup.pairs:
        for matcher in matchers:
            parts.append(scan_pair(lineup, a, b, matcher, alphas, None))
            bar.advance()
    return parts


def _quantities(
    plans: Mapping[str, Plan], tables: Mapping[str, pd.DataFrame], definition: Mapping[str, Any]
) -> Quantities:
    found: Quantities = {}
    split = definition["split"]
    for case, plan in plans.items():
        name = plan.experiment.name
        runs = tables["run"][tables["run"]["experiment"] == name]
        found[case, "accuracy", split] = estimate(runs[f"{split}_accuracy"])
        for layer, part in _of(tables["match"], name).groupby("layer", sort=False):
            pairs = run_pairs(part)
            for key in _LAYER:
                found[case, key, str(layer)] = estimate(part[key], pairs)
            for key in _SHARES:
                found[case, key, str(layer)] = estimate(part[key] / part["neurons"], pairs)
        barriers = _of(tables["barrier"], name)
        barriers = barriers[barriers["split"] == split]
        by_match = {str(match): part for match, part in barriers.groupby("match", sort=False)}
        for match, part in by_match.items():
            found[case, "barrier", match] = estimate(part["loss_barrier"], run_pairs(part))
        found.update(_excess(case, by_match, found))
    return found


def _of(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table["experiment_a"] == name]


def _excess(case: str, by_match: Mapping[str, pd.DataFrame], found: Quantities) -> Quantities:
    """Pair by pair, the barrier after matching by identifiability over the better of none and activation."""
    if not {"none", "activation", "identifiability"} <= by_match.keys():
        return {}
    best = min(("none", "activation"), key=lambda match: found[case, "barrier", match].mean)
    ours = by_match["identifiability"]
    difference = ours["loss_barrier"].to_numpy() - by_match[best]["loss_barrier"].to_numpy()
    return {(case, "excess", "identifiability"): estimate(difference, run_pairs(ours))}


def _measure_table(quantities: Quantities) -> pd.DataFrame:
    return frame(
        "measure",
        [
            {
                "case": case,
                "quantity": quantity,
                "detail": detail,
                "mean": value.mean,
                "low": value.low,
                "high": value.high,
                "pairs": len(value.values),
            }
            for (case, quantity, detail), value in quantities.items()
        ],
    )


def _by_case(table: pd.DataFrame, plans: Mapping[str, Plan]) -> pd.DataFrame:
    cases = {plan.experiment.name: case for case, plan in plans.items()}
    return table.assign(
        experiment_a=table["experiment_a"].map(cases), experiment_b=table["experiment_b"].map(cases)
    )


def _summary(
    definition: Mapping[str, Any], plans: Mapping[str, Plan], found: Quantities, matchers: list[Matcher]
) -> Summary:
    import pandas as pd

    split = definition["split"]
    layers = list(
        dict.fromkeys(detail for _, quantity, detail in found if quantity == "identifiability_ratio")
    )
    rows = []
    for case in plans:
        row: dict[str, Any] = {"": case, f"{split} accuracy": str(found[case, "accuracy", split])}
        for layer in layers:
            row[f"identifiability ratio {layer}"] = str(found[case, "identifiability_ratio", layer])
        for matcher in matchers:
            row[f"barrier, {matcher.label}"] = str(found[case, "barrier", matcher.label])
        rows.append(row)
    seeds = len(next(iter(plans.values())).seeds)
    note = (
        f"{seeds} runs a case, {definition['pairs']} pairs; {split} loss barriers; "
        "mean [95 % bootstrap], or the values below three"
    )
    return Summary(str(definition["title"]), pd.DataFrame(rows), (note,))


def _claims(verdicts: list[Verdict]) -> Summary:
    import pandas as pd

    rows = []
    for place, verdict in enumerate(verdicts, start=1):
        rows.append({"claim": f"{place}. {verdict.text}", "": "holds" if verdict.holds else "does not hold"})
        for condition in verdict.conditions:
            rows.append({"claim": f"   {condition.text}", "": "" if condition.holds else "fails"})
    holding = sum(verdict.holds for verdict in verdicts)
    return Summary("claims", pd.DataFrame(rows), (f"{holding} of {len(verdicts)} claims hold",))
