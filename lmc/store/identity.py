"""A run is found by what it is: settings to name.

The hash covers every setting the numbers depend on, coerced, with settings at their defaults left out,
so that a setting added later renames nothing. Devices, threads, folders and the list of seeds stay out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HASH = re.compile(r"-[0-9a-f]{8}$")
_LONGEST = 100


@dataclass(frozen=True)
class Chosen:
    """A builder that was chosen, with its settings that are not at their defaults.

    Attributes:
        name: of the builder; None where there is nothing to choose from.
        usual: the choice that goes without saying in a name; None where all do.
    """

    name: str | None
    changed: Mapping[str, Any]
    usual: str | None = None


@dataclass(frozen=True)
class Identity:
    """What a stored thing is: ``content`` is hashed, ``shown`` is said of it in its name."""

    content: dict[str, Any]
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The hash, eight hex digits."""
        return fingerprint(self.content)

    def name(self, stem: str, say: bool = True) -> str:
        """The name of its folder; without what is said of it where ``stem`` is the user's own."""
        return experiment_name(stem, self.shown if say else {}, self.digest)


def identify(
    facts: Mapping[str, Any],
    chosen: Mapping[str, Chosen] | None = None,
    plain: Mapping[str, Any] | None = None,
    usual: Mapping[str, Any] | None = None,
) -> Identity:
    """The identity of anything that is stored: trained, imported, merged or computed.

    Args:
        facts: what is hashed as it is and not said: runs, digests of data and weights.
        chosen: builders by group, in the order in which a name says what of them was changed.
        plain: the other settings; those equal to ``usual`` are left out.
    """
    changed = differing(plain or {}, usual or {})
    content, shown = {**facts, **changed}, {}
    for group, choice in (chosen or {}).items():
        content[group] = {**({} if choice.name is None else {"name": choice.name}), **choice.changed}
        if choice.name is not None and choice.usual not in (None, choice.name):
            shown[choice.name] = ""
        shown.update(choice.changed)
    return Identity(content, {**shown, **changed})


def differing(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are not at their defaults, in the given order."""
    return {key: value for key, value in settings.items() if key not in defaults or defaults[key] != value}


def fingerprint(content: Mapping[str, Any]) -> str:
    """Eight hex digits of a nested mapping, independent of its order."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def readable(parts: Mapping[str, Any]) -> str:
    """Settings as a file name's part: ``{"scale": 0.5}`` becomes ``scale0.5``."""
    return "-".join(key.replace("_", "") + _short(value) for key, value in parts.items())


def experiment_name(stem: str, changed: Mapping[str, Any], digest: str) -> str:
    """``<stem>[-<settings that differ>]-<hash>``; a very long list is cut, the hash tells it apart."""
    label = f"{stem}-{readable(changed)}" if changed else stem
    label = re.sub(r"[^A-Za-z0-9.+_-]+", "_", label)[:_LONGEST].rstrip("-.")
    return f"{label}-{digest}"


def stem_of(name: str) -> str:
    """The readable part of an experiment's name."""
    return HASH.sub("", name)


def hash_of(name: str) -> str:
    """The hash at the end of a name; empty where there is none."""
    found = HASH.search(name)
    return found.group().removeprefix("-") if found else ""


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        items = [_short(item) for item in value]
        return items[0] if len(set(items)) == 1 and len(items) > 1 else "x".join(items)
    return str(value)
