"""Real and synthetic rows: the laws that they promise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from skrmt.datasets import GaussianGenerator, make_synthetic_mix


def within(share, expected, n, sigmas=4.5):
    return abs(share - expected) < sigmas * np.sqrt(max(expected * (1 - expected), 1e-9) / n)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_labels_and_verifier(n_classes):
    data = make_synthetic_mix(
        500,
        40_000,
        12,
        n_classes=n_classes,
        noise_rate=0.3,
        keep_correct=0.8,
        keep_incorrect=0.25,
        random_state=0,
    )
    made = data.sample_source == 1
    wrong = (data.y != data.y_clean)[made]
    keep = data.keep[made]
    assert within(wrong.mean(), 0.3, 40_000)
    assert within(keep[~wrong].mean(), 0.8, 28_000)
    assert within(keep[wrong].mean(), 0.25, 12_000)
    assert (data.y == data.y_clean)[~made].all() and data.keep[~made].all()
    np.testing.assert_array_equal(data.keep, data.verifier_score >= 0)
    for label in np.unique(data.y):
        others = data.y[made][wrong & (data.y_clean[made] == label)]
        counts = np.unique(others, return_counts=True)[1]
        assert len(counts) == n_classes - 1
        assert all(within(c / len(others), 1 / (n_classes - 1), len(others)) for c in counts)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_moments(n_classes):
    data = make_synthetic_mix(
        30_000,
        30_000,
        8,
        n_classes=n_classes,
        mean_norm=1.4,
        mean_scale=0.7,
        mean_orthogonal=0.5,
        synthetic_variance=2.0,
        n_test=20_000,
        random_state=1,
    )
    real = data.sample_source == 0
    classes = np.unique(data.y)
    means = [
        [X[y == k].mean(0) for k in classes]
        for X, y in (
            (data.X[real], data.y_clean[real]),
            (data.X[~real], data.y_clean[~real]),
            (data.X_test, data.y_test),
        )
    ]
    real_means, made_means, test_means = (np.array(m) - np.mean(m, axis=0) for m in means)
    error = 5 * np.sqrt(2 * n_classes / 20_000)
    assert np.abs(real_means - test_means).max() < 2 * error
    norm = np.sqrt((real_means**2).sum() / n_classes / (n_classes - 1))
    assert abs(norm - 1.4) < error
    scale = (made_means * real_means).sum() / (real_means**2).sum()
    assert abs(scale - 0.7) < error
    rest = made_means - scale * real_means
    assert abs(np.sqrt((rest**2).sum() / n_classes / (n_classes - 1)) - 0.5) < error
    within_class = data.X[~real] - np.array(means[1])[np.searchsorted(classes, data.y_clean[~real])]
    assert abs(within_class.var() - 2.0) < 5 * 2.0 * np.sqrt(2 / within_class.size)


def test_draws_are_reproducible():
    one, other = (make_synthetic_mix(20, 30, 6, n_test=5, random_state=3) for _ in range(2))
    for value, again in zip(one, other, strict=True):
        np.testing.assert_array_equal(value, again)


def test_draws_without_a_seed_leave_the_global_one_alone():
    generator = GaussianGenerator().fit(np.eye(4), [0, 1, 0, 1])
    before = np.random.get_state()
    first, second = (make_synthetic_mix(5, 5, 4).X for _ in range(2))
    one, other = (generator.sample(5)[0] for _ in range(2))
    after = np.random.get_state()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert not np.allclose(first, second) and not np.allclose(one, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_real": -1}, "n_real"),
        ({"n_test": 1.5}, "n_test"),
        ({"n_classes": 1}, "n_classes"),
        ({"n_features": 2, "n_classes": 3}, "n_features"),
        ({"noise_rate": 1.1}, "noise_rate"),
        ({"keep_incorrect": -0.1}, "keep_incorrect"),
        ({"mean_norm": -1.0}, "mean_norm"),
        ({"synthetic_variance": np.inf}, "synthetic_variance"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_synthetic_mix(**arguments)


def correlated(n=4000):
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], [n // 4, 3 * n // 4])
    X = rng.standard_normal((n, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 0.7]])
    return X + (y == "b")[:, None] * np.array([1.0, -1.0, 0.5]), y


def test_generator_reproduces_means_and_covariances():
    X, y = correlated()
    generator = GaussianGenerator(0.0).fit(X, y)
    for k, label in enumerate(generator.classes_):
        rows = X[y == label]
        np.testing.assert_allclose(generator.means_[k], rows.mean(0), rtol=1e-10)
        np.testing.assert_allclose(generator.covariances_[k], np.cov(rows.T, bias=True), rtol=1e-8)
    made, labels = generator.sample(40_000, random_state=1)
    np.testing.assert_array_equal(np.unique(labels, return_counts=True)[1], [10_000, 30_000])
    for k, label in enumerate(generator.classes_):
        part = made[labels == label]
        spread = np.sqrt(np.diag(generator.covariances_[k]) / len(part))
        assert (np.abs(part.mean(0) - generator.means_[k]) < 4.5 * spread).all()
        error = 6 * np.sqrt(2 / len(part)) * generator.covariances_[k].diagonal().max()
        assert np.abs(np.cov(part.T) - generator.covariances_[k]).max() < error


@pytest.mark.parametrize("covariance", ["ledoit_wolf", "oas", "diagonal", "spherical", 0.5])
def test_generator_with_few_rows(covariance):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((7, 20)), np.array([0, 0, 0, 1, 1, 1, 2])
    X[:, 3] = 1.0
    made, labels = GaussianGenerator(covariance)(X, y, 70, random_state=0)
    assert made.shape == (70, 20) and np.isfinite(made).all()
    assert set(labels) == {0, 1, 2}
    again, _ = GaussianGenerator(covariance)(X, y, 70, random_state=0)
    np.testing.assert_array_equal(made, again)


def test_generator_weights_are_repetitions():
    X, y = correlated(200)
    times = np.random.default_rng(0).integers(0, 3, len(y))
    one = GaussianGenerator(0.2).fit(X, y, times)
    other = GaussianGenerator(0.2).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(one.means_, other.means_)
    np.testing.assert_allclose(one.priors_, other.priors_)


def test_generator_with_wrong_labels():
    X, y = correlated()
    generator = clone(GaussianGenerator(noise_rate=0.2, random_state=0)).fit(
        X + 50 * (y == "b")[:, None], y
    )
    made, labels = generator.sample(20_000)
    assert within(((made[:, 0] > 25) != (labels == "b")).mean(), 0.2, 20_000)
