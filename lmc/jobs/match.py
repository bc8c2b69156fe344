"""``lmc match``: which neurons are identifiable, and the permutation that aligns the others."""

from __future__ import annotations

from lmc.core.errors import SettingError
from lmc.core.schema import concatenate
from lmc.jobs.aligning.lineup import line_up, matchings_of, pairs_in
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.measuring.neurons import TAUS, all_match_tables, tau_table
from lmc.jobs.measuring.paths.line import Line
from lmc.jobs.opening.job import open_pairs
from lmc.jobs.protocol.commands.running import Match, Path
from lmc.jobs.protocol.outcome import Outcome
from lmc.jobs.protocol.talk import Talk
from lmc.summaries.matches import matches, sensitivity


def run(settings: Match, talk: Talk) -> Outcome:
    """Match the pairs of the references; tables ``match``, ``neuron``, ``layer`` and the permutations."""
    matcher = Matcher.bind(settings.match)
    if settings.sensitivity and "tau" not in matcher.choice.settings:
        raise SettingError(
            "sensitivity=true: only matching by identifiability has a tau", "match=identifiability"
        )
    job = open_pairs("match", settings, talk)
    lineups = line_up(job)
    tables = all_match_tables(lineups, matcher)
    summaries = matches(tables["match"])
    matched = matchings_of(lineups)
    if settings.sensitivity:
        with talk.progress("tau", pairs_in(lineups) * len(TAUS)) as bar:
            line = Line(Path(alphas=25))
            parts = [tau_table(lineup, matcher, line, bar) for lineup in lineups]
        tables["tau"] = concatenate("tau", parts)
        summaries = [*summaries, sensitivity(tables["tau"])]
    return job.finish(tables, "match", summaries, matched=matched)
