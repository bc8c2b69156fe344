"""What the words of a command line mean: references to runs, and overrides of settings.

Nothing here knows Hydra; the rules can be read, and tested, as functions from text to text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from lmc.core.errors import SettingError
from lmc.core.names import shortened

OVERRIDE = re.compile(r"~|\+{0,2}[\w./@:$-]+=")
TEXT_KEYS = ("name", "path")


@dataclass(frozen=True)
class Words:
    """A command line taken apart; the order within each kind is kept."""

    references: list[str]
    overrides: list[str]


def split(words: Iterable[str], keys: Iterable[str]) -> Words:
    """References and overrides among ``words``.

    A word of the form ``key=value`` is an override. A path may hold ``=`` too: a word that exists on
    disk is a reference, unless what stands before its ``=`` is one of the command's ``keys``.
    """
    known = set(keys)
    found = Words([], [])
    for word in words:
        is_setting = key_of(word).split(".")[0] in known or not os.path.exists(word)
        (found.overrides if OVERRIDE.match(word) and is_setting else found.references).append(word)
    return found


def key_of(override: str) -> str:
    """The key of an override, without the signs of adding and deleting before it."""
    return override.partition("=")[0].lstrip("+~")


def value_of(override: str) -> str:
    """The text after the first ``=``."""
    return override.partition("=")[2]


def quote(text: str, resolved: bool = True) -> str:
    """``text`` as a quoted string of Hydra's grammar.

    A backslash means itself there unless it stands before a quote, ``${`` or the end, where it is doubled.

    Args:
        resolved: whether interpolations will be resolved in it, so that ``${`` must be marked as none.
    """
    if resolved:
        text = re.sub(r"(\\*)\$\{", lambda hit: hit[1] * 2 + "\\${", text)
    escaped = re.sub(r"(\\*)('|$)", lambda hit: hit[1] * 2 + ("\\'" if hit[2] else ""), text)
    return f"'{escaped}'"


def quoted_list(texts: Iterable[str]) -> str:
    """A list of strings in Hydra's grammar, each taken literally."""
    return "[" + ",".join(quote(text) for text in texts) + "]"


def with_own_builders(
    overrides: Iterable[str],
    groups: Mapping[str, str | None],
    command: str,
    bare: Callable[[str], Collection[str]] = lambda group: (),
) -> list[str]:
    """Overrides that compose: a user's own builder and open groups become additions.

    ``groups`` maps a group to its default choice, None for an open group: one that has no choices and
    takes any key. ``model.name=package.module:function`` chooses ``model=custom``, whose other keys
    nobody can know beforehand; ``model.name=resnet`` means ``model=resnet``. ``bare`` gives the choices of
    a group that have no YAML, whose keys cannot be known either.

    Raises:
        SettingError: a choice for an open group, or two choices for one group.
    """
    overrides = list(overrides)
    own = {group: text for group in groups for text in overrides if _names_own_builder(text, group)}
    open_groups = {group for group in groups if groups[group] is None or group in own}
    bare_groups = {group for group in groups for text in overrides if _chooses(text, group, bare)}
    faults: list[SettingError] = []
    result = [f"{group}=custom" for group in own if groups[group] is not None]
    for text in overrides:
        key, value = key_of(text), value_of(text)
        group, _, rest = key.partition(".")
        if group not in groups or (text[0] in "+~" and rest != "name"):
            result.append(text)
        elif not rest and groups[group] is None:
            hint = f"write {group}.KEY=VALUE"
            faults.append(
                SettingError(f"{shortened(text)}: {command} takes keys of {group}, not a choice", hint)
            )
        elif not rest and group in own:
            if value != "custom":
                message = f"{shortened(text)} and {own[group]}: two choices of {group}"
                faults.append(SettingError(message, "give one of them"))
        elif rest and (group in open_groups or (group in bare_groups and rest != "name")):
            result.append(f"++{text.lstrip('+')}")
        elif rest == "name":
            result.append(f"{group}={value}")
        else:
            result.append(text)
    if faults:
        raise SettingError("\n".join(map(str, faults)))
    return result


def _names_own_builder(override: str, group: str) -> bool:
    return key_of(override) == f"{group}.name" and ":" in value_of(override)


def _chooses(override: str, group: str, names: Callable[[str], Collection[str]]) -> bool:
    """Whether an override chooses, perhaps among others, one of the ``names`` of its group."""
    chosen = key_of(override) in (group, f"{group}.name")
    return chosen and any(each.strip() in names(group) for each in value_of(override).split(","))
