"""Named experiments as training settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lmc import jobs
from lmc.core.errors import SettingError
from lmc.jobs.protocol import experiments
from lmc.jobs.protocol.commands import COMMANDS
from lmc.jobs.protocol.commands.measuring import Reproduce
from lmc.jobs.protocol.commands.running import Train


def test_a_published_case_is_its_experiment_at_full_size() -> None:
    found = experiments.published("resnet20/w2", Train)
    assert found["model"] == {"name": "resnet20", "width": 8, "norm": "group"}
    assert found["training"]["epochs"] == 100
    assert found["variant"]["scale"] == 2.0
    assert sum(found["variant"]["num_fixed"][:1]) == 12
    assert "start" not in experiments.published("mnist/init-only", Train)


@pytest.mark.parametrize("wrong", ["resnet20/w3", "resnet20"])
def test_an_unknown_case_names_those_there_are(wrong: str) -> None:
    with pytest.raises(SettingError, match="there are: resnet20/standard"):
        experiments.published(wrong, Train)


ACCEPTING = [name for name, entry in COMMANDS.items() if entry.published]
CASES = [
    f"{name}/{case}".rstrip("/")
    for name in experiments.names()
    for case in experiments.cases(experiments.resize(experiments.read(name), Reproduce(size="full")))
]


@pytest.mark.parametrize("command", ACCEPTING)
def test_every_command_that_accepts_a_case_accepts_every_case(command: str) -> None:
    for case in CASES:
        name, _, own = case.partition("/")
        definition = experiments.resize(experiments.read(name), Reproduce(size="full"))
        asked = experiments.merged(definition["runs"], experiments.cases(definition)[own])
        place = {"data.path": "x"} if asked["data"]["name"] == "arxiv" else {}
        settings: Any = jobs.checked(command, {"experiment": case, **place})
        assert (settings.data["name"], settings.seeds) == (asked["data"]["name"], asked["seeds"]), case
        assert settings.variant == {"name": "standard", **asked.get("variant", {})}, case
        assert jobs.checked(command, {"experiment": case, "seeds": 3, **place}) == replace(settings, seeds=3)


def test_what_is_given_wins_over_what_is_published() -> None:
    checked = jobs.checked(
        "train", {"experiment": "mnist/w1", "variant.scale": 0.5, "training": {"epochs": 3}, "seeds": 2}
    )
    assert isinstance(checked, Train)
    assert checked.data["name"] == "mnist"
    assert checked.variant == {"name": "w", "num_fixed": [64, 64, 64, 256], "scale": 0.5}
    assert checked.training["epochs"] == 3
    assert checked.training["batch_size"] == 64
    assert checked.seeds == 2


def test_another_choice_of_a_group_leaves_the_published_one_behind() -> None:
    checked = jobs.checked("train", {"experiment": "mnist/w1", "variant": "syre", "data": {"name": "digits"}})
    assert isinstance(checked, Train)
    assert checked.variant == {"name": "syre"}
    assert checked.data == {"name": "digits"}
    assert checked.model["hidden"] == [512, 512, 512]


def test_the_command_line_says_the_same() -> None:
    overrides = experiments.as_overrides("mnist/w-layers", ["training.epochs", "data", "data.name"], Train)
    assert "variant=w" in overrides
    assert "variant.scale=[1.0,1.0,0.5,0.25]" in overrides
    assert not any(text.startswith(("data", "training.epochs")) for text in overrides)
    assert overrides.index("variant=w") < overrides.index("variant.scale=[1.0,1.0,0.5,0.25]")
