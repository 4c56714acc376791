"""The logistic link against a general optimiser on the same objective."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from skrmt.model_selection._clean_labels import (
    fit_label_link,
    rates_likelihood,
    score_sample,
)

RATES = np.array([[0.0, 0.1, 0.3], [0.0, 0.3, 0.2]])


def by_optimiser(scores, weights, likelihood):
    """Return slope and offset in the scores that maximise the documented objective."""
    size = weights.sum() ** 2 / (weights**2).sum()
    weights = weights / weights.sum()
    centre = weights @ scores
    spread = np.sqrt(weights @ (scores - centre) ** 2)
    z = (scores - centre) / spread

    def loss(ab):
        clean = expit(ab[0] * z + ab[1])
        seen = np.maximum(likelihood[0] * (1.0 - clean) + likelihood[1] * clean, 1e-9)
        return -size * (weights @ np.log(seen)) + 1e-2 * (ab @ ab)

    best = minimize(loss, [1.0, 0.0], method="BFGS", options={"gtol": 1e-7})
    return best.x[0] / spread, best.x[1] - best.x[0] * centre / spread, -best.fun


@pytest.mark.parametrize("weighted", [False, True])
def test_link_is_the_maximum(draw, rng, weighted):
    scores, observed, _ = draw(rng, 400, means=(-1.0, 1.5), prior=0.4, rates=(0.1, 0.3))
    scores = 5.0 * scores + 2.0
    weights = rng.uniform(0.2, 3.0, 400) if weighted else np.ones(400)
    likelihood = rates_likelihood(observed, RATES)
    link = fit_label_link(score_sample(scores, weights, observed), likelihood, n_iter=100)
    for g in range(3):
        slope, offset, _ = by_optimiser(scores, weights, likelihood[:, :, g])
        assert link.slope[g] == pytest.approx(slope, rel=1e-3)
        assert link.offset[g] == pytest.approx(offset, rel=1e-3, abs=1e-3)


def test_link_recovers_the_posterior(draw, rng):
    """The law is logistic for two Gaussians: mean over 30 draws within 4 se + 20/n relative."""
    n, found = 2000, []
    for _ in range(30):
        scores, observed, _ = draw(rng, n, means=(-1.0, 1.0), prior=0.5, rates=(0.1, 0.3))
        sample = score_sample(scores, np.ones(n), observed)
        link = fit_label_link(sample, rates_likelihood(sample.observed, RATES[:, 1:2]))
        found.append([link.slope[0], link.offset[0], link.accuracy(sample)[0]])
    error = np.std(found, axis=0, ddof=1) / np.sqrt(30)
    gap = np.abs(np.mean(found, axis=0) - [2.0, 0.0, 0.8413447])
    assert (gap <= 4.0 * error + 20.0 / n).all(), (gap, error)


def test_accuracy_is_the_mean_probability_of_being_right():
    observed = np.array([False, True, True])
    sample = score_sample(np.array([-1.0, 0.5, 2.0]), np.array([1.0, 2.0, 1.0]), observed)
    link = fit_label_link(sample, rates_likelihood(observed, RATES))
    for g, (a, b) in enumerate(zip(link.slope, link.offset, strict=True)):
        clean = expit(a * np.array([-1.0, 0.5, 2.0]) + b)
        weights = np.array([0.25, 0.5, 0.25])
        best = weights @ np.maximum(clean, 1.0 - clean)
        assert link.accuracy(sample)[g] == pytest.approx(best, rel=1e-12)
        fixed = weights @ [1.0 - clean[0], clean[1], clean[2]]
        assert link.accuracy(sample, 0.0)[g] == pytest.approx(fixed, rel=1e-12)


def test_separable_scores_give_a_finite_link():
    scores = np.concatenate([np.full(20, -1.0), np.full(20, 1.0)])
    sample = score_sample(scores, np.ones(40), scores > 0)
    link = fit_label_link(sample, rates_likelihood(scores > 0, np.zeros((2, 1))))
    assert np.isfinite(link.slope).all() and link.slope[0] > 0
    assert link.accuracy(sample)[0] > 0.98
