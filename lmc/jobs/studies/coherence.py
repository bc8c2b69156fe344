"""The coherence experiment: midpoint barrier against the coherence of the data (THEORY 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.statistics import estimate, rank_correlation
from lmc.core.tables import concatenate
from lmc.figures import coherence as figure
from lmc.jobs.aligning.lineup import Matcher
from lmc.jobs.path import alpha_list, barrier_table, scan_pair
from lmc.jobs.planning.plan import Plan
from lmc.summaries import Summary
from lmc.jobs.protocol.pairing import run_pairs
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import Definition, Measured, Quantities, lineup

if TYPE_CHECKING:
    import pandas as pd


def coherence(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantities ``embedding:midpoint:copies`` (all outer seeds) and ``embedding:spearman:coherence``."""
    none = Matcher.bind({"name": "none"})
    alphas = alpha_list(definition["alphas"])
    parts = []
    with talk.progress("scanning", len(plans)) as bar:
        for plan in plans.values():
            ready = lineup(plan, definition, none, talk)
            parts += [scan_pair(ready, a, b, none, alphas, None) for a, b in ready.pairs]
            bar.advance()
    path = concatenate("path", parts)
    barriers = barrier_table(path)
    placed = _placed(barriers[barriers["split"] == definition["split"]], plans)
    quantities = _quantities(placed)
    tables = {"path": path, "barrier": barriers}
    return Measured(tables, quantities, _summary(definition, placed, quantities), figure.draw(placed))


def _placed(barriers: pd.DataFrame, plans: Mapping[str, Plan]) -> pd.DataFrame:
    """Barriers with the embedding and the number of copies of their data; coherence is 1 / copies."""
    settings = {plan.experiment.name: plan.settings.data for plan in plans.values()}
    names = barriers["experiment_a"]
    copies = names.map({name: data["copies"] for name, data in settings.items()})
    return barriers.assign(
        embedding=names.map({name: data["embedding"] for name, data in settings.items()}),
        copies=copies,
        coherence=1 / copies,
    )


def _quantities(placed: pd.DataFrame) -> Quantities:
    found: Quantities = {}
    for embedding, curve in placed.groupby("embedding", sort=False):
        for copies, part in curve.groupby("copies"):
            pairs = run_pairs(part)
            found[str(embedding), "midpoint", str(copies)] = estimate(part["midpoint_barrier"], pairs)
        means = curve.groupby("coherence")["midpoint_barrier"].mean()
        rho = rank_correlation(means.index.tolist(), means.tolist())
        found[str(embedding), "spearman", "coherence"] = rho
    return found


def _summary(definition: Definition, placed: pd.DataFrame, found: Quantities) -> Summary:
    import pandas as pd

    rows = []
    for copies in sorted(placed["copies"].unique()):
        row = {"coherence": f"1/{copies}"}
        for embedding in dict.fromkeys(placed["embedding"]):
            row[f"midpoint barrier, {embedding}"] = str(found[embedding, "midpoint", str(copies)])
        rows.append(row)
    count = placed.groupby(["embedding", "copies"]).size().min()
    note = f"{count} pairs a setting; mean [95 % bootstrap], or the values below three"
    return Summary(str(definition["title"]), pd.DataFrame(rows), (note,))
