"""The theory of noisy labels against moments and message passing on drawn data."""

import numpy as np
import pytest
from scipy.special import expit, logit, ndtr

from skrmt.theory.noisy_labels import amp_path, bayes_accuracy
from tests.theory.amp_oracle import Law, draw, message_passing, moments

HARD = Law(1.6, 0.7, (0.3, 0.4))


def accuracy(direction, law):
    """Return the accuracy of the sign of the score on fresh points."""
    return ndtr(law.mean_norm * direction[0] / np.linalg.norm(direction))


def close(found, expected, allowed):
    """Check means over draws, within 4 standard errors."""
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    gap = np.abs(np.mean(found, axis=0) - expected)
    assert (gap <= 4.0 * error + allowed).all(), (gap, error)


@pytest.mark.parametrize(
    ("n", "p", "law"),
    [(1000, 100, Law(2.0, 0.667, (0.2, 0.4))), (400, 200, Law(1.2, 0.5, (0.1, 0.3)))],
)
def test_signal_from_eigenvalue_and_pair_means_recover_the_law(n, p, law, rng):
    found = []
    for _ in range(30):
        estimate = moments(*draw(rng, n, p, law)[:2])
        found.append([estimate.mean_norm, estimate.prior, *estimate.noise_rates])
    close(found, [law.mean_norm, law.prior, *law.noise_rates], 5.0 / n)


def test_pair_means_are_sums_over_pairs(rng):
    law = Law(2.0, 0.6, (0.1, 0.2))
    X, y, _ = draw(rng, 60, 5, law)
    gram = X @ X.T
    np.fill_diagonal(gram, 0.0)
    cross, own = (y @ gram).sum() / (60 * 59), y @ gram @ y / (60 * 59)
    estimate = moments(X, y)
    a = min(np.sqrt(own) / estimate.mean_norm, 1.0)
    assert 2.0 * estimate.prior - 1.0 == pytest.approx(cross / a / estimate.mean_norm**2, rel=1e-9)


def test_each_iteration_has_the_accuracy_of_the_path(rng):
    """Mean over 12 draws within 4 standard errors + 4/n, at each of six iterations."""
    n = 800
    found = [
        [accuracy(step.direction, HARD) for step in message_passing(X, y, HARD, 6)]
        for X, y, _ in (draw(rng, n, n, HARD) for _ in range(12))
    ]
    expected = amp_path(1.0, HARD.mean_norm, HARD.prior, HARD.noise_rates, 6).accuracy[1:]
    close(found, expected, 4.0 / n)


@pytest.mark.parametrize("learn", [False, True])
def test_message_passing_attains_the_bayes_accuracy(learn, rng):
    """Mean over 10 draws within 4 standard errors + 4/n.

    A learned law costs a term of the order of its squared errors, 0.04^2 for each of four numbers.
    """
    n, found = 800, []
    for _ in range(10):
        X, y, _ = draw(rng, n, n, HARD)
        start = moments(X, y) if learn else HARD
        found.append(accuracy(message_passing(X, y, start, learn=learn)[-1].direction, HARD))
    expected = bayes_accuracy(1.0, HARD.mean_norm, HARD.prior, HARD.noise_rates).accuracy
    assert expected == pytest.approx(0.90345, abs=1e-5)
    close(found, expected, 4.0 / n + 0.006 * learn)


def test_posteriors_of_training_rows_and_of_fresh_rows_are_calibrated(rng):
    law, own, fresh = Law(1.3, 0.6, (0.1, 0.3)), [], []
    for _ in range(15):
        X, y, clean = draw(rng, 600, 120, law)
        last = message_passing(X, y, moments(X, y), learn=True)[-1]
        own.append(np.mean(last.posterior_mean - clean) / 2.0)
        Z, _, truth = draw(rng, 2000, 120, law)
        share = expit(2.0 * Z @ last.direction + logit(last.law.prior))
        fresh.append(np.mean(np.maximum(share, 1.0 - share) - ((share > 0.5) == (truth > 0))))
    close(np.stack([own, fresh], axis=1), 0.0, 5.0 / 600)
