"""Links of scores and labels: maxima, derivatives, and rows left out of them."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from skrmt.model_selection._clean_labels import label_likelihood, read_labels, symmetric_noise
from skrmt.model_selection._clean_labels._class_stories import _maximise, _Rows, _Story
from skrmt.model_selection._clean_labels._left_out import gone_with
from skrmt.model_selection._clean_labels._two_classes import (
    _likeliest,
    _own_pull,
    label_cells,
    link_objective,
    score_axis,
)

SPREAD = 0.5  # of the Gaussian priors of log-slope and offsets


def class_problem(rng, n, rate=0.2, n_classes=3):
    """Return rows, their story and discriminants, and the logarithm of the prior."""
    y = rng.integers(0, n_classes, n)
    values = 1.5 * np.eye(n_classes)[y] + rng.standard_normal((n, n_classes))
    wrong = rng.random(n) < rate
    observed = np.where(wrong, (y + 1) % n_classes, y)
    one_hot = np.eye(n_classes)[observed]
    weights = rng.uniform(0.5, 1.5, n)
    rows = _Rows(values, observed, one_hot, weights, np.ones(n), None)
    prior = np.full(n_classes, 1.0 / n_classes)
    story = _Story(symmetric_noise(n_classes, rate), prior, 0.0, rate)
    return rows, story, values, np.log(prior), label_likelihood(observed, story.noise)


def log_posterior(x, weights, values, base, likelihood):
    """Return the penalised log-likelihood of log-slope and offsets."""
    logs = log_softmax(base + x[1:] + np.exp(x[0]) * values, axis=1)
    seen = np.log((np.exp(logs) * likelihood).sum(1))
    return weights @ seen - 0.5 * x @ x / SPREAD**2


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_link_of_classes_is_at_the_maximum(rng, rate):
    rows, story, values, base, likelihood = class_problem(rng, 80, rate)
    found, _, _ = _maximise(rows, story, values, base, likelihood, n_iter=100)
    arguments = (rows.weights, values, base, likelihood)
    best = minimize(lambda x: -log_posterior(x, *arguments), np.zeros(4), tol=1e-10)
    # Scoring stops at a gain of .01: a step of Newton's method from there gains less.
    assert log_posterior(found, *arguments) >= -best.fun - 0.01


def test_rows_go_out_of_the_link_of_classes_as_from_refits():
    """The first-order step errs by 1/n^2: eight times less, or better, in four times the rows."""
    errors = []
    for n in (100, 400):
        rows, story, values, base, likelihood = class_problem(np.random.default_rng(n), n)
        tight = minimize(
            lambda x, a=(rows.weights, values, base, likelihood): -log_posterior(x, *a),
            np.zeros(4), tol=1e-12,
        ).x  # fmt: skip
        x, gradients, information = _maximise(
            rows, story._replace(parameters=tight), values, base, likelihood
        )
        gone = gone_with(gradients, rows.observed, rows.weights, rows.part)
        steps = -np.linalg.solve(information, gone.T).T
        gaps = []
        for i in range(0, n, n // 20):
            weights = rows.weights.copy()
            share = rows.observed == rows.observed[i]
            weights[i] = 0.0
            weights[share] *= rows.weights[share].sum() / weights[share].sum()
            refit = minimize(
                lambda x, w=weights, a=(values, base, likelihood): -log_posterior(x, w, *a),
                tight, tol=1e-12,
            ).x  # fmt: skip
            gaps.append(np.linalg.norm(steps[i] - (refit - x)) / np.linalg.norm(refit - x))
        errors.append(np.median(gaps))
    # Relative to a step of 1/n: an error of 1/n.
    assert errors[0] < 0.2 and errors[1] < 0.5 * errors[0], errors


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
    peaks = _likeliest(cells, np.zeros(1), 1.0)

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
    peaks = _likeliest(cells, np.zeros(1), 1.0)
    pulls = _own_pull(axis, labels, cells, peaks, np.ones(1), None)
    moved = []
    for i in range(0, 400, 10):
        weights = np.ones(400)
        weights[i] = 0.0
        same = labels.observed == labels.observed[i]
        weights[same] *= same.sum() / (same.sum() - 1)
        mass = np.concatenate([axis.mass(weights * (labels.observed == k)) for k in (0, 1)])
        refit = _likeliest(cells._replace(mass=mass), np.zeros(1), 1.0, peaks.theta)
        moved.append(peaks.theta[1, 0] - refit.theta[1, 0])
    moved, pulls = np.array(moved), pulls[::10]
    assert np.corrcoef(moved, pulls)[0, 1] > 0.99
    assert np.abs(moved - pulls).mean() <= 0.2 * np.abs(moved).mean()
