"""The Bayes-optimal accuracy: quadrature, fixed point, and the order of the methods."""

import mpmath as mp
import numpy as np
import pytest

from skrmt.theory.noisy_labels import amp_path, bayes_accuracy, label_quality, lpc, optimal_shift
from skrmt.theory.noisy_labels._bayes import label_channel


def random_points(n_points, seed):
    rng = np.random.default_rng(seed)
    eta, norm = 10 ** rng.uniform(-1.5, 1, n_points), 10 ** rng.uniform(-0.7, 0.6, n_points)
    pi, em = rng.uniform(0.05, 0.95, n_points), rng.uniform(0, 0.9, n_points)
    return eta, norm, pi, em, rng.uniform(0, 1, n_points) * (1 - em) * 0.98


@pytest.mark.parametrize("overlap", [0.0, 0.05, 1.7, 12.0, 60.0])
def test_information_agrees_with_mpmath(overlap):
    pi, em, ep = 0.7, 0.3, 0.05
    got = label_channel(1.0, 1.0, pi, (em, ep), 1.0).information(np.array(overlap))
    with mp.workdps(20):
        total = mp.mpf(0)
        cells = [(pi * (1 - ep), (1 - pi) * em), (pi * ep, (1 - pi) * (1 - em))]
        for plus, minus in cells:
            odds = mp.log(mp.mpf(plus) / mp.mpf(minus)) / 2
            for sign, weight in ((1, plus), (-1, minus)):

                def integrand(g, odds=odds, sign=sign):
                    field = odds + sign * overlap + mp.sqrt(overlap) * g
                    return mp.npdf(g) * mp.tanh(field) ** 2

                total += weight * mp.quad(integrand, list(range(-9, 10)))
    assert float(got) == pytest.approx(float(total), abs=1e-14)


def test_information_of_labels_alone_is_their_quality():
    _, _, pi, em, ep = random_points(200, 0)
    channel = label_channel(1.0, 1.0, pi, (em, ep), 1.0)
    np.testing.assert_allclose(
        channel.information(np.zeros(200)), label_quality(pi, (em, ep)), rtol=1e-12
    )


def test_fixed_point_residual_and_limit_of_the_path():
    eta, norm, pi, em, ep = random_points(40, 1)
    fraction = np.linspace(0.1, 1, 40)
    accuracy, overlap = bayes_accuracy(eta, norm, pi, (em, ep), labelled_fraction=fraction)
    channel = label_channel(eta, norm, pi, (em, ep), fraction)
    np.testing.assert_allclose(channel.step(overlap), overlap, rtol=1e-12, atol=1e-15)
    path = amp_path(eta, norm, pi, (em, ep), 500, labelled_fraction=fraction)
    np.testing.assert_allclose(path.overlap[:, -1], overlap, rtol=1e-9)
    assert np.all(accuracy >= path.accuracy[:, 5] - 1e-13)


def test_bayes_is_never_below_the_best_ridge_nor_above_clean_labels():
    eta, norm, pi, em, ep = random_points(300, 2)
    bayes = bayes_accuracy(eta, norm, pi, (em, ep)).accuracy
    shift = optimal_shift(pi, (em, ep))
    for alpha in (0.1, 10.0, np.inf):
        ridge = lpc(eta, alpha, norm, prior=pi, noise_rates=(em, ep), shift=shift).accuracy
        assert np.all(bayes >= ridge - 1e-13)
    assert np.all(bayes <= lpc(eta, np.inf, norm).accuracy + 1e-13)


def test_clean_labels_leave_nothing_to_gain():
    clean = bayes_accuracy(0.5, 1.5, 0.3, (0.0, 0.0))
    assert clean.accuracy == pytest.approx(lpc(0.5, np.inf, 1.5).accuracy, rel=1e-13)


def test_unlabelled_rows_with_equal_classes_have_a_transition():
    below = bayes_accuracy(1.0, [0.5, 0.99, 1.0], 0.5, (0.1, 0.2), labelled_fraction=0.0)
    assert np.all(below.overlap == 0)
    assert np.all(below.accuracy == 0.5)
    above = bayes_accuracy(1.0, [1.05, 2.0], 0.5, (0.1, 0.2), labelled_fraction=0.0)
    assert np.all(above.overlap > 0.01)
    assert above.accuracy[1] == pytest.approx(
        bayes_accuracy(1.0, 2.0, 0.5, (0.1, 0.2), labelled_fraction=1e-9).accuracy, abs=1e-7
    )


def test_more_labels_and_less_noise_are_better():
    fractions = bayes_accuracy(
        0.5, 1.2, 0.6, (0.2, 0.3), labelled_fraction=np.linspace(0, 1, 11)
    ).accuracy
    assert np.all(np.diff(fractions) > 0)
    rates = np.linspace(0, 0.45, 10)
    noisy = bayes_accuracy(0.5, 1.2, 0.5, (rates, rates)).accuracy
    assert np.all(np.diff(noisy) < 0)


def test_path_starts_at_chance_and_may_have_no_step():
    assert amp_path(1.0, 1.0, 0.5, (0.1, 0.1), 0).accuracy.tolist() == [0.5]
    assert amp_path([1.0, 2.0], 1.0, 0.5, (0.1, 0.1)).overlap.shape == (2, 16)
