"""State evolution of relabelling: limits, order, and the procedure itself on Gaussian data."""

import numpy as np
import pytest
from scipy.special import ndtr

from skrmt.theory.noisy_labels import (
    amp_path,
    bayes_accuracy,
    best_threshold,
    binary_accuracy,
    intercept_ridge,
    label_quality,
    lpc,
    optimal_shift,
    relabelling_path,
)


def random_points(size, seed):
    """Draw eta, alpha, |mu|, pi_+, eps_- and eps_+."""
    rng = np.random.default_rng(seed)
    eta, alpha = np.exp(rng.uniform(-2.5, 1.5, size)), np.exp(rng.uniform(-3.0, 5.0, size))
    return (
        eta,
        alpha,
        rng.uniform(0.3, 2.5, size),
        rng.uniform(0.1, 0.9, size),
        rng.uniform(0.0, 0.45, size),
        rng.uniform(0.0, 0.45, size),
    )


def best_accuracy(overlap, prior):
    """Accuracy of the best threshold on scores N(+-q, q)."""
    means, variances = (-overlap, overlap), (overlap, overlap)
    return binary_accuracy(means, variances, prior, best_threshold(means, variances, prior))


@pytest.mark.parametrize("infinite", [False, True])
def test_first_fit_is_the_ridge_with_intercept(infinite):
    eta, alpha, norm, pi, em, ep = random_points(200, 0)
    alpha = np.inf if infinite else alpha
    path = relabelling_path(eta, alpha, norm, pi, (em, ep), n_relabel=0)
    expected = intercept_ridge(eta, alpha, norm, prior=pi, noise_rates=(em, ep)).accuracy
    assert path.accuracy.shape == (200, 1)
    np.testing.assert_allclose(path.accuracy[:, 0], expected, rtol=1e-9)


def test_first_fit_without_intercept_is_the_best_perturbed_ridge():
    eta, alpha, norm, pi, em, ep = random_points(200, 1)
    path = relabelling_path(eta, alpha, norm, pi, (em, ep), n_relabel=0, fit_intercept=False)
    shift = optimal_shift(pi, (em, ep))
    best = lpc(eta, alpha, norm, prior=pi, noise_rates=(em, ep), shift=shift)
    overlap = best.mean**2 / best.variance
    np.testing.assert_allclose(path.overlap[:, 0], overlap, rtol=1e-9)
    np.testing.assert_allclose(path.accuracy[:, 0], best_accuracy(overlap, pi), rtol=1e-9)


def test_infinite_penalty_without_intercept_is_message_passing():
    """The overlap m^2/v of X^T t/n with t the posterior means is one step of the path."""
    eta, _, norm, _, em, ep = random_points(100, 2)
    for pi in (0.5, 0.3):
        rounds = relabelling_path(eta, np.inf, norm, pi, (em, ep), n_relabel=4, fit_intercept=False)
        path = amp_path(eta, norm, pi, (em, ep), 5)
        np.testing.assert_allclose(rounds.overlap, path.overlap[:, 1:], rtol=1e-9)
        if pi == 0.5:
            np.testing.assert_allclose(rounds.accuracy, path.accuracy[:, 1:], rtol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_clean_labels_are_the_limit_of_cleaning(fit_intercept):
    eta, _, norm, pi, em, ep = random_points(60, 3)
    alpha = np.inf
    options = {"n_relabel": 2, "fit_intercept": fit_intercept}
    clean = relabelling_path(eta, alpha, norm, pi, (0.0, 0.0), **options)
    cleaned = relabelling_path(eta, alpha, norm, pi, (em, ep), cleaned_fraction=1.0, **options)
    np.testing.assert_allclose(cleaned.accuracy, clean.accuracy, rtol=1e-12)
    np.testing.assert_allclose(np.ptp(clean.accuracy, axis=1), 0.0, atol=1e-9)
    untouched = relabelling_path(eta, alpha, norm, pi, (em, ep), cleaned_fraction=0.0, **options)
    plain = relabelling_path(eta, alpha, norm, pi, (em, ep), **options)
    np.testing.assert_array_equal(untouched.accuracy, plain.accuracy)


def test_first_round_of_cleaning_mixes_the_label_qualities():
    eta, norm, em, ep, share = 0.5, 1.3, 0.3, 0.2, 0.25
    path = relabelling_path(
        eta, np.inf, norm, 0.5, (em, ep), n_relabel=0, cleaned_fraction=share, fit_intercept=False
    )
    quality = share + (1.0 - share) * label_quality(0.5, (em, ep))
    expected = ndtr(norm**2 * np.sqrt(quality) / np.sqrt(quality * norm**2 + eta))
    assert path.accuracy[0] == pytest.approx(expected, rel=1e-10)


def test_more_cleaning_is_better_in_every_round():
    fractions = np.linspace(0.0, 1.0, 11)
    path = relabelling_path(0.5, np.inf, 1.2, 0.6, (0.2, 0.3), cleaned_fraction=fractions)
    assert path.accuracy.shape == (11, 3)
    assert (np.diff(path.accuracy, axis=0) > 0).all()


def test_never_above_what_no_method_exceeds():
    """Without intercept, where `bayes_accuracy` is the bound; an intercept only costs."""
    eta, alpha, norm, pi, em, ep = random_points(200, 4)
    bound = best_accuracy(bayes_accuracy(eta, norm, pi, (em, ep)).overlap, pi)
    for fit_intercept in (True, False):
        path = relabelling_path(
            eta, alpha, norm, pi, (em, ep), n_relabel=0, fit_intercept=fit_intercept
        )
        assert (path.accuracy[:, 0] <= bound + 1e-9).all()
        path = relabelling_path(
            eta, np.inf, norm, pi, (em, ep), n_relabel=6, fit_intercept=fit_intercept
        )
        assert (path.accuracy <= bound[:, None] + 1e-9).all()


def test_rounds_help_at_a_large_penalty():
    eta, _, norm, pi, em, ep = random_points(100, 5)
    path = relabelling_path(eta, np.inf, norm, pi, (em, ep), n_relabel=5, fit_intercept=False)
    assert (np.diff(path.overlap, axis=1) >= -1e-12).all()


def test_arguments_broadcast():
    path = relabelling_path(
        np.array([0.5, 1.0])[:, None],
        np.inf,
        1.5,
        np.array([0.3, 0.5, 0.6]),
        (0.1, 0.2),
        n_relabel=3,
    )
    assert path.accuracy.shape == path.overlap.shape == (2, 3, 4)
    for i, eta in enumerate((0.5, 1.0)):
        for j, pi in enumerate((0.3, 0.5, 0.6)):
            one = relabelling_path(eta, np.inf, 1.5, pi, (0.1, 0.2), n_relabel=3)
            np.testing.assert_allclose(path.accuracy[i, j], one.accuracy, rtol=1e-12)


def test_no_signal_leaves_the_larger_class():
    path = relabelling_path(0.5, np.inf, 0.0, [0.5, 0.8], (0.2, 0.2))
    np.testing.assert_array_equal(path.accuracy, [[0.5] * 3, [0.8] * 3])
    np.testing.assert_array_equal(path.overlap, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_relabel": -1}, "n_relabel=-1"),
        ({"n_relabel": 1.5}, "n_relabel=1.5"),
        ({"cleaned_fraction": 1.1}, "cleaned_fraction"),
        ({"alpha": -1.0}, "alpha"),
        ({"noise_rates": (0.5, 0.5)}, "noise_rates"),
        ({"prior": 1.0}, "prior"),
        ({"aspect_ratio": 0.0}, "aspect_ratio"),
    ],
)
def test_arguments_out_of_range(change, message):
    arguments = {
        "aspect_ratio": 0.5,
        "alpha": 1.0,
        "mean_norm": 1.5,
        "prior": 0.5,
        "noise_rates": (0.1, 0.2),
    }
    with pytest.raises(ValueError, match=message):
        relabelling_path(**arguments | change)


def test_rounds_are_known_at_an_infinite_penalty_only():
    path = relabelling_path(0.5, [0.0, 2.0, 1e6, np.inf], 1.2, 0.6, (0.2, 0.3), n_relabel=3)
    for values in path:
        assert np.isfinite(values[:, 0]).all() and np.isfinite(values[3]).all()
        assert np.isnan(values[:3, 1:]).all()


def gaussian_classes(rng, n, p, norm, rates):
    """Draw X, whose mean is along the first axis, noisy signs and true signs."""
    y = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    X = rng.standard_normal((n, p))
    X[:, 0] += norm * y
    wrong = rng.random(n) < np.where(y > 0, rates[1], rates[0])
    return X, np.where(wrong, -y, y), y


def agrees(found, expected, n):
    """Whether means over draws are within 4 standard errors + 2/n."""
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    return np.abs(np.mean(found, axis=0) - expected) <= 4.0 * error + 2.0 / n


@pytest.mark.parametrize("eta", [0.2, 1.0])
@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.5, 5.0, np.inf])
@pytest.mark.parametrize(("n", "draws"), [(300, 40), (900, 16)])
def test_first_fit_on_gaussian_data(alpha, eta, n, draws):
    norm, rates = 1.5, (0.2, 0.3)
    rng, p = np.random.default_rng(n), round(eta * n)
    found = []
    for _ in range(draws):
        X, observed, _ = gaussian_classes(rng, n, p, norm, rates)
        centred = X - X.mean(0)
        moment = centred.T @ (observed - observed.mean()) / n
        gram = 0.0 if np.isinf(alpha) else centred.T @ centred / n
        w = np.linalg.solve(gram + np.eye(p) * (1.0 if np.isinf(alpha) else alpha), moment)
        found.append(ndtr(norm * w[0] / np.linalg.norm(w)))
    expected = relabelling_path(p / n, alpha, norm, 0.5, rates, n_relabel=0).accuracy[0]
    assert agrees(found, expected, n)


def relabel(X, observed, y, norm, rates, n_rounds, subtract):
    """Return the accuracy of every round at an infinite penalty, the law of scores being known."""
    n = len(y)
    half = 0.5 * np.where(
        observed > 0,
        np.log((1.0 - rates[1]) / rates[0]),
        np.log(rates[1] / (1.0 - rates[0])),
    )
    gram = X @ X.T / n
    own = np.diag(gram).copy()
    np.fill_diagonal(gram, 0.0)
    t, before, slope, w = np.tanh(half), None, None, None
    found = []
    for _ in range(n_rounds + 1):
        new = X.T @ t / n
        if w is not None and subtract:
            new -= slope.mean() * w
        scores = X @ new - own * t
        if w is not None and not subtract:
            scores -= gram**2 @ slope * before
        w = new
        found.append(ndtr(norm * w[0] / np.linalg.norm(w)))
        mean, variance = np.mean(y * scores), np.var(y * scores)
        before, t = t, np.tanh(half + mean * scores / variance)
        slope = (1.0 - t**2) * mean / variance
    return found


@pytest.mark.parametrize("eta", [0.2, 1.0])
@pytest.mark.parametrize(("n", "draws"), [(300, 40), (900, 16)])
def test_rounds_on_gaussian_data(eta, n, draws):
    """Message passing has the accuracies of the path; a plain refit is at most 0.01 worse."""
    norm, rates = 1.5, (0.2, 0.3)
    rng, p = np.random.default_rng(n), round(eta * n)
    passed, refitted = [], []
    for _ in range(draws):
        data = gaussian_classes(rng, n, p, norm, rates)
        passed.append(relabel(*data, norm, rates, 3, True))
        refitted.append(relabel(*data, norm, rates, 3, False))
    path = relabelling_path(p / n, np.inf, norm, 0.5, rates, n_relabel=3, fit_intercept=False)
    assert agrees(passed, path.accuracy, n).all()
    lost = np.mean(passed, axis=0) - np.mean(refitted, axis=0)
    assert lost[0] == 0.0 and (lost < 0.01).all()
    assert lost[1] > 0.0
