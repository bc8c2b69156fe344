"""Records of earlier formats as the present one: one function for each step.

Format 0 of ``settings.yaml`` names neither kind nor format: where a file lies says what it is. ``run.json``
began with format 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

FORMAT = 3
Content = dict[str, Any]
_UNKNOWN = ("layers", "ratio", "tau", "neurons", "seeds")


def migrated(content: Content, version: int, path: Path) -> Content:
    """A record's content in the present format, without its ``format`` key."""
    content = dict(content)
    for step in _STEPS[version:]:
        content = step(content, path)
    content.pop("format", None)
    return content


def _divide_settings(content: Content, path: Path) -> Content:
    """0 to 1: settings name their kind; those of jobs, and definitions, lie under a key of their own."""
    if path.suffix == ".json":
        return content
    *_, command, _, _ = path.parts
    if command == "train":
        return {"kind": "import" if "imported" in content else "train", **content}
    if command == "merge":
        return {"kind": "merge", **content}
    return _reproduce(content, path) if command == "reproduce" else _job(content)


def _name_runs(content: Content, path: Path) -> Content:
    """1 to 2: ``run.json`` names its kind."""
    return {"kind": "run", **content} if path.suffix == ".json" else content


def _match_to_first(content: Content, path: Path) -> Content:
    """2 to 3: merges say what many runs were matched to; it was always the first."""
    match = content.get("match")
    if content.get("kind") != "merge" or not isinstance(match, dict) or len(content.get("sources", ())) < 3:
        return content
    if match.get("name") not in ("activation", "identifiability"):
        return content
    return {**content, "match": {**match, "reference": "first"}}


def _reproduce(content: Content, path: Path) -> Content:
    """The size was kept in the folder's name only: ``NAME-SIZE-HASH``."""
    head = {key: content[key] for key in ("experiment",) if key in content}
    size = path.parent.name.removeprefix(f"{head.get('experiment')}-").split("-")[0]
    definition = {key: value for key, value in content.items() if key not in ("command", "experiment")}
    return {"kind": "reproduce", **head, "size": size, "definition": definition}


def _job(content: Content) -> Content:
    """Runs were kept sorted as text, pairs not at all; ``lmc predict`` kept none of its own settings."""
    head = {"kind": "job", "command": content.get("command")}
    settings = {key: value for key, value in content.items() if key not in ("command", "runs")}
    if content.get("command") == "predict":
        return {**head, "runs": [], "settings": {**settings, **dict.fromkeys(_UNKNOWN)}}
    if not isinstance(content.get("runs"), list):
        return {**head, "settings": settings}
    runs = sorted(map(str, content["runs"]), key=_place)
    if settings.get("pairs") not in _HOW:
        return {**head, "runs": runs, "settings": settings}
    how = _HOW[settings["pairs"]]
    pairs = [list(pair) for together in _sets(runs) for pair in how(together)]
    return {**head, "runs": runs, "pairs": pairs, "settings": settings}


def _place(key: str) -> tuple[str, int, int]:
    name, seed, epoch = key.rsplit("/", 2)
    return name, int(seed), int(epoch)


def _sets(runs: Sequence[str]) -> list[list[str]]:
    """Runs as an experiment's name, and single runs, would have given them."""
    of: dict[str, list[str]] = {}
    for key in runs:
        of.setdefault(_place(key)[0], []).append(key)
    single = [key for each in of.values() if len(each) == 1 for key in each]
    return [*(each for each in of.values() if len(each) > 1), single]


_HOW: dict[Any, Callable[[Sequence[str]], list[tuple[str, str]]]] = {
    "disjoint": lambda runs: list(zip(runs[::2], runs[1::2], strict=False)),
    "consecutive": lambda runs: list(pairwise(runs)),
    "all": lambda runs: list(combinations(runs, 2)),
}
_STEPS: tuple[Callable[[Content, Path], Content], ...] = (_divide_settings, _name_runs, _match_to_first)
