"""Scores that are equal, up to rounding: order of the rows and rounding show in nothing."""

import numpy as np
import pytest

from skrmt.model_selection import clean_accuracy
from skrmt.model_selection._clean_labels import without_rounding

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def tied(rng, n, n_classes, share=0.8):
    """Return scores of which a share is zero, and labels sorted by class."""
    y = np.sort(np.arange(n) % n_classes)
    scores = 2.0 * np.eye(n_classes)[y] + rng.standard_normal((n, n_classes))
    scores = np.where(rng.random((n, 1)) < share, 0.0, scores.round(1))
    return scores[:, 1] - scores[:, 0] if n_classes == 2 else scores, y


def assert_same(one, other, order, rtol=1e-8):
    """Compare all fields of two results, of which one has its rows in another order."""
    for name in one._fields:
        a, b = getattr(one, name), getattr(other, name)
        if name == "regime":
            assert a == b
        else:
            a = a[order] if name in ("label_posterior", "label_quality") else a
            np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("form", ["estimate", "rate", "rows", "weights", "groups"])
def test_order_of_the_rows_changes_nothing(rng, n_classes, form):
    n = 240
    scores, y = tied(rng, n, n_classes)
    rows = {
        "rows": {"noise_rates": rng.uniform(0.0, 0.4, n)},
        "weights": {"sample_weight": rng.uniform(0.5, 2.0, n)},
        "groups": {"groups": np.arange(n) // 2},
    }.get(form, {})
    options = {"noise_rates": 0.2} if form == "rate" else {}
    expected = clean_accuracy(scores, y, **rows, **options)
    for order in (np.arange(n)[::-1], rng.permutation(n)):
        mixed = {name: values[order] for name, values in rows.items()}
        found = clean_accuracy(scores[order], y[order], **mixed, **options)
        assert_same(expected, found, order)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_ties_without_signal_are_undetected_in_every_order(n_classes):
    undetected = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        scores = 1.0 * (rng.random((200, n_classes)) < 0.05) * np.arange(n_classes)
        y = np.sort(np.arange(200) % n_classes)
        regimes = [clean_accuracy(scores[::step], y[::step]).regime for step in (1, -1)]
        assert regimes[0] == regimes[1]
        undetected.append(regimes[0] == "undetected")
    assert np.mean(undetected) > 0.7


@pytest.mark.parametrize("n_classes", [2, 3])
def test_rounding_of_tied_scores_changes_nothing(rng, n_classes):
    scores, y = tied(rng, 300, n_classes)
    noise = 1e-15 * rng.standard_normal(scores.shape)
    one, other = clean_accuracy(scores, y), clean_accuracy(scores + noise, y)
    assert_same(one, other, np.arange(300), rtol=1e-6)


def test_scores_that_are_constant_up_to_rounding_are_refused(rng):
    y = np.arange(100) % 2
    with pytest.raises(ValueError, match="scores are constant"):
        clean_accuracy(0.3 + 1e-15 * rng.standard_normal(100), y)


def test_scores_that_differ_are_kept(rng):
    for scores in (rng.standard_normal(1000), rng.standard_cauchy((1000, 3)), np.arange(5.0)):
        np.testing.assert_array_equal(without_rounding(scores), scores)
    np.testing.assert_array_equal(without_rounding(1e-9 * scores), 1e-9 * scores)
    tied = np.array([3.0, 1.0 + 1e-15, 3.0 - 1e-15, 1.0])
    np.testing.assert_allclose(without_rounding(tied)[[0, 1]], without_rounding(tied)[[2, 3]])
    np.testing.assert_array_equal(np.ptp(without_rounding(1e-14 * scores, scale=1.0)), 0.0)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("rates", ["estimate", None, 0.2])
def test_scores_against_the_labels_are_a_guess(rng, n_classes, rates):
    y = np.arange(300) % n_classes
    scores = rng.standard_normal((300, n_classes)) - np.eye(n_classes)[y]
    found = clean_accuracy(scores, y, noise_rates=rates)
    assert found.regime == "undetected"
    for low, high in (found.observed_accuracy_interval, found.accuracy_interval):
        assert low <= 1.0 / n_classes <= high
