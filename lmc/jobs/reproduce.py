"""``lmc reproduce``: a named experiment from training to claims."""

from __future__ import annotations

from pathlib import Path

from lmc.figures.writing import save
from lmc.jobs.planning.carrying_out import train
from lmc.jobs.protocol.commands.measuring import Reproduce
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies import MEASURES
from lmc.jobs.studies.claims import claim_table, measure_table
from lmc.jobs.studies.controls import judge
from lmc.jobs.studies.study import Study, listing
from lmc.store import results
from lmc.summaries.studies import claims


def run(settings: Reproduce, talk: Talk) -> Outcome:
    """Train what is not stored, measure every case, judge the claims."""
    if settings.listing:
        return listing(settings)
    study = Study.open(settings)
    study.announce(talk)
    train(list(study.first.values()), talk)
    plans = study.started(talk)
    measured = MEASURES[study.definition["measure"]](plans, study.definition, talk)
    judged = judge(study, plans, measured, talk)
    tables = {
        **measured.tables,
        "measure": measure_table(measured.quantities),
        "claim": claim_table(study.name, judged),
    }
    results.write(study.folder, study.record, tables)
    figure = Path(study.folder) / f"{study.name}.png"
    save(measured.figure, figure)
    return Outcome(
        main="claim",
        tables=tables,
        references=(str(study.folder),),
        summaries=(measured.summary, claims(judged)),
        files=(str(figure), str(study.folder)),
    )
