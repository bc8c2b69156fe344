"""Settings that count only beside others."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from lmc import jobs
from lmc.core.effect import OnlyWith, without_effect
from lmc.core.errors import SettingError
from lmc.jobs.protocol.commands import COMMANDS


@dataclass(frozen=True)
class Told:
    kind: str = "line"
    gap: bool = False
    measures: list[str] = dataclasses.field(default_factory=list)
    references: list[str] = dataclasses.field(default_factory=list)
    layers: Annotated[str, OnlyWith(kind="bent", gap=True)] = "*"
    memory: Annotated[float, OnlyWith(measures=("cka", "ntk"))] | None = None
    model: Annotated[str, OnlyWith(references=[]), OnlyWith(kind=("line", "bent"))] = "mlp"
    points: Annotated[int, OnlyWith(memory=...)] = 3


def idle(**given: Any) -> list[str]:
    made, usual = Told(**given), Told()
    hints = typing.get_type_hints(Told, include_extras=True)
    found = without_effect(hints, vars(made), lambda key: getattr(made, key) != getattr(usual, key))
    return [fault.message.partition("=")[0] for fault in found]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"layers": "a"}, ["layers"]),
        ({"layers": "a", "gap": True}, []),
        ({"layers": "a", "kind": "bent"}, []),
        ({"layers": "*"}, []),
        ({"memory": 1.0}, ["memory"]),
        ({"memory": 1.0, "measures": ["distance"]}, ["memory"]),
        ({"memory": 1.0, "measures": ["distance", "ntk"], "points": 4}, []),
        ({"model": "cnn"}, []),
        ({"model": "cnn", "references": ["b/0"]}, ["model"]),
        ({"model": "cnn", "kind": "other"}, ["model"]),
        ({"points": 4}, ["points"]),
    ],
)
def test_what_changes_nothing(given: dict[str, Any], expected: list[str]) -> None:
    assert idle(**given) == expected


def test_the_answer_says_where_it_would_count() -> None:
    with pytest.raises(SettingError) as caught:
        jobs.checked("path", {"references": ["a"], "split": "train"})
    assert str(caught.value) == (
        "split=train: changes nothing with kind=line, gap=false"
        " (it counts with kind=representation or gap=true)"
    )


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("path", {"layers": "x"}),
    ("cost", {"betas": [0.5]}),
    ("cost", {"fit_bias": False}),
    ("cost", {"activation": True}),
    ("cost", {"estimate": "ridge", "pairs": 3}),
    ("cost", {"estimate": "ridge", "samples": 3}),
    ("cost", {"estimate": "ridge", "outside": "projected"}),
    ("dynamics", {"measures": ["ntk"], "alphas": 3}),
    ("symmetry", {"references": ["a"], "model": "cnn"}),
    ("symmetry", {"references": ["a"], "model.hidden": [3]}),
    ("symmetry", {"classes": 3}),
    ("symmetry", {"input_shape": [4], "data": "mnist"}),
    ("reproduce", {"references": ["digits"], "listing": True}),
    ("train", {"training.momentum": 0.5}),
    ("train", {"training": {"warmup": 3}}),
    ("train", {"model": {"norm": "none", "affine": False}}),
    ("match", {"match.beta": 0.5}),
]


@pytest.mark.parametrize(("command", "given"), REFUSED)
def test_commands_refuse_what_they_would_not_use(command: str, given: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=r"changes nothing with .* \(it counts with "):
        jobs.checked(command, given)


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("path", {"layers": "x", "gap": True}),
    ("cost", {"estimate": "ridge", "activation": True, "pairs": 3, "samples": 3, "betas": [0.5]}),
    ("cost", {"outside": "projected"}),
    ("symmetry", {"model": {"name": "mlp", "hidden": [256, 256]}, "references": ["a"]}),
    ("symmetry", {"input_shape": [4], "classes": 3, "model": "mlp"}),
    ("train", {"training": {"optimiser": "sgd", "momentum": 0.5}}),
    ("match", {"match": {"name": "identifiability", "estimate": "ridge", "beta": 0.5}}),
]


@pytest.mark.parametrize(("command", "given"), ACCEPTED)
def test_commands_accept_what_they_use_and_defaults_said_aloud(command: str, given: dict[str, Any]) -> None:
    jobs.checked(command, given)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_condition_names_settings_that_there_are(command: str) -> None:
    hints = typing.get_type_hints(COMMANDS[command].settings, include_extras=True)

    def marks(hint: Any) -> list[OnlyWith]:
        parts = (*getattr(hint, "__metadata__", ()), *typing.get_args(hint))
        return [hint] if isinstance(hint, OnlyWith) else [mark for part in parts for mark in marks(part)]

    assert {key for hint in hints.values() for mark in marks(hint) for key in mark.where} <= hints.keys()


def test_a_key_given_whole_and_in_part_is_given_twice() -> None:
    for given in (
        {"variant": {"name": "w", "scale": 1}, "variant.scale": 2},
        {"variant": None, "variant.scale": 2},
    ):
        with pytest.raises(SettingError, match="give one of them"):
            jobs.checked("train", given)
