"""Random command lines: words that mean something, words that are wrong, and words in the wrong place."""

from __future__ import annotations

import random
import typing
from dataclasses import dataclass

from lmc.cli.choices import REGISTRIES
from lmc.cli.schema import defaults_of, groups_of
from lmc.core.names import registered
from lmc.jobs.protocol.choices import parameters
from lmc.jobs.protocol.commands import COMMANDS
from lmc.jobs.protocol.commands.shared import Training

NUMBERS = ("0", "1", "2", "3", "0.5", "-1", "1e-3", "1e999", "99999999999", "3.0", "007", "1_000")
WORDS = ("a", "test", "all", "true", "false", "null", "None", "x.y", "b/0", "b/0@3", "foo", "standard")
ODD = (
    "",
    "''",
    "' '",
    "ü",
    "日本",
    "../../x",
    "a b",
    "a\nb",
    "é" * 300,
    "9" * 5000,
    "~",
    "~x",
    "$HOME",
    "%s",
    "\\",
)
BRACKETS = (
    "[]",
    "{}",
    "[a]",
    "[1,2]",
    "[[1],[2]]",
    "{a: b}",
    "{name: w}",
    "{name: {}}",
    "{epochs:3",
    "[1",
    "}",
    "[epochs=3]",
)
CALLS = (
    "a,b",
    "1,2",
    "range(1,3)",
    "glob(*)",
    "glob(s*)",
    "choice(1,2)",
    "interval(0,1)",
    "sort(3,1)",
    "int(3)",
    "f(",
)
INSERTED = ("${seeds}", "${x}", "${oc.env:HOME}", "${", "\\${x}")
QUOTED = ("'a,b'", '"a b"', "'it\\'s'", "'1'", "'null'")
VALUES = (*NUMBERS, *WORDS, *ODD, *BRACKETS, *CALLS, *INSERTED, *QUOTED)
JUNK = (
    "foo",
    "=x",
    "x=",
    "a=b=c",
    "~",
    "~x",
    "@",
    "+",
    "ключ=1",
    "hydra.x=1",
    "hydra=1",
    "hydra/launcher=joblib",
)
JUNK += (
    "_self_=1",
    "schema/train=x",
    "defaults=[]",
    "+schema/list=x",
    "variant@x=w",
    "hydra.sweep.dir=x",
    "a/0",
    "..",
)


@dataclass(frozen=True)
class Line:
    """A command line without the program's name; ``-m`` is not among the words."""

    command: str
    words: tuple[str, ...]
    sweep: bool = False

    def without(self, place: int) -> Line:
        """The same without one word."""
        return Line(self.command, self.words[:place] + self.words[place + 1 :], self.sweep)


def lines(seed: int, count: int, command: str | None = None) -> list[Line]:
    """``count`` lines, of one command or of any."""
    draw = random.Random(f"{seed} {command}")
    return [_line(draw, command or draw.choice(list(COMMANDS))) for _ in range(count)]


def _line(draw: random.Random, command: str) -> Line:
    words = draw.choice(((), ("a",), ("a", "b/0"))) if COMMANDS[command].words != "settings" else ()
    made = [*words, *(_word(draw, command) for _ in range(draw.choice((1, 1, 2, 3))))]
    if draw.random() < 0.1:
        made.append(draw.choice(made))
    draw.shuffle(made)
    return Line(command, tuple(made), draw.random() < 0.2)


def _word(draw: random.Random, command: str) -> str:
    kind = draw.random()
    if kind < 0.06:
        return draw.choice(JUNK)
    of = command if kind < 0.9 else draw.choice(list(COMMANDS))
    keys = _keys(of)
    key = draw.choice(list(keys))
    good = kind < 0.5 and keys[key]
    value = draw.choice(keys[key]) if good else draw.choice(VALUES)
    sign = draw.choice(("", "", "", "", "", "", "", "+", "++", "~")) if kind > 0.3 else ""
    return f"~{key}" if sign == "~" and draw.random() < 0.5 else f"{sign}{key}={value}"


def _keys(command: str) -> dict[str, tuple[str, ...]]:
    """The keys of a command, and those within its groups, each with values that are likely right."""
    hints = typing.get_type_hints(COMMANDS[command].settings)
    found = {key: _likely(hints.get(key)) for key in defaults_of(command) if key != "training"}
    found |= {"experiment": ("digits/w1", "mnist/w1", "digits", "nope/x")}
    for group in groups_of(command):
        names = registered(*REGISTRIES[group]) if group in REGISTRIES else []
        found |= {group: tuple(names), f"{group}.name": tuple(names)}
        for name in names:
            declared = parameters(group, name).items()
            found |= {f"{group}.{key}": _likely(each.annotation) for key, each in declared}
    if "training" in defaults_of(command) or "training" in groups_of(command):
        hints = typing.get_type_hints(Training)
        found |= {"training": (), **{f"training.{key}": _likely(hint) for key, hint in hints.items()}}
    return found


def _likely(hint: object) -> tuple[str, ...]:
    """Values of a type."""
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return tuple(map(str, parts))
    if hint is bool:
        return ("true", "false")
    if hint in (int, float):
        return ("1", "2", "3") if hint is int else ("0.5", "0.25", "1")
    if hint is str:
        return ("a", "test", "mine")
    if typing.get_origin(hint) is list:
        return tuple(f"[{value}]" for value in _likely(parts[0]))
    return tuple(value for part in parts for value in _likely(part))
