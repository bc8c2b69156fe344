"""From the words of a command line to a finished job: the one road that every command takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmc.core.errors import SettingError, raise_together
from lmc.core.names import near_miss, shortened, unknown

from . import grammar, render, sweep, tokens
from .job import Request, perform

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

    from lmc.core.errors import LmcError
    from lmc.jobs.protocol.outcome import Outcome

CONFIGS = ("job", "hydra", "all")


def carry_out(request: Request) -> int:
    """Do what was asked, print the result, and give the exit code.

    Raises:
        LmcError: whatever the user can mend.
    """
    _check_options(request)
    hydra, overrides, config = composed(request)
    if request.cfg is not None:
        _print_config(hydra, config, request.cfg)
        return 0
    if request.sweep:
        outcomes, code = sweep.run(hydra, request, _texts(overrides), config)
    else:
        outcomes, code = [_run_one(hydra, request, overrides)], 0
    render.show(outcomes, request.format, request.quiet)
    return code


def composed(request: Request) -> tuple[Hydra, list[Override], DictConfig]:
    """The settings that a command line asks for, checked, and those of every job of a sweep.

    Raises:
        LmcError: a word that is wrong, or that nothing would come of; all of them, a line each.
    """
    from .compose import check_sweep, compose, hydra_for, picked, value_faults

    overrides, faults = read(request)
    hydra = hydra_for(request.command)
    overrides = picked(hydra, overrides)
    config = compose(hydra, request.command, overrides, request.sweep, faults)
    if request.sweep:
        sweeper = config.hydra.runtime.choices.get("hydra/sweeper")
        check_sweep(hydra, request.command, overrides, sweeper)
    else:
        raise_together(value_faults(request.command, config))
    return hydra, overrides, config


def _check_options(request: Request) -> None:
    render.check(request.format)
    if request.cfg is None:
        return
    if request.cfg not in CONFIGS:
        raise unknown("--cfg", request.cfg, CONFIGS)
    idle = [option for option, given in (("--format", request.format), ("-q", request.quiet)) if given]
    if idle:
        raise SettingError(f"{idle[0]} and --cfg: settings are shown as YAML", "leave one of them out")


def read(request: Request) -> tuple[list[Override], list[LmcError]]:
    """The parsed overrides that a command line stands for, references and flags among them, and faults.

    Raises:
        SettingError: a word that is neither reference nor override.
    """
    from lmc.jobs.protocol.commands import COMMANDS

    from .choices import without_yaml
    from .schema import defaults_of, groups_of

    chosen, plain = groups_of(request.command), defaults_of(request.command)
    words = tokens.split(request.words, [*plain, *chosen, "experiment", "hydra"])
    if words.references and "references" not in plain:
        close = near_miss(words.references[0], [*plain, *chosen])
        hint = f"write {close}=..." if close else "settings are written key=value"
        raise SettingError(f"{request.command} takes no reference: {shortened(words.references[0])}", hint)
    groups = [*chosen, *(key for key, value in plain.items() if isinstance(value, dict))]
    overrides, faults = grammar.written_out(words.overrides, groups)
    overrides = _with_experiment(request, overrides)
    texts = tokens.with_own_builders(overrides, chosen, request.command, without_yaml)
    texts = [_rooted(text) for text in texts]
    if request.out is not None:
        texts.append(f"out={tokens.quote(request.out)}")
    texts += [f"{flag}=true" for flag, given in request.flags.items() if given]
    if words.references:
        texts.append(f"references={tokens.quoted_list(words.references)}")
    if request.config_dir is not None:
        texts.append(f"hydra.searchpath={_search_path(request.config_dir)}")
    as_text = grammar.text_keys(COMMANDS[request.command].settings, chosen)
    parsed, unread = grammar.parse(texts, as_text, request.sweep)
    faults += [*unread, *grammar.given_twice(parsed), *([] if request.sweep else grammar.only_swept(parsed))]
    missing = {str(override.input_line): _unreachable(override) for override in parsed}
    reachable = [override for override in parsed if not missing[str(override.input_line)]]
    return reachable, faults + [fault for found in missing.values() for fault in found]


def _with_experiment(request: Request, overrides: list[str]) -> list[str]:
    """The overrides with ``experiment=NAME/CASE`` written out beneath the others."""
    from lmc.jobs.protocol.commands import COMMANDS

    named = [text for text in overrides if tokens.key_of(text) == "experiment"]
    if not named or not COMMANDS[request.command].published:
        return overrides
    from lmc.jobs.protocol.experiments import as_overrides

    if len(named) > 1:
        raise SettingError(f"{' and '.join(named)}: experiment is given twice", "give one of them")
    rest = [text for text in overrides if text not in named]
    keys = [tokens.key_of(text) for text in rest]
    given = [*keys, *(f"{key}.name" for key in keys if "." not in key)]
    return [*as_overrides(tokens.value_of(named[-1]), given, COMMANDS[request.command].settings), *rest]


def _run_one(hydra: Hydra, request: Request, overrides: Sequence[Override]) -> Outcome:
    """One job through Hydra's own run, so that its callbacks and ``hydra.*`` settings count.

    What the job raises is carried around Hydra, which would print a line of its own.
    """
    raised: list[Exception] = []

    def task(config: DictConfig) -> Outcome | None:
        try:
            return perform(request.command, config, quiet=request.quiet, bars=True)
        except Exception as error:
            raised.append(error)
            return None

    outcome: Outcome = hydra.run(request.command, task, _texts(overrides)).return_value
    if raised:
        raise raised[0]
    return outcome


def _texts(overrides: Sequence[Override]) -> list[str]:
    return [str(override.input_line) for override in overrides]


def _print_config(hydra: Hydra, config: DictConfig, kind: str) -> None:
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    HydraConfig.instance().set_config(config)
    sys.stdout.write(OmegaConf.to_yaml(hydra.get_sanitized_cfg(config, kind)))
    sys.stdout.flush()


def _rooted(text: str) -> str:
    """``outputs=DIR`` from the folder where the command started, also in a worker elsewhere."""
    key, value = tokens.key_of(text), tokens.value_of(text)
    if key != "outputs" or not value or set(value) & set("',\"[({") or value == "null":
        return text
    return f"outputs={tokens.quote(os.path.abspath(os.path.expanduser(value)))}"


def _unreachable(override: Override) -> list[LmcError]:
    """Folders of ``hydra.searchpath`` that are not there, which Hydra would only warn of."""
    value = override.value() if override.key_or_group == "hydra.searchpath" else None
    places = value if isinstance(value, list) else []
    folders = [str(place).removeprefix("file://") for place in places if not str(place).startswith("pkg://")]
    return [
        SettingError(f"hydra.searchpath: no such folder: {folder}")
        for folder in folders
        if not os.path.isdir(folder)
    ]


def _search_path(folder: str) -> str:
    if not os.path.isdir(folder):
        raise SettingError(f"--config-dir {folder}: no such folder")
    return f"[{tokens.quote(f'file://{os.path.abspath(folder)}', resolved=False)}]"
