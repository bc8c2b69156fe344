from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lmc import api
from lmc.core.errors import SettingError
from lmc.jobs.protocol.experiments import names, read
from lmc.jobs.studies.claims import TOO_SMALL, parse

HEAVY = {"resnet20"}


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.slow] * (each in HEAVY)) for each in names()]
)
def test_every_experiment_runs_at_its_tiny_size_and_again_from_its_store(
    name: str, outputs: Path, shared_data: Callable[[str], str]
) -> None:
    definition = read(name)
    source = definition["runs"].get("data", {}).get("name", "digits")
    own = {"data": {"path": shared_data(source)}} if source in ("mnist", "cifar10") else {}
    for claim in definition["claims"]:
        for condition in claim["conditions"]:
            parse(condition)
    claims = api.reproduce(name, size="tiny", **own)
    assert claims["claim"].tolist() == [claim["text"] for claim in definition["claims"]]
    assert set(claims["outcome"]) == {TOO_SMALL}
    assert not claims["holds"].any()
    (figure,) = outputs.glob(f"reproduce/*/{name}.png")
    assert figure.stat().st_size > 10_000
    stamps = {path: path.stat().st_mtime_ns for path in outputs.glob("train/*/*/*.safetensors")}
    assert api.reproduce(name, size="tiny", **own).equals(claims)
    assert stamps == {path: path.stat().st_mtime_ns for path in outputs.glob("train/*/*/*.safetensors")}


def test_unknown_experiments_name_the_near_miss() -> None:
    with pytest.raises(SettingError, match="did you mean digits"):
        api.reproduce("digit")
