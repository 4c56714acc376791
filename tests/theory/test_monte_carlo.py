"""Theory against simulation: mean over R draws within 4 standard errors + C / n, two sizes.

C is 8 times the theoretical value throughout. Scores on test points are integrated exactly, given
the fitted coefficients.
"""

import numpy as np
import pytest
from scipy.special import ndtr

from skrmt.theory.noisy_labels import (
    amp_path,
    bayes_accuracy,
    gaussian_mixture_ridge,
    intercept_ridge,
    lpc,
    optimal_shift,
)

C = 8.0
SIZES = [(160, 120), (640, 30)]


def assert_close(draws, theory, n):
    """Compare the mean of draws (R, ...) with the theory."""
    draws, theory = np.asarray(draws), np.asarray(theory)
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    gap = np.abs(draws.mean(axis=0) - theory)
    assert np.all(gap <= 4 * error + C / n * np.abs(theory)), (gap, error, theory)


def observe(y, noise, rng):
    """Draw one observed label a row from the rows of a noise matrix."""
    return np.sum(rng.random(len(y))[:, None] > np.cumsum(noise, axis=1)[y], axis=1)


def ridge(X, T, alpha, fit_intercept):
    """The ridge by the smaller linear system; at inf the limit of alpha times the coefficients."""
    n, p = X.shape
    mean, level = np.zeros(p), np.zeros(T.shape[1])
    if fit_intercept:
        mean, level = X.mean(axis=0), T.mean(axis=0)
    X, T = X - mean, T - level
    if np.isfinite(alpha) and p > n:
        T = np.linalg.solve(X @ X.T / n + alpha * np.eye(n), T)
    w = X.T @ T / n
    if np.isfinite(alpha) and p <= n:
        w = np.linalg.solve(X.T @ X / n + alpha * np.eye(p), w)
    return w, level - mean @ w


LPC_CASES = [
    # eta, alpha, |mu|, pi_+, eps_-, eps_+, d (None: optimal)
    (0.25, 0.1, 1.5, 0.7, 0.3, 0.4, 0.0),
    (1.0, 0.5, 2.0, 2 / 3, 0.3, 0.4, None),
    (2.0, 0.05, 2.0, 0.5, 0.1, 0.2, None),
    (0.5, np.inf, 1.0, 0.3, 0.35, 0.1, -0.5),
]


@pytest.mark.parametrize(("n", "draws"), SIZES)
@pytest.mark.parametrize("case", LPC_CASES)
def test_lpc(case, n, draws):
    eta, alpha, norm, pi, em, ep, d = case
    rng = np.random.default_rng(n)
    p = round(eta * n)
    mean = np.zeros(p)
    mean[0] = norm
    d = optimal_shift(pi, (em, ep)) if d is None else d
    want = lpc(p / n, alpha, norm, prior=pi, noise_rates=(em, ep), shift=d)
    noise = np.array([[1 - em, em], [ep, 1 - ep]])
    results = []
    for _ in range(draws):
        y = (rng.random(n) < pi).astype(int)
        X = np.outer(2 * y - 1, mean) + rng.standard_normal((n, p))
        w = ridge(X, (2 * observe(y, noise, rng)[:, None] - 1.0 + d), alpha, False)[0][:, 0]
        m, v = w @ mean, w @ w
        results.append([m, v, ndtr(m / np.sqrt(v)), v + (m - 1) ** 2])
    assert_close(results, want, n)


GENERAL_CASES = [
    # K, eta, alpha, intercept
    (2, 0.5, 0.3, True),
    (2, 1.5, 0.2, False),
    (2, 0.5, np.inf, True),
    (3, 0.4, 0.5, True),
    (3, 0.4, np.inf, True),
    (3, 0.4, 0.5, False),
]


def mixture(n_classes, p):
    """Class means and diagonal covariances that differ, smooth in the feature index."""
    x = np.arange(p) / p
    means = np.array([np.cos((a + 1) * (1 + np.arange(p))) for a in range(n_classes)])
    means *= 1.6 / np.linalg.norm(means, axis=1, keepdims=True)
    centre = np.sin(2 + 3 * np.arange(p))
    means += 0.5 * centre / np.linalg.norm(centre)
    return means, np.array([0.4 + x, 1.6 - x, 0.6 + x**2][:n_classes])


@pytest.mark.parametrize(("n", "draws"), SIZES)
@pytest.mark.parametrize("case", GENERAL_CASES)
def test_gaussian_mixture_ridge(case, n, draws):
    n_classes, eta, alpha, fit_intercept = case
    rng = np.random.default_rng(n + n_classes)
    p = round(eta * n)
    means, variances = mixture(n_classes, p)
    priors = np.array([2.0, 3.0, 4.0])[:n_classes]
    priors /= priors.sum()
    noise = np.array([[0.7, 0.3], [0.1, 0.9]])
    if n_classes == 3:
        noise = np.array([[0.5, 0.5, 0.0], [0.15, 0.7, 0.15], [0.15, 0.15, 0.7]])
    codes = np.array([[-1.0], [1.0]]) if n_classes == 2 else np.eye(3)
    want = gaussian_mixture_ridge(
        means, variances, priors, noise, alpha, n, targets=codes, fit_intercept=fit_intercept
    )
    score_means, covariances = [], []
    for _ in range(draws):
        y = rng.choice(n_classes, size=n, p=priors)
        X = means[y] + rng.standard_normal((n, p)) * np.sqrt(variances[y])
        w, b = ridge(X, codes[observe(y, noise, rng)], alpha, fit_intercept)
        score_means.append(np.append((b + means @ w).ravel(), b))
        covariances.append(np.einsum("kp,pq,pr->kqr", variances, w, w))
    # Means of different sign and size: the scale of the 1/n term is the largest of them.
    theory = np.append(want.score_means.ravel(), want.intercept)
    draws_of_means = np.array(score_means)
    error = draws_of_means.std(axis=0, ddof=1) / np.sqrt(draws)
    gap = np.abs(draws_of_means.mean(axis=0) - theory)
    assert np.all(gap <= 4 * error + C / n * np.max(np.abs(theory))), (gap, error)
    covariances = np.array(covariances)
    error = covariances.std(axis=0, ddof=1) / np.sqrt(draws)
    gap = np.abs(covariances.mean(axis=0) - want.score_covariances)
    assert np.all(gap <= 4 * error + C / n * np.max(want.score_covariances)), (gap, error)


@pytest.mark.parametrize(("n", "draws"), SIZES)
def test_accuracy_of_three_classes(n, draws):
    rng = np.random.default_rng(n + 7)
    p = n // 4
    means, variances = mixture(3, p)
    priors, noise = np.full(3, 1 / 3), np.full((3, 3), 0.15) + 0.55 * np.eye(3)
    want = gaussian_mixture_ridge(means, variances, priors, noise, 0.4, n).accuracy
    results = []
    for _ in range(draws):
        y = rng.choice(3, size=n)
        X = means[y] + rng.standard_normal((n, p)) * np.sqrt(variances[y])
        w, b = ridge(X, np.eye(3)[observe(y, noise, rng)], 0.4, True)
        fresh = rng.choice(3, size=2000)
        Z = means[fresh] + rng.standard_normal((2000, p)) * np.sqrt(variances[fresh])
        results.append(np.mean(np.argmax(Z @ w + b, axis=1) == fresh))
    assert_close(results, want, n)


@pytest.mark.parametrize(("n", "draws"), SIZES)
def test_intercept_ridge_at_its_threshold_wherever_the_centre_is(n, draws):
    rng = np.random.default_rng(n + 11)
    p, pi, rates = n // 4, 0.7, (0.3, 0.4)
    mean, centre = np.zeros(p), rng.standard_normal(p)
    mean[0] = 1.7
    want = intercept_ridge(p / n, 1.0, 1.7, prior=pi, noise_rates=rates)
    noise = np.array([[1 - rates[0], rates[0]], [rates[1], 1 - rates[1]]])
    results = []
    for _ in range(draws):
        y = (rng.random(n) < pi).astype(int)
        X = centre + np.outer(2 * y - 1, mean) + rng.standard_normal((n, p))
        w, b = ridge(X, 2 * observe(y, noise, rng)[:, None] - 1.0, 1.0, True)
        low, high = ((b + (centre + s * mean) @ w)[0] for s in (-1, 1))
        norm = np.linalg.norm(w)
        cut = want.threshold
        results.append(pi * ndtr((high - cut) / norm) + (1 - pi) * ndtr((cut - low) / norm))
    assert_close(results, want.accuracy, n)


def message_passing(X, odds, norm, n_iter):
    """Approximate message passing of section 9, parameters known; yields w round by round."""
    n, p = X.shape
    eta, t, previous = p / n, np.tanh(odds), np.zeros(p)
    for k in range(n_iter):
        memory = np.mean(1 - t**2) if k else 0.0
        f = X.T @ t / n - memory * previous
        c = 1 / (np.mean(t**2) + eta / norm**2)
        previous = c * f
        yield previous
        t = np.tanh(odds + X @ previous - eta * c * t)


@pytest.mark.parametrize(("n", "draws"), [(300, 50), (1200, 20)])
@pytest.mark.parametrize("case", [(0.5, 1.5, 0.5, 0.2, 0.3), (1.0, 1.6, 0.7, 0.3, 0.4)])
def test_message_passing_follows_its_path_to_the_bayes_accuracy(case, n, draws):
    eta, norm, pi, em, ep = case
    rng = np.random.default_rng(n + 13)
    p = round(eta * n)
    mean = np.zeros(p)
    mean[0] = norm
    noise = np.array([[1 - em, em], [ep, 1 - ep]])
    log_odds = 0.5 * np.log(pi * noise[1] / ((1 - pi) * noise[0]))
    results = []
    for _ in range(draws):
        y = (rng.random(n) < pi).astype(int)
        X = np.outer(2 * y - 1, mean) + rng.standard_normal((n, p))
        rounds = message_passing(X, log_odds[observe(y, noise, rng)], norm, 15)
        results.append([ndtr(w @ mean / np.linalg.norm(w)) for w in rounds])
    assert_close(results, amp_path(eta, norm, pi, (em, ep), 15).accuracy[1:], n)
    last = np.array(results)[:, -1]
    assert_close(last, bayes_accuracy(eta, norm, pi, (em, ep)).accuracy, n)


def test_identities_of_the_perturbed_ridge():
    """Section 2: only the shift matters, two solves span the family, an intercept absorbs it."""
    rng = np.random.default_rng(17)
    X = rng.standard_normal((60, 25)) + 0.3
    labels = np.where(rng.random(60) < 0.4, 1.0, -1.0)[:, None]
    ones = np.ones_like(labels)
    alpha = 0.2
    plain, _ = ridge(X, labels, alpha, False)
    constant, _ = ridge(X, ones, alpha, False)
    for negative, positive in [(0.3, 0.1), (-0.4, 0.2), (0.0, -2.5)]:
        factor, d = 1 - negative - positive, positive - negative
        plus, minus = (1 - negative + positive) / factor, (1 - positive + negative) / factor
        targets = np.where(labels > 0, plus, -minus)
        np.testing.assert_allclose(targets, (labels + d) / factor, rtol=1e-14)
        w, _ = ridge(X, targets, alpha, False)
        np.testing.assert_allclose(w * factor, plain + d * constant, rtol=1e-10, atol=1e-14)
    free, start = ridge(X, labels, alpha, True)
    moved, end = ridge(X, labels + 1.7, alpha, True)
    np.testing.assert_allclose(moved, free, rtol=1e-10, atol=1e-14)
    assert end - start == pytest.approx(1.7, rel=1e-12)
