"""Compose a command's settings with Hydra, and tell all that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from lmc.core.errors import LmcError, SettingError, raise_together
from lmc.core.names import shortened

from . import complaints

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

CHECKED_BEFOREHAND = 200
LONGEST_CHOICE = 200


def hydra_for(command: str) -> Hydra:
    """Hydra with the shipped configs and the command's own keys, fresh for every command of a process."""
    from hydra import initialize_config_module
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra

    from .choices import REGISTRIES, without_yaml
    from .schema import defaults_list, schema_of

    store = ConfigStore.instance()
    for group in REGISTRIES:
        for name in without_yaml(group):
            store.store(group=group, name=name, node={"name": name})
    store.store(name=command, node=schema_of(command), group="schema")
    store.store(name=command, node={"defaults": defaults_list(command)})
    GlobalHydra.instance().clear()
    initialize_config_module("lmc.conf", job_name=command, version_base="1.3")
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    return hydra


def compose(
    hydra: Hydra,
    command: str,
    overrides: Sequence[Override],
    sweep: bool = False,
    faults: Sequence[LmcError] = (),
) -> DictConfig:
    """The composed config, ``hydra`` node included.

    An override that does not fit is set aside and the rest composed without it, so that one answer
    names every fault: ``faults`` found before, those of the keys, and those of the values.

    Raises:
        SettingError: all faults, a line each.
    """
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf.errors import OmegaConfBaseException

    from .schema import groups_of

    groups = [group for group, default in groups_of(command).items() if default]
    wrong = [each for each in overrides if _names_none(each, groups)]
    foreign = [each for each in overrides if _is_foreign(each, groups)]
    overrides = [each for each in overrides if each not in [*wrong, *foreign]]
    faults = [*faults, *map(_one_choice, wrong)]
    mode = RunMode.MULTIRUN if sweep else RunMode.RUN
    kept, aside = list(overrides), []
    while True:
        try:
            texts = [str(override.input_line) for override in kept]
            config = hydra.compose_config(command, texts, run_mode=mode, with_log_configuration=False)
            break
        except (HydraException, OmegaConfBaseException) as error:
            culprit = complaints.culprit(error, kept)
            if culprit is None:
                raise_together([*faults, complaints.setting_error(error)])
                raise
            kept.remove(culprit)
            aside.append((culprit, error))
    found = [*faults, *(complaints.unknown_key(each.key_or_group, config) for each in foreign)]
    found += [complaints.fault(error, override, config) for override, error in aside]
    if found:
        raise_together(found + ([] if sweep else value_faults(command, config)))
    return config


def picked(hydra: Hydra, overrides: Iterable[Override]) -> list[Override]:
    """The overrides with ``glob(s*)`` as the choices of the group that it matches.

    Raises:
        SettingError: it matches none, or the key is no group.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Glob

    overrides, made = list(overrides), []
    searched = [str(each.input_line) for each in overrides if each.key_or_group == "hydra.searchpath"]
    for override in overrides:
        glob = override._value
        if not isinstance(glob, Glob):
            made.append(override)
            continue
        there = hydra.config_loader.get_group_options(override.key_or_group, overrides=searched)
        names = complaints.shown_choices(glob.filter(there))
        if not names:
            listed = ", ".join(complaints.shown_choices(there))
            hint = f"choose from {listed}" if there else f"{override.key_or_group} has no choices by name"
            raise SettingError(f"{shortened(override.input_line)}: matches no choice", hint)
        text = f"{override.get_key_element()}={','.join(names)}"
        made.append(OverridesParser.create().parse_override(text))
    return made


def _is_foreign(override: Override, groups: Collection[str]) -> bool:
    """Whether an override chooses from a folder of ``conf/`` that is no group of the command."""
    from .choices import REGISTRIES

    key = override.key_or_group
    return key not in groups and key.partition("/")[0] in (
        *REGISTRIES,
        "experiment",
        "schema",
        "hydra_defaults",
    )


def _names_none(override: Override, groups: Collection[str]) -> bool:
    """Whether what is given for a group of choices, Hydra's among them, cannot be the name of one."""
    key = override.key_or_group
    if override.is_sweep_override() or not (key in groups or key == "hydra" or key.startswith("hydra/")):
        return False
    name = override.value()
    return not isinstance(name, str) or len(name.encode()) > LONGEST_CHOICE


def _one_choice(override: Override) -> LmcError:
    """Hydra would lay several choices over one another, or take none, and hide the others."""
    key, value = override.key_or_group, override.value()
    if isinstance(value, list) and value:
        hint = f"-m {key}={shortened(','.join(map(str, value)))} makes a job of each"
        return SettingError(f"{shortened(override.input_line)}: one choice is needed", hint)
    return SettingError(
        f"{shortened(override.input_line)}: expected the name of a choice", "lmc COMMAND --help lists them"
    )


def mapping(config: DictConfig) -> dict[str, Any]:
    """The settings as plain values.

    Raises:
        SettingError: a value that must be given is missing, or an interpolation does not resolve.
    """
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    config = config.copy()
    with open_dict(config):
        config.pop("hydra", None)
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise complaints.setting_error(error) from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def value_faults(command: str, config: DictConfig) -> list[LmcError]:
    """What the command's own check finds wrong with the values of a composed config."""
    import lmc.jobs

    try:
        lmc.jobs.checked(command, mapping(config))
    except LmcError as error:
        return [SettingError(line) for line in str(error).splitlines()]
    return []


def check_sweep(hydra: Hydra, command: str, overrides: Sequence[Override], sweeper: str) -> None:
    """Compose and check every job of a sweep before the first one starts.

    Sweeps over ranges that only a sweeper plug-in can draw from are left to it.

    Args:
        sweeper: which of Hydra's sweepers will make the jobs.

    Raises:
        SettingError: the faults of all jobs, each once.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    faults: list[LmcError] = []
    if sweeper == "basic":
        faults += [
            SettingError(
                f"{shortened(each.input_line)}: no list of values", "only other sweepers draw from it"
            )
            for each in overrides
            if each.is_sweep_override() and not each.is_discrete_sweep()
        ]
    parser = OverridesParser.create()
    for texts in islice(jobs(overrides), CHECKED_BEFOREHAND):
        try:
            config = compose(hydra, command, parser.parse_overrides(texts))
        except LmcError as error:
            faults.extend(SettingError(line) for line in str(error).splitlines())
        else:
            faults.extend(value_faults(command, config))
    raise_together(faults)


def jobs(overrides: Sequence[Override]) -> Iterator[list[str]]:
    """The overrides of every job of a sweep; none where only a sweeper plug-in can draw the values."""
    if any(override.is_sweep_override() and not override.is_discrete_sweep() for override in overrides):
        return
    choices = [
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [str(override.input_line)]
        for override in overrides
    ]
    for job in product(*choices):
        yield list(job)
