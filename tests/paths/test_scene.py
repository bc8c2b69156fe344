"""A path may bend: what is measured on a scene follows its curve."""

from dataclasses import replace

import pytest
import torch

from lmc.models.stack import stack_states, state_of
from lmc.paths import HEADS, Line, Scene, cuts, gaps, merge_representations, scan, segments
from lmc.recording import evaluate

ALPHAS = [0.0, 0.25, 0.5, 1.0]


class Bend:
    """From A to B by way of a third network: two straight pieces."""

    def __init__(self, third):
        self.third = third

    def points(self, pair, alphas):
        a, b = pair
        first, second = (Line().points(ends, [0.0, 0.5]) for ends in ((a, self.third), (self.third, b)))
        return {name: torch.cat([first[name], second[name][:1], b[name][None]]) for name in a}

    def shortcut(self, *_):
        return None


@pytest.fixture
def scene(pico, samples, task):
    a, b = state_of(pico(1)), state_of(pico(2))
    splits = {"train": samples(20), "test": samples(11, seed=1)}
    return Scene(pico(0), a, b, ALPHAS, splits, task.losses, task.correct)


def test_a_scan_evaluates_the_points_of_its_curve(scene, pico):
    third = state_of(pico(3))
    bent = replace(scene, curve=Bend(third))
    straight, found = scan(scene), scan(bent)
    between = {name: torch.lerp(value, third[name], 0.5) for name, value in scene.a.items()}
    plain = stack_states([scene.a, between, third, scene.b])
    for name, split in scene.splits.items():
        loss, accuracy = evaluate(scene.module, plain, *split, scene.losses, scene.correct)
        torch.testing.assert_close(found[name][0], loss, rtol=1e-6, atol=0)
        assert torch.equal(found[name][1], accuracy)
        torch.testing.assert_close(found[name][0][[0, -1]], straight[name][0][[0, -1]], rtol=1e-6, atol=0)
        assert not torch.isclose(found[name][0][1:3], straight[name][0][1:3], rtol=1e-3).any()


def test_the_rest_of_a_bent_path_is_the_curves_own(scene, pico):
    bent = replace(scene, curve=Bend(state_of(pico(3))))
    point = cuts(scene.module, scene.a, scene.example)[0].point
    straight, found = (merge_representations(each, point, HEADS) for each in (scene, bent))
    for split in scene.splits:
        for head in ("a", "b"):
            assert torch.equal(found[head][split][0], straight[head][split][0])
        assert not torch.isclose(found["mean"][split][0][1:3], straight["mean"][split][0][1:3]).any()


def test_the_feature_gap_is_that_of_the_curve(scene, pico):
    bent = replace(scene, curve=Bend(state_of(pico(3))))
    parts = segments(scene.module, scene.a, scene.example, ["layers.0"])
    straight, found = (gaps(each, parts, "test")["layers.0"] for each in (scene, bent))
    assert float(found.feature_gap[[0, -1]].abs().max()) < 1e-10
    assert torch.equal(found.cross_term, straight.cross_term)
    assert float((found.feature_gap - straight.feature_gap)[1:3].abs().min()) > 1e-3


def test_without_batch_norm_or_statistics_points_are_the_weights(scene):
    for one, other in ((scene.points(), scene.weights()), (scene.ends(), stack_states([scene.a, scene.b]))):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert scene.example.shape[0] == 2
