"""``lmc path``: losses between runs, on the line of weights or of hidden states, and the gap of both."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lmc import paths
from lmc.core.errors import SettingError
from lmc.core.statistics import estimate
from lmc.core.tables import columns, concatenate, frame
from lmc.figures import gap as gap_figure
from lmc.figures import path as figure
from lmc.figures import representation as representation_figure
from lmc.figures.writing import save
from lmc.jobs.aligning.lineup import Lineup, Matcher
from lmc.jobs.aligning.pair import Aligned, named_split
from lmc.jobs.measuring.gaps import gap_table
from lmc.jobs.measuring.gaps import summaries as gap_summaries
from lmc.jobs.measuring.layers import chosen_layers
from lmc.jobs.measuring.representations import chosen_cuts, representation_table
from lmc.jobs.measuring.representations import summaries as representation_summaries
from lmc.jobs.opening.data import use_device
from lmc.jobs.opening.folders import pair_folder
from lmc.jobs.opening.pairs import pair_sets
from lmc.jobs.protocol.outcome import Outcome, Summary, Talk
from lmc.jobs.protocol.pairing import INTERVAL, pair_count, run_pairs
from lmc.jobs.protocol.settings import Path
from lmc.store import results
from lmc.store.files import check_writable
from lmc.store.records import Job

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")
BARRIERS = [name for name in columns("barrier") if name.endswith(("barrier", "barrier_max", "drop"))]


def run(settings: Path, talk: Talk) -> Outcome:
    """Take every pair unaligned, and aligned where a matcher is set.

    Tables ``path`` and ``barrier``, or ``representation``; and ``gap`` where it is asked for.
    """
    alphas = alpha_list(settings.alphas)
    matcher = Matcher.bind(settings.match)
    sets = pair_sets(settings, talk)
    folder, record = pair_folder("path", settings, sets)
    check_writable(folder)
    device = use_device(settings.device, settings.threads)
    lineups = [pairs.lineup(matcher, device, talk) for pairs in sets]
    cuts = [_check_layers(settings, lineup) for lineup in lineups]
    matchers = unaligned_and(matcher)
    total = sum(len(lineup.pairs) for lineup in lineups) * len(matchers)
    again = settings.restatistics
    parts: dict[str, list[pd.DataFrame]] = {settings.kind.replace("line", "path"): []}
    if settings.gap:
        parts["gap"] = []
    with talk.progress("scanning", total) as bar:
        for lineup, places in zip(lineups, cuts, strict=True):
            for a, b in lineup.pairs:
                for each in matchers:
                    pair = Aligned.of(lineup, a, b, each)
                    if settings.kind == "line":
                        parts["path"].append(scan_aligned(pair, alphas, again))
                    else:
                        parts["representation"].append(representation_table(pair, places, alphas, again))
                    if settings.gap:
                        table = gap_table(pair, alphas, settings.split, settings.layers, again)
                        parts["gap"].append(table)
                    bar.advance()
    return _finish(
        settings, {kind: concatenate(kind, found) for kind, found in parts.items()}, folder, record
    )


def _check_layers(settings: Path, lineup: Lineup) -> list[paths.Cut]:
    """What the settings choose of a network, before anything is computed; the cuts for representations."""
    if settings.gap or settings.kind == "representation":
        named_split(lineup.dataset, settings.split)
    if settings.gap:
        chosen_layers(lineup.network, settings.layers)
        if len(alpha_list(settings.alphas)) < 3:
            raise SettingError(f"alphas={settings.alphas}: at both ends there is no gap", "alphas=3 or more")
    if settings.kind == "line":
        return []
    return chosen_cuts(lineup.network, lineup.dataset, settings.layers)


def _finish(settings: Path, tables: dict[str, pd.DataFrame], folder: pathlib.Path, record: Job) -> Outcome:
    """Store the tables, draw them, and say what they say."""
    if settings.kind == "line":
        tables["barrier"] = barrier_table(tables["path"])
        drawn = {"path": figure.draw(tables["path"])}
        shown, main = summaries(tables["barrier"]), "barrier"
    else:
        table = tables["representation"]
        drawn = {"representation": representation_figure.draw(table, settings.split)}
        shown, main = representation_summaries(table, settings.split), "representation"
    if settings.gap:
        drawn["gap"] = gap_figure.draw(tables["gap"])
        shown, main = [*shown, *gap_summaries(tables["gap"])], "gap"
    results.write(folder, record, tables)
    for name, each in drawn.items():
        save(each, folder / f"{name}.png")
    files = (*(str(folder / f"{name}.png") for name in drawn), str(folder))
    return Outcome(main, tables, (str(folder),), tuple(shown), files)


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
    lineup: Lineup,
    a: int,
    b: int,
    matcher: Matcher,
    alphas: Sequence[float],
    restatistics: bool | None,
    splits: Sequence[str] = SPLITS,
) -> pd.DataFrame:
    """The table ``path`` of one pair under one matcher, on the splits that have samples."""
    return scan_aligned(Aligned.of(lineup, a, b, matcher), alphas, restatistics, splits)


def scan_aligned(
    pair: Aligned, alphas: Sequence[float], restatistics: bool | None, splits: Sequence[str] = SPLITS
) -> pd.DataFrame:
    """The table ``path`` of one aligned pair."""
    task, statistics = pair.dataset.task, pair.statistics(restatistics)
    chosen = {name: split for name, split in pair.splits.items() if name in splits}
    found = paths.scan(pair.network, pair.a, pair.b, alphas, chosen, task.losses, task.correct, statistics)
    rows = [
        {**pair.which, "split": split, "alpha": alpha, "loss": loss, "accuracy": accuracy}
        for split, (losses, accuracies) in found.items()
        for alpha, loss, accuracy in zip(alphas, losses.tolist(), accuracies.tolist(), strict=True)
    ]
    return frame("path", rows)


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
