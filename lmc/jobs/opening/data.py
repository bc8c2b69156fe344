"""Data and devices as jobs need them: loaded once a process, on the device that computes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lmc import data
from lmc.core.errors import DataError, MismatchError, SettingError
from lmc.data import Dataset
from lmc.jobs.protocol.talk import Talk


def load_data(settings: Mapping[str, Any]) -> Dataset:
    """The data set of bound settings (``name`` included); the same settings are loaded once."""
    return _load(json.dumps(settings, sort_keys=True))


@lru_cache(maxsize=2)
def _load(settings: str) -> Dataset:
    return data.load(**json.loads(settings))


def reload_data(stored: Mapping[str, Any], moved: Mapping[str, Any], digest: str) -> Dataset:
    """The data of a stored run, perhaps at a new place.

    Args:
        stored: the run's data settings.
        moved: location keys that override the stored ones.
        digest: what the decoded data must hash to.

    Raises:
        SettingError: ``moved`` names a key that says more than where the data lie.
        MismatchError: the data there are not those the run was trained on.
    """
    wrong = [key for key in moved if key not in data.LOCATION]
    if wrong:
        raise SettingError(
            f"data.{wrong[0]}: a stored run's data cannot be changed",
            f"only {', '.join(data.LOCATION)} may be given",
        )
    try:
        loaded = load_data({**stored, **moved})
    except DataError as error:
        raise DataError(f"{error}", "data.path= says where the run's data lie now") from error
    if loaded.digest != digest:
        raise MismatchError(
            "the data there are not those the run was trained on", "point data.path at the same data"
        )
    return loaded


def tell(dataset: Dataset, talk: Talk) -> None:
    """Say what was decided about a data set that is named for the first time, and warn of likely mistakes."""
    for note in dataset.notes:
        talk.say(note)
    for doubt in dataset.doubts:
        talk.warn(doubt)
