"""A stand-in for ``lmc.jobs.run``: checks the settings as the real one does, then answers at once."""

from __future__ import annotations

import math
import os
from typing import Any

NAME = "digits-mlp-{variant}-1f3a9c02"


def run(command: str, given: dict[str, Any], talk: Any = None) -> Any:
    import pandas as pd

    from lmc.core.errors import Interrupted, JobError
    from lmc.jobs.protocol.commands import COMMANDS
    from lmc.jobs.protocol.composing import compose
    from lmc.jobs.protocol.outcome import Outcome
    from lmc.summaries import Summary

    settings = compose(COMMANDS[command].settings, given)
    variant = given.get("variant", {}).get("name", "standard")
    match os.environ.get("LMC_FAKE", ""):
        case "bug":
            raise ValueError("boom\nand more")
        case "stop":
            raise Interrupted("stopped after epoch 3", "the same command goes on")
        case "key":
            raise KeyboardInterrupt
        case failing if failing == variant:
            raise JobError("boom", "try again")
    name = NAME.format(variant=variant)
    talk.say(f"training {name}")
    talk.warn("one thread")
    with talk.progress("epochs", 2) as bar:
        bar.advance()
        bar.note("loss 0.3")
    table = pd.DataFrame(
        {
            "experiment": [name, name],
            "seed": [0, 1],
            "loss": [0.1 + 0.2, math.nan],
            "done": [True, False],
            "note": ["a|b", None],
        }
    )
    many = pd.DataFrame({"experiment": [name] * 20000})
    tables = {"run": many if os.environ.get("LMC_FAKE") == "many" else table}
    file = os.path.join(getattr(settings, "outputs", None) or "", "train", name)
    return Outcome(
        main="run",
        tables=tables,
        references=(name,),
        summaries=(Summary("Runs", table, ("a note [x]",)),),
        files=(file,),
    )
