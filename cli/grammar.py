"""Overrides through Hydra's grammar: read each one, and quote what was meant as plain text."""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from lmc.core.errors import LmcError, SettingError
from lmc.core.names import shortened

from .tokens import TEXT_KEYS, key_of, quote, value_of

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

SWEEPS = ("hydra/launcher", "hydra/sweeper", "hydra.launcher", "hydra.sweep", "hydra.mode")


def text_keys(command: type, groups: Iterable[str]) -> set[str]:
    """The keys whose value is text, so that ``name=1e5`` is not a number."""
    hints = typing.get_type_hints(command)
    plain = {key for key, hint in hints.items() if hint is str or str in typing.get_args(hint)}
    return plain | {f"{group}.{key}" for group in groups for key in TEXT_KEYS}


def written_out(overrides: Iterable[str], groups: Collection[str]) -> tuple[list[str], list[LmcError]]:
    """Overrides key by key: a group given as ``{name: w, scale: 0.5}`` becomes ``variant.name=w`` and so on.

    Also the faults of those left out: a deletion, for which a setting's default would step in silently, and
    a group without a key in it.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    texts: list[str] = []
    faults: list[LmcError] = []
    for text in overrides:
        key = key_of(text)
        try:
            if text.startswith("~") and not key.startswith("hydra"):
                raise SettingError(
                    f"{shortened(text)}: no setting can be taken away", f"{key}=... gives it another value"
                )
            value = parser.parse_override(text)._value if key in groups else None
            texts += _keys_of(text, value) if isinstance(value, dict) else [text]
        except LmcError as fault:
            faults.append(fault)
        except _unreadable():
            texts.append(text)
    return texts, faults


def _keys_of(text: str, value: dict[Any, Any]) -> list[str]:
    from hydra.core.override_parser.types import Override

    start, key = text.partition("=")[0], key_of(text)
    if not value:
        raise SettingError(f"{shortened(text)}: names no key of {key}", f"write {key}.KEY=VALUE")
    return [f"{start}.{name}={Override._get_value_element_as_str(each)}" for name, each in value.items()]


def given_twice(overrides: Iterable[Override]) -> list[LmcError]:
    """Keys that several words give, of which Hydra would take the last."""
    found: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element().lstrip("+~")
        found.setdefault(key, []).append(str(override.input_line))
    return [
        SettingError(f"{' and '.join(map(shortened, texts))}: {key} is given twice", "give one of them")
        for key, texts in found.items()
        if len(texts) > 1
    ]


def only_swept(overrides: Iterable[Override]) -> list[LmcError]:
    """Settings of Hydra's sweeps, where nothing is swept."""
    return [
        SettingError(f"{shortened(override.input_line)}: only sweeps use it", "add -m")
        for override in overrides
        if override.key_or_group.startswith(SWEEPS)
    ]


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
            faults.append(_several_values(text, key_of(text) in as_text))
        else:
            parsed.append(override)
    return parsed, faults


def _read(parser: Any, text: str, as_text: set[str]) -> Override:
    key, value = text.partition("=")[0], value_of(text)
    try:
        override: Override = parser.parse_override(text)
        is_number = not override.is_sweep_override() and isinstance(override.value(), int | float)
        if is_number and key_of(text) in as_text:
            override = parser.parse_override(f"{key}={quote(value)}")
        return override
    except _unreadable():
        pass
    try:
        override = parser.parse_override(f"{key}={quote(value)}")
        return override
    except _unreadable():
        raise SettingError(f"{shortened(text)}: not a setting", "write key=value") from None


def _unreadable() -> tuple[type[Exception], ...]:
    """What Hydra's grammar raises; ValueError where a number has thousands of digits."""
    from hydra.errors import HydraException

    return HydraException, ValueError


def _several_values(text: str, is_text: bool) -> SettingError:
    key, value, hint = key_of(text), value_of(text), "add -m to run each"
    if value and not value.endswith(")"):
        whole = (
            f"quote it for lmc too: {key}=\"'{value}'\"" if is_text else f"write one list: {key}=[{value}]"
        )
        hint = f"{hint}, or {whole}"
    return SettingError(f"{shortened(text)}: several values", hint)
