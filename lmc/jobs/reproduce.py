"""``lmc reproduce``: a named experiment from training to claims."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files as package_files
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lmc.core.errors import SettingError
from lmc.core.registry import unknown
from lmc.core.tables import frame
from lmc.figures.writing import save
from lmc.jobs.claims import Verdict, judge
from lmc.jobs.measures import MEASURES
from lmc.jobs.measures.measured import Quantities
from lmc.jobs.outcome import Outcome, Summary, Talk
from lmc.jobs.plan import Plan, make_plan
from lmc.jobs.settings import Reproduce, Train, compose, outputs_folder, unfold
from lmc.jobs.train import train
from lmc.store import results
from lmc.store.files import check_writable
from lmc.store.identity import fingerprint, readable

if TYPE_CHECKING:
    import pandas as pd


def run(settings: Reproduce, talk: Talk) -> Outcome:
    """Train what is not stored, measure every case, judge the claims."""
    name = _name(settings)
    definition = resize(read(name), settings)
    plans = {case: make_plan(_settings(settings, definition, own)) for case, own in cases(definition).items()}
    folder = (
        Path(outputs_folder(settings.outputs))
        / "reproduce"
        / f"{name}-{settings.size}-{fingerprint(definition)}"
    )
    check_writable(folder)
    _announce(name, definition, plans, talk)
    train(list(plans.values()), talk)
    measured = MEASURES[definition["measure"]](plans, definition, talk)
    verdicts = [
        judge(claim["text"], claim["conditions"], measured.quantities) for claim in definition["claims"]
    ]
    tables = {
        **measured.tables,
        "measure": _measure_table(measured.quantities),
        "claim": _claim_table(name, verdicts),
    }
    results.write(folder, {"command": "reproduce", "experiment": name, **definition}, tables)
    figure = folder / f"{name}.png"
    save(measured.figure, figure)
    return Outcome(
        "claim", tables, (str(folder),), (measured.summary, _claims(verdicts)), (str(figure), str(folder))
    )


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
    """The definition at a size, with what the user changes in every case.

    A size may change ``runs``, and ``grid`` and ``repeat`` where the experiment has them.
    """
    sizes = definition.pop("sizes")
    changes = {key: getattr(settings, key) for key in ("data", "model", "training") if getattr(settings, key)}
    if settings.seeds is not None:
        changes["seeds"] = settings.seeds
    if settings.mask_seed is not None:
        changes["mask_seed"] = settings.mask_seed
    sized = merged(definition, sizes[settings.size])
    return {**sized, "runs": merged(sized["runs"], changes)}


def cases(definition: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The cases by name: those listed, times a ``grid`` of dotted keys, times ``repeat`` outer seeds.

    An outer seed is given to every key that ``repeat`` names, such as mask_seed.
    """
    listed = definition.get("cases") or {"": {}}
    grid = definition.get("grid") or {}
    repeat = definition.get("repeat") or {"count": 1, "keys": []}
    found = {}
    for (case, own), values, outer in product(
        listed.items(), product(*grid.values()), range(repeat["count"])
    ):
        point = dict(zip(grid, values, strict=True))
        label = readable({key.rpartition(".")[2]: value for key, value in point.items()})
        seeds = dict.fromkeys(repeat["keys"], outer)
        name = "-".join(part for part in (case, label, f"outer{outer}" if seeds else "") if part)
        found[name] = merged(own, unfold({**point, **seeds}))
    return found


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the nested keys of ``over`` in place of its own."""
    made = dict(base)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = merged(made[key], value) if nested else value
    return made


def _settings(settings: Reproduce, definition: Mapping[str, Any], case: Mapping[str, Any]) -> Train:
    common = {key: getattr(settings, key) for key in ("outputs", "device", "threads", "force")}
    return compose(Train, {**merged(definition["runs"], case), **common})


def _announce(name: str, definition: Mapping[str, Any], plans: Mapping[str, Plan], talk: Talk) -> None:
    total = sum(len(plan.seeds) for plan in plans.values())
    remaining = sum(len(plan.pending()) for plan in plans.values())
    talk.say(f"{name}: {definition['title']}; {len(plans)} cases, {remaining} of {total} runs to train")


def _claim_table(name: str, verdicts: list[Verdict]) -> pd.DataFrame:
    return frame(
        "claim",
        [
            {"experiment": name, "claim": verdict.text, "numbers": verdict.numbers, "holds": verdict.holds}
            for verdict in verdicts
        ],
    )


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


def _claims(verdicts: list[Verdict]) -> Summary:
    import pandas as pd

    rows = []
    for place, verdict in enumerate(verdicts, start=1):
        rows.append({"claim": f"{place}. {verdict.text}", "": "holds" if verdict.holds else "does not hold"})
        for condition in verdict.conditions:
            rows.append({"claim": f"   {condition.text}", "": "" if condition.holds else "fails"})
    holding = sum(verdict.holds for verdict in verdicts)
    return Summary("claims", pd.DataFrame(rows), (f"{holding} of {len(verdicts)} claims hold",))
