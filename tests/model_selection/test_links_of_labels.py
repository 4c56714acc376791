"""Links of scores and labels: their maximum, and rows left out of them."""

import numpy as np
import pytest
from scipy.optimize import minimize

from skrmt.model_selection._clean_labels import read_labels
from skrmt.model_selection._clean_labels._label_links import (
    label_cells,
    likeliest_links,
    link_objective,
    own_pull,
    score_axis,
)
from skrmt.model_selection._clean_labels._left_out import gone_with


def brute_gone(gradients, observed, weights, part, members):
    """Return the change of a weighted sum where parts go, and others of their label make up."""
    left = weights.copy()
    left[members] -= (part * weights)[members]
    factor = left / weights
    for label in np.unique(observed[members]):
        same = observed == label
        if left[same].sum() > 0:
            factor[same] *= weights[same].sum() / left[same].sum()
    return gradients.sum(0) - factor @ gradients


@pytest.mark.parametrize("grouped", [False, True])
def test_what_goes_with_a_row_is_what_reweighting_loses(rng, grouped):
    observed = np.r_[np.arange(3), rng.integers(0, 2, 27)]  # a class of one row too
    gradients, weights = rng.standard_normal((30, 2)), rng.uniform(0.5, 2.0, 30)
    part = np.ones(30) if grouped else rng.choice([1.0, 0.25], 30)
    group = np.arange(30) // 4 if grouped else None
    gone = gone_with(gradients, observed, weights, part, group)
    for i in range(30):
        members = np.array([i]) if group is None else np.flatnonzero(group == group[i])
        expected = brute_gone(gradients, observed, weights, part, members)
        np.testing.assert_allclose(gone[i], expected, rtol=1e-9, atol=1e-9)


def binary_problem(draw, rng, n=120):
    """Return axis, labels and rates of scores of two classes."""
    scores, observed, _ = draw(rng, n, means=(-1.0, 1.0), rates=(0.1, 0.2))
    labels = read_labels(observed.astype(int), np.ones(n), 2, "estimate", None, None, None)
    return score_axis(scores, np.ones(n)), labels, np.array([[0.1], [0.2]])


def test_likeliest_link_is_the_maximum(draw, rng):
    axis, labels, rates = binary_problem(draw, rng)
    cells = label_cells(axis, labels, rates)
    peaks = likeliest_links(cells, np.zeros(1), 1.0)

    def loss(theta):
        point = theta[:, None, None]
        return -link_objective(cells, point, peaks.centre, peaks.precision)[0, 0]

    best = minimize(loss, np.zeros(2), tol=1e-12)
    assert peaks.value[0] == pytest.approx(-best.fun, abs=1e-6)
    np.testing.assert_allclose(peaks.theta[:, 0], best.x, atol=1e-3)


def test_a_row_pulls_the_cut_as_far_as_a_refit_moves_it(draw):
    """To first order, with Fisher's information: within a fifth of the moves in the mean."""
    axis, labels, rates = binary_problem(draw, np.random.default_rng(3), 400)
    cells = label_cells(axis, labels, rates)
    peaks = likeliest_links(cells, np.zeros(1), 1.0)
    pulls = own_pull(axis, labels, cells, peaks, np.ones(1), None)
    moved = []
    for i in range(0, 400, 10):
        weights = np.ones(400)
        weights[i] = 0.0
        same = labels.observed == labels.observed[i]
        weights[same] *= same.sum() / (same.sum() - 1)
        mass = np.concatenate([axis.mass(weights * (labels.observed == k)) for k in (0, 1)])
        refit = likeliest_links(cells._replace(mass=mass), np.zeros(1), 1.0, peaks.theta)
        moved.append(peaks.theta[1, 0] - refit.theta[1, 0])
    moved, pulls = np.array(moved), pulls[::10]
    assert np.corrcoef(moved, pulls)[0, 1] > 0.99
    assert np.abs(moved - pulls).mean() <= 0.2 * np.abs(moved).mean()
