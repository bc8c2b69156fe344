"""``lmc predict``: will neurons be identifiable? From D, f and the data, before any training."""

from __future__ import annotations

from lmc.jobs.measuring.predictions import predict, prediction_folder
from lmc.jobs.opening.data import tell
from lmc.jobs.planning.plan import untrained
from lmc.jobs.protocol.commands.measuring import Predict
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.store import files, results
from lmc.summaries.layers import prediction


def run(settings: Predict, talk: Talk) -> Outcome:
    """The table ``prediction``, one row per layer."""
    plan = untrained(settings, settings.seeds)
    tell(plan.dataset, talk)
    folder, record = prediction_folder(settings, plan)
    files.check_writable(folder)
    table = predict(plan, settings, talk)
    results.write(folder, record, {"prediction": table})
    words = prediction(plan.experiment.name, len(plan.seeds), table)
    return Outcome(
        main="prediction",
        tables={"prediction": table},
        references=(str(folder),),
        summaries=(words,),
        files=(str(folder),),
    )
