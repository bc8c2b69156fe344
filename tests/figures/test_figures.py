"""Figures from stored tables: every kind, whole and alike, whatever order the rows come in."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from lmc.core.errors import SettingError
from lmc.core.schema import TABLES, concatenate, frame
from lmc.core.statistics import estimate
from lmc.figures import FIGURES, barriers, costs, path
from lmc.figures.writing import SUFFIXES, save
from lmc.store.files import check_file

NAMES = ("a", "b", "a<script>&")


def rows(kind):
    """Three experiments of eight runs, two layers, two epochs, three matchers; numbers from one generator."""
    rng = np.random.default_rng(0)
    matches = ("identifiability", "none", "activation")
    found = []
    for name, seed, layer, epoch, match, unit in product(
        NAMES, range(0, 8, 2), ("layers.0", "layers.1"), (0, 3), matches, range(3)
    ):
        row = {"match": match, "layer": layer, "split": "test", "alpha": unit / 2, "measure": "cka"}
        row |= {"experiment": name, "experiment_a": name, "experiment_b": name}
        row |= {"epoch": epoch, "epoch_a": epoch, "epoch_b": epoch}
        row |= {"seed": seed, "seed_a": seed, "seed_b": seed + 1, "neuron_a": unit, "neuron_b": unit + 1}
        other = {"str": "x", "bool": True, "int64": 1}
        found.append(
            {
                column.name: row.get(column.name, other.get(column.dtype, float(rng.random())))
                for column in TABLES[kind]
            }
        )
    return frame(kind, found)


@pytest.mark.parametrize("kind", FIGURES)
def test_every_kind_is_a_pure_function_of_its_tables(kind, tmp_path):
    tables = [rows(table) for table in FIGURES[kind].tables]
    before = [table.copy() for table in tables]
    for name in ("one.svg", "two.svg"):
        save(FIGURES[kind].draw(*tables), tmp_path / name)
    assert all(table.equals(old) for table, old in zip(tables, before, strict=True))
    one, two = ((tmp_path / name).read_text() for name in ("one.svg", "two.svg"))
    assert one == two
    assert one.count("<path") > 50


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_twice_the_same(suffix, tmp_path):
    figure = FIGURES["barrier"].draw(rows("barrier"))
    for name in ("one", "two"):
        save(figure, tmp_path / f"{name}{suffix}")
    one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert one.startswith({".pdf": b"%PDF", ".png": b"\x89PNG", ".svg": b"<?xml"}[suffix])


def test_bars_are_the_means_of_the_pairs():
    table = rows("barrier").drop_duplicates(["experiment_a", "seed_a", "match"])
    place = barriers.draw(table).axes[0]
    widths = {
        (place.get_yticklabels()[row].get_text().replace("\n", ""), bars.get_label()): bar.get_width()
        for bars in place.containers
        if hasattr(bars, "patches")
        for row, bar in enumerate(bars.patches)
    }
    assert len(widths) == 9
    for (name, match), width in widths.items():
        own = table[(table["experiment_a"] == name) & (table["match"] == match)]
        assert width == pytest.approx(estimate(own["loss_barrier"]).mean)


def test_a_matcher_looks_the_same_in_every_panel():
    """Tables of several jobs list the matchers in different orders."""
    table = rows("path")
    turned = table.iloc[::-1]
    mixed = [table[table["experiment_a"] == "a"], turned[turned["experiment_a"] == "b"]]
    figure = path.draw(concatenate("path", mixed))
    colours = [
        {line.get_label(): line.get_color() for line in place.get_lines() if line.get_label()[0] != "_"}
        for place in figure.axes[:2]
    ]
    assert [*colours[0]] == ["none", "activation", "identifiability"]
    assert all(one == two for one, two in pairwise(colours))


@pytest.mark.parametrize("name", ["a.gif", "a", "missing/a.png", "folder.png", "file/a.png"])
def test_a_file_that_cannot_be_written_is_refused(name, tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError):
        check_file(tmp_path / name, SUFFIXES)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder.png"]


def test_a_file_that_can_be_written_is_left_as_it_is(tmp_path):
    check_file(tmp_path / "new.png", SUFFIXES)
    (tmp_path / "old.PDF").write_text("old")
    check_file(tmp_path / "old.PDF", SUFFIXES)
    assert {item.name: item.read_text() for item in tmp_path.iterdir()} == {"old.PDF": "old"}


@pytest.mark.parametrize("order", [["mahalanobis", "ridge"], ["ridge", "mahalanobis"]])
def test_swap_costs_of_two_estimates_are_not_mixed(order):
    """The beta of mahalanobis is NaN, which equals nothing."""
    betas = {"mahalanobis": float("nan"), "ridge": 0.01}
    parts = [
        frame(
            "swap",
            {
                "experiment": "a",
                "seed": 0,
                "epoch": 1,
                "layer": "x",
                "estimate": name,
                "beta": betas[name],
                "neuron_a": [0, 0, 1],
                "neuron_b": [1, 2, 2],
                "swap_cost": [1.0, 2.0, 3.0] if name == order[0] else [9.0, 9.0, 9.0],
            },
        )
        for name in order
    ]
    table = concatenate("swap", parts)
    assert costs.first_estimate(table)["swap_cost"].tolist() == [1.0, 2.0, 3.0]
    assert costs.draw(table) is not None
