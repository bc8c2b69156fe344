"""The law of command lines: every word is answered with an error, or the settings are as it asks.

Random lines (``lines.py``) are composed and checked as the program does it; no job runs.
"""

from __future__ import annotations

import dataclasses
import os
import re
from functools import cache
from typing import Any

import pytest
import yaml

import lmc.jobs
from lmc.cli import compose
from lmc.cli.dispatch import composed
from lmc.cli.job import Request
from lmc.core.errors import LmcError
from lmc.jobs.protocol.commands import COMMANDS

from .lines import Line, lines

PLAIN = re.compile(r"[+]{0,2}([a-z_.]+)=([A-Za-z][\w.]*|-?\d{1,15}(\.\d+)?|\[[\w.,]+\])")
"""Words whose meaning is plain to anyone: a key, and a word, a number or a list of these."""
LONGEST = 1200

Outcome = list[dict[str, Any]] | str


@cache
def outcome(line: Line) -> Outcome:
    """The settings of every job that a line stands for, or the lines of its refusal."""
    try:
        _, overrides, config = composed(Request(line.command, line.words, sweep=line.sweep))
        if not line.sweep:
            return [_settings(line.command, config)]
        hydra = compose.hydra_for(line.command)
        parse = _parser().parse_overrides
        jobs = [parse(texts) for texts in compose.jobs(overrides)]
        return [_settings(line.command, compose.compose(hydra, line.command, job)) for job in jobs]
    except LmcError as error:
        return str(error) if error.exit_code == 2 else ""


def _parser() -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create()


def _settings(command: str, config: Any) -> dict[str, Any]:
    hydra = {key: config.hydra[key] for key in ("launcher", "sweep", "job")}
    return {**dataclasses.asdict(lmc.jobs.checked(command, compose.mapping(config))), "hydra": str(hydra)}


def broken(line: Line) -> str | None:
    """Where a line breaks the law, in words; None where it keeps it."""
    found = outcome(line)
    if isinstance(found, str):
        return _bad_answer(line, found)
    for place, word in enumerate(line.words):
        if not line.sweep and (match := PLAIN.fullmatch(word)) and not _as_asked(match, found[0]):
            return f"{word} is not what was composed"
        if outcome(line.without(place)) == found and not _restates(line.command, word, found):
            return f"{word} changes nothing"
    return None


def _bad_answer(line: Line, text: str) -> str | None:
    told = text.split("\n")
    if not all(told) or len(told) > 2 * len(line.words):
        return f"{len(told)} lines of answer"
    if any(len(each) > LONGEST or not each.isprintable() for each in told):
        return "an answer that is too long, or cannot be printed"
    return None


def _at(settings: dict[str, Any], key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value["name"] if isinstance(value, dict) and "name" in value else value


def _as_asked(match: re.Match[str], settings: dict[str, Any]) -> bool:
    key, text = match[1], match[2]
    if key == "experiment":
        return True
    value, asked = _at(settings, key), yaml.safe_load(text.replace(",", ", "))
    return _same(value, asked) or _same(value, text)


def _same(value: Any, asked: Any) -> bool:
    if isinstance(value, list | tuple) and isinstance(asked, list):
        return len(value) == len(asked) and all(map(_same, value, asked))
    if isinstance(value, str):
        return value == str(asked) or value.endswith(f"/{asked}")
    return bool(value == asked)


def _restates(command: str, word: str, found: list[dict[str, Any]]) -> bool:
    """Whether a word asks for the default, which the settings then have."""
    key = word.partition("=")[0].lstrip("+")
    usual = dataclasses.asdict(lmc.jobs.checked(command, _defaults(command, found[0])))
    return "=" in word and all(_at(each, key) == _at(usual, key) for each in found)


def _defaults(command: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The chosen builders, with nothing else said."""
    made: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and "name" in value:
            made[key] = {"name": value["name"]}
    return made


@pytest.mark.parametrize("command", COMMANDS)
def test_no_word_is_lost(command: str) -> None:
    found = {line: broken(line) for line in lines(0, 10, command)}
    assert {line: why for line, why in found.items() if why} == {}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(int(os.environ.get("LMC_FUZZ", "3"))))
def test_no_word_of_a_thousand_lines_is_lost(part: int) -> None:
    found = {line: broken(line) for line in lines(part + 1, 1000)}
    outcome.cache_clear()
    assert {line: why for line, why in found.items() if why} == {}


def test_the_law_can_be_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with what Hydra does by itself, words are lost."""
    lost = Line("train", ("seeds=1", "seeds=2"))
    assert broken(lost) is None
    outcome.cache_clear()
    monkeypatch.setattr("lmc.cli.grammar.given_twice", lambda overrides: [])
    assert broken(lost) == "seeds=1 is not what was composed"
    monkeypatch.setattr("lmc.jobs.protocol.composing.without_effect", lambda *given: [])
    assert broken(Line("path", ("a", "split=train"))) is None, "seen by test_effects only"
    outcome.cache_clear()
