"""``lmc check``: can these runs be averaged? A verdict, and the numbers that decide it (THEORY 4)."""

from __future__ import annotations

from lmc.jobs.aligning.lineup import line_up, matchings_of, pairs_in
from lmc.jobs.aligning.matcher import NONE, Matcher
from lmc.jobs.aligning.pair import each_aligned
from lmc.jobs.measuring.gains import gains
from lmc.jobs.measuring.gaps import Gap
from lmc.jobs.measuring.judging import ALIGNED
from lmc.jobs.measuring.neurons import all_match_tables
from lmc.jobs.measuring.pairwise import PairMeasure, inner_alphas, measure_pairs
from lmc.jobs.measuring.paths.line import Line
from lmc.jobs.measuring.verdicts import check_table, judged
from lmc.jobs.opening.job import open_pairs
from lmc.jobs.protocol.commands.running import Check
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk


def run(settings: Check, talk: Talk) -> Outcome:
    """Match, scan and take apart every pair, unaligned and aligned.

    Tables ``check``, ``barrier``, ``match``, ``path`` and ``gap``, the last at alpha 1/2.
    """
    inner_alphas(settings.alphas, "a barrier lies between the ends")
    measures: list[PairMeasure] = [Line(settings), Gap([0.5], settings.split)]
    matchers = [Matcher.bind({"name": name}) for name in ALIGNED]
    job = open_pairs("check", settings, talk)
    lineups = line_up(job)
    gained = {key: gain for lineup in lineups for key, gain in gains(lineup, settings.split).items()}
    steps = pairs_in(lineups) * (1 + len(matchers))
    with talk.progress("checking", steps) as bar:
        match = all_match_tables(lineups, matchers[-1])["match"]
        tables = measure_pairs(each_aligned(lineups, [NONE, *matchers]), measures, bar)
    found = judged(settings, {**tables, "match": match}, gained)
    tables = {**tables, "match": match, "check": check_table(found)}
    matched = matchings_of(lineups)
    return job.finish(tables, "check", [each.summary() for each in found], matched=matched)
