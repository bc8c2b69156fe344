"""What a name chooses (a matcher, a model, ...), explained by its docstring and its parameters."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lmc.core import registry
from lmc.core.binding import described
from lmc.theory.explanation import Meaning


@dataclass(frozen=True)
class Part:
    """A thing with a name; ``kind`` is what it is, in a word; ``parameters`` are (name, type = default)."""

    name: str
    kind: str
    docstring: str
    parameters: tuple[tuple[str, str], ...] = ()

    def meaning(self) -> Meaning:
        """The docstring paragraph by paragraph, and each parameter with what ``Args`` says of it."""
        doc = inspect.cleandoc(self.docstring).replace("``", "")
        head, *blocks = re.split(r"(?m)^(?=Args:|Returns:|Raises:)", doc)
        args = "".join(block for block in blocks if block.startswith("Args:"))
        found = re.findall(r"(?m)^    (\w[\w, ]*):(.*\n?(?:     .*\n?)*)", args)
        told = {name: " ".join(text.split()) for several, text in found for name in several.split(", ")}
        lines = [
            ("", f"\n{paragraph}\n" if paragraph.startswith(" ") else " ".join(paragraph.split()))
            for paragraph in (each.strip("\n") for each in head.split("\n\n"))
            if paragraph
        ]
        lines += [(name, "; ".join(filter(None, (typed, told.get(name))))) for name, typed in self.parameters]
        return Meaning(self.kind, self.name, tuple(lines))


def parts_of(kind: str, builders: Mapping[str, Callable[..., Any]], given: Iterable[str] = ()) -> list[Part]:
    """The builders of a registry; ``given`` are the parameters that the program supplies itself."""
    found = []
    for name, builder in builders.items():
        hints = typing.get_type_hints(builder.__init__ if inspect.isclass(builder) else builder)
        settable = registry.parameters(builder, given).items()
        typed = tuple((each, _typed(hints.get(each, Any), parameter)) for each, parameter in settable)
        found.append(Part(name, kind, builder.__doc__ or "", typed))
    return found


def _typed(hint: Any, parameter: inspect.Parameter) -> str:
    text = described(hint)
    return text if parameter.default is parameter.empty else f"{text}; default {parameter.default}"
