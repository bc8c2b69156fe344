from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lmc import api
from lmc.core.errors import SettingError
from lmc.core.statistics import Estimate
from lmc.jobs.protocol.experiments import names, read
from lmc.jobs.studies.claims import Claim, parse

QUANTITIES = {
    ("a", "barrier", "none"): Estimate(0.2, 0.1, 0.3, (0.1, 0.2, 0.3)),
    ("b", "barrier", "layers.0"): Estimate(0.03, float("nan"), float("nan"), (0.02, 0.04)),
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("a:barrier:none > 0.1", True),
        ("a:barrier:none@low > 0.1", False),
        ("a:barrier:none@low >= 0.1", True),
        ("b:barrier:layers.0 < 0.2 * a:barrier:none", True),
        ("b:barrier:layers.0 < 0.1 * a:barrier:none", False),
        ("b:barrier:layers.0@high == 0.04", True),
        ("b:barrier:layers.0@low <= 1e-2", False),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    verdict = Claim.parse("claim", [condition, "a:barrier:none == a:barrier:none"]).judge(QUANTITIES)
    assert verdict.holds is holds
    assert ("fails" in verdict.numbers) is not holds


def test_conditions_that_cannot_be_judged() -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        parse("a is small")
    with pytest.raises(SettingError, match="was not measured"):
        Claim.parse("claim", ["c:barrier:none < 1"]).judge(QUANTITIES)


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
    (figure,) = outputs.glob(f"reproduce/*/{name}.png")
    assert figure.stat().st_size > 10_000
    stamps = {path: path.stat().st_mtime_ns for path in outputs.glob("train/*/*/*.safetensors")}
    assert api.reproduce(name, size="tiny", **own).equals(claims)
    assert stamps == {path: path.stat().st_mtime_ns for path in outputs.glob("train/*/*/*.safetensors")}


def test_unknown_experiments_name_the_near_miss() -> None:
    with pytest.raises(SettingError, match="did you mean digits"):
        api.reproduce("digit")


@pytest.mark.slow
def test_the_claims_on_digits_hold_with_other_seeds(outputs: Path) -> None:
    claims = api.reproduce("digits", seeds=list(range(100, 108)), mask_seed=5)
    assert claims["holds"].all(), claims["numbers"].tolist()
