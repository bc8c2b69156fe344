"""The coherence experiment: midpoint barrier against the coherence of the data (THEORY 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.ranks import rank_correlation
from lmc.core.statistics import estimate
from lmc.figures import coherence as figure
from lmc.jobs.aligning.matcher import NONE
from lmc.jobs.aligning.pair import each_aligned
from lmc.jobs.measuring.pairwise import measure_pairs
from lmc.jobs.measuring.paths.line import Line
from lmc.jobs.planning.plan import Plan
from lmc.jobs.protocol.commands.running import Path
from lmc.jobs.protocol.talk import Talk
from lmc.jobs.studies.measured import Definition, Measured, Quantities, learnt, lineup
from lmc.summaries import studies as words

if TYPE_CHECKING:
    import pandas as pd


def coherence(plans: Mapping[str, Plan], definition: Definition, talk: Talk) -> Measured:
    """Quantities ``embedding:midpoint:copies`` (all outer seeds) and ``embedding:spearman:coherence``."""
    line = Line(Path(alphas=definition["alphas"]))
    by_case = {case: lineup(plan, definition, talk) for case, plan in plans.items()}
    lineups = list(by_case.values())
    with talk.progress("scanning", sum(len(ready.pairs) for ready in lineups)) as bar:
        tables = measure_pairs(each_aligned(lineups, [NONE]), [line], bar)
    barriers = tables["barrier"]
    placed = _placed(barriers[barriers["split"] == definition["split"]], plans)
    quantities = _quantities(placed)
    summary = words.coherence(str(definition["title"]), placed, quantities)
    known: Quantities = {}
    for case, plan in plans.items():
        known.update(learnt(case, plan, definition, by_case[case].dataset))
    other = _quantities(_exchanged(placed)) | known
    return Measured(tables, quantities | known, summary, figure.draw(placed), other)


def _placed(barriers: pd.DataFrame, plans: Mapping[str, Plan]) -> pd.DataFrame:
    """Barriers with the embedding and copies of their data, coherence 1 / copies, and the outer seed."""
    settings = {plan.experiment.name: plan.settings.data for plan in plans.values()}
    names = barriers["experiment_a"]
    copies = names.map({name: data["copies"] for name, data in settings.items()})
    outer = names.map({plan.experiment.name: plan.settings.mask_seed for plan in plans.values()})
    return barriers.assign(
        embedding=names.map({name: data["embedding"] for name, data in settings.items()}),
        copies=copies,
        coherence=1 / copies,
        outer=outer,
    )


def _exchanged(placed: pd.DataFrame) -> pd.DataFrame:
    """The same barriers under the numbers of copies in reverse."""
    copies = sorted(placed["copies"].unique())
    other = placed["copies"].map(dict(zip(copies, reversed(copies), strict=True)))
    return placed.assign(copies=other, coherence=1 / other)


def _quantities(placed: pd.DataFrame) -> Quantities:
    """Outer seeds are the units: the pairs of one share masks and data; rho is that of each outer seed."""
    found: Quantities = {}
    for embedding, curve in placed.groupby("embedding", sort=False):
        for copies, part in curve.groupby("copies"):
            outer = part["outer"].tolist()
            found[str(embedding), "midpoint", str(copies)] = estimate(part["midpoint_barrier"], outer=outer)
        means = curve.groupby(["outer", "coherence"], as_index=False)["midpoint_barrier"].mean()
        by_outer = [
            rank_correlation(own["coherence"].tolist(), own["midpoint_barrier"].tolist()).mean
            for _, own in means.groupby("outer")
        ]
        found[str(embedding), "spearman", "coherence"] = estimate(by_outer)
    return found
