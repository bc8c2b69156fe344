"""``lmc path``: losses between runs, on the line of weights or of hidden states, and the gap of both."""

from __future__ import annotations

from lmc.jobs.aligning.lineup import line_up, matchings_of, pairs_in
from lmc.jobs.aligning.matcher import Matcher, unaligned_and
from lmc.jobs.aligning.pair import each_aligned
from lmc.jobs.measuring.gaps import Gap
from lmc.jobs.measuring.pairwise import PairMeasure, measure_pairs
from lmc.jobs.measuring.paths import PATHS
from lmc.jobs.opening.job import open_pairs
from lmc.jobs.protocol.commands.running import Path
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk


def run(settings: Path, talk: Talk) -> Outcome:
    """Take every pair unaligned, and aligned where a matcher is set."""
    measures = _measures(settings)
    matchers = unaligned_and(Matcher.bind(settings.match))
    job = open_pairs("path", settings, talk)
    lineups = line_up(job)
    for lineup in lineups:
        for measure in measures:
            measure.check(lineup)
    total = pairs_in(lineups) * len(matchers)
    with talk.progress("scanning", total) as bar:
        tables = measure_pairs(each_aligned(lineups, matchers), measures, bar)
    return job.finish(
        tables,
        measures[-1].main,
        [summary for measure in measures for summary in measure.summaries(tables)],
        {name: figure for measure in measures for name, figure in measure.figures(tables).items()},
        matchings_of(lineups),
    )


def _measures(settings: Path) -> list[PairMeasure]:
    """The path that is asked for, and the gap."""
    measures = [PATHS[settings.kind](settings)]
    if settings.gap:
        measures.append(Gap(settings.alphas, settings.split, settings.layers, settings.restatistics))
    return measures
