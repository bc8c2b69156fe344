"""Completion in the shell: references on disk, keys, choices and allowed values."""

from __future__ import annotations

import contextlib
import glob
import io
import os
import typing
from collections.abc import Iterator
from typing import Any

import typer


def words(ctx: typer.Context, incomplete: str) -> list[str]:
    """What ``incomplete`` may become; nothing rather than an error when the line so far does not compose."""
    command = str(ctx.command.name)
    before = list(ctx.params.get("words") or [])
    try:
        return sorted(set(_completions(command, before, incomplete)))
    except Exception:
        return []


def _completions(command: str, before: list[str], incomplete: str) -> list[str]:
    from .schema import defaults_of

    if "=" in incomplete:
        return _values(command, before, incomplete)
    if command == "explain":
        from lmc.jobs.reporting.vocabulary import terms

        return rest_of_term(terms(), [word for word in before if "=" not in word], incomplete)
    found = _keys(command, before, incomplete)
    if command == "table" and not any("=" not in word for word in before):
        from lmc.core.schema import TABLES

        found += TABLES
    elif command == "plot" and not any("=" not in word for word in before):
        from lmc.figures import FIGURES

        found += FIGURES
    elif command == "import":
        found += checkpoints(incomplete)
    elif "references" in defaults_of(command):
        found += references(before)
    return [word for word in found if word.startswith(incomplete)]


def rest_of_term(terms: list[str], before: list[str], incomplete: str) -> list[str]:
    """The next word of the terms that begin with the words before."""
    words = [term.split() for term in terms]
    begun = [each for each in words if each[: len(before)] == before and len(each) > len(before)]
    return [each[len(before)] for each in begun if each[len(before)].startswith(incomplete)]


def references(before: list[str]) -> list[str]:
    """Stored experiments and runs, as they are written in a command."""
    from lmc.jobs.protocol.composing import outputs_folder

    given = [word.partition("=")[2] for word in before if word.startswith("outputs=")]
    outputs = outputs_folder(given[-1] if given else None)
    found = []
    for kind in ("train", "merge"):
        with contextlib.suppress(OSError):
            for experiment in os.scandir(os.path.join(outputs, kind)):
                if not experiment.is_dir() or experiment.name.startswith("."):
                    continue
                found.append(experiment.name)
                runs = [run.name for run in os.scandir(experiment) if run.name.isdigit()]
                found += [f"{experiment.name}/{run}" for run in runs]
    return found


def checkpoints(incomplete: str) -> list[str]:
    """Checkpoint files, and folders, that a path may become; a folder with such files stands for these."""
    from lmc.store.checkpoints import SUFFIXES

    found = []
    for place in glob.glob(f"{glob.escape(incomplete)}*"):
        inside = glob.glob(os.path.join(glob.escape(place), "*")) if os.path.isdir(place) else []
        named = [name for name in (place, *inside) if name.lower().endswith(SUFFIXES)]
        files = [name for name in named if os.path.isfile(name)]
        found += files or ([f"{place}/"] if os.path.isdir(place) else [])
    return found


def _composed(command: str, before: list[str]) -> tuple[Any, Any]:
    from .compose import compose, hydra_for
    from .dispatch import read
    from .job import Request

    hydra = hydra_for(command)
    overrides, _ = read(Request(command, [word for word in before if "=" in word], sweep=True))
    return hydra, compose(hydra, command, overrides, sweep=True)


def _keys(command: str, before: list[str], incomplete: str) -> list[str]:
    from .complaints import leaves
    from .schema import groups_of

    if incomplete.startswith("hydra"):
        return ["hydra/launcher=", "hydra/sweeper=", "hydra.searchpath="]
    chosen = groups_of(command)
    found = [f"{group}=" if default else f"{group}." for group, default in chosen.items()]
    for key in leaves(_composed(command, before)[1]):
        if key in chosen or key == "references" or key.endswith(".name"):
            continue
        head, dot, _ = key.partition(".")
        found.append(f"{key}=" if not dot or incomplete.startswith(f"{head}.") else f"{head}.")
    return found


def _values(command: str, before: list[str], incomplete: str) -> list[str]:
    from lmc.jobs.protocol.commands import COMMANDS

    from .compose import hydra_for
    from .help import choices
    from .schema import groups_of

    key = incomplete.partition("=")[0]
    chosen = groups_of(command)
    if chosen.get(key) or key.startswith("hydra/"):
        values = choices(hydra_for(command), key)
    else:
        values = _allowed(COMMANDS[command].settings, key) or _present(command, before, key)
    done = incomplete[: max(incomplete.rfind(","), incomplete.find("=")) + 1]
    return [word for word in (f"{done}{value}" for value in values) if word.startswith(incomplete)]


def _allowed(command: type, key: str) -> list[str]:
    """The words that a key of the command's own takes, if its type lists them."""
    from lmc.jobs.protocol.commands.shared import Training

    owner = Training if key.startswith("training.") else command
    hint = typing.get_type_hints(owner).get(key.removeprefix("training."))
    if hint is bool:
        return ["true", "false"]
    listed = typing.get_origin(hint) is typing.Literal
    return [str(value) for value in typing.get_args(hint)] if listed else []


def _present(command: str, before: list[str], key: str) -> list[str]:
    """The value that ``key`` has so far, to be edited."""
    from omegaconf import OmegaConf

    _, config = _composed(command, before)
    value = OmegaConf.select(config, key)
    if value is None or OmegaConf.is_config(value):
        return []
    return [str(value).lower() if isinstance(value, bool) else str(value)]


@contextlib.contextmanager
def for_shell(program: str) -> Iterator[None]:
    """Let bash complete what stands after ``=`` and ``:``, at which it splits words.

    Bash hands over ``variant = st`` and replaces ``st`` only; the pieces are joined before the question,
    and what stands before the last piece is taken off the answer.
    """
    if os.environ.get(f"_{program.upper()}_COMPLETE") != "complete_bash":
        yield
        return
    pieces = os.environ.get("COMP_WORDS", "").split("\n")
    words, index = _joined(pieces, int(os.environ.get("COMP_CWORD", "0")))
    before = words[index][: _after_break(words[index])] if index < len(words) else ""
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = " ".join(words), str(index)
    answer = io.StringIO()
    try:
        with contextlib.redirect_stdout(answer):
            yield
    finally:
        for line in answer.getvalue().splitlines():
            print(line.removeprefix(before))


def _after_break(word: str) -> int:
    return max(word.rfind("="), word.rfind(":")) + 1


def _joined(pieces: list[str], index: int) -> tuple[list[str], int]:
    """Words joined at ``=`` and ``:``, and which of them holds piece number ``index``."""
    words: list[str] = []
    place = 0
    for number, piece in enumerate(pieces):
        if number > 1 and piece and (piece in ("=", ":") or words[-1].endswith(("=", ":"))):
            words[-1] += piece
        else:
            words.append(piece)
        if number == index:
            place = len(words) - 1
    return words, place
