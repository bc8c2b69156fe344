"""Names as people type them: the nearest of those there are, and patterns for several."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lmc.core.errors import LmcError, SettingError

LONGEST_NAME = 60
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._+-]*[A-Za-z0-9_+])?")
_LONGEST_PLACE, _LONGEST_PART = 1000, 255


@dataclass(frozen=True)
class Checked:
    """Marks a text, in a setting's type, that must pass a check; the check raises ValueError."""

    check: Callable[[str], None]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """The schema of the type, then the check."""
        from pydantic_core import core_schema

        def passed(text: str) -> str:
            self.check(text)
            return text

        return core_schema.no_info_after_validator_function(passed, handler(source))


def check_name(text: str) -> None:
    """Refuse a name that could not be a folder's on every system, or would have to be changed for it.

    Raises:
        ValueError: it is not of ASCII letters, digits and ``. _ + -`` within, or too long.
    """
    if len(text) > LONGEST_NAME:
        raise ValueError(f"{len(text)} characters; a name has at most {LONGEST_NAME}")
    if not _NAME.fullmatch(text):
        raise ValueError("a name has letters a-z, digits and . _ + -, and begins and ends with none of . -")


def check_place(text: str) -> None:
    """Refuse what no file, folder or stored run can be called.

    Raises:
        ValueError: it is empty, holds a line break or another control character, or is too long.
    """
    if not text:
        raise ValueError("empty")
    if any(not character.isprintable() for character in text):
        raise ValueError("holds a line break or another character that cannot be printed")
    if len(text) > _LONGEST_PLACE or any(len(part.encode()) > _LONGEST_PART for part in text.split("/")):
        raise ValueError(f"{len(text)} characters; no file or folder has so long a name")


def shortened(value: Any, longest: int = 80) -> str:
    """A value as a message shows it: on one line, not too long."""
    text = "".join(each if each.isprintable() else repr(each)[1:-1] for each in str(value))
    return text if len(text) <= longest else f"{text[: longest - 20]}... ({len(text)} characters)"


def near_miss(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like ``word``, if any is like it."""
    close = difflib.get_close_matches(str(word), [str(choice) for choice in choices], n=1, cutoff=0.6)
    return close[0] if close else None


def unknown(what: str, given: str, choices: Iterable[str]) -> SettingError:
    """The error for a name that is not among ``choices``, with the near miss first."""
    choices = sorted(choices)
    close = near_miss(given, choices)
    listed = "choose from " + ", ".join(choices) if choices else "there are none"
    hint = f"did you mean {close}? {listed}" if close else listed
    return SettingError(f"{what}={shortened(given)}: unknown choice", hint)


def matching(
    wanted: str | Sequence[str],
    names: Sequence[str],
    what: str,
    fault: Callable[[str], LmcError | None] | None = None,
) -> list[str]:
    """The names that match patterns (``*``, ``?``, ``[...]``; one or several), in their own order.

    Args:
        what: what is named, a word whose plural is the setting: ``layer``.
        fault: what is wrong with a pattern that matches nothing, or None where that is right; by default
            a SettingError with the names there are.

    Raises:
        SettingError: a pattern matches no name.
    """
    patterns = [wanted] if isinstance(wanted, str) else list(wanted)

    def no_match(pattern: str) -> LmcError:
        return SettingError(f"{what}s={pattern}: matches no {what}", "there are: " + ", ".join(names))

    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names) and (error := (fault or no_match)(pattern)):
            raise error
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def registered(room: str, registry: str) -> list[str]:
    """The names in a room's registry, read from the source of its ``__init__``, so that torch stays unloaded.

    Args:
        room: a package, ``lmc.matching``.
        registry: the dict in it, ``MATCHERS``.

    Raises:
        TypeError: it is no dict literal with literal names, which every registry must be.
    """
    spec = importlib.util.find_spec(room)
    source = Path(str(spec.origin)).read_text(encoding="utf-8") if spec else ""
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if not any(isinstance(target, ast.Name) and target.id == registry for target in targets):
            continue
        value = getattr(node, "value", None)
        keys = value.keys if isinstance(value, ast.Dict) else [None]
        names = [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
        if len(names) == len(keys):
            return names
    raise TypeError(f"{room}.{registry}: not a dict literal whose keys are strings")
