"""Commands that read what is stored, and remove it."""

from __future__ import annotations

from dataclasses import dataclass, field

from lmc.jobs.protocol.commands.entry import Command
from lmc.jobs.protocol.commands.shared import Common, Globs, Group, Place, Stored


@dataclass(frozen=True)
class List(Stored):
    """Settings of ``lmc list``: references to restrict it to."""

    references: list[Place] = field(default_factory=list)


LIST = Command(
    name="list",
    settings=List,
    main="run",
    doc="The stored runs (table ``run``).",
    help="List stored runs.",
    examples="""\
lmc list
lmc list 'digits-mlp-w*'
lmc list -q | head -1                            a reference, for another command""",
)


@dataclass(frozen=True)
class Show(Stored):
    """Settings of ``lmc show``."""

    references: list[Place] = field(default_factory=list)


SHOW = Command(
    name="show",
    settings=Show,
    main="setting",
    doc="A stored run's or experiment's settings, one row per key (table ``setting``).",
    help="Show the settings of an experiment or a run.",
    examples="""\
lmc show digits-mlp-w
lmc show digits-mlp-w/0 --format json""",
)


@dataclass(frozen=True)
class Table(Stored):
    """Settings of ``lmc table KIND [REFERENCE ...]``; the first reference is the kind.

    ``where``: values that a column must have (``where.split=test``). ``columns``: the quantities wanted;
    null takes all.
    """

    references: list[Place] = field(default_factory=list)
    columns: Globs | None = None
    where: Group = field(default_factory=dict)


TABLE = Command(
    name="table",
    settings=Table,
    doc="One kind of table, collected from every stored job that speaks of the references.",
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


@dataclass(frozen=True)
class Plot(Stored):
    """Settings of ``lmc plot KIND [REFERENCE ...]``; the first reference is the kind.

    ``out``: the file, which ends in .pdf, .png or .svg; null is KIND.png. ``where``: values that a column
    must have (``where.match=none``).
    """

    references: list[Place] = field(default_factory=list)
    out: Place | None = None
    where: Group = field(default_factory=dict)


PLOT = Command(
    name="plot",
    settings=Plot,
    main="figure",
    doc="Draw stored tables of several experiments into ``out``; what it shows (table ``figure``).",
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


@dataclass(frozen=True)
class Report(Stored):
    """Settings of ``lmc report``: references to restrict it to. ``out``: the HTML file."""

    references: list[Place] = field(default_factory=list)
    out: Place = "report.html"


REPORT = Command(
    name="report",
    settings=Report,
    main="run",
    doc="Write one HTML page, ``out``, about the references' runs; these runs (table ``run``).",
    help="Write everything stored about runs as one HTML page.",
    flags=("out",),
    text="""\
Verdict, claims, tables, figures, settings, seeds, and the commands that repeat it.
The page loads nothing from elsewhere. Without a reference it is about all experiments.""",
    examples="""\
lmc report 'digits-*' -o report.html
lmc report -o all.html""",
)


@dataclass(frozen=True)
class Explain(Common):
    """Settings of ``lmc explain``: the words of one term."""

    references: list[Place] = field(default_factory=list)


EXPLAIN = Command(
    name="explain",
    settings=Explain,
    main="explanation",
    doc="What a term, table, column or part means (table ``explanation``).",
    help="Say what a term, a table, a column or a choice means.",
    words="term",
    text="""\
Definition, formula, range, what large and small values mean, and the source.
Without a term: the list of all.""",
    examples="""\
lmc explain identifiability ratio
lmc explain table match                          every column of a table
lmc explain barrier.loss_barrier                 one column
lmc explain activation                           a matcher, and its settings
lmc explain theory 4                             a section of the theory page""",
)


@dataclass(frozen=True)
class Remove(Stored):
    """Settings of ``lmc remove``."""

    references: list[Place] = field(default_factory=list)
    dry_run: bool = False


REMOVE = Command(
    name="remove",
    settings=Remove,
    main="run",
    doc="Delete runs (table ``run``: what was deleted).",
    help="Delete runs. Tables and merged runs made from them stay, and are listed.",
    flags=("dry_run",),
    examples="""\
lmc remove digits-mlp-w/3 --dry-run              what would go
lmc remove digits-mlp-w""",
)
