"""Which settings count only beside others, declared in the type of the setting itself.

    betas: Annotated[list[float], OnlyWith(estimate="ridge")]

A setting that would change nothing is refused where a person gives it. What is stored is read as it is.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lmc.core.errors import SettingError
from lmc.core.names import shortened


class OnlyWith:
    """Marks a setting that counts only where one of some other settings has one of some values.

    A value is a tuple of several, or ``...`` for any but nothing (None, false, empty). Of a setting that
    is a list, an item counts. Several marks must all hold.
    """

    def __init__(self, **where: Any) -> None:
        self.where = where

    def holds(self, settings: Mapping[str, Any]) -> bool:
        """Whether one of the conditions is met."""
        return any(_has(settings.get(key), wanted) for key, wanted in self.where.items())

    def explain(self, settings: Mapping[str, Any]) -> tuple[str, str]:
        """What the conditions are now, and what they would have to be."""
        now = [f"{key}={_text(settings.get(key))}" for key in self.where]
        return ", ".join(now), " or ".join(_wish(key, wanted) for key, wanted in self.where.items())


def without_effect(
    hints: Mapping[str, Any],
    settings: Mapping[str, Any],
    differs: Callable[[str], bool],
    prefix: str = "",
) -> list[SettingError]:
    """The settings that were given and change nothing, each with what would make it count.

    Args:
        hints: key to type, ``OnlyWith`` among its annotations.
        settings: complete and coerced.
        differs: whether a setting is not at its default; one at its default asks for nothing.
    """
    faults = []
    for key, hint in hints.items():
        unmet = next((mark for mark in _marks(hint) if not mark.holds(settings)), None)
        if unmet is None or not differs(key):
            continue
        now, wish = unmet.explain(settings)
        value = settings[key]
        given = key if isinstance(value, Mapping) else f"{key}={_text(value)}"
        faults.append(SettingError(f"{prefix}{given}: changes nothing with {now}", f"it counts with {wish}"))
    return faults


def _marks(hint: Any) -> Iterator[OnlyWith]:
    """Of a type, wherever in it they stand."""
    if isinstance(hint, OnlyWith):
        yield hint
    for part in (*getattr(hint, "__metadata__", ()), *typing.get_args(hint)):
        yield from _marks(part)


def _has(value: Any, wanted: Any) -> bool:
    if wanted is ...:
        return value is not None and value is not False and value != []
    if isinstance(wanted, list):
        return bool(value == wanted)
    options = wanted if isinstance(wanted, tuple) else (wanted,)
    return any(
        each == option for each in (value if isinstance(value, list) else [value]) for option in options
    )


def _wish(key: str, wanted: Any) -> str:
    if wanted is ...:
        return f"{key}=..."
    if wanted in (None, []):
        return f"no {key}"
    return " or ".join(
        f"{key}={_text(each)}" for each in (wanted if isinstance(wanted, tuple) else (wanted,))
    )


def _text(value: Any) -> str:
    """A value as it is typed."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_text, value))}]"
    return shortened(value)
