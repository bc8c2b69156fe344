"""A named experiment at a size: its cases as plans, its claims, and where its results go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmc.core.errors import SettingError
from lmc.core.schema import frame
from lmc.data import LOCATION
from lmc.jobs.opening.folders import store_of
from lmc.jobs.planning.carrying_out import train, training_time
from lmc.jobs.planning.plan import Plan, make_plan
from lmc.jobs.protocol.commands.measuring import Reproduce
from lmc.jobs.protocol.commands.running import Train
from lmc.jobs.protocol.composing import compose, seed_list
from lmc.jobs.protocol.experiments import cases, merged, names, read, resize
from lmc.jobs.protocol.machine import readable_time
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.claims import Claim
from lmc.store.files import check_writable
from lmc.store.identity import identify
from lmc.store.provenance import provenance
from lmc.store.records import Record
from lmc.store.records import Reproduce as Reproduced
from lmc.summaries import studies as words


@dataclass(frozen=True)
class Study:
    """A named experiment, checked before anything is trained.

    Attributes:
        first: plans of the cases that start from nothing.
        dependent: settings of the cases that start from the runs of others, which must be trained first.
    """

    name: str
    settings: Reproduce
    definition: Mapping[str, Any]
    claims: list[Claim]
    first: dict[str, Plan]
    dependent: dict[str, dict[str, Any]]
    folder: Path

    @classmethod
    def open(cls, settings: Reproduce) -> Study:
        """Raises LmcError: no such experiment, a claim that cannot be read, or a case that cannot be made."""
        if len(settings.references) != 1:
            raise SettingError("name one experiment", "lmc reproduce NAME; there are: " + ", ".join(names()))
        (name,) = settings.references
        definition = resize(read(name), settings)
        claims = [Claim.parse(claim["text"], claim["conditions"]) for claim in definition["claims"]]
        listed = {case: merged(definition["runs"], own) for case, own in cases(definition).items()}
        first = {case: _plan(settings, own) for case, own in listed.items() if "start" not in own}
        dependent = {case: own for case, own in listed.items() if "start" in own}
        folder = study_folder(settings, name, definition)
        check_writable(folder)
        return cls(name, settings, definition, claims, first, dependent, folder)

    @property
    def record(self) -> Reproduced:
        """What is kept beside the results."""
        return Reproduced(
            experiment=self.name,
            size=self.settings.size,
            definition=dict(self.definition),
            provenance=provenance(),
        )

    def announce(self, talk: Talk) -> None:
        """Say what remains to be trained, and how long a few steps of it say that it takes."""
        plans = list(self.first.values())
        total = sum(len(plan.seeds) for plan in plans)
        remaining = sum(len(plan.pending()) for plan in plans)
        count = len(plans) + len(self.dependent)
        notes = [
            f"{self.name}: {self.definition['title']}; {count} cases, {remaining} of {total} runs to train"
        ]
        if remaining:
            notes.append(f"about {readable_time(training_time(plans))} of training")
        if self.dependent:
            notes.append(f"then {len(self.dependent)} cases that start from these")
        talk.say("; ".join(notes))

    def started(self, talk: Talk) -> dict[str, Plan]:
        """All plans in the order of the cases, after training those that start from others."""
        made = {
            case: _plan(self.settings, {**own, "start": self._start(own["start"])})
            for case, own in self.dependent.items()
        }
        if made:
            train(list(made.values()), talk)
        return {case: {**self.first, **made}[case] for case in cases(self.definition)}

    def _start(self, reference: str) -> str:
        """``CASE@EPOCH`` as a reference to the runs of that case."""
        case, _, epoch = reference.partition("@")
        return f"{self.first[case].experiment.name}@{epoch}"


def _plan(settings: Reproduce, case: Mapping[str, Any]) -> Plan:
    common = {key: getattr(settings, key) for key in ("outputs", "device", "threads", "force")}
    return make_plan(compose(Train, {**case, **common}))


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


def listing(settings: Reproduce) -> Outcome:
    """The named experiments (table ``experiment``)."""
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
    return Outcome(
        main="experiment",
        tables={"experiment": frame("experiment", rows)},
        references=tuple(names()),
        summaries=(words.listing(settings.size, rows),),
    )
