"""Bind settings to a builder's own signature.

The builder's parameters are its schema: their annotations check and coerce what a user typed, so no
setting is declared twice.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from lmc.core.errors import SettingError, raise_together
from lmc.core.names import near_miss, shortened

Builder = Callable[..., Any]
_RANGES = ("greater", "less", "value_error", "too_", "finite_number")

_CONFIG = ConfigDict(
    extra="forbid", coerce_numbers_to_str=True, arbitrary_types_allowed=True, allow_inf_nan=False
)


def parameters(
    builder: Builder, given: Iterable[str] = (), shared: Builder | None = None
) -> dict[str, inspect.Parameter]:
    """The settable parameters of ``builder``, with their types as annotations.

    A *group* stands for its fields: a parameter whose default is a dataclass instance, in which several
    builders share settings that are described once.

    Args:
        given: parameters that the program supplies itself.
        shared: a further function, whose keyword-only parameters are settings too.
    """
    own = {name: parameter for name, parameter in _declared(builder).items() if name not in set(given)}
    found: dict[str, inspect.Parameter] = {}
    for name, parameter in own.items():
        group = parameter.default
        if not _is_group(group):
            found[name] = parameter
            continue
        kind: Builder = type(group)
        for field in fields(group):
            found[field.name] = _declared(kind)[field.name].replace(default=getattr(group, field.name))
    if shared is not None:
        common = _declared(shared).items()
        found |= {name: each for name, each in common if each.kind is inspect.Parameter.KEYWORD_ONLY}
    return found


def keywords(builder: Builder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What to call ``builder`` with: its settings, those of a group put together again."""
    found = dict(settings)
    for name, parameter in _declared(builder).items():
        if _is_group(parameter.default):
            names = [field.name for field in fields(parameter.default) if field.name in found]
            found[name] = replace(parameter.default, **{each: found.pop(each) for each in names})
    return found


def defaults(builder: Builder, given: Iterable[str] = (), shared: Builder | None = None) -> dict[str, Any]:
    """The builder's own defaults, as ``bind`` fills them in."""
    return {
        name: field.get_default()
        for name, field in _schema(builder, tuple(given), shared).model_fields.items()
        if not field.is_required()
    }


def bind(
    builder: Builder,
    settings: Mapping[str, Any],
    where: str = "",
    given: Iterable[str] = (),
    shared: Builder | None = None,
) -> dict[str, Any]:
    """Complete, coerced settings for ``builder``; nothing is called, loaded or changed.

    Args:
        settings: key to value, as typed.
        where: the group's name, put before a key in messages (``variant.scale``).
        given, shared: as for ``parameters``.

    Raises:
        SettingError: every unknown key, wrong type and missing value, reported together.
    """
    schema = _schema(builder, tuple(given), shared)
    prefix = f"{where}." if where else ""
    truths = {
        key: SettingError(
            f"{prefix}{key}={shortened(value)}: expected {described(field.annotation)}, got true/false"
        )
        for key, value in settings.items()
        if _holds_bool(value)
        and (field := schema.model_fields.get(key)) is not None
        and not _takes_bool(field.annotation)
    }
    faults = list(truths.values())
    try:
        bound = schema.model_validate(dict(settings))
    except ValidationError as error:
        faults.extend(_explain(error, schema, prefix, truths))
    raise_together(faults)
    return {name: getattr(bound, name) for name in schema.model_fields}


@lru_cache(maxsize=256)
def _declared(builder: Builder) -> dict[str, inspect.Parameter]:
    """The named parameters of a signature, with their types as annotations."""
    fields = dataclasses.is_dataclass(builder)  # inherited ones are annotated in their own modules
    target = builder.__init__ if inspect.isclass(builder) and not fields else builder  # type: ignore[misc]
    hints = typing.get_type_hints(target, include_extras=True)
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        name: parameter.replace(annotation=hints.get(name, Any))
        for name, parameter in inspect.signature(builder).parameters.items()
        if parameter.kind not in variadic and name != "self"
    }


def _is_group(default: Any) -> bool:
    return is_dataclass(default) and not isinstance(default, type)


@lru_cache(maxsize=256)
def _schema(builder: Builder, given: tuple[str, ...], shared: Builder | None) -> type[BaseModel]:
    settable: dict[str, Any] = {
        name: (each.annotation, ... if each.default is inspect.Parameter.empty else each.default)
        for name, each in parameters(builder, given, shared).items()
    }
    return create_model(getattr(builder, "__name__", "builder"), __config__=_CONFIG, **settable)


def _explain(
    error: ValidationError, schema: type[BaseModel], prefix: str, explained: Iterable[str]
) -> list[SettingError]:
    by_key: dict[str, list[Any]] = {}
    for item in error.errors():
        if str(item["loc"][0]) not in explained:
            by_key.setdefault(str(item["loc"][0]), []).append(item)
    faults = []
    for key, items in by_key.items():
        first = items[0]
        if first["type"] == "extra_forbidden":
            close = near_miss(key, schema.model_fields)
            valid = "valid keys: " + (", ".join(schema.model_fields) or "none")
            faults.append(
                SettingError(
                    f"{prefix}{shortened(key)}: unknown key",
                    f"did you mean {close}? {valid}" if close else valid,
                )
            )
        elif first["type"] == "missing":
            faults.append(SettingError(f"{prefix}{key}: a value is needed", f"write {prefix}{key}=..."))
        else:
            faults.append(_bad_value(key, items, schema, prefix))
    return faults


def _bad_value(key: str, items: list[Any], schema: type[BaseModel], prefix: str) -> SettingError:
    ranged = [item for item in items if item["type"].startswith(_RANGES)]
    shown = ranged[0] if ranged else items[0]
    value = shown["input"]
    if shown["type"] == "too_short":
        return SettingError(f"{prefix}{key}={shortened(value)}: empty", "name at least one")
    if ranged:
        message = shown["msg"].removeprefix("Value error, ").removeprefix("Input ")
        return SettingError(f"{prefix}{key}={shortened(value)}: {message}")
    value, expected = shortened(value), described(schema.model_fields[key].annotation)
    if shown["type"] == "literal_error":
        close = near_miss(
            value, str(shown["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        )
        if close:
            return SettingError(f"{prefix}{key}={value}: expected {expected}", f"did you mean {close}?")
    return SettingError(f"{prefix}{key}={value}: expected {expected}")


def _holds_bool(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, (list, tuple)) and any(map(_holds_bool, value)))


def _takes_bool(annotation: Any) -> bool:
    return annotation in (bool, Any, object, list, tuple) or any(
        map(_takes_bool, typing.get_args(annotation))
    )


def described(annotation: Any) -> str:
    """A type in words: what values it takes."""
    names = {
        int: "a whole number",
        float: "a number",
        str: "a word",
        bool: "true or false",
        type(None): "null",
    }
    if annotation in names:
        return names[annotation]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return described(args[0])
    if origin is typing.Literal:
        return "one of " + ", ".join(str(arg) for arg in args)
    if origin in (list, tuple):
        return f"a list (each {described(args[0])})" if args else "a list"
    if args:
        return " or ".join(described(arg) for arg in args)
    return getattr(annotation, "__name__", str(annotation))
