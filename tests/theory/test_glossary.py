"""The glossary parses, refers to what exists, and its formulas are those of the code."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from lmc.core.errors import StoredFileError
from lmc.core.linear_algebra import coherence
from lmc.core.schema import TABLES
from lmc.costs import SwapCost, admissible, bound, swap_cost
from lmc.dynamics import distances, kernel_alignment, kernel_distance, linear_cka
from lmc.matching.identifiability import MatchingObjective, margins
from lmc.paths.barriers import barriers
from lmc.theory.glossary import by_name, glossary, key, parse
from lmc.theory.page import read, sections

ENTRIES = list(dict.fromkeys(glossary().values()))
ASKED = """
identifiability ratio; identifiable; identified; own cost; swap cost; relative swap cost; realisation cost;
admissible; tau; ridge estimate; mahalanobis; beta; coherence; anisotropy; bound; class distance;
effective function class; mask D; centre f; variant; standard; w; syre; sigma; bernoulli; permutation;
permutation group; block; fixed axis; matching objective; optimal; identity; random; activation similarity;
recording point; margin; mutual; constant unit; cross term; additivity gap; feature gap; feature cosine; barrier;
loss barrier; loss barrier max; midpoint barrier; accuracy barrier; relative accuracy drop; alpha; line;
representation merging; head; restatistics; linear mode connectivity; verdict; disjoint pairs;
interval; CKA; update cosine; NTK; NTK alignment; NTK distance; linearisation; linearisation agreement;
linearisation error; agreement; seed; mask_seed; start; reference; experiment; run; checkpoint; claim
"""
ENTRY = "## Group\n\n### term\n\nWhat it is.\n\n- source: theory 1\n"


@pytest.mark.parametrize("term", [" ".join(term.split()) for term in ASKED.split(";")])
def test_what_a_newcomer_lacks_has_an_entry(term: str):
    assert glossary()[key(term)].term == term


def test_every_measured_column_leads_to_an_entry():
    """Numbers that are neither a setting nor a resource."""
    plain = {"learning_rate", "seconds", "megabytes"}
    measured = {c.name for columns in TABLES.values() for c in columns if c.dtype == "float64"}
    assert {name for name in measured - plain if key(name) not in glossary()} == set()


def test_headings_and_parsed_entries_are_as_many():
    assert len(ENTRIES) == len(re.findall("^### ", read("glossary.md"), re.MULTILINE)) > 70


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.term)
def test_sources_name_sections_that_exist(entry):
    numbers = re.findall(r"theory (\d)", entry.source)
    assert set(numbers) <= set(sections())
    assert entry.definition.endswith((".", ")"))


def test_a_well_formed_entry():
    text = ENTRY + "- formula: `a * b`\n  and c\n- range: 0 to 1\n- large: much\n- small: little\n"
    (entry,) = parse(text + "- aliases: Own_name, C[i,j]\n- see: term\n")
    assert (entry.term, entry.group, entry.definition) == ("term", "Group", "What it is.")
    assert (entry.formula, entry.range, entry.large) == ("a * b and c", "0 to 1", "much")
    assert (entry.aliases, entry.see) == (("Own_name", "C[i,j]"), ("term",))
    assert set(by_name([entry])) == {"term", "own name", "c[i,j]"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (ENTRY.replace("What it is.\n", ""), "term: needs a definition"),
        (ENTRY.replace("- source: theory 1\n", ""), "term: needs a definition, and a source"),
        (ENTRY.replace("theory 1", "theory 8"), "and a source of theory n"),
        (ENTRY.replace("theory 1", "hearsay"), "and a source of theory n"),
        (ENTRY.replace("### term", "### "), "an entry without a name"),
        (ENTRY + "- source: theory 2\n", "term: - source: theory 2: expected each of formula"),
        (ENTRY + "- formulae: a\n", "- formulae: a: expected"),
        (ENTRY + "- formula\n", "- formula: expected"),
        (ENTRY + "- range: 0 to 1\n- large: much\n", "large and small go together"),
        (ENTRY + "- large: much\n- small: little\n", "with a range"),
    ],
)
def test_a_malformed_entry_is_refused_by_name(text: str, why: str):
    with pytest.raises(StoredFileError, match=re.escape(why)):
        parse(text)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("- see: nothing\n", "other: see nothing: no such term"),
        ("- see: Alias\n", "other: see Alias: no such term"),
        ("- aliases: TERM\n", "other: TERM is a name of term already"),
        ("- aliases: a-lias\n- see: term\n", "other: a-lias is a name of term already"),
    ],
)
def test_names_are_of_one_entry_and_references_are_terms(line: str, why: str):
    first = ENTRY + "- aliases: Alias, a_lias\n\n"
    second = ENTRY.removeprefix("## Group\n\n").replace("### term", "### other") + line
    with pytest.raises(StoredFileError, match=why):
        by_name(parse(first + second))


def formula(term: str) -> str:
    """A glossary formula as Python: juxtaposed numbers multiply, max_l and min_l go over the grid."""
    text = glossary()[key(term)].formula
    text = re.sub(r"max_l \[(.*)\]$", r"max(\1 for l in grid)", text)
    text = re.sub(r"(max|min)_l ([LA]\(l\))", r"\1(\2 for l in grid)", text)
    text = re.sub(r"(\)|\bl) (?=[LA]\()", r"\1 * ", text)
    return text


@pytest.mark.parametrize(
    "term",
    ["loss barrier", "loss barrier max", "midpoint barrier", "accuracy barrier", "relative accuracy drop"],
)
def test_formulas_of_the_barriers(term: str):
    grid = [0, 0.2, 0.5, 0.75, 1]
    loss, accuracy = [0.3, 0.9, 1.4, 1.6, 0.5], [0.95, 0.6, 0.41, 0.4, 0.8]
    names = {
        "grid": grid,
        "max": max,
        "min": min,
        "L": lambda l: loss[grid.index(l)],  # noqa: E741
        "A": lambda l: accuracy[grid.index(l)],  # noqa: E741
    }
    told = eval(formula(term), names)
    assert told == pytest.approx(barriers(grid, loss, accuracy)[term.replace(" ", "_")])
    assert told > 0.1


def test_formulas_of_costs_and_admissible_pairs():
    cost = torch.rand(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cost.diagonal().mul_(0.4)
    found, own = swap_cost(cost), cost.diagonal()
    told = formula("swap cost").removeprefix("Delta[i, j] = ")
    cheap = admissible([SwapCost(found, own)], tau=0.5)
    assert 4 < cheap.sum() < 16
    for i in range(4):
        for j in range(4):
            names = {"C": cost, "Delta": found, "i": i, "j": j, "tau": 0.5}
            assert float(eval(told, names)) == pytest.approx(float(found[i, j]))
            assert bool(eval(formula("admissible"), names)) == bool(cheap[i, j])


def test_formula_of_the_identifiability_ratio():
    told = eval(formula("identifiability ratio"), {"identity": 0.5, "random": 0.1, "optimal": 0.9})
    assert told == MatchingObjective(optimal=0.9, identity=0.5, random=0.1, random_sd=0.0).ratio == 0.5


def test_formula_of_the_bound():
    draw = torch.Generator().manual_seed(0)
    mask = torch.rand(7, 12, generator=draw) < 0.3
    basis = torch.linalg.qr(torch.randn(12, 3, generator=draw, dtype=torch.float64))[0]
    p = float(mask.double().mean())
    names = {"nu": coherence(basis), "k": 3, "p": p, "B": max(p, 1 - p), "delta": 0.05}
    told = eval(formula("bound").partition(", B =")[0], {**names, "log": math.log, "sqrt": math.sqrt})
    assert told == pytest.approx(bound(mask, basis, 0.05))


def test_formula_of_the_margin():
    similarity = torch.tensor([[0.5, 0.2, 0.1], [0.7, 0.9, 0.3], [0.0, 0.4, 0.2]])
    told = [0.5 - max(0.2, 0.1, 0.7, 0.0), 0.9 - max(0.7, 0.3, 0.2, 0.4), 0.2 - max(0.0, 0.4, 0.1, 0.3)]
    assert margins(similarity).tolist() == pytest.approx(told)
    assert "similarity[i, j], similarity[j, i]" in glossary()["margin"].formula


@pytest.mark.parametrize(
    ("term", "of_code"),
    [
        ("weight distance", lambda a, b: distances({"w": a}, {"w": b}, {"*": ["w"]})["*"]),
        ("NTK distance", kernel_distance),
        ("NTK alignment", kernel_alignment),
    ],
)
def test_formulas_of_distances(term: str, of_code):
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(3, 3)), draw.normal(size=(3, 3))
    told = formula(term).replace("_F", "").replace("A", "a").replace("B", "b")
    told = told.replace("<a, b>", "np.sum(a * b)").replace("||a|| ||b||", "||a|| * ||b||")
    told = re.sub(r"\|\|(.*?)\|\|", r"np.linalg.norm(\1)", told)
    value = eval(told, {"np": np, "a": a, "b": b})
    assert of_code(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(value)


def test_formula_of_cka():
    ab, aa, bb = (np.random.default_rng(0).normal(size=(3, 3)) for _ in range(3))
    told = re.sub(r"\|\|(C_..)\|\|_F", r"np.linalg.norm(\1)", formula("CKA"))
    told = told.replace("^2", "**2").replace(") np", ") * np")
    value = eval(told, {"np": np, "C_ab": ab, "C_aa": aa, "C_bb": bb})
    assert linear_cka(*map(torch.from_numpy, (ab, aa, bb))) == pytest.approx(value)
