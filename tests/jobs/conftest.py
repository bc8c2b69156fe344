"""Jobs on real data (scikit-learn's digits), with networks small enough for a second a command."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lmc import api

SHARED: dict[str, Any] = {"seeds": 4, "training": {"epochs": 8}, "model": {"hidden": [24, 16]}}
TINY: dict[str, Any] = {"model": {"name": "mlp", "hidden": [8, 8]}, "training": {"epochs": 2}, "threads": 1}


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder; results go to its ``outputs``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LMC_OUTPUTS", raising=False)
    return tmp_path / "outputs"


def tiny(**settings: Any) -> dict[str, Any]:
    """Settings of a tiny training, changed: a group's mapping is merged."""
    merged = {key: dict(value) if isinstance(value, dict) else value for key, value in TINY.items()}
    for key, value in settings.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key].update(value)
        else:
            merged[key] = value
    return merged


def train(**settings: Any) -> Any:
    """Train a tiny experiment and return its table ``run``."""
    return api.train(**tiny(**settings))


@pytest.fixture(scope="session")
def four_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs each of standard, w and sigma, and of standard with BatchNorm, trained once for all modules."""
    folder = tmp_path_factory.mktemp("stored")
    for variant in ("standard", "w", "sigma"):
        train(**SHARED, variant=variant, outputs=str(folder), name=variant)
    train(**{**SHARED, "model": {"hidden": [24, 16], "norm": "batch"}}, outputs=str(folder), name="batch")
    return folder


@pytest.fixture
def runs(four_runs: Path, outputs: Path) -> Path:
    """A copy of them that a test may change."""
    shutil.copytree(four_runs, outputs)
    return outputs
