"""Tables of two jobs that differ in one setting never make one mean, and of one setting they make one."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pandas as pd
import pytest

from lmc.core.measurements import Source, joined, settled, telling
from lmc.core.schema import STORED, TABLES, frame
from lmc.core.tabulation import tabulate
from lmc.jobs.opening.unnamed import unnamed
from lmc.jobs.protocol.commands import COMMANDS

OTHER = {
    "kind": ("line", "bow"),
    "restatistics": (None, False),
    "alphas": (5, [0, 0.3, 1]),
    "ratio": (0.9, 0.5),
    "outside": ("infinite", "projected"),
    "activation": (False, True),
    "fit_bias": (True, False),
    "betas": ([0.1], [1.0]),
    "samples": (16, 32),
    "pairs": (None, 7),
    "neurons": (None, 4),
    "ntk_samples": (2, 3),
    "ntk_outputs": (2, 3),
    "seeds": ([0, 1], [0, 1, 2]),
    "tau": (1.0, 0.1),
    "split": ("test", "val"),
    "limit": (0.02, 0.5),
    "identifiable": (0.9, 0.1),
    "size": ("tiny", "small"),
    "definition": ("-", "training.epochs=3"),
    "over": ([("x/0/3", "x/1/3")], [("x/0/3", "x/1/3"), ("x/2/3", "x/3/3")]),
    "epochs": ([("x/0/3", "x/1/3")], [("x/0/0", "x/1/0")]),
}
DECLARED = [(kind, setting.name) for kind, table in STORED.items() for setting in table.settings]


def made(kind, setting, seed):
    """A table of two runs, or pairs, and two layers, whose rows depend on the setting, of random numbers."""
    rng = np.random.default_rng(seed)
    held = {} if setting is None or setting.rows is None else {setting.rows[0]: setting.rows[1][0]}
    rows = []
    for number, layer in product(range(2), ("a", "b")):
        row = {}
        for column in TABLES[kind]:
            usual = {"str": "x", "int64": 1, "float64": 0.5, "bool": True}[column.dtype]
            row[column.name] = held.get(column.name, usual)
            if (column.role == "value" and column.dtype == "float64") or column.role == "mean":
                row[column.name] = float(rng.uniform(1, 2))
        row |= {name: 2 * number + (name == "seed_b") for name in ("seed", "seed_a", "seed_b") if name in row}
        row |= {name: layer for name in ("layer", "quantity", "claim", "text") if name in row}
        rows.append(row)
    keys = [column.name for column in TABLES[kind] if column.role in ("key", "block", "run", "quantity")]
    return frame(kind, rows).drop_duplicates(keys, ignore_index=True)


def source(setting, value):
    """The job that made it."""
    if setting.of_pairs:
        return Source({"alphas": 3}, value)
    needed = {setting.needs: True} if setting.needs else {}
    return Source({"alphas": 3, **needed, setting.key or setting.name: value}, [("x/0/3", "x/1/3")])


def values(kind, table):
    """Means of all numbers."""
    names = [column.name for column in TABLES[kind] if column.role in ("value", "mean")]
    return table[[name for name in names if table[name].dtype == "float64"]].mean()


@pytest.mark.parametrize(("kind", "name"), DECLARED)
@pytest.mark.parametrize("turned", [False, True])
def test_a_setting_that_differs_tells_apart(kind, name, turned):
    setting = next(each for each in TABLES[kind].settings if each.name == name)
    parts = [(made(kind, setting, seed), source(setting, OTHER[name][seed])) for seed in (0, 1)]
    table, notes = settled(kind, joined(kind, parts[::-1] if turned else parts))
    alone = [values(kind, part) for part, _ in parts]
    if name in table:
        assert table[name].nunique() == 2 or setting.columns
        groups = [part for text, part in table.groupby(name, sort=False) if text]
    else:
        assert any(f"{name}=" in note for note in notes)
        groups = [table]
    for part in groups:
        found = values(kind, part).dropna()
        assert len(found) or not len(alone[0])
        near = [np.isclose(found, each[found.index], rtol=1e-12) for each in alone]
        assert np.logical_or(*near).all()
        assert setting.columns or near[0].all() or near[1].all()
    tabulate(kind, table)


@pytest.mark.parametrize("kind", STORED)
def test_of_the_same_measurement_the_last_stands(kind):
    first, last = (made(kind, None, seed) for seed in (0, 1))
    same = Source({"alphas": 3, "size": "tiny", "definition": "-"}, [("x/0/3", "x/1/3")])
    table, notes = settled(kind, joined(kind, [(first, same), (last, same), (last.iloc[:0], same)]))
    assert notes == []
    assert [*table.columns] == [*last.columns]
    assert np.allclose(values(kind, table), values(kind, last), rtol=1e-12)


def test_columns_of_several_commands_are_joined():
    """``lmc match`` knows no anisotropy, and leaves it as it was; layers stay in the widest order."""
    run = {"experiment": "x", "seed": 0, "epoch": 3, "inputs": 4, "dimension": 2}
    wide = [{**run, "layer": layer, "coherence": 0.5, "anisotropy_mean": 0.25} for layer in ("b", "a", "c")]
    narrow = [{**run, "layer": layer, "coherence": 0.5} for layer in ("a", "b")]
    parts = [(frame("layer", wide), Source({"ratio": 0.9})), (frame("layer", narrow), Source())]
    table, _ = settled("layer", joined("layer", parts))
    assert table["layer"].tolist() == ["b", "a", "c"]
    assert table["anisotropy_mean"].tolist() == [0.25] * 3
    assert [*table.columns] == [column.name for column in TABLES["layer"]]


def test_what_all_rows_agree_in_is_no_column():
    parts = [(made("barrier", None, seed), Source({"alphas": 3})) for seed in (0, 1)]
    assert [*telling("barrier", joined("barrier", parts)).columns] == [
        column.name for column in TABLES["barrier"]
    ]


def test_no_setting_is_called_like_a_column():
    for table in TABLES.values():
        assert not {setting.name for setting in table.settings} & {column.name for column in table}


ELSEWHERE = {
    "match": "the column match says it; of the table layer only its ratio counts",
    "pairs": "the runs of a row",
    "layers": "the column layer",
    "splits": "the column split",
    "split": "the column split; of a verdict a setting",
    "estimate": "the column estimate",
    "betas": "the column beta; of counts in the table layer a setting",
    "deltas": "the column delta",
    "measures": "the column measure",
    "epochs": "the columns of epochs and since",
    "gap": "a table of its own",
    "distance": "a table of its own",
    "sensitivity": "a table of its own",
    "tau": "of a cost nothing that is stored; of a prediction a setting",
    "data": "the experiment's name",
    "model": "the experiment's name",
    "variant": "the experiment's name",
    "mask_seed": "the experiment's name",
}


@pytest.mark.parametrize("command", ["path", "check", "match", "cost", "coherence", "dynamics", "predict"])
def test_every_setting_of_a_measuring_command_is_accounted_for(command):
    declared = {each.key or each.name for table in STORED.values() for each in table.settings}
    fields = {field.name for field in dataclasses.fields(COMMANDS[command].settings)}
    assert fields - unnamed(COMMANDS[command].settings).keys() - declared - ELSEWHERE.keys() == set()


def test_nothing_is_best_among_means_over_other_pairs():
    table = made("barrier", None, 0).assign(match="none")
    fewer = table.assign(match="activation", loss_barrier=0.0)
    fewer = fewer[fewer["seed_a"] == 0]
    found = tabulate("barrier", pd.concat([table, fewer], ignore_index=True), columns=["loss_barrier"])
    assert found.keys[-1] == "pairs"
    assert [row.keys[-1] for row in found.rows] == ["2", "1"]
    assert not any(cell.best for row in found.rows for cell in row.cells)
    assert any("nothing is bold" in note for note in found.notes)
    whole = tabulate("barrier", pd.concat([table, table.assign(match="activation", loss_barrier=0.0)]))
    assert "pairs" not in whole.keys
    assert any(cell.best for row in whole.rows for cell in row.cells)
