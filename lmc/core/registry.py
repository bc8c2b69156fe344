"""Look up builders by name, and bind settings to a builder's own signature.

A registry is a plain dict from name to builder, in the ``__init__`` of its room. The builder's
parameters are its schema: their annotations check and coerce what a user typed, so no setting is
declared twice.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from lmc.core.errors import LmcError, SettingError, raise_together

_CONFIG = ConfigDict(extra="forbid", coerce_numbers_to_str=True, arbitrary_types_allowed=True)


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
    return SettingError(f"{what}={given}: unknown choice", hint)


def find(registry: Mapping[str, Callable[..., Any]], name: str, kind: str) -> Callable[..., Any]:
    """The builder called ``name``; ``package.module:attribute`` imports a user's own.

    Importing runs the user's code. Callers decide whether the name was typed by the user at hand
    or read from a stored run, and refuse the second unless trusted.
    """
    if name in registry:
        return registry[name]
    if ":" not in name:
        raise unknown(kind, name, registry)
    module_name, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingError(f"{kind}.name={name}: {error}", "write package.module:function") from error


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


def is_own_code(name: str) -> bool:
    """Whether ``name`` points at a user's own code rather than a registered builder."""
    return ":" in name


def parameters(builder: Callable[..., Any], given: Iterable[str] = ()) -> dict[str, inspect.Parameter]:
    """The settable parameters of ``builder``: all but those in ``given``, which the program supplies."""
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        name: parameter
        for name, parameter in inspect.signature(builder).parameters.items()
        if parameter.kind not in variadic and name not in set(given) and name != "self"
    }


def defaults(builder: Callable[..., Any], given: Iterable[str] = ()) -> dict[str, Any]:
    """The builder's own defaults, coerced like any value."""
    return {
        name: field.default
        for name, field in _schema(builder, tuple(given)).model_fields.items()
        if not field.is_required()
    }


def bind(
    builder: Callable[..., Any], settings: Mapping[str, Any], where: str = "", given: Iterable[str] = ()
) -> dict[str, Any]:
    """Complete, coerced keyword arguments for ``builder``.

    Args:
        settings: key to value, as typed.
        where: the group's name, put before a key in messages (``variant.scale``).
        given: parameters that the program supplies itself.

    Raises:
        SettingError: every unknown key, wrong type and missing value, reported together.
    """
    schema = _schema(builder, tuple(given))
    prefix = f"{where}." if where else ""
    truths = {
        key: SettingError(f"{prefix}{key}={value}: expected {_describe(field.annotation)}, not a truth value")
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


def bind_choice(
    registry: Mapping[str, Callable[..., Any]], group: Mapping[str, Any], kind: str, given: Iterable[str] = ()
) -> dict[str, Any]:
    """Complete keywords of the builder that a group names: ``{"name": "w", "scale": 0.5}``.

    Raises:
        SettingError: an unknown name, or all faults of its settings together.
    """
    settings = {key: value for key, value in group.items() if key != "name"}
    return bind(find(registry, group["name"], kind), settings, kind, given)


@lru_cache(maxsize=256)
def _schema(builder: Callable[..., Any], given: tuple[str, ...]) -> type[BaseModel]:
    hints = typing.get_type_hints(
        builder.__init__ if inspect.isclass(builder) else builder, include_extras=True
    )
    fields: dict[str, Any] = {}
    for name, parameter in parameters(builder, given).items():
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (hints.get(name, Any), default)
    return create_model(getattr(builder, "__name__", "builder"), __config__=_CONFIG, **fields)


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
                    f"{prefix}{key}: unknown key", f"did you mean {close}? {valid}" if close else valid
                )
            )
        elif first["type"] == "missing":
            faults.append(SettingError(f"{prefix}{key}: a value is needed", f"write {prefix}{key}=..."))
        else:
            faults.append(_bad_value(key, items, schema, prefix))
    return faults


def _bad_value(key: str, items: list[Any], schema: type[BaseModel], prefix: str) -> SettingError:
    ranged = [item for item in items if item["type"].startswith(("greater", "less", "value_error", "too_"))]
    shown = ranged[0] if ranged else items[0]
    value = shown["input"]
    if ranged:
        message = shown["msg"].removeprefix("Value error, ").removeprefix("Input ")
        return SettingError(f"{prefix}{key}={value}: {message}")
    expected = _describe(schema.model_fields[key].annotation)
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


def _describe(annotation: Any) -> str:
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
        return _describe(args[0])
    if origin is typing.Literal:
        return "one of " + ", ".join(str(arg) for arg in args)
    if origin in (list, tuple):
        return f"a list (each {_describe(args[0])})" if args else "a list"
    if args:
        return " or ".join(_describe(arg) for arg in args)
    return getattr(annotation, "__name__", str(annotation))
