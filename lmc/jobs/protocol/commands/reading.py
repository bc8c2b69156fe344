"""Commands over what is stored."""

from __future__ import annotations

from lmc.jobs.protocol.commands.entry import Command

LIST = Command(
    name="list",
    help="List stored runs.",
    examples="""\
lmc list
lmc list 'digits-mlp-w*'
lmc list -q | head -1                            a reference, for another command""",
)

SHOW = Command(
    name="show",
    help="Show the settings of an experiment or a run.",
    examples="""\
lmc show digits-mlp-w
lmc show digits-mlp-w/0 --format json""",
)

TABLE = Command(
    name="table",
    help="Collect one kind of table from all stored jobs.",
    text="""\
Restricted to the jobs that speak of the references, if any are given.

The first word is the kind: history, path, barrier, match, neuron, ...
As latex or markdown it is a table for a paper: means with their intervals, the best in bold.""",
    examples="""\
lmc table barrier                                every barrier there is
lmc table history digits-mlp-w --format csv
lmc table neuron digits-mlp-w --format json
lmc table barrier 'digits-*' --format latex columns=loss_barrier where.split=test""",
)

PLOT = Command(
    name="plot",
    help="Draw stored tables of several experiments together.",
    flags=("out",),
    text="""\
The first word is the kind: barrier, path, match, layer, swap, dynamics, history.
The name of the file says its format: .pdf, .png or .svg.""",
    examples="""\
lmc plot path digits-mlp-w digits-mlp-standard -o paths.pdf
lmc plot barrier 'digits-*' -o barriers.svg      every pair, as it is and aligned
lmc plot history 'digits-*' where.split=train""",
)

REPORT = Command(
    name="report",
    help="Write everything stored about runs as one HTML page.",
    flags=("out",),
    text="""\
Verdict, claims, tables, figures, settings, seeds, and the commands that repeat it.
The page loads nothing from elsewhere. Without a reference it is about all experiments.""",
    examples="""\
lmc report 'digits-*' -o report.html
lmc report -o all.html""",
)

REMOVE = Command(
    name="remove",
    help="Delete runs. Tables and merged runs made from them stay, and are listed.",
    flags=("dry_run",),
    examples="""\
lmc remove digits-mlp-w/3 --dry-run              what would go
lmc remove digits-mlp-w""",
)
