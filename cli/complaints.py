"""What Hydra and OmegaConf complain of, in the words of this program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lmc.core.errors import SettingError
from lmc.core.names import near_miss, shortened, unknown
from lmc.store.checkpoints import SUFFIXES

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

HIDDEN_CHOICES = ("custom",)


def culprit(error: Exception, overrides: Sequence[Override]) -> Override | None:
    """The override that an error of Hydra speaks of, if it is one of ``overrides``."""
    text = str(error)
    missing = getattr(error, "missing_cfg_file", None)
    for override in reversed(overrides):
        key = override.key_or_group
        if missing is not None:
            if isinstance(missing, str) and missing.rpartition("/")[0] == key:
                return override
        elif re.search(rf"'{re.escape(key)}(=[^']*)?'", text) or f" {override.input_line} " in f"{text} ":
            return override
    return None


def fault(error: Exception, override: Override, config: DictConfig) -> SettingError:
    """Why ``override`` does not fit, given what ``config`` became without it."""
    if getattr(error, "missing_cfg_file", None):
        return setting_error(error)
    key = override.key_or_group
    if str(error).startswith(("Could not override", "Could not delete")):
        if str(override.value()).lower().endswith(SUFFIXES):
            return SettingError(f"{key}={shortened(override.value())}: no such file, and no setting")
        return unknown_key(key, config)
    return SettingError(f"{shortened(override.input_line)}: {_first_line(error)}")


def setting_error(error: Exception) -> SettingError:
    """An error of Hydra or OmegaConf that no single override is to blame for."""
    missing = getattr(error, "missing_cfg_file", None)
    if isinstance(missing, str) and getattr(error, "options", None) is not None:
        group, _, choice = missing.rpartition("/")
        return unknown(group, choice, shown_choices(error.options))  # type: ignore[attr-defined]
    cause = error.__cause__ if not str(error) and error.__cause__ is not None else error
    key = getattr(cause, "full_key", None)
    if key and str(cause).startswith("Missing mandatory value"):
        example = "package.module:function" if key.endswith(".name") else "..."
        return SettingError(f"{key}: a value is needed", f"write {key}={example}")
    return SettingError(f"{key}: {_first_line(cause)}" if key else _first_line(cause))


def shown_choices(options: Iterable[str]) -> list[str]:
    """The choices of a group that a person may pick by name."""
    return [option for option in options if option not in HIDDEN_CHOICES]


def leaves(config: DictConfig, prefix: str = "") -> list[str]:
    """Every dotted key of a composed config but Hydra's own."""
    from omegaconf import DictConfig

    found = []
    for name, value in config.items_ex(resolve=False):
        key = str(name)
        if not prefix and key == "hydra":
            continue
        if isinstance(value, DictConfig) and len(value):
            found += leaves(value, f"{prefix}{key}.")
        else:
            found.append(f"{prefix}{key}")
    return found


def unknown_key(key: str, config: DictConfig) -> SettingError:
    """A key that a composed config does not have, with the nearest that it has."""
    from omegaconf import DictConfig, OmegaConf

    group, _, last = key.rpartition(".")
    node = OmegaConf.select(config, group) if group else config
    keys = [str(name) for name in node if name != "hydra"] if isinstance(node, DictConfig) else []
    if "name" in keys and group:
        keys.remove("name")
        close = near_miss(last, keys)
        listed = "its keys: " + (", ".join(keys) or "none")
        hint = f"did you mean {group}.{close}? {listed}" if close else listed
        return SettingError(f"{group}={node.name} has no {last}", hint)
    close = _near_key(key, keys if group else [*keys, *leaves(config)], config)
    listed = f"keys of {group}: " if keys and group else "keys: "
    listed += ", ".join(keys or [str(name) for name in config if name != "hydra"])
    return SettingError(f"{key}: unknown key", f"did you mean {close}? {listed}" if close else listed)


def _near_key(key: str, beside: list[str], config: DictConfig) -> str | None:
    """The key most like ``key``: the same one in a group, else one beside it, else one in a group."""
    group, dot, last = key.rpartition(".")
    ends = {name.rpartition(".")[2]: name for name in reversed(leaves(config))}
    if last in ends:
        return ends[last]
    if close := near_miss(last if dot else key, beside):
        return f"{group}{dot}{close}"
    end = near_miss(last, ends)
    return ends[end] if end else None


def _first_line(error: BaseException) -> str:
    lines = str(error).split("See https://")[0].strip().splitlines()
    return shortened(lines[0], 300) if lines else type(error).__name__
