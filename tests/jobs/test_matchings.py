"""A matching is computed once, stored, and read back only for what it was made from."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lmc import api, matching, symmetry
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.matcher import Matcher
from lmc.jobs.opening.pairs import make_pairs
from lmc.jobs.opening.runs import open_runs
from lmc.jobs.protocol.talk import Silent
from lmc.matching import Matching, Needs
from lmc.matching.needs import RecordingPoint, Tau


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the matchers as they are called."""
    names: list[str] = []
    for name, builder in list(matching.MATCHERS.items()):

        @functools.wraps(builder)
        def counted(
            evidence: Any, _name: str = name, _builder: Callable[..., Any] = builder, **settings: Any
        ):
            names.append(_name)
            return _builder(evidence, **settings)

        counted.__annotations__ = typing.get_type_hints(builder, include_extras=True)
        monkeypatch.setitem(matching.MATCHERS, name, counted)
    return names


def lined_up(folder: Path, *references: str) -> Lineup:
    (runs,) = open_runs(str(folder), references)
    pairs = make_pairs(runs, "disjoint", False, {})
    network = runs[0].network(pairs.dataset)
    return Lineup(pairs.runs, pairs.pairs, pairs.dataset, network, torch.device("cpu"), Silent())


def barriers(table: pd.DataFrame) -> pd.DataFrame:
    return table.reset_index(drop=True)


def test_each_matcher_is_called_once_per_pair(runs: Path, called: list[str]) -> None:
    api.match("standard", match="activation")
    assert called == ["activation"] * 2
    called.clear()
    api.check("w")
    assert sorted(called) == ["activation"] * 2 + ["identifiability"] * 2


def test_path_and_merge_read_what_match_stored(runs: Path, called: list[str]) -> None:
    expected = api.path("standard/0", "standard/1", match="activation", outputs=str(runs))
    name = api.merge("standard/0", "standard/1", match="activation")["experiment"][0]
    merged = load_file(next(runs.glob(f"merge/{name}/0/epoch-*.safetensors")))
    for path in runs.glob("*/*/permutations.safetensors"):
        path.unlink()
    api.remove(name)
    api.match("standard/0", "standard/1", match="activation")
    called.clear()
    again = api.path("standard/0", "standard/1", match="activation")
    api.merge("standard/0", "standard/1", match="activation")
    assert called == []
    pd.testing.assert_frame_equal(barriers(again), barriers(expected))
    for key, value in load_file(next(runs.glob(f"merge/{name}/0/epoch-*.safetensors"))).items():
        assert torch.equal(value, merged[key]), key


def test_what_is_stored_decides_the_path(runs: Path, called: list[str]) -> None:
    """The control: another permutation in the file gives other barriers, so the file is what is read."""
    before = api.path("standard/0", "standard/1", match="activation")
    (path,) = runs.glob("path/*/permutations.safetensors")
    with safe_open(path, framework="pt") as opened:
        metadata = opened.metadata()
    save_file({key: value.flip(0) for key, value in load_file(path).items()}, path, metadata)
    after = api.path("standard/0", "standard/1", match="activation")
    aligned = before["match"] == "activation"
    assert (before[aligned]["loss_barrier"] != after[aligned]["loss_barrier"]).all()
    assert before[~aligned].equals(after[~aligned])


@pytest.mark.parametrize("change", ["weights", "settings", "damage"])
def test_a_matching_of_something_else_is_not_read(runs: Path, called: list[str], change: str) -> None:
    api.match("standard/0", "standard/1", match="activation")
    called.clear()
    settings: Any = "activation"
    if change == "weights":
        path = next((runs / "train").glob("standard-*")) / "1" / "epoch-0008.safetensors"
        save_file({key: value * (1 + 1e-6) for key, value in load_file(path).items()}, path)
    elif change == "settings":
        settings = {"name": "activation", "point": "linear"}
    else:
        (path,) = runs.glob("match/*/permutations.safetensors")
        path.write_bytes(path.read_bytes()[:100])
    api.path("standard/0", "standard/1", match=settings)
    assert called == ["activation"]


def test_matchings_of_the_same_runs_in_one_file_do_not_mix(runs: Path, called: list[str]) -> None:
    fresh = {name: api.path("w/0", "w/1", match=name) for name in ("activation", "identifiability")}
    for path in runs.glob("path/*/permutations.safetensors"):
        path.unlink()
    api.check("w/0", "w/1")
    called.clear()
    for name, expected in fresh.items():
        found = api.path("w/0", "w/1", match=name)
        pd.testing.assert_frame_equal(barriers(found), barriers(expected))
    assert called == []
    assert not barriers(fresh["activation"])["loss_barrier"].equals(fresh["identifiability"]["loss_barrier"])


def test_a_users_own_matcher_is_always_called(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code may have changed, and no digest of settings shows that."""
    module = tmp_path / "ownmatch.py"
    module.write_text(
        "calls = []\n"
        "def stay(evidence, *, turn: int = 1):\n"
        "    calls.append(turn)\n"
        "    return [evidence.groups.identity() for _ in range(evidence.runs)]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    first = api.match("standard/0", "standard/1", match={"name": "ownmatch:stay"})
    api.path("standard/0", "standard/1", match={"name": "ownmatch:stay"})
    import ownmatch  # type: ignore[import-not-found]

    assert ownmatch.calls == [1, 1]
    assert (first["fixed_points"] == first["neurons"]).all()


def test_each_matcher_sees_what_it_declares_whoever_asked_before(four_runs: Path) -> None:
    """In a grid, one lineup serves matchers of other similarities, points and costs."""
    choices = [
        {"name": "activation"},
        {"name": "activation", "similarity": "dot"},
        {"name": "activation", "point": "linear"},
        {"name": "identifiability", "tau": 0.0},
        {"name": "identifiability", "ratio": 0.5},
        {"name": "identifiability", "estimate": "ridge", "beta": 1.0},
    ]
    matchers = [Matcher.bind(choice) for choice in choices]
    shared = lined_up(four_runs, "w/0", "w/1")
    seen = []
    for matcher in matchers:
        alone = lined_up(four_runs, "w/0", "w/1")
        for group in alone.groups:
            for measure in ("similarity", "constant"):
                places = (0, 1) if measure == "similarity" else (0,)
                ours = getattr(shared.measured, measure)(*places, group.name, matcher.needs)
                assert torch.equal(ours, getattr(alone.measured, measure)(*places, group.name, matcher.needs))
        group = next(iter(alone.groups)).name
        costs = [each.measured.costs(matcher.needs)[group][0].delta for each in (shared, alone)]
        assert torch.equal(*costs)
        seen.append((shared.measured.similarity(0, 1, group, matcher.needs), costs[0]))
        ours, theirs = (each.matching(matcher, [0, 1]).permutations[1] for each in (shared, alone))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not torch.equal(seen[0][0], seen[1][0])
    assert not torch.equal(seen[0][0], seen[2][0])
    assert not torch.equal(seen[3][1], seen[4][1])
    assert not torch.equal(seen[3][1], seen[5][1])


def test_needs_are_declared_by_type_and_not_by_name() -> None:
    def mine(evidence: Any, *, recorded: RecordingPoint = "norm", gate: Tau = 2.0, tau: float = 9.0): ...

    needs = Needs.of(mine, {"recorded": "linear", "gate": 0.5, "tau": 7.0})
    assert (needs.point, needs.tau, needs.similarity) == ("linear", 0.5, "pearson")
    assert Needs.of(lambda evidence: None, {}) == Needs()


def test_a_matching_is_over_any_number_of_runs(four_runs: Path) -> None:
    lineup = lined_up(four_runs, *(f"standard/{seed}" for seed in range(4)))
    matcher = Matcher.bind({"name": "activation"})
    lineup.pairs = matcher.needs.pairs(4)
    found = lineup.matching(matcher)
    assert found.runs == 4
    assert found.moves
    assert found.seconds > 0
    assert 0 < found.objective < 1
    assert not lineup.matching(Matcher.bind({"name": "none"})).moves
    states = found.applied(lineup.groups, lineup.states)
    for a in range(4):
        for b in range(4):
            moved = symmetry.apply(lineup.groups, found.between(a, b), lineup.states[b])
            back = symmetry.apply(lineup.groups, symmetry.inverse(found.permutations[a]), states[b])
            assert all(torch.equal(moved[name], back[name]) for name in moved)


def test_inverse_and_compose_are_those_of_permutations(four_runs: Path) -> None:
    groups = lined_up(four_runs, "standard/0", "standard/1").groups
    draw = torch.Generator().manual_seed(3)
    first, second = (symmetry.random(groups, draw) for _ in range(2))
    identity = groups.identity()
    for name, both in symmetry.compose(first, symmetry.inverse(first)).items():
        assert torch.equal(both, identity[name])
    one = symmetry.compose(symmetry.inverse(second), symmetry.inverse(first))
    other = symmetry.inverse(symmetry.compose(first, second))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(first[name], identity[name]) for name in first)


def test_an_empty_matching_moves_nothing() -> None:
    assert not Matching([{}, {}]).moves
