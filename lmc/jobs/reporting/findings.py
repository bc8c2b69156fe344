"""What stored results say, in the words of a report: verdicts, claims, and what is missing."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc.core.digits import shown
from lmc.core.errors import LmcError
from lmc.core.schema import TABLES
from lmc.core.statistics import Estimate
from lmc.figures.report import ClaimCard, ClaimLine, Entry, Header, Problem, Sheet, VerdictCard, entry
from lmc.jobs.reporting import commands as repeat
from lmc.store import files
from lmc.store.experiments import Experiment, Run
from lmc.store.records import SETTINGS, Reproduce, read_as
from lmc.store.references import flatten
from lmc.summaries.studies import score

if TYPE_CHECKING:
    import pandas as pd

_MOODS = {"needs no alignment": "good", "needs alignment": "fair", "not linearly mergeable": "bad"}
_SHARES = {
    "relative_none": "as they are",
    "relative_activation": "aligned by activation",
    "relative_identifiability": "aligned by identifiability",
}


def verdicts(check: pd.DataFrame, pairable: Sequence[Experiment]) -> list[VerdictCard]:
    """The stored verdicts; for experiments of several runs without one, how to get it."""
    told = [setting.name for setting in TABLES["check"].settings if setting.name in check]
    found = []
    for names, part in check.groupby(["experiment_a", "experiment_b", *told], sort=False):
        which = [f"{key} {text}" for key, text in zip(told, names[2:], strict=True)]
        found.append(_card(", ".join([" and ".join(dict.fromkeys(map(str, names[:2]))), *which]), part))
    judged = {*check["experiment_a"], *check["experiment_b"]}
    lacking = [experiment.name for experiment in pairable if experiment.name not in judged]
    if lacking:
        command = " ".join(["lmc check", *lacking])
        found.append(
            VerdictCard(", ".join(lacking), "no verdict yet", "none", "", ("This gives it:",), command)
        )
    if not found:
        text = "A verdict needs an experiment with two finished runs."
        found.append(VerdictCard("these runs", "no verdict", "none", "", (text,)))
    return found


def _card(subject: str, part: pd.DataFrame) -> VerdictCard:
    """One verdict with the numbers behind it."""
    cells: dict[str, Mapping[Any, Any]] = {row["quantity"]: row for row in part.to_dict("records")}
    first = part.iloc[0]
    pairs = int(first["pairs"])
    shares = "; ".join(
        f"{label} {_percent(cells[quantity])}" for quantity, label in _SHARES.items() if quantity in cells
    )
    neurons = [
        f"{_percent(cells[quantity])} {label}"
        for quantity, label in (("identifiable", "by cost"), ("identified", "in fact"))
        if quantity in cells and cells[quantity]["mean"] == cells[quantity]["mean"]
    ]
    lines = [f"Barrier as a share of what training gained: {shares}."]
    if neurons:
        lines.append(f"Identifiable neurons: {', '.join(neurons)}.")
    lines.append(f"{pairs} pair{'s' if pairs != 1 else ''}; mean [95 % interval].")
    verdict = str(first["verdict"])
    hedge = "" if bool(first["certain"]) else "not certain; lmc check says why"
    return VerdictCard(subject, verdict, _MOODS.get(verdict, "none"), hedge, lines)


def _percent(row: Mapping[Any, Any]) -> str:
    values = [100 * float(row[key]) for key in ("mean", "low", "high")]
    means, ends = shown(Estimate(values[0], values[1], values[2], (values[0],)))
    if not means:
        return "undefined"
    return f"{means[0]} %" + (f" [{', '.join(ends)}]" if ends else "")


def problems(states: Mapping[Run, str], tables: Mapping[str, pd.DataFrame]) -> list[Problem]:
    """Runs that did not finish or diverged, and tables that experiments of several runs lack."""
    experiments = dict.fromkeys(run.experiment for run in states)
    return [problem for experiment in experiments for problem in _problems(experiment, states, tables)]


def _problems(
    experiment: Experiment, states: Mapping[Run, str], tables: Mapping[str, pd.DataFrame]
) -> Iterator[Problem]:
    name = experiment.name
    own = {run: status for run, status in states.items() if run.experiment == experiment}
    for run, status in own.items():
        if status == "done":
            continue
        epochs = run.epochs()
        reached = f", last stored epoch {epochs[-1]}" if epochs else ", nothing of it is stored"
        command = "" if status in ("diverged", "running") else repeat.of_experiment(experiment, [run.seed])
        ending = {
            "diverged": ": its loss became infinite or NaN",
            "running": ": a process is working on it now",
        }
        text = f"{run.reference} is {status}{reached}{ending.get(status, '; the same command goes on:')}"
        yield Problem(text, command)
    if sum(status == "done" for status in own.values()) < 2:
        return
    for kind, declared in TABLES.items():
        if declared.wanted and name not in {*tables[kind]["experiment_a"], *tables[kind]["experiment_b"]}:
            yield Problem(f"{name} has no {declared.wanted} stored:", f"{declared.made_by} {name}")


def pairable(states: Mapping[Run, str]) -> list[Experiment]:
    """Experiments with two finished runs, between which a line can be drawn."""
    done = Counter(run.experiment for run, status in states.items() if status == "done")
    return [experiment for experiment, count in done.items() if count > 1]


def claims(outputs: Path, names: Sequence[str] | None) -> list[tuple[ClaimCard, Path, Reproduce]]:
    """The claims of stored named experiments that speak of the named runs (None: all), with their records.

    Raises:
        StoredFileError: a stored file is damaged.
    """
    found = []
    for folder in sorted(item.parent for item in (outputs / "reproduce").glob("*/claim.parquet")):
        if names is not None and not _experiments(folder) & set(names):
            continue
        record = read_as(Reproduce, folder / SETTINGS)
        stated = files.read_table(folder / "claim.parquet")
        listed = [
            ClaimLine(row["claim"], _outcome(row), [*row["numbers"].split("; "), *_control(row)])
            for row in stated.to_dict("records")
        ]
        counted = score([claim.outcome for claim in listed])
        subtitle = f"{record.definition.get('title', '')}; {counted}"
        picture = folder / f"{record.experiment}.png"
        image = base64.b64encode(picture.read_bytes()).decode() if picture.is_file() else ""
        found.append((ClaimCard(folder.name, subtitle, listed, image, _measured(folder)), folder, record))
    return found


def _outcome(row: Mapping[Any, Any]) -> str:
    """As it was judged; tables of old versions know two outcomes only."""
    return str(row.get("outcome") or ("holds" if row["holds"] else "does not hold"))


def _control(row: Mapping[Any, Any]) -> list[str]:
    return [f"must not hold where {row['control']}"] if row.get("control") else []


def _experiments(folder: Path) -> set[str]:
    """Experiments of runs that a folder's tables speak of."""
    found: set[str] = set()
    for path in folder.glob("*.parquet"):
        declared = [column.name for column in TABLES.get(path.stem, ())]
        if path.stem != "claim":
            table = files.read_table(path) if {"experiment", "experiment_a"} & {*declared} else None
            sides = [side for side in ("experiment", "experiment_a", "experiment_b") if side in declared]
            found |= {str(name) for side in sides if table is not None for name in table[side].unique()}
    return found


def _measured(folder: Path) -> Sheet | None:
    path = folder / "measure.parquet"
    if not path.is_file():
        return None
    table = files.read_table(path)
    heads = [
        Header("case"),
        Header("quantity"),
        Header("detail"),
        Header("mean", True),
        Header("values", True),
    ]
    rows = []
    for row in table.to_dict("records"):
        value = Estimate(
            row["mean"], row["low"], row["high"], () if row["mean"] != row["mean"] else (row["mean"],)
        )
        means, ends = shown(value)
        number = Entry(means[0], row["mean"], f"[{', '.join(ends)}]" if ends else "") if means else Entry("–")
        rows.append(
            [entry(row["case"]), entry(row["quantity"]), entry(row["detail"]), number, entry(row["pairs"])]
        )
    return Sheet(f"All {len(rows)} measured quantities", heads, rows, "mean [95 % interval]")


def settings(
    experiments: Sequence[Experiment],
) -> tuple[Sheet | None, list[tuple[str, list[tuple[str, str]]]]]:
    """What tells the experiments apart as a table, and all settings of each."""
    flat: dict[str, dict[str, str]] = {}
    for experiment in experiments:
        try:
            found = flatten(experiment.settings())
        except LmcError as error:
            found = {"settings": f"cannot be read: {error}"}
        flat[experiment.name] = {key: _text(value) for key, value in found.items() if key != "experiment"}
    keys = list(dict.fromkeys(key for found in flat.values() for key in found))
    telling = [
        key
        for key in keys
        if len({found.get(key) for found in flat.values()}) > 1
        and not key.endswith("digest")
        and key != "sources"
    ]
    heads = [Header("experiment"), *map(Header, telling)]
    rows = [[Entry(name), *(Entry(found.get(key, "–")) for key in telling)] for name, found in flat.items()]
    block = Sheet("In which the experiments differ", heads, rows) if telling else None
    return block, [(f"All settings of {name}", list(found.items())) for name, found in flat.items()]


def _text(value: Any) -> str:
    """A setting's value as it is typed, None as what it means."""
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
