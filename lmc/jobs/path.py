"""``lmc path``: losses on the straight line between runs, and every barrier by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmc import paths
from lmc.core.errors import SettingError
from lmc.core.statistics import estimate
from lmc.core.tables import columns, concatenate, frame
from lmc.figures import path as figure
from lmc.figures.writing import save
from lmc.jobs.alignment import Lineup, Matcher
from lmc.jobs.loading import use_device
from lmc.jobs.naming import job_folder
from lmc.jobs.outcome import Outcome, Summary, Talk
from lmc.jobs.pairing import INTERVAL, pair_count, run_pairs
from lmc.jobs.pairs import pair_sets
from lmc.jobs.runs import pair_columns
from lmc.jobs.settings import Path
from lmc.models.stack import batch_norms
from lmc.store import results
from lmc.store.files import check_writable

if TYPE_CHECKING:
    import pandas as pd

BARRIERS = [name for name in columns("barrier") if name.endswith(("barrier", "barrier_max", "drop"))]


def run(settings: Path, talk: Talk) -> Outcome:
    """Scan every pair unaligned, and aligned where a matcher is set; tables ``path`` and ``barrier``."""
    alphas = alpha_list(settings.alphas)
    matcher = Matcher.bind(settings.match)
    sets = pair_sets(settings, talk)
    runs = [opened for pairs in sets for opened in pairs.runs]
    folder, record = job_folder("path", settings, runs, match=matcher.choice)
    check_writable(folder)
    device = use_device(settings.device, settings.threads)
    matchers = unaligned_and(matcher)
    total = sum(len(pairs.pairs) for pairs in sets) * len(matchers)
    parts = []
    with talk.progress("scanning", total) as bar:
        for pairs in sets:
            lineup = pairs.lineup(matcher, device, talk)
            for a, b in pairs.pairs:
                for each in matchers:
                    parts.append(scan_pair(lineup, a, b, each, alphas, settings.restatistics))
                    bar.advance()
    tables = {"path": concatenate("path", parts)}
    tables["barrier"] = barrier_table(tables["path"])
    results.write(folder, record, tables)
    save(figure.draw(tables["path"]), folder / "path.png")
    shown = summaries(tables["barrier"])
    return Outcome("barrier", tables, (str(folder),), tuple(shown), (str(folder / "path.png"), str(folder)))


def unaligned_and(matcher: Matcher) -> list[Matcher]:
    """The runs as they are always, then aligned where a matcher is set."""
    none = Matcher.bind({"name": "none"})
    return [none] if matcher.choice.name == "none" else [none, matcher]


def alpha_list(alphas: int | list[float]) -> list[float]:
    """A count of equally spaced points, or a list.

    Raises:
        SettingError: fewer than two points, or a list that does not run from 0 to 1.
    """
    if isinstance(alphas, int):
        if alphas < 2:
            raise SettingError(f"alphas={alphas}: a path has at least its two ends", "alphas=25")
        return [i / (alphas - 1) for i in range(alphas)]
    points = sorted(set(alphas))
    if len(points) < 2 or points[0] != 0 or points[-1] != 1:
        raise SettingError(
            f"alphas={alphas}: barriers need both ends", "a list from 0 to 1, such as [0,0.5,1]"
        )
    return points


def scan_pair(
    lineup: Lineup, a: int, b: int, matcher: Matcher, alphas: Sequence[float], restatistics: bool | None
) -> pd.DataFrame:
    """The table ``path`` of one pair under one matcher."""
    state = lineup.states[b]
    if matcher.choice.name != "none":
        _, permutations = matcher(lineup.evidence([a, b]))
        state = lineup.aligned(b, permutations)
    data, network = lineup.dataset, lineup.network.to(lineup.device)
    again = bool(batch_norms(network)) if restatistics is None else restatistics
    found = paths.scan(
        network,
        _on(lineup.states[a], lineup.device),
        _on(state, lineup.device),
        alphas,
        {name: (split.inputs, split.targets) for name, split in data.splits.items() if len(split)},
        data.task.losses,
        data.task.correct,
        data.train.inputs if again else None,
    )
    which = pair_columns(lineup.runs[a], lineup.runs[b])
    rows = [
        {**which, "match": matcher.label, "split": split, "alpha": alpha, "loss": loss, "accuracy": accuracy}
        for split, (losses, accuracies) in found.items()
        for alpha, loss, accuracy in zip(alphas, losses.tolist(), accuracies.tolist(), strict=True)
    ]
    return frame("path", rows)


def _on(state: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in state.items()}


def barrier_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table ``barrier`` of a table ``path``."""
    keys = [name for name in columns("path") if name not in ("alpha", "loss", "accuracy")]
    rows: list[dict[str, Any]] = []
    for values, part in table.groupby(keys, sort=False):
        points = part.sort_values("alpha")
        found = paths.barriers(*(points[name].to_numpy() for name in ("alpha", "loss", "accuracy")))
        rows.append({**dict(zip(keys, values, strict=True)), **found})
    return frame("barrier", rows)


def summaries(table: pd.DataFrame) -> list[Summary]:
    """Per experiment: every barrier's mean over pairs with its interval, by matcher and split."""
    import pandas as pd

    found = []
    for names, part in table.groupby(["experiment_a", "experiment_b"], sort=False):
        rows = []
        for (match, split), group in part.groupby(["match", "split"], sort=False):
            pairs = run_pairs(group)
            barriers = {name.replace("_", " "): str(estimate(group[name], pairs)) for name in BARRIERS}
            rows.append({"match": match, "split": split, **barriers})
        title = " and ".join(dict.fromkeys(map(str, names)))
        notes = (f"{pair_count(part)}; {INTERVAL}",)
        found.append(Summary(title, pd.DataFrame(rows), notes))
    return found
