"""Suspicious rows, and what more data or less noise would give."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from skrmt.datasets import make_noisy_mixture
from skrmt.linear_model import NoiseAwareLinearClassifier

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


@pytest.fixture(scope="module")
def fitted(binary):
    """The default fit of the binary data."""
    return NoiseAwareLinearClassifier().fit(*binary[:2])


@pytest.fixture(scope="module")
def fitted_three(three):
    """The default fit of the data of three classes."""
    return NoiseAwareLinearClassifier().fit(*three[:2])


def test_issues_are_ranked_and_cut(fitted):
    everything = fitted.find_label_issues(threshold=0.0)
    assert sorted(everything.indices) == list(range(300))
    assert (np.diff(everything.probabilities) <= 0).all()
    np.testing.assert_array_equal(
        everything.probabilities, 1.0 - fitted.label_quality_[everything.indices]
    )
    for threshold in (0.3, 0.5, 0.9):
        some = fitted.find_label_issues(threshold=threshold)
        assert len(some.indices) == (1.0 - fitted.label_quality_ >= threshold).sum()
        np.testing.assert_array_equal(some.indices, everything.indices[: len(some.indices)])
    default = fitted.find_label_issues()
    np.testing.assert_array_equal(default.indices, fitted.find_label_issues(threshold=0.5).indices)


@pytest.mark.parametrize("data", ["binary", "three"])
def test_issues_are_the_wrong_labels(data, request):
    """Ranked whether rates are known or not; as often wrong as said where they are known."""
    X, y, clean = request.getfixturevalue(data)
    unknown = NoiseAwareLinearClassifier().fit(X, y)
    assert average_precision_score(y != clean, 1.0 - unknown.label_quality_) > 0.9
    rates = [np.mean(y[clean == k] != k) for k in np.unique(y)]
    model = NoiseAwareLinearClassifier(noise_rates=rates).fit(X, y)
    found = model.find_label_issues()
    expected = (1.0 - model.label_quality_[found.indices]).sum()
    wrong = (y != clean)[found.indices].sum()
    variance = (found.probabilities * (1.0 - found.probabilities)).sum()
    assert abs(wrong - expected) <= 4.0 * np.sqrt(variance) + 0.05 * len(found.indices)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, np.nan])
def test_threshold_out_of_range(fitted, threshold):
    with pytest.raises(ValueError, match="threshold="):
        fitted.find_label_issues(threshold=threshold)


def test_forecast_at_present_conditions_is_the_claim(fitted, fitted_three):
    for model in (fitted, fitted_three):
        present = model.forecast().score
        assert present.shape == ()
        assert present == pytest.approx(model.theoretical_accuracy_, abs=1e-6)
        rates = model.forecast(
            n_samples=model.n_effective_samples_, noise_rates=model.noise_rates_
        ).score
        if len(model.classes_) == 2:
            assert rates == pytest.approx(present, abs=1e-9)


@pytest.mark.parametrize("name", ["fitted", "fitted_three"])
def test_forecast_is_monotone(name, request):
    model = request.getfixturevalue(name)
    sizes = model.forecast(n_samples=[50, 100, 300, 1000, 10000]).score
    noise = np.array([model.forecast(noise_rates=r).score for r in (0.0, 0.1, 0.2, 0.3, 0.4)])
    cleaned = model.forecast(cleaned_fraction=[0.0, 0.25, 0.5, 1.0]).score
    assert (np.diff(sizes) > 0).all()
    assert (np.diff(noise) < 0).all()
    assert (np.diff(cleaned) > 0).all()
    assert noise[0] == pytest.approx(cleaned[-1], abs=1e-6)


def test_forecast_broadcasts(fitted):
    sizes, cleaned = np.array([100, 300, 900])[:, None], np.array([0.0, 0.5])
    table = fitted.forecast(n_samples=sizes, cleaned_fraction=cleaned)
    assert set(table.conditions) == {"n_samples", "cleaned_fraction"}
    assert np.isnan(table.lower).all() and np.isnan(table.upper).all()
    table = table.score
    assert table.shape == (3, 2)
    for i, n in enumerate((100, 300, 900)):
        for j, share in enumerate((0.0, 0.5)):
            one = fitted.forecast(n_samples=n, cleaned_fraction=share).score
            assert table[i, j] == pytest.approx(one, abs=1e-12)
    rates = np.array([[0.1, 0.2], [0.2, 0.2], [0.3, 0.1]])
    assert fitted.forecast(noise_rates=rates).score.shape == (3,)
    assert fitted.forecast(noise_rates=rates, n_samples=sizes).score.shape == (3, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples=0"),
        ({"n_samples": [100, -5]}, r"n_samples=\[100, -5\]"),
        ({"n_samples": np.nan}, "n_samples=nan"),
        ({"cleaned_fraction": 1.2}, r"cleaned_fraction=1\.2"),
        ({"cleaned_fraction": -0.1}, r"cleaned_fraction=-0\.1"),
        ({"noise_rates": 0.5}, "noise_rates"),
        ({"noise_rates": [0.1, 0.2, 0.3]}, r"noise_rates has shape \(3,\)"),
        ({"noise_rates": [0.6, 0.5]}, "noise_rates"),
    ],
)
def test_forecast_out_of_its_domain(fitted, options, message):
    with pytest.raises(ValueError, match=message):
        fitted.forecast(**options)


@pytest.mark.parametrize(
    ("of", "conditions", "share"),
    [
        ("n_samples", {}, 0.5),
        ("n_samples", {"noise_rates": (0.05, 0.1)}, 0.5),
        ("n_samples", {"cleaned_fraction": 0.5}, 0.5),
        ("cleaned_fraction", {}, 0.5),
        ("cleaned_fraction", {"n_samples": 500}, 0.3),
    ],
)
def test_required_is_the_inverse_of_the_forecast(fitted, of, conditions, share):
    few, many = {"n_samples": (200, 20000), "cleaned_fraction": (0.0, 1.0)}[of]
    ends = fitted.forecast(**conditions, **{of: [few, many]}).score
    target = ends[0] + share * (ends[1] - ends[0])
    amount = fitted.required(target, of=of, **conditions)
    assert few < amount < many
    reached = fitted.forecast(**conditions, **{of: amount}).score
    assert reached == pytest.approx(target, abs=1e-6)


def test_required_at_the_ends(fitted):
    assert fitted.required(0.9999999) == np.inf
    assert fitted.required(0.9999999, of="cleaned_fraction") == np.inf
    assert fitted.required(0.5, of="cleaned_fraction") == 0.0
    assert type(fitted.required(0.9)) is float


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": 1.5}, r"score=1\.5"),
        ({"score": 0.9, "of": "noise_rates"}, "of='noise_rates'"),
        ({"score": 0.9, "n_samples": 100}, "n_samples=100"),
        ({"score": 0.9, "of": "cleaned_fraction", "cleaned_fraction": 0.1}, "cleaned_fraction="),
    ],
)
def test_required_out_of_its_domain(fitted, options, message):
    with pytest.raises(ValueError, match=message):
        fitted.required(**options)


def test_forecast_predicts_the_accuracy_at_four_times_the_data(exact_accuracy):
    """Mean over 20 draws within 4 standard errors + 0.03.

    The signal is extrapolated from a claim that errs by .023 at this size (see the claims), and
    by the approximation of the state evolution.
    """
    gaps = []
    for k in range(20):
        X, y, _, means = make_noisy_mixture(
            1200, 60, mean_norm=1.5, noise_rates=0.25, random_state=k
        )
        small = NoiseAwareLinearClassifier(noise_rates=0.25).fit(X[:300], y[:300])
        large = NoiseAwareLinearClassifier(noise_rates=0.25).fit(X, y)
        gaps.append(small.forecast(n_samples=1200).score - exact_accuracy(large, means, (0.5, 0.5)))
    error = np.std(gaps, ddof=1) / np.sqrt(20)
    assert abs(np.mean(gaps)) <= 4.0 * error + 0.03
