"""Generators of views."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.datasets import make_nested_views, make_noisy_copies


def test_views_follow_the_model():
    data = make_nested_views(
        3000, 20, noise_stds=[1, 3], strengths=[1, -2], separation=2, within_std=0.5, random_state=0
    )
    assert data.X.shape == (3000, 20, 2) and set(data.y) == {0, 1}
    np.testing.assert_allclose(np.linalg.norm(data.means, axis=1), 2)
    np.testing.assert_allclose(data.means[0], -data.means[1])
    rest = data.X - data.means[data.y][:, :, None] * data.strengths
    count = rest[:, :, 0].size
    for k, variance in enumerate((1 + 0.25, 9 + 1.0)):
        assert rest[:, :, k].var() == pytest.approx(variance, abs=5 * variance * np.sqrt(2 / count))
    shared = np.mean(rest[:, :, 0] * rest[:, :, 1])
    assert shared == pytest.approx(-0.5, abs=5 * np.sqrt(1.25 * 10 / count))


def test_classes_are_at_the_corners_of_a_simplex():
    data = make_nested_views(90, 10, n_classes=4, separation=3, random_state=0)
    expected = 9 * (np.eye(4) * 4 / 3 - 1 / 3)
    np.testing.assert_allclose(data.means @ data.means.T, expected, atol=1e-9)


def test_prior_is_exact():
    data = make_nested_views(200, 5, prior=[0.25, 0.75], random_state=0)
    assert np.bincount(data.y).tolist() == [50, 150]


def test_copies():
    X = np.random.default_rng(0).standard_normal((400, 30)) * 7 + 3
    views = make_noisy_copies(X, [0.5, 2], random_state=0).X
    noise = views - X[:, :, None]
    for k, ratio in enumerate((0.5, 2)):
        assert noise[:, :, k].std() == pytest.approx(ratio * X.std(), rel=5 / np.sqrt(2 * X.size))
    absolute = make_noisy_copies(X, [0.1], relative=False, random_state=0)
    assert absolute.noise_stds == [0.1]
    assert (absolute.X[:, :, 0] - X).std() == pytest.approx(0.1, rel=0.05)


def test_seeds():
    one, other = (make_nested_views(20, 5, random_state=1).X for _ in range(2))
    np.testing.assert_array_equal(one, other)
    before = np.random.get_state()[1].copy()
    make_nested_views(20, 5)
    make_noisy_copies(np.eye(3), [1.0])
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: make_nested_views(0, 5), "n_samples"),
        (lambda: make_nested_views(10, 5, noise_stds=[-1]), "noise_stds"),
        (lambda: make_nested_views(10, 5, separation=np.nan), "separation"),
        (lambda: make_nested_views(10, 5, strengths=[1]), "strengths"),
        (lambda: make_nested_views(10, 5, n_classes=9), "n_classes"),
        (lambda: make_nested_views(10, 5, prior=[0.5, 0.6]), "prior"),
        (lambda: make_noisy_copies(np.ones(3), [1]), "X must"),
        (lambda: make_noisy_copies(np.full((2, 2), np.nan), [1]), "X must"),
        (lambda: make_noisy_copies(np.eye(2), []), "noise_stds"),
    ],
)
def test_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call()
