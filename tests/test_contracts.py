"""One list of laws for every registered model, variant, matcher and merger; and for all modules."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
import typing
from itertools import combinations_with_replacement
from pathlib import Path

import pytest
import torch
import yaml

import lmc
from lmc import models, symmetry, variants
from lmc.core import registry
from lmc.costs import SwapCost
from lmc.data import Graph
from lmc.matching import GIVEN as MATCHER_GIVEN
from lmc.matching import MATCHERS, Evidence, match
from lmc.matching.similarity import SIMILARITIES
from lmc.merging import GIVEN as MERGER_GIVEN
from lmc.merging import MERGERS, Material
from lmc.models import MODELS
from lmc.models.stack import stack_states, state_of
from lmc.recording import record
from lmc.variants import VARIANTS, Constraint

CONF = Path(__file__).resolve().parents[1] / "conf"
SHAPE, OUTPUTS = (1, 8, 8), 5
KINDS = {
    "model": (MODELS, models.GIVEN),
    "variant": (VARIANTS, variants.GIVEN),
    "match": (MATCHERS, MATCHER_GIVEN),
    "merge": (MERGERS, MERGER_GIVEN),
}
ENTRIES = [(kind, name) for kind, (builders, _) in KINDS.items() for name in builders]


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_has_a_yaml_and_no_yaml_is_without_an_entry(kind):
    assert {file.stem for file in (CONF / kind).glob("*.yaml")} == {*KINDS[kind][0], "custom"}
    assert yaml.safe_load((CONF / kind / "custom.yaml").read_text()) == {"name": "???"}


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_the_yaml_states_every_setting_with_its_default(kind, name):
    builders, given = KINDS[kind]
    written = yaml.safe_load((CONF / kind / f"{name}.yaml").read_text())
    assert written.pop("name") == name
    assert written == registry.defaults(builders[name], given)
    bound = registry.bind(builders[name], written, kind, given)
    assert bound == written
    assert {key: type(value) for key, value in bound.items()} == {
        key: type(value) for key, value in written.items()
    }


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_setting_is_keyword_only_annotated_and_has_a_default(kind, name):
    builders, given = KINDS[kind]
    hints = typing.get_type_hints(builders[name])
    for key, parameter in registry.parameters(builders[name], given).items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, key
        assert parameter.default is not inspect.Parameter.empty, key
        assert hints.get(key, typing.Any) is not typing.Any, key
    assert inspect.getdoc(builders[name])


def _defaults(kind, name):
    builders, given = KINDS[kind]
    return registry.defaults(builders[name], given)


@pytest.fixture(scope="module")
def inputs(samples):
    return samples(64, SHAPE)[0]


def _outputs(name):
    """What the data may ask of a model: a sum of units has one output."""
    return {"relu_sum": 1}.get(name, OUTPUTS)


def _shape(name):
    """The least that a model reads: VGG halves its images five times, a GCN's samples are graphs of nodes."""
    return {"vgg11": (3, 32, 32), "gcn": (6, 4)}.get(name, SHAPE)


def _network(name="mlp", seed=0):
    graph = Graph(torch.tensor([[0, 1, 2, 4], [1, 2, 0, 5]]), 6) if name == "gcn" else None
    given = {"input_shape": _shape(name), "outputs": _outputs(name), "graph": graph}
    small = {"vgg11": {"width": 0.05}}.get(name, {})
    return models.build(name, {**_defaults("model", name), **small}, given, seed)


@pytest.mark.parametrize("name", MODELS)
def test_models(name, samples):
    network, inputs = _network(name), samples(3, _shape(name))[0]
    assert network(inputs).shape == (3, *_shape(name)[: 1 if name == "gcn" else 0], _outputs(name))
    one, two, other = state_of(network), state_of(_network(name)), state_of(_network(name, 1))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)
    assert variants.constrained_weights(network)
    groups = symmetry.permutation_groups(network, inputs[:3])
    assert len(groups)
    symmetry.verify(network, groups, inputs[:3])
    parts = dict(network.named_modules())
    for group in groups:
        assert group.name == group.layers[0]
        assert {*group.points} >= {"activation", "norm", "linear"}
        recorded = {feature.point.module for found in group.points.values() for feature in found}
        assert {*group.layers, *recorded} <= {*parts}
    network.double().eval()
    state, x = state_of(network), inputs[:3].double()
    moved = symmetry.apply(groups, symmetry.random(groups, torch.Generator().manual_seed(0)), state)
    before, after = (torch.func.functional_call(network, tensors, (x,)) for tensors in (state, moved))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants(name, inputs):
    def build(seed, weights=0):
        return variants.build(name, _defaults("variant", name), _network(seed=weights), seed, inputs[:2])

    constraint = build(1)
    assert constraint.digest() == build(1, weights=7).digest()
    assert (constraint.digest() == build(2).digest()) == (constraint.digest() == "plain")
    assert Constraint.from_tensors(constraint.tensors()).digest() == constraint.digest()
    network = _network()
    shapes = {key: value.shape for key, value in state_of(network).items()}
    for tree in (constraint.masks, constraint.centres):
        assert all(value.shape == shapes[key] for key, value in tree.items())
    for key, mask in constraint.masks.items():
        assert mask.dtype == torch.bool
        assert not (constraint.centres.get(key, torch.zeros(shapes[key])) * mask).any()
    constraint.install(network)
    state = constraint.effective(state_of(network))
    assert constraint.broken_by(state) == []
    assert network(inputs[:3]).shape == (3, _outputs(name))
    symmetry.verify(network, symmetry.permutation_groups(network, inputs[:3]), inputs[:3])


def _evidence(states, inputs):
    network = _network()
    groups = symmetry.permutation_groups(network, inputs[:2])
    points = {
        group.points["activation"][0]: list(combinations_with_replacement(range(len(states)), 2))
        for group in groups
    }
    moments = record(network, stack_states(states), inputs, points)
    where = {group.name: group.points["activation"][0] for group in groups}
    free = {
        group.name: [SwapCost(torch.zeros(group.size, group.size), torch.ones(group.size))] * len(states)
        for group in groups
    }
    return Evidence(
        groups, states, lambda a, b, name: SIMILARITIES["pearson"](moments[where[name]], a, b), lambda: free
    )


@pytest.mark.parametrize("name", MATCHERS)
def test_matchers(name, inputs):
    states = [state_of(_network(seed=seed)) for seed in (0, 0, 1, 2)]
    evidence = _evidence(states, inputs)
    found = match(MATCHERS[name], evidence, _defaults("match", name), name).permutations
    stay = evidence.groups.identity()
    assert len(found) == len(states)
    for permutations in found:
        assert {*permutations} == {*stay}
        for key, permutation in permutations.items():
            assert permutation.dtype == torch.int64
            assert torch.equal(permutation.sort().values, stay[key])
        symmetry.apply(evidence.groups, permutations, states[0])
    for run in (0, 1):  # the first, and a copy of it
        assert all(torch.equal(found[run][key], stay[key]) for key in stay)


@pytest.mark.parametrize("name", MERGERS)
def test_mergers(name, inputs):
    def merge(*states):
        return MERGERS[name](Material(states, _network(), inputs, Constraint()), **_defaults("merge", name))

    state = {**state_of(_network()), "counter": torch.tensor(3)}
    merged = merge(state, dict(state), dict(state)).state
    assert {*merged} == {*state}
    for key, value in merged.items():
        assert value.dtype == state[key].dtype
        torch.testing.assert_close(value, state[key], rtol=1e-6, atol=1e-6)
    before = {key: value.clone() for key, value in state.items()}
    merge(state, state_of(_network(seed=1)) | {"counter": torch.tensor(3)})
    assert all(torch.equal(state[key], value) for key, value in before.items())


MODULES = [
    found.name for found in pkgutil.walk_packages(lmc.__path__, "lmc.") if not found.name.endswith("__main__")
]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_imports_and_says_what_it_is(module):
    found = importlib.import_module(module)
    assert found.__doc__ or not Path(found.__file__).read_text().strip()


def test_the_walk_saw_every_file():
    root = Path(lmc.__path__[0])
    files = {file.relative_to(root).with_suffix("") for file in root.rglob("*.py")}
    names = {".".join(["lmc", *(part for part in file.parts if part != "__init__")]) for file in files}
    assert names - {"lmc"} == {*MODULES} - {
        name for name in MODULES if name.startswith(("lmc.cli", "lmc.conf"))
    }


def test_importing_lmc_is_light():
    heavy = {"torch", "numpy", "pandas", "hydra", "pydantic"}
    code = f"import sys, lmc; print(*sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
