"""Two jobs that differ in one setting: every mean that is printed or drawn is that of one of them alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lmc import jobs
from lmc.core.schema import TABLES
from lmc.figures import FIGURES
from lmc.jobs.reporting.selection import Chosen, drawn, for_figure

from .conftest import train

RIDGE = {"estimate": "ridge", "betas": [0.1], "neurons": 4}
THROUGH = {**RIDGE, "activation": True, "samples": 16}
BRIEF: dict[str, dict[str, Any]] = {
    "barrier": {"alphas": 3},
    "linearisation": {"samples": 16},
    "ntk": {"ntk_samples": 3, "ntk_outputs": 2},
}
"""Settings of ``lmc dynamics`` that make a measure quick; the others do not take them."""


def _course(measure: str, **changed: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    brief = {**BRIEF.get(measure, {}), "measures": [measure]}
    return "dynamics", brief, {**brief, **changed}


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("path", {"alphas": 5}, {"alphas": 3}),
    ("path", {"alphas": [0, 0.3, 1]}, {"alphas": 3}),
    ("path", {"alphas": 3, "match": "activation"}, {"alphas": 5}),
    ("path", {"alphas": 3}, {"alphas": 3, "restatistics": False}),
    ("path", {"alphas": 3}, {"alphas": 3, "pairs": "all"}),
    ("path", {"alphas": 3, "pairs": "consecutive"}, {"alphas": 3}),
    ("path", {"alphas": 3, "match": "activation"}, {"alphas": 3, "match": "identifiability"}),
    (
        "path",
        {"alphas": 3, "match": "identifiability"},
        {"alphas": 3, "match": {"name": "identifiability", "tau": 0.1}},
    ),
    ("path", {"alphas": 3, "kind": "representation"}, {"alphas": 5, "kind": "representation"}),
    (
        "path",
        {"alphas": 3, "kind": "representation"},
        {"alphas": 3, "kind": "representation", "restatistics": False},
    ),
    ("path", {"alphas": 3, "gap": True}, {"alphas": 3, "gap": True, "restatistics": False}),
    ("path", {"alphas": 3, "gap": True}, {"alphas": 3, "gap": True, "split": "val"}),
    ("path", {"alphas": 3, "gap": True}, {"alphas": 3, "gap": True, "layers": "layers.1"}),
    ("check", {"alphas": 5}, {"alphas": 3}),
    ("check", {"alphas": 3}, {"alphas": 3, "split": "val"}),
    ("check", {"alphas": 3}, {"alphas": 3, "pairs": "all"}),
    ("check", {"alphas": 3}, {"alphas": 3, "low": 0.9}),
    ("check", {"alphas": 3}, {"alphas": 3, "identifiable": 0.1}),
    ("match", {}, {"match": {"name": "identifiability", "tau": 0.1}}),
    ("match", {}, {"match": {"name": "identifiability", "ratio": 0.5}}),
    ("match", {}, {"match": "activation"}),
    ("match", {}, {"sensitivity": True}),
    ("match", {}, {"pairs": "all"}),
    ("cost", {}, {"estimate": "ridge", "betas": [0.1]}),
    ("cost", RIDGE, {**RIDGE, "betas": [1.0]}),
    ("cost", RIDGE, {**RIDGE, "fit_bias": False}),
    ("cost", RIDGE, THROUGH),
    ("cost", THROUGH, {**THROUGH, "samples": 32}),
    ("cost", THROUGH, {**THROUGH, "pairs": 3}),
    ("cost", {}, {"outside": "projected"}),
    ("cost", {}, {"neurons": 4}),
    ("cost", {"neurons": 4}, {}),
    ("cost", {"distance": True}, {"distance": True, "ratio": 0.5}),
    ("cost", {"distance": True}, {"distance": True, "neurons": 4}),
    ("cost", {}, {"tau": 0.1}),
    ("cost", {}, {"epochs": "all"}),
    ("cost", {}, {"layers": "layers.1"}),
    ("coherence", {}, {"ratio": 0.5}),
    ("coherence", {}, {"deltas": [0.2]}),
    ("coherence", {}, {"layers": "layers.1"}),
    _course("barrier", alphas=5),
    _course("updates", epochs=[0, 4]),
    _course("cka", layers="layers.1"),
    _course("linearisation", samples=32),
    _course("ntk", ntk_samples=4),
    _course("ntk", ntk_outputs=3),
    _course("agreement", splits=["val"]),
    _course("objective", match="activation"),
    ("predict", {"neurons": 4}, {"neurons": 5}),
    ("predict", {"neurons": 4}, {"neurons": 4, "tau": 0.1}),
    ("predict", {"neurons": 4}, {"neurons": 4, "ratio": 0.5}),
    ("predict", {"neurons": 4}, {"neurons": 4, "seeds": 3}),
    ("predict", {"neurons": 4}, {"neurons": 4, "mask_seed": 1}),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs with BatchNorm and a mask, at three epochs."""
    folder = tmp_path_factory.mktemp("measured")
    model = {"hidden": [10, 8], "norm": "batch"}
    training = {"epochs": 4, "checkpoints": 2, "learning_rate": 0.01}
    train(seeds=4, variant="w", model=model, training=training, outputs=str(folder), name="w")
    return folder


@pytest.fixture
def store(trained: Path, outputs: Path) -> Path:
    """A copy of them."""
    shutil.copytree(trained, outputs)
    return outputs


def done(command: str, settings: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables that a job stored."""
    given: dict[str, Any] = {"references": ["w"], **settings}
    if command == "predict":
        given = {"variant": "w", "model": {"name": "mlp", "hidden": [10, 8]}, **settings}
    grouped = {key: {"name": value} if _is_choice(key, value) else value for key, value in given.items()}
    folder = Path(jobs.run(command, {**grouped, "threads": 1}).references[0])
    return {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}


def _is_choice(key: str, value: Any) -> bool:
    return key in ("match", "variant") and isinstance(value, str)


def means(kind: str, table: pd.DataFrame, keys: dict[str, str]) -> pd.Series:
    """Of the rows that a printed row is of, the mean of each pair or run, and the mean of these."""
    if "epoch_a" in table:
        both = zip(table["epoch_a"], table["epoch_b"], strict=True)
        table = table.assign(epoch=[f"{a}" if a == b else f"{a} and {b}" for a, b in both])
    for key, text in keys.items():
        if key in table:
            table = table[[_text(value) == text for value in table[key]]]
    if "mean" in table:
        names = [column.name for column in TABLES[kind] if column.role == "quantity"]
        quantities = ["_".join(str(row[name]) for name in names if row[name]) for _, row in table.iterrows()]
        return pd.Series(table["mean"].to_numpy(), index=quantities)
    values = [column.name for column in TABLES[kind] if column.role == "value" and column.name in table]
    runs = [name for name in table if str(name).startswith(("experiment", "seed", "epoch"))]
    return table.groupby(runs)[values].mean().astype(float).mean() if len(table) else pd.Series(dtype=float)


def _text(value: Any) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def printed(kind: str) -> Iterator[tuple[dict[str, str], dict[str, float]]]:
    """Every row of the table of means: its keys, and its means."""
    made = jobs.run("table", {"references": [kind]}).paper
    assert made is not None
    table = made()
    assert table.rows, kind
    for row in table.rows:
        keys = {**table.same, **dict(zip(table.keys, row.keys, strict=True))}
        cells = {
            heading.name.replace(" ", "_"): cell.value.mean
            for heading, cell in zip(table.headings, row.cells, strict=True)
            if cell is not None and cell.value.values
        }
        named = {key.replace(" ", "_"): text for key, text in keys.items()}
        yield {key: text for key, text in named.items() if key not in ("experiment", "pairs")}, cells


def test_a_path_is_drawn_of_one_grid(store: Path) -> None:
    """Control: the points of both jobs together zigzag, as their means are over other pairs."""
    fine, coarse = done("path", {"alphas": 4})["path"], done("path", {"alphas": 3, "pairs": "all"})["path"]
    kind = FIGURES["path"]
    tables, _ = for_figure(Chosen.of(store, ["w"]), kind, {})
    figure = drawn(kind, tables)
    assert figure is not None
    lines = {
        place.get_title(): line.get_ydata()
        for place in figure.axes
        for line in place.get_lines()
        if line.get_label() == "none"
    }
    hands = [
        each[each["split"] == "test"].groupby("alpha")["loss"].mean().to_numpy() for each in (fine, coarse)
    ]
    assert list(lines) == ["w, alphas=4 (2 pairs)", "w, alphas=3 (6 pairs)"]
    for drawn_line, hand in zip(lines.values(), hands, strict=True):
        assert np.allclose(drawn_line, hand, rtol=1e-12)


def test_a_match_leaves_the_anisotropy_and_the_order_of_layers(store: Path) -> None:
    coherence = done("coherence", {})["layer"]
    assert done("match", {})["layer"]["anisotropy_mean"].isna().all()
    kind = FIGURES["layer"]
    tables, _ = for_figure(Chosen.of(store, ["w"]), kind, {})
    assert tables[0]["layer"].drop_duplicates().tolist() == ["layers.0", "layers.1", "layers.2"]
    figure = drawn(kind, tables)
    assert figure is not None
    panels = {place.get_title(): place for place in figure.axes}
    hand = coherence.groupby("layer")["anisotropy_mean"].mean().to_numpy()
    assert np.allclose(panels["anisotropy, mean"].containers[0].lines[0].get_ydata(), hand, rtol=1e-12)


def test_re_estimated_statistics_are_not_mixed_with_others(store: Path) -> None:
    both = [done("path", {"alphas": 3, "restatistics": value})["barrier"] for value in (None, False)]
    found = {
        keys["restatistics"]: cells["loss_barrier"]
        for keys, cells in printed("barrier")
        if keys["split"] == "test"
    }
    hands = [float(each[each["split"] == "test"]["loss_barrier"].mean()) for each in both]
    assert found == pytest.approx(dict(zip(("true", "false"), hands, strict=True)))
    assert hands[0] != pytest.approx(hands[1])


def test_a_verdict_is_over_the_pairs_and_epoch_that_are_meant(store: Path) -> None:
    for settings in ({}, {"pairs": "all"}, {"references": ["w@2"]}):
        done("check", {"alphas": 3, **settings})
    assert {*Chosen.of(store, ["w"]).table("check").table["over"]} == {
        "0-1 2-3",
        "0-1 0-2 0-3 1-2 1-3 2-3",
    }
    assert {*Chosen.of(store, ["w@2"]).table("check").table["pairs"]} == {2}
    assert Chosen.of(store, ["w/0"]).table("check").table.empty
    assert {row[0]["epochs"] for row in printed("check")} == {"2", "4"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid value encountered in subtract")  # of infinite costs
@pytest.mark.parametrize(("command", "one", "other"), CASES, ids=[f"{name}-{a}-{b}" for name, a, b in CASES])
def test_no_mean_is_over_two_measurements(
    store: Path, command: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    both = [done(command, one), done(command, other)]
    for kind in both[0].keys() | both[1].keys():
        tables = [each[kind] for each in both if kind in each]
        for keys, cells in printed(kind):
            hands = [means(kind, table, keys) for table in tables]
            for name, value in cells.items():
                near = [float(hand[name]) for hand in hands if name in hand]
                said = (kind, keys, name, value, near)
                assert any(value == pytest.approx(each, rel=1e-9) for each in near), said
