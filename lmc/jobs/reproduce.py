"""``lmc reproduce``: a named experiment from training to claims."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc.core.errors import SettingError
from lmc.core.tables import frame
from lmc.data import LOCATION
from lmc.figures.writing import save
from lmc.jobs.opening.folders import store_of
from lmc.jobs.planning.plan import Plan, make_plan
from lmc.jobs.protocol.experiments import cases, merged, names, read, resize
from lmc.jobs.protocol.outcome import Outcome, Summary, Talk
from lmc.jobs.protocol.settings import Reproduce, Train, compose, seed_list
from lmc.jobs.studies import MEASURES
from lmc.jobs.studies.claims import Verdict, judge
from lmc.jobs.studies.measured import Quantities
from lmc.jobs.train import readable_time, train, training_time
from lmc.store import results
from lmc.store.files import check_writable
from lmc.store.identity import identify
from lmc.store.provenance import provenance
from lmc.store.records import Record
from lmc.store.records import Reproduce as Reproduced

if TYPE_CHECKING:
    import pandas as pd


def run(settings: Reproduce, talk: Talk) -> Outcome:
    """Train what is not stored, measure every case, judge the claims."""
    if settings.listing:
        return _listing(settings)
    name = _name(settings)
    definition = resize(read(name), settings)
    wanted = cases(definition)
    plans = {
        case: make_plan(_settings(settings, definition, own))
        for case, own in wanted.items()
        if "start" not in own
    }
    folder = study_folder(settings, name, definition)
    check_writable(folder)
    _announce(name, definition, len(wanted), plans, talk)
    train(list(plans.values()), talk)
    started = {
        case: make_plan(_settings(settings, definition, {**own, "start": _start(own["start"], plans)}))
        for case, own in wanted.items()
        if "start" in own
    }
    if started:
        train(list(started.values()), talk)
    plans = {case: {**plans, **started}[case] for case in wanted}
    measured = MEASURES[definition["measure"]](plans, definition, talk)
    verdicts = [
        judge(claim["text"], claim["conditions"], measured.quantities) for claim in definition["claims"]
    ]
    tables = {
        **measured.tables,
        "measure": _measure_table(measured.quantities),
        "claim": _claim_table(name, verdicts),
    }
    record = Reproduced(experiment=name, size=settings.size, definition=definition, provenance=provenance())
    results.write(folder, record, tables)
    figure = folder / f"{name}.png"
    save(measured.figure, figure)
    return Outcome(
        "claim", tables, (str(folder),), (measured.summary, _claims(verdicts)), (str(figure), str(folder))
    )


def study_folder(settings: Reproduce, name: str, definition: dict[str, Any]) -> Path:
    """``outputs/reproduce/<name>-<size>-<hash>``; a definition is its own identity, wherever its data lie."""
    identity = identify(_without_place(definition))

    def same(stored: Record) -> bool:
        return (
            isinstance(stored, Reproduced)
            and (stored.experiment, stored.size) == (name, settings.size)
            and _without_place(stored.definition) == identity.content
        )

    store = store_of(settings)
    return store.job("reproduce", store.name("reproduce", f"{name}-{settings.size}", identity, same))


def _without_place(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition without where the data of its runs lie."""
    left_out = {f"data.{key}" for key in LOCATION}
    found: dict[str, Any] = {}
    for key, value in definition.items():
        if key in left_out:
            continue
        if isinstance(value, Mapping):
            inner = {each: item for each, item in value.items() if key != "data" or each not in LOCATION}
            value = _without_place(inner)
        found[key] = value
    return found


def _listing(settings: Reproduce) -> Outcome:
    import pandas as pd

    rows = []
    for name in names():
        definition = resize(read(name), settings)
        listed = cases(definition)
        runs = [merged(definition["runs"], own) for own in listed.values()]
        rows.append(
            {
                "experiment": name,
                "title": definition["title"],
                "data": " ".join(dict.fromkeys(each["data"]["name"] for each in runs)),
                "cases": len(listed),
                "runs": sum(len(seed_list(each["seeds"])) for each in runs),
                "claims": len(definition["claims"]),
            }
        )
    shown = pd.DataFrame(rows).astype(str)
    table = frame("experiment", rows)
    note = (
        "lmc reproduce NAME size=tiny|small|full; lmc train experiment=NAME/CASE trains one case as published"
    )
    summary = Summary(f"named experiments, size={settings.size}", shown, (note,))
    return Outcome("experiment", {"experiment": table}, tuple(names()), (summary,))


def _name(settings: Reproduce) -> str:
    if len(settings.references) != 1:
        raise SettingError("name one experiment", "lmc reproduce NAME; there are: " + ", ".join(names()))
    return settings.references[0]


def _settings(settings: Reproduce, definition: Mapping[str, Any], case: Mapping[str, Any]) -> Train:
    common = {key: getattr(settings, key) for key in ("outputs", "device", "threads", "force")}
    return compose(Train, {**merged(definition["runs"], case), **common})


def _start(reference: str, plans: Mapping[str, Plan]) -> str:
    """``CASE@EPOCH`` as a reference to the runs of that case."""
    case, _, epoch = reference.partition("@")
    return f"{plans[case].experiment.name}@{epoch}"


def _announce(
    name: str, definition: Mapping[str, Any], count: int, plans: Mapping[str, Plan], talk: Talk
) -> None:
    """What remains to be trained, and how long a few steps of it say that it takes."""
    total = sum(len(plan.seeds) for plan in plans.values())
    remaining = sum(len(plan.pending()) for plan in plans.values())
    dependent = count - len(plans)
    notes = [f"{name}: {definition['title']}; {count} cases, {remaining} of {total} runs to train"]
    if remaining:
        notes.append(f"about {readable_time(training_time(list(plans.values())))} of training")
    if dependent:
        notes.append(f"then {dependent} cases that start from these")
    talk.say("; ".join(notes))


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
