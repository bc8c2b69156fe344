"""Overrides through Hydra's grammar: read each one, and quote what was meant as plain text."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lmc.core.errors import LmcError, SettingError

from .tokens import TEXT_KEYS, key_of, quote, value_of

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


def text_keys(command: type, groups: Iterable[str]) -> set[str]:
    """The keys whose value is text, so that ``name=1e5`` is not a number."""
    hints = typing.get_type_hints(command)
    plain = {key for key, hint in hints.items() if hint is str or str in typing.get_args(hint)}
    return plain | {f"{group}.{key}" for group in groups for key in TEXT_KEYS}


def parse(overrides: Iterable[str], as_text: set[str], sweep: bool) -> tuple[list[Override], list[LmcError]]:
    """Parsed overrides; what Hydra's grammar refuses is taken as quoted text.

    Also the faults of those left out: they cannot be read, or hold several values without a sweep.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    faults: list[LmcError] = []
    parsed = []
    for text in overrides:
        try:
            override = _read(parser, text, as_text)
        except LmcError as fault:
            faults.append(fault)
            continue
        if override.is_sweep_override() and not sweep:
            faults.append(_several_values(text))
        else:
            parsed.append(override)
    return parsed, faults


def _read(parser: Any, text: str, as_text: set[str]) -> Override:
    from hydra.errors import HydraException

    key, value = text.partition("=")[0], value_of(text)
    try:
        override: Override = parser.parse_override(text)
        is_number = not override.is_sweep_override() and isinstance(override.value(), int | float)
        if is_number and key_of(text) in as_text:
            override = parser.parse_override(f"{key}={quote(value)}")
        return override
    except HydraException:
        pass
    try:
        override = parser.parse_override(f"{key}={quote(value)}")
        return override
    except HydraException:
        raise SettingError(f"{text}: not a setting", "write key=value") from None


def _several_values(text: str) -> SettingError:
    hint = "add -m to run each"
    value = value_of(text)
    if value and not value.endswith(")"):
        hint += f", or write one list: {key_of(text)}=[{value}]"
    return SettingError(f"{text}: several values", hint)
