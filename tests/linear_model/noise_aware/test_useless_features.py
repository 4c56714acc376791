"""Features that say nothing of the labels: what is claimed is the accuracy of a guess."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from skrmt.linear_model import NoiseAwareLinearClassifier

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def assert_guess(model, chance):
    """Check that nothing better or worse than a guess is claimed."""
    assert model.regime_ == "undetected"
    assert model.observed_accuracy_ == pytest.approx(chance, abs=0.02)
    low, high = model.observed_accuracy_interval_
    assert low <= chance <= high
    low, high = model.theoretical_accuracy_interval_
    assert low <= chance <= high
    assert low <= model.theoretical_accuracy_ <= high
    assert np.isfinite(model.model_accuracy_)


@pytest.mark.parametrize("level", [1.0, 0.0, -3e8, 0.1])
@pytest.mark.parametrize("n", [40, 60, 61, 1000])
@pytest.mark.parametrize("parameters", [{}, {"noise_rates": 0.2}, {"alpha": np.inf}], ids=str)
def test_constant_columns(level, n, parameters):
    y = np.arange(n) % 2
    assert_guess(NoiseAwareLinearClassifier(**parameters).fit(np.full((n, 2), level), y), 0.5)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("form", ["sparse", "float32", "zeros", "weights", "groups", "rows"])
def test_constant_columns_of_every_form(rng, n_classes, form):
    n, options = 60, {}
    X, y = np.ones((n, 2)), np.arange(n) % n_classes
    if form == "sparse":
        X = sparse.csr_matrix(X)
    elif form == "float32":
        X = 0.1 * X.astype(np.float32)
    elif form == "zeros":
        X = 0.0 * X
    elif form == "weights":
        options["sample_weight"] = np.repeat(rng.uniform(0.2, 2.0, n // n_classes), n_classes)
    elif form == "groups":
        options["groups"] = np.arange(n) // 2
    elif form == "rows":
        options["sample_noise"] = np.repeat(rng.uniform(0.0, 0.2, n // n_classes), n_classes)
    model = NoiseAwareLinearClassifier(fit_intercept=form != "zeros").fit(X, y, **options)
    assert_guess(model, 1.0 / n_classes)


@pytest.mark.parametrize("alpha", ["auto", 1e13])
def test_columns_that_are_nearly_constant(alpha):
    detected = []
    for seed in range(20):
        noise = np.random.default_rng(seed).standard_normal((60, 2))
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            model = NoiseAwareLinearClassifier(alpha).fit(1.0 + 1e-13 * noise, np.arange(60) % 2)
        detected.append(model.regime_ != "undetected")
    assert np.mean(detected) <= 0.25


@pytest.mark.parametrize("level", [1.0, 1e12])
def test_constant_columns_beside_others_change_nothing(binary, level):
    X, y, _ = binary
    wider = np.column_stack([X, np.full((len(y), 2), level)])
    one = NoiseAwareLinearClassifier().fit(X, y)
    other = NoiseAwareLinearClassifier().fit(wider, y)
    for name in ("theoretical_accuracy_", "observed_accuracy_", "held_out_scores_", "snr_"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-6)
    assert one.regime_ == other.regime_


def test_scale_of_the_data_does_not_hide_scores_of_an_infinite_penalty(binary):
    X, y, _ = binary
    for method in ("threshold", "lpc"):
        for factor in (1e-4, 1e4):
            model = NoiseAwareLinearClassifier(np.inf, method=method).fit(factor * X, y)
            assert model.observed_accuracy_ > 0.6


def useless_columns(n_classes, n_values):
    """Return one-hot columns of which each has all labels equally often: X, y."""
    n = 60 * n_values
    return np.repeat(np.eye(n_values), 60, axis=0), np.arange(n) % n_classes


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_values", [2, 4])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"noise_rates": 0.2}, {"noise_rates": None}, {"method": "lpc"}, {"alpha": 1e-3}],
    ids=str,
)
def test_balanced_columns(n_classes, n_values, parameters):
    X, y = useless_columns(n_classes, n_values)
    model = NoiseAwareLinearClassifier(**parameters).fit(X, y)
    assert_guess(model, 1.0 / n_classes)
    assert np.abs(model.decision_function(X)).max() < 10


@pytest.mark.parametrize("n_classes", [2, 3])
def test_balanced_columns_of_weighted_rows(rng, n_classes):
    X, y = useless_columns(n_classes, 4)
    weights = np.repeat(rng.integers(1, 4, len(y) // n_classes), n_classes)
    assert_guess(NoiseAwareLinearClassifier().fit(X, y, weights), 1.0 / n_classes)
    X = X + 1e-3 * rng.standard_normal(X.shape)
    assert_guess(NoiseAwareLinearClassifier(10.0).fit(X, y, weights), 1.0 / n_classes)


@pytest.mark.parametrize("parameters", [{}, {"noise_rates": 0.2}], ids=str)
def test_intervals_of_one_noise_column_contain_a_guess(parameters):
    covered = []
    for seed in range(40):
        X = np.random.default_rng(seed).standard_normal((100, 1))
        model = NoiseAwareLinearClassifier(**parameters).fit(X, np.arange(100) % 2)
        for interval in (model.observed_accuracy_interval_, model.theoretical_accuracy_interval_):
            covered.append(interval[0] <= 0.5 <= interval[1])
    assert np.mean(covered) >= 0.95
