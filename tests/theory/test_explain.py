"""Every word of the program leads to what it means."""

from __future__ import annotations

import pytest

from lmc import data, matching, merging, models, variants
from lmc.core.errors import SettingError
from lmc.core.schema import TABLES
from lmc.theory import Part, contents, explain, names, parts_of
from lmc.theory.glossary import glossary

REGISTRIES = [
    ("matcher", matching.MATCHERS, matching.GIVEN),
    ("merger", merging.MERGERS, merging.GIVEN),
    ("variant", variants.VARIANTS, variants.GIVEN),
    ("model", models.MODELS, models.GIVEN),
    ("data set", data.DATASETS, ()),
]
PARTS = [part for registry in REGISTRIES for part in parts_of(*registry)]


def kinds(term: str, parts=PARTS) -> list[str]:
    return [meaning.kind for meaning in explain(term, parts).meanings]


@pytest.mark.parametrize(
    ("table", "column"), [(table, c) for table, columns in TABLES.items() for c in columns], ids=str
)
def test_every_column_can_be_explained(table: str, column):
    dotted = explain(f"{table}.{column.name}").meanings[0]
    assert (dotted.kind, dotted.title) == ("column", f"{table}.{column.name}")
    assert [text for _, text in dotted.sections] == [f"{column.meaning} [{column.dtype}]"]
    bare = next(each for each in explain(column.name).meanings if each.kind == "column")
    assert any(table in label.replace(",", "").split() for label, _ in bare.sections)


@pytest.mark.parametrize("table", TABLES)
def test_every_table_can_be_explained(table: str):
    (only,) = explain(f"table {table}").meanings
    assert [label for label, _ in only.sections] == ["", *(column.name for column in TABLES[table])]
    assert only in explain(table).meanings


def test_every_name_leads_to_its_entry_however_it_is_written():
    for entry in dict.fromkeys(glossary().values()):
        for name in (entry.term, *entry.aliases):
            for written in (name.upper(), name.replace("_", "-"), name.replace(" ", "_")):
                first = explain(written).meanings[0]
                assert (first.kind, first.title) == ("glossary", entry.term)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_builder_says_what_it_does_and_how_it_is_set(part: Part):
    meaning = next(m for m in explain(part.name, PARTS).meanings if m.kind == part.kind)
    assert meaning.sections[0][0] == ""
    assert len(meaning.sections[0][1]) > 10
    assert [label for label, _ in meaning.sections if label] == [name for name, _ in part.parameters]
    given = {name for _, _, names in REGISTRIES for name in names}
    assert given.isdisjoint(name for name, _ in part.parameters)


def test_a_parameter_shows_type_default_and_meaning():
    sections = dict(explain("identifiability", PARTS).meanings[-1].sections)
    assert sections["tau"].startswith("a number; default 1.0; an exchange is cheap")
    assert sections["point"] == "one of activation, norm, linear; default activation"


def test_a_docstring_shows_formulas_as_they_are_and_no_code_marks():
    def built(evidence: object, *, a: int, b: float | None = None) -> None:
        """Does ``it``.

        By this::

            x = y
             + z

        Args:
            a, b: one
                and two.

        Raises:
            ValueError: never.
        """

    (part,) = parts_of("matcher", {"built": built}, ("evidence",))
    assert part.meaning().sections == (
        ("", "Does it."),
        ("", "By this::"),
        ("", "\n    x = y\n     + z\n"),
        ("a", "a whole number; one and two."),
        ("b", "a number or null; default None; one and two."),
    )


def test_all_meanings_are_given_the_glossarys_first():
    assert kinds("identity") == ["glossary", "column"]
    assert kinds("match") == ["glossary", "table", "column"]
    assert kinds("representation") == ["glossary", "table", "merger"]
    assert kinds("w") == ["glossary", "variant"]
    assert kinds("activation") == ["matcher"]
    assert kinds("match.identity") == ["column", "glossary"]
    assert kinds("table match") == ["table"]
    command = Part("match", "command", "Which neurons are identifiable.")
    assert kinds("match", [command]) == ["glossary", "table", "column", "command"]


def test_columns_of_one_meaning_are_shown_once():
    (meaning,) = (each for each in explain("beta").meanings if each.kind == "column")
    assert meaning.sections == (
        ("in estimate, cost, swap", "beta of the ridge estimate; NaN for mahalanobis [float64]"),
    )


def test_a_section_of_the_theory_page():
    (meaning,) = explain("Theory 3").meanings
    assert meaning.title.startswith("3. Coherence")
    assert explain("theory-3").meanings == (meaning,)
    assert "nu(U) = max_r ||U_r||^2" in meaning.sections[0][1]
    assert [label for label, _ in explain("theory").meanings[0].sections] == [
        f"theory {n}" for n in range(1, 8)
    ]
    with pytest.raises(SettingError, match=r"theory=9: unknown choice \(choose from 1, 2"):
        explain("theory 9")


@pytest.mark.parametrize(
    ("term", "near"),
    [
        ("identifiabilty", "identifiability"),
        ("swapcost", "swap cost"),
        ("ratio", "identifiability ratio"),
        ("syree", "syre"),
        ("loss bariers", "loss barrier"),
        ("resnet2", "resnet20"),
        ("match.identiti", "match"),
    ],
)
def test_an_unknown_term_meets_those_it_resembles(term: str, near: str):
    with pytest.raises(SettingError, match=f"explain {term}: unknown term .did you mean .*{near}"):
        explain(term, PARTS)


@pytest.mark.parametrize("term", ["", "xyzzy", "nothing.identity", "table", "table nothing"])
def test_an_unknown_term_is_an_error(term: str):
    with pytest.raises(SettingError, match="unknown term"):
        explain(term)


def test_contents_list_everything_once():
    listed = [label for meaning in contents(PARTS).meanings for label, _ in meaning.sections]
    terms = [entry.term for entry in dict.fromkeys(glossary().values())]
    wanted = [*terms, *(f"table {name}" for name in TABLES), *(part.name for part in PARTS)]
    assert sorted(listed) == sorted([*wanted, *(f"theory {n}" for n in range(1, 8))])


def test_contents_give_the_first_sentence_with_its_own_end():
    parts = [Part("asks", "x", "Which pairs, 0-1, ... hold?"), Part("says", "x", "From 0, 1, ... on. More.")]
    listed = {label: text for meaning in contents(parts).meanings for label, text in meaning.sections}
    assert (listed["asks"], listed["says"]) == ("Which pairs, 0-1, ... hold?", "From 0, 1, ... on.")


def test_every_name_offered_can_be_explained():
    for name in names(PARTS):
        assert explain(name, PARTS).meanings


def test_text_fits_a_terminal_and_rows_hold_the_same():
    everything = [contents(PARTS), *(explain(name, PARTS) for name in names(PARTS))]
    for found in everything:
        assert [line for line in found.lines() if len(line) > 80] == []
        assert all(meaning.title in "\n".join(found.lines()) for meaning in found.meanings)
    assert explain("theory 5").rows()[0]["text"].startswith("    theta(l) =")
    assert explain("tau").rows()[0]["term"] == "tau"
    assert explain("tau").lines()[:3] == [
        "tau (glossary)",
        "  What counts as a cheap exchange: a multiple of what training paid for the two",
        "  neurons.",
    ]
