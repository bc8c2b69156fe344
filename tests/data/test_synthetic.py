"""Data of known dimension: geometry, labels by plain recomputation, and what each seed decides."""

import math

import pytest
import torch

import lmc.data
from lmc.core import registry, seeds
from lmc.core.errors import SettingError
from lmc.core.linear_algebra import coherence, random_orthonormal
from lmc.data import DATASETS, Raw
from lmc.data.teacher import embedding_matrix

SMALL = {"dimension": 5, "ambient": 12, "train_samples": 300, "test_samples": 150}
SUBSPACES = ("gaussian_subspace", "parity_subspace", "multilabel_subspace")
SYNTHETIC = {**dict.fromkeys(SUBSPACES, SMALL), "teacher": {"train_samples": 300, "test_samples": 150}}


def build(name, **settings):
    return DATASETS[name](**registry.keywords(DATASETS[name], SYNTHETIC[name] | settings))


def span(inputs, tolerance=1e-5):
    """The projector on what the samples span, and its rank, by SVD."""
    _, values, rows = torch.linalg.svd(inputs.double(), full_matrices=False)
    rank = int((values > tolerance * values[0]).sum())
    return rows[:rank].T @ rows[:rank], rank


def latents_of(name, inputs, structure_seed=0):
    frame = random_orthonormal(SMALL["ambient"], SMALL["dimension"], seeds.generator(name, structure_seed))
    return (inputs.double() @ frame).tolist()


@pytest.mark.parametrize("name", SYNTHETIC)
def test_samples_lie_in_one_subspace_of_the_dimension_named(name):
    raw = build(name)
    projector, rank = span(raw.inputs)
    assert rank == (2 if name == "teacher" else SMALL["dimension"])
    torch.testing.assert_close(span(raw.test_inputs)[0], projector, atol=1e-5, rtol=0)
    other = build(
        name, structure_seed=1, **({"embedding": "random_tight_frame"} if name == "teacher" else {})
    )
    assert not torch.allclose(span(other.inputs)[0], projector, atol=0.1)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_standardising_keeps_the_subspace_and_all_ratios_of_distances(name):
    plain, data = (
        lmc.data.load(name, **SYNTHETIC[name], val_fraction=0, standardise=on) for on in (False, True)
    )
    assert len(data.train) == 300
    torch.testing.assert_close(span(data.train.inputs)[0], span(plain.train.inputs)[0], atol=1e-5, rtol=0)
    before, after = (
        torch.cdist(inputs, inputs)
        for inputs in (
            torch.cat([part.inputs.double() for part in each.splits.values()]) for each in (plain, data)
        )
    )
    torch.testing.assert_close(after, before * (after.sum() / before.sum()), atol=1e-5, rtol=1e-5)
    mean = data.train.inputs.double().mean(0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-6, rtol=0)
    assert data.train.inputs.double().square().mean().item() == pytest.approx(1, abs=1e-6)
    for part, other in zip(data.splits.values(), plain.splits.values(), strict=True):
        assert torch.equal(part.targets, other.targets)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_each_seed_decides_its_own(name):
    first, same, sampled, structured = (
        build(name, **change) for change in ({}, {}, {"sampling_seed": 1}, {"structure_seed": 1})
    )
    assert first.digest == same.digest
    assert first.digest != sampled.digest
    assert not torch.equal(first.inputs[:150], first.test_inputs)
    torch.testing.assert_close(span(sampled.inputs)[0], span(first.inputs)[0], atol=1e-5, rtol=0)
    # An exact copy has no structure to draw.
    assert (structured.digest == first.digest) == (name == "teacher")
    assert torch.equal(structured.targets, first.targets)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_no_split_depends_on_the_size_of_the_other(name):
    few, many = build(name), build(name, train_samples=400)
    assert torch.equal(few.test_inputs, many.test_inputs)
    assert torch.equal(few.test_targets, many.test_targets)


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_parity_counts_the_negative_latents(classes):
    raw = build("parity_subspace", classes=classes)
    for inputs, labels in ((raw.inputs, raw.targets), (raw.test_inputs, raw.test_targets)):
        latents = latents_of("parity_subspace", inputs)
        assert labels.tolist() == [sum(value < 0 for value in row) % classes for row in latents]
        assert 0.9 < max(max(map(abs, row)) for row in latents) < 1 + 1e-6


def test_labels_are_the_signs_of_the_latents():
    raw = build("multilabel_subspace", structure_seed=2)
    assert (raw.task, raw.outputs) == ("binary_cross_entropy", 5)
    latents = latents_of("multilabel_subspace", raw.inputs, 2)
    assert raw.targets.tolist() == [[float(value > 0) for value in row] for row in latents]


def test_gaussian_classes_have_the_means_and_the_noise_named():
    sizes = {"dimension": 6, "ambient": 9, "classes": 4, "train_samples": 20_000, "test_samples": 400}
    raw = build("gaussian_subspace", separation=3.0, noise=0.5, anisotropy=5.0, **sizes)
    means, axes = [], []
    for label in range(4):
        cloud = raw.inputs[raw.targets == label].double()
        means.append(cloud.mean(0))
        values, vectors = torch.linalg.eigh(cloud.T.cov())
        values, top = values[-6:], vectors[:, -1]
        assert values.mean().sqrt().item() == pytest.approx(0.5, rel=0.03)
        assert (values[-1] / values[0]).sqrt().item() == pytest.approx(5, rel=0.06)
        ratios = (values[1:] / values[:-1]).sqrt()
        torch.testing.assert_close(ratios, torch.full_like(ratios, 5 ** (1 / 5)), rtol=0.08, atol=0)
        axes.append(top)
    centres = torch.stack(means)
    assert centres.square().sum(1).mean().sqrt().item() / math.sqrt(6) == pytest.approx(3, rel=0.4)
    assert (torch.stack(axes) @ torch.stack(axes).T).abs().triu(1).max() < 0.99
    tight = build("gaussian_subspace", separation=3.0, noise=0.01, **sizes)
    means = torch.stack([tight.inputs[tight.targets == label].mean(0) for label in range(4)])
    assert torch.equal(torch.cdist(tight.test_inputs, means).argmin(1), tight.test_targets)


@pytest.mark.parametrize("embedding", ["exact_copy", "random_tight_frame"])
@pytest.mark.parametrize("copies", range(1, 11))
def test_a_teachers_inputs_have_coherence_one_over_copies(embedding, copies):
    frame = embedding_matrix(embedding, copies, 10, 0)
    torch.testing.assert_close(frame.T @ frame, torch.eye(2, dtype=torch.float64))
    assert coherence(frame) == pytest.approx(1 / copies, abs=1e-12)
    assert int((frame.abs().sum(1) > 0).sum()) == 2 * copies
    data = lmc.data.load("teacher", embedding=embedding, copies=copies)
    basis = torch.linalg.svd(data.train.inputs.double(), full_matrices=False)[2][:2].T
    assert coherence(basis) == pytest.approx(1 / copies, abs=1e-5)
    assert data.input_shape == (20,)


def test_the_teachers_targets_are_its_function_of_the_latents_whatever_the_embedding():
    exact = build("teacher", copies=3)
    latents = (exact.inputs.double() @ embedding_matrix("exact_copy", 3, 10, 0)).tolist()
    expected = [[max(0.0, a + b)] for a, b in latents]
    torch.testing.assert_close(exact.targets, torch.tensor(expected), atol=1e-6, rtol=0)
    for copies, embedding in ((7, "exact_copy"), (3, "random_tight_frame")):
        assert torch.equal(build("teacher", copies=copies, embedding=embedding).targets, exact.targets)
    data = lmc.data.load("teacher", val_fraction=0)
    assert [len(part) for part in data.splits.values()] == [1024, 0, 2048]
    assert torch.equal(data.test.targets, DATASETS["teacher"]().test_targets)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gaussian_subspace", {"dimension": 600}, r"data\.dimension=600: more than the 512 of data\.ambient"),
        ("parity_subspace", {"ambient": 3}, r"data\.dimension=4: more than the 3"),
        ("multilabel_subspace", {"dimension": 0}, r"data\.dimension=0"),
        ("gaussian_subspace", {"classes": 1}, r"data\.classes=1"),
        ("gaussian_subspace", {"noise": 0}, r"data\.noise=0"),
        ("gaussian_subspace", {"anisotropy": 0.5}, r"data\.anisotropy=0\.5"),
        ("teacher", {"copies": 11}, r"data\.copies=11: more than the 10 of data\.pairs"),
        ("teacher", {"embedding": "exact_copies"}, "did you mean exact_copy"),
        ("teacher", {"test_samples": 0}, r"data\.test_samples=0"),
        ("teacher", {"test_fraction": 0.5}, r"data\.test_fraction=0\.5: teacher has a test split of its own"),
    ],
)
def test_what_cannot_be_built_is_refused(name, settings, message):
    with pytest.raises(SettingError, match=message):
        lmc.data.load(name, **settings)


def test_a_grain_hides_rounding_from_the_digest_and_nothing_more():
    values = torch.tensor([[0.3, -1e-9], [-2.0, 5.1]])
    labels = torch.tensor([0, 1])

    def digest(inputs, grain=2.0**-8):
        return Raw(inputs, labels, "cross_entropy", 2, grain=grain).digest

    assert digest(values) == digest(values + 2e-7)
    assert digest(values, 0.0) != digest(values + 2e-7, 0.0)
    assert digest(values) != digest(values + 0.01)


def test_digests_are_pinned():
    """They are part of experiments' names, and must be the same on every machine."""
    pinned = {name: build(name).digest[:12] for name in SYNTHETIC}
    assert pinned == {
        "gaussian_subspace": "92a88cff154a",
        "parity_subspace": "4da3c05a1b02",
        "multilabel_subspace": "968f454d6da7",
        "teacher": "af7e5fba43b9",
    }
