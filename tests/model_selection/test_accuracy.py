"""Properties of the combined accuracy."""

import numpy as np
import pytest
from scipy.special import ndtri

from skrmt.model_selection._clean_labels import combine_accuracies, unmixed_accuracy


def combined(gaussian, calibrated, probabilities=(1.0,), noise=0.2, size=500, **options):
    """Combine from plain sequences."""
    arrays = (np.atleast_1d(np.asarray(x, float)) for x in (gaussian, calibrated, probabilities))
    return combine_accuracies(*arrays, noise, size, **options)


def half_width(estimate):
    """Return half the width of an interval."""
    return 0.5 * (estimate.interval[1] - estimate.interval[0])


def test_claims_that_agree_leave_the_binomial_error():
    estimate = combined(0.8, 0.8)
    assert estimate.accuracy == pytest.approx(0.8, rel=1e-12)
    expected = ndtri(0.975) * np.sqrt(0.8 * 0.2 / 500) / 0.8
    assert half_width(estimate) == pytest.approx(expected, rel=1e-9)


def test_mean_over_hypotheses_and_claims():
    estimate = combined([0.9, 0.8], [0.86, 0.7], [0.75, 0.25])
    assert estimate.accuracy == pytest.approx(0.5 * (0.875 + 0.82), rel=1e-12)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"noise": 0.1}, {"noise": 0.6}),
        ({"size": 2000}, {"size": 200}),
        ({"misfit": False}, {"misfit": True}),
        ({"calibrated": 0.84}, {"calibrated": 0.76}),
    ],
)
def test_what_widens_the_interval(less, more):
    base = {"gaussian": 0.85, "calibrated": 0.85}
    assert half_width(combined(**base | less)) < half_width(combined(**base | more))


def test_doubt_between_hypotheses_widens_the_interval():
    sure = combined([0.9, 0.7], [0.9, 0.7], [1.0, 0.0])
    unsure = combined([0.9, 0.7], [0.9, 0.7], [0.5, 0.5])
    assert half_width(unsure) > 2.0 * half_width(sure)


def counted(hits, part=1.0, n=100):
    """Count the hits among clean labels of two classes; the variance is proportional to `part`."""
    truth = np.arange(n) % 2
    predicted = np.where(np.arange(n) < hits, truth, 1 - truth)
    return unmixed_accuracy(predicted, np.eye(2)[truth], np.full(2, 0.5), np.ones(n), part)


@pytest.mark.parametrize("error", [1e-6, 0.02, 10.0])
def test_counted_accuracy_pulls_by_its_precision(error):
    count = counted(80, (error / 0.04) ** 2)
    assert count[:2] == pytest.approx((0.8, error), rel=1e-12)
    pulled = combined(0.9, 0.86, counted=count)
    claims, model = 0.02**2, 0.02**2 + 0.02**2
    trust = model / (model + error**2)
    accuracy = 0.88 + trust * (0.8 - 0.88)
    assert pulled.accuracy == pytest.approx(accuracy, rel=1e-9)
    spread = (1.0 - trust) * claims + (trust * error) ** 2
    variance = 2.0 * spread + accuracy * (1.0 - accuracy) / (500 * 0.8**2)
    assert half_width(pulled) == pytest.approx(ndtri(0.975) * np.sqrt(variance), rel=1e-9)


def test_undefined_count_is_ignored():
    useless = np.full((4, 2), 0.5)
    nothing = unmixed_accuracy(np.array([0, 1, 0, 1]), useless, np.full(2, 0.5), np.ones(4))
    assert np.isnan(nothing.accuracy)
    estimate, expected = combined(0.9, 0.8, counted=nothing), combined(0.9, 0.8)
    assert estimate.accuracy == expected.accuracy
    np.testing.assert_array_equal(estimate.interval, expected.interval)


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_interval_is_within_the_unit_interval_around_the_accuracy(accuracy, noise):
    for size in (3, 100, 1e6):
        estimate = combined(accuracy, accuracy, noise=noise, size=size, misfit=True)
        low, high = estimate.interval
        assert 0.0 <= low <= estimate.accuracy <= high <= 1.0
        assert low < high
