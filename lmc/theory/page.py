"""The theory page by sections."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from lmc.core.registry import unknown


def read(name: str) -> str:
    """A text file of this room, wherever the package is installed."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def sections() -> dict[str, tuple[str, str]]:
    """Title and text (Markdown, lines of at most 80 columns) by number, in order."""
    _, *parts = re.split(r"(?m)^## (\d+)\. (.+)$", read("theory.md"))
    found = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {number: (title, text.strip("\n")) for number, title, text in found}


def section(number: str) -> tuple[str, str]:
    """Title and text of one section; raises SettingError where there is none of this number."""
    if number not in sections():
        raise unknown("theory", number, sections())
    return sections()[number]
