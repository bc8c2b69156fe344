"""The theory page has the sections that the code refers to, and says nothing of where it was written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lmc.theory.page import read, section, sections

ROOT = Path(__file__).parents[2]


def test_the_sections_are_numbered_from_one_to_seven():
    assert [*sections()] == [str(number) for number in range(1, 8)]
    assert all(title and text for title, text in sections().values())


def test_every_reference_of_the_code_names_a_section():
    texts = [path.read_text() for room in ("lmc", "cli") for path in (ROOT / room).rglob("*.py")]
    cited = [
        number
        for text in texts
        for many in re.findall(r"THEORY (\d+(?:, \d+)*)", text)
        for number in many.split(", ")
    ]
    assert len(cited) > 50
    assert {number for number in cited if number not in sections()} == set()


@pytest.mark.parametrize("name", ["theory.md", "glossary.md"])
def test_pages_fit_a_terminal(name: str):
    lines = read(name).split("\n")
    assert [line for line in lines if len(line) > 80] == []
    assert re.findall(r"/work|shared/", read(name)) == []


def test_a_section_is_its_text_without_the_heading():
    title, text = section("5")
    assert title == "The linear path and its barriers"
    assert text.startswith("    theta(l)")
    assert "## " not in text
