"""Look up builders by name, and bind settings to a builder's own signature.

A registry is a plain dict from name to builder, in the ``__init__`` of its room.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from lmc.core.binding import Builder, bind, defaults, keywords, parameters
from lmc.core.errors import SettingError
from lmc.core.names import matching, near_miss, registered, shortened, unknown

__all__ = [
    "Builder",
    "bind",
    "bind_choice",
    "defaults",
    "find",
    "is_own_code",
    "keywords",
    "matching",
    "near_miss",
    "parameters",
    "registered",
    "unknown",
]


def find(registry: Mapping[str, Builder], name: str, kind: str) -> Builder:
    """The builder called ``name``; ``package.module:attribute`` imports a user's own.

    Importing runs the user's code. Callers decide whether the name was typed by the user at hand
    or read from a stored run, and refuse the second unless trusted.
    """
    if not isinstance(name, str):
        raise SettingError(f"{kind}.name={shortened(name)}: expected the name of a choice")
    if name in registry:
        return registry[name]
    if ":" not in name:
        raise unknown(kind, name, registry)
    found = _imported(name, kind)
    if not callable(found):
        raise SettingError(
            f"{kind}.name={name}: {type(found).__name__} is not a function", "write package.module:function"
        )
    return found  # type: ignore[no-any-return]


def _imported(name: str, kind: str) -> Any:
    """What ``module:attribute`` names, looked for in the working folder too."""
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), attribute]):
        raise SettingError(f"{kind}.name={shortened(name)}: not a name", "write package.module:function")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingError(f"{kind}.name={name}: {error}", "write package.module:function") from error
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        file, line = getattr(error, "filename", last.filename), getattr(error, "lineno", last.lineno)
        where = f"{file}, line {line}"
        what = f"{type(error).__name__}: {shortened(error)}"
        raise SettingError(f"{kind}.name={name}: {what}", where) from error


def is_own_code(name: str) -> bool:
    """Whether ``name`` points at a user's own code rather than a registered builder."""
    return ":" in name


def bind_choice(
    registry: Mapping[str, Builder], group: Mapping[str, Any], kind: str, given: Iterable[str] = ()
) -> dict[str, Any]:
    """Complete keywords of the builder that a group names: ``{"name": "w", "scale": 0.5}``.

    Raises:
        SettingError: an unknown name, or all faults of its settings together.
    """
    settings = {key: value for key, value in group.items() if key != "name"}
    return bind(find(registry, group["name"], kind), settings, kind, given)
