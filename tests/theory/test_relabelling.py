"""State evolution of soft relabelling: limits, order, and the procedure itself on Gaussian data."""

import numpy as np
import pytest
from scipy.special import ndtr

from skrmt.linear_model import NoiseAwareLinearClassifier
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
    eta, alpha, norm, pi, em, ep = random_points(60, 3)
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
    path = relabelling_path(0.5, 2.0, 1.2, 0.6, (0.2, 0.3), cleaned_fraction=fractions)
    assert path.accuracy.shape == (11, 3)
    assert (np.diff(path.accuracy, axis=0) > 0).all()


def test_never_above_what_no_method_exceeds():
    """Without intercept, where `bayes_accuracy` is the bound; an intercept only costs."""
    eta, alpha, norm, pi, em, ep = random_points(200, 4)
    bound = best_accuracy(bayes_accuracy(eta, norm, pi, (em, ep)).overlap, pi)
    for fit_intercept in (True, False):
        path = relabelling_path(
            eta, alpha, norm, pi, (em, ep), n_relabel=6, fit_intercept=fit_intercept
        )
        assert (path.accuracy <= bound[:, None] + 1e-9).all()


def test_rounds_help_at_a_large_penalty():
    eta, _, norm, pi, em, ep = random_points(100, 5)
    path = relabelling_path(eta, np.inf, norm, pi, (em, ep), n_relabel=5, fit_intercept=False)
    assert (np.diff(path.overlap, axis=1) >= -1e-12).all()


def test_arguments_broadcast():
    path = relabelling_path(
        np.array([0.5, 1.0])[:, None], 1.0, 1.5, np.array([0.3, 0.5, 0.6]), (0.1, 0.2), n_relabel=3
    )
    assert path.accuracy.shape == path.overlap.shape == (2, 3, 4)
    for i, eta in enumerate((0.5, 1.0)):
        for j, pi in enumerate((0.3, 0.5, 0.6)):
            one = relabelling_path(eta, 1.0, 1.5, pi, (0.1, 0.2), n_relabel=3)
            np.testing.assert_allclose(path.accuracy[i, j], one.accuracy, rtol=1e-12)


def test_no_signal_leaves_the_larger_class():
    path = relabelling_path(0.5, 1.0, 0.0, [0.5, 0.8], (0.2, 0.2))
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


CASES = [
    # eta, alpha, |mu|, pi_+, (eps_-, eps_+)
    (0.25, 1.0, 1.5, 0.5, (0.2, 0.2)),
    (0.5, 0.3, 1.8, 0.6, (0.2, 0.3)),
    (1.0, 3.0, 2.0, 0.5, (0.1, 0.35)),
    (0.5, np.inf, 1.5, 0.4, (0.3, 0.2)),
]


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
@pytest.mark.parametrize("n_relabel", [0, 2])
@pytest.mark.parametrize(("n", "draws"), [(160, 20), (640, 12)])
@pytest.mark.parametrize("case", CASES)
def test_procedure_has_the_accuracy_of_its_path(case, n, draws, n_relabel):
    """Mean over draws of the exact clean accuracy within 4 standard errors + C/n.

    C is 8; relabelled fits are allowed 0.02 more, since the path leaves out that soft targets
    remember the direction of the fit they come from.
    """
    eta, alpha, norm, pi, rates = case
    rng = np.random.default_rng(n + n_relabel)
    p = round(eta * n)
    found = []
    for _ in range(draws):
        y = (rng.random(n) < pi).astype(int)
        X = rng.standard_normal((n, p))
        X[:, 0] += norm * (2 * y - 1)
        observed = np.where(rng.random(n) < np.array(rates)[y], 1 - y, y)
        model = NoiseAwareLinearClassifier(
            alpha, noise_rates=rates, n_relabel=n_relabel, class_prior=[1 - pi, pi]
        ).fit(X, observed)
        w, b = model.coef_[0], model.intercept_[0]
        low, high = (b + s * norm * w[0] for s in (-1, 1))
        size = np.linalg.norm(w)
        found.append(pi * ndtr(high / size) + (1 - pi) * ndtr(-low / size))
    expected = relabelling_path(p / n, alpha, norm, pi, rates, n_relabel=n_relabel).accuracy[-1]
    error = np.std(found, ddof=1) / np.sqrt(draws)
    allowed = 8.0 / n + (0.02 if n_relabel else 0.0)
    assert abs(np.mean(found) - expected) <= 4.0 * error + allowed
