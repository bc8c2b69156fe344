"""The second half of ``lmc COMMAND --help``: what can be set, and what it is when it is not."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from .complaints import shown_choices

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra


def settings_help(command: str) -> str:
    """Groups with their choices, the default marked, and the composed settings as YAML."""
    from omegaconf import OmegaConf

    from .compose import compose, hydra_for
    from .schema import groups_of

    hydra = hydra_for(command)
    chosen = groups_of(command)
    config = hydra.get_sanitized_cfg(compose(hydra, command, []), "job")
    parts = []
    if chosen:
        parts.append("\nGroups (GROUP=CHOICE; * marks the default):\n")
        parts += [f"  {_choices(hydra, group, default)}\n" for group, default in chosen.items()]
        group = next((group for group, default in chosen.items() if default), None)
        if group:
            parts.append(f"  of your own: {group}.name=package.module:function {group}.KEY=VALUE\n")
    parts.append("\nSettings and their defaults (KEY=VALUE; nested ones with dots, GROUP.KEY=VALUE):\n")
    parts.append(textwrap.indent(OmegaConf.to_yaml(config), "  "))
    parts.append("\nlmc explain TERM says what a word, a table or a column means.\n")
    return "".join(parts)


def choices(hydra: Hydra, group: str) -> list[str]:
    """The names that may follow ``group=``."""
    from hydra.core.object_type import ObjectType

    return shown_choices(hydra.config_loader.get_group_options(group, ObjectType.CONFIG))


def _choices(hydra: Hydra, group: str, default: str | None) -> str:
    if default is None:
        return f"{group:<9} {group}.KEY=VALUE; without any, nothing is changed"
    return f"{group:<9} " + ", ".join(
        f"{choice}*" if choice == default else choice for choice in choices(hydra, group)
    )
