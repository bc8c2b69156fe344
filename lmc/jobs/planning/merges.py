"""What a merge makes: its name and its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lmc.jobs.opening.folders import store_of
from lmc.jobs.opening.runs import Opened
from lmc.jobs.protocol.choices import Choice, stored_choice
from lmc.jobs.protocol.commands.running import Merge
from lmc.store import records
from lmc.store.experiments import Experiment
from lmc.store.identity import Chosen, Identity, identify, stem_of


def merged_as(
    settings: Merge, runs: Sequence[Opened], matcher: Choice, merger: Choice
) -> tuple[Experiment, records.Merge]:
    """The merged experiment: named after its parents, the method and the matcher."""
    first, store = runs[0].record, store_of(settings)
    record = records.Merge(
        experiment="",
        data=first.data,
        model=first.model,
        mask_seed=first.mask_seed,
        data_digest=first.data_digest,
        constraint_digest="",
        sources=[opened.name for opened in runs],
        match=matcher.group,
        merge=merger.group,
        restatistics=settings.restatistics,
        mixed=settings.mixed,
    )
    identity = merge_identity(record, matcher.chosen(), merger.chosen())

    def same(stored: records.Record) -> bool:
        if not isinstance(stored, records.Merge):
            return False
        match = stored_choice("match", stored.match, matcher)
        merge = stored_choice("merge", stored.merge, merger)
        if match is None or merge is None:
            return False
        return merge_identity(stored, match, merge).content == identity.content

    stem = f"{settings.name or stem_of(runs[0].run.experiment.name)}+{merger.name}-{matcher.name}"
    name = store.name("merge", stem, identity, same)
    return store.experiment("merge", name), replace(record, experiment=name)


def merge_identity(record: records.Merge, match: Chosen, merge: Chosen) -> Identity:
    """What a merge's record is of, given its choices as an identity needs them."""
    facts = {"kind": record.kind, "sources": record.sources}
    plain, usual = {"restatistics": record.restatistics}, {"restatistics": None}
    return identify(facts, {"merge": merge, "match": match}, plain, usual)
