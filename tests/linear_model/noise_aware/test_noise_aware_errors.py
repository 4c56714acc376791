"""Bad input to NoiseAwareLinearClassifier: a clear error, or one warning."""

import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import NoiseAwareLinearClassifier, SyntheticMixClassifier

N = 60


@pytest.fixture
def small(rng):
    """60 rows of two separate classes in 5 dimensions."""
    y = np.arange(N) % 2
    return rng.standard_normal((N, 5)) + 2.0 * y[:, None], y


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(small, value):
    X, y = small
    X[3, 2] = value
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        NoiseAwareLinearClassifier().fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"noise_rates": 0.5}, r"noise_rates=0\.5 sum to 1"),
        ({"noise_rates": 0.7}, r"noise_rates=0\.7 sum to 1\.4"),
        ({"noise_rates": [0.6, 0.4]}, r"noise_rates=\[0\.6, 0\.4\] sum to 1"),
        ({"noise_rates": [0.9, 0.3]}, r"noise_rates=\[0\.9, 0\.3\] sum to 1\.2"),
        ({"noise_rates": -0.1}, r"noise_rates=-0\.1"),
        ({"noise_rates": [0.1, np.nan]}, "noise_rates=.*nan"),
        ({"noise_rates": [0.1, 0.2, 0.3]}, r"noise_rates has shape \(3,\).*2 classes"),
        ({"noise_rates": [[0.9, 0.2], [0.1, 0.9]]}, r"noise_rates has rows that sum to .*1\.1"),
        ({"noise_rates": np.full((3, 3), 1 / 3)}, r"noise_rates has shape \(3, 3\)"),
        ({"noise_rates": "guess"}, "noise_rates"),
        ({"method": "lpc", "perturbation": (0.5, 0.5)}, r"perturbation=\(0\.5, 0\.5\) has sum 1"),
        (
            {"method": "lpc", "perturbation": (0.8, 0.7)},
            r"perturbation=\(0\.8, 0\.7\) has sum 1\.5",
        ),
        ({"method": "lpc", "perturbation": (0.1,)}, r"perturbation=\(0\.1,\)"),
        ({"method": "lpc", "perturbation": (0.1, np.inf)}, r"perturbation=\(0\.1, inf\)"),
        ({"method": "lpc", "perturbation": "best"}, "perturbation.*'best'"),
        ({"alpha": -1.0}, r"alpha=-1\.0"),
        ({"alpha": np.nan}, "alpha=nan"),
        ({"alpha": [1.0, -2.0]}, r"alpha=\[1\.0, -2\.0\]"),
        ({"alpha": []}, r"alpha=\[\]"),
        ({"alpha": "best"}, "alpha.*'best'"),
        ({"method": "hard"}, "method.*'hard'"),
        ({"fit_intercept": "yes"}, "fit_intercept.*'yes'"),
        ({"class_prior": [0.5, 0.6]}, r"class_prior=\[0\.5, 0\.6\]"),
        ({"class_prior": [1.0, 0.0]}, r"class_prior=\[1\.0, 0\.0\]"),
        ({"class_prior": [0.2, 0.3, 0.5]}, r"class_prior=\[0\.2, 0\.3, 0\.5\]"),
        ({"class_prior": [np.nan, 0.5]}, "class_prior=.*nan"),
    ],
    ids=str,
)
def test_parameters_out_of_their_domain(small, parameters, message):
    with pytest.raises((ValueError, TypeError), match=message):
        NoiseAwareLinearClassifier(**parameters).fit(*small)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": np.full(N, -1.0)}, "sample_weight"),
        ({"sample_weight": np.zeros(N)}, "sample_weight"),
        ({"sample_weight": np.full(N, np.nan)}, "sample_weight"),
        ({"sample_weight": np.ones(N - 1)}, "sample_weight"),
        ({"sample_noise": np.full(N - 1, 0.1)}, r"sample_noise has shape \(59,\)"),
        ({"sample_noise": np.full((N, 3), 0.1)}, r"sample_noise has shape \(60, 3\)"),
        ({"sample_noise": np.full(N, 1.1)}, "sample_noise"),
        ({"sample_noise": np.full(N, -0.1)}, "sample_noise"),
        ({"sample_noise": np.full(N, np.nan)}, "sample_noise"),
        ({"label_distribution": np.full((N, 2), 0.6)}, "label_distribution"),
        ({"label_distribution": np.tile([1.5, -0.5], (N, 1))}, "label_distribution"),
        ({"label_distribution": np.full((N, 2), np.nan)}, "label_distribution"),
        ({"label_distribution": np.full((N, 3), 1 / 3)}, r"label_distribution has shape \(60, 3\)"),
        ({"label_distribution": np.full((N - 1, 2), 0.5)}, r"label_distribution has shape"),
        (
            {"sample_noise": np.full(N, 0.1), "label_distribution": np.full((N, 2), 0.5)},
            "sample_noise and label_distribution",
        ),
    ],
)
def test_fit_arguments_out_of_their_domain(small, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        NoiseAwareLinearClassifier().fit(*small, **options)


def test_one_class(small):
    X, y = small
    with pytest.raises(ValueError, match="y has only one class, 4"):
        NoiseAwareLinearClassifier().fit(X, np.full(N, 4))
    with pytest.raises(ValueError, match="rows of positive weight"):
        NoiseAwareLinearClassifier().fit(X, y, sample_weight=(y == 1) * 1.0)


def test_labels_that_are_no_classes(small):
    X, _ = small
    with pytest.raises(ValueError, match="continuous"):
        NoiseAwareLinearClassifier().fit(X, np.linspace(0.0, 1.0, N))
    with pytest.raises((ValueError, TypeError), match="y"):
        NoiseAwareLinearClassifier().fit(X, np.array([1, "a"] * (N // 2), dtype=object))
    with pytest.raises(ValueError, match="NaN"):
        NoiseAwareLinearClassifier().fit(X, np.array([1.0, np.nan] * (N // 2)))
    with pytest.raises(ValueError, match=r"inconsistent|one label per row"):
        NoiseAwareLinearClassifier().fit(X, np.arange(N - 1) % 2)
    with pytest.raises(ValueError, match="y"):
        NoiseAwareLinearClassifier().fit(X, None)


def test_zero_penalty_needs_more_rows_than_features(rng):
    y = np.arange(10) % 2
    for p in (10, 25):
        with pytest.raises(ValueError, match=f"alpha=0 .*10 distinct rows and {p} features"):
            NoiseAwareLinearClassifier(0.0).fit(rng.standard_normal((10, p)), y)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_zero_penalty_is_least_squares_where_it_can_be(small):
    X, y = small
    model = NoiseAwareLinearClassifier(0.0, noise_rates=None, method="threshold").fit(X, y)
    design = np.column_stack([X, np.ones(N)])
    w = np.linalg.lstsq(design, 2.0 * y - 1.0, rcond=None)[0][:5]
    np.testing.assert_allclose(
        model.coef_[0] / np.linalg.norm(model.coef_), w / np.linalg.norm(w), rtol=1e-8
    )


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
@pytest.mark.parametrize("method", ["threshold", "lpc"])
@pytest.mark.parametrize("scale", [1e-150, 1e-60, 1e60, 1e150])
def test_extreme_scales_change_nothing(binary, method, scale):
    X, y, _ = binary
    expected = NoiseAwareLinearClassifier(method=method).fit(X, y)
    model = NoiseAwareLinearClassifier(method=method).fit(scale * X, y)
    np.testing.assert_array_equal(model.predict(scale * X), expected.predict(X))
    np.testing.assert_allclose(
        model.predict_proba(scale * X), expected.predict_proba(X), rtol=1e-6, atol=1e-9
    )
    for name in ("theoretical_accuracy_", "model_accuracy_", "snr_", "theoretical_accuracy_path_"):
        np.testing.assert_allclose(
            getattr(model, name), getattr(expected, name), rtol=1e-6, err_msg=name
        )
    np.testing.assert_allclose(model.coef_ * scale, expected.coef_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("scale", [1e160, 1e200, 1e-160, 1e-200])
def test_scales_without_penalties_are_refused(small, scale):
    X, y = small
    expected = re.escape(f"X has values up to {abs(scale * X).max():.3g}: ") + ".*Divide X by"
    for data in (scale * X, sparse.csr_matrix(scale * X)):
        with pytest.raises(ValueError, match=expected):
            NoiseAwareLinearClassifier().fit(data, y)
        with pytest.raises(ValueError, match=expected):
            SyntheticMixClassifier().fit(data, y)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
@pytest.mark.parametrize("level", [0.0, 1.0, -3e8])
def test_constant_features_change_nothing(binary, level):
    X, y, _ = binary
    grid = np.logspace(-3, 2, 6)
    expected = NoiseAwareLinearClassifier(grid).fit(X, y)
    wider = np.column_stack([X, np.full(300, level)])
    model = NoiseAwareLinearClassifier(grid).fit(wider, y)
    np.testing.assert_allclose(model.coef_[0, :-1], expected.coef_[0], rtol=1e-6, atol=1e-7)
    assert abs(model.coef_[0, -1]) <= 1e-7 / max(abs(level), 1.0)
    np.testing.assert_allclose(
        model.predict_proba(wider), expected.predict_proba(X), rtol=1e-5, atol=1e-6
    )


def test_features_that_are_all_constant():
    X, y = np.ones((40, 3)), np.arange(40) % 2
    with pytest.warns(TheoryWarning) as record:
        model = NoiseAwareLinearClassifier().fit(X, y)
    assert len(record) == 1
    assert np.isfinite(model.coef_).all() and np.isfinite(model.predict_proba(X)).all()


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_large_centre_is_subtracted(binary):
    X, y, _ = binary
    model = NoiseAwareLinearClassifier(1.0, noise_rates=0.2).fit(X, y)
    moved = NoiseAwareLinearClassifier(1.0, noise_rates=0.2).fit(X + 1e6, y)
    np.testing.assert_allclose(moved.coef_, model.coef_, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("rates", [[0.8, 0.0], [0.0, 0.9]])
def test_class_rate_that_the_noise_cannot_produce(small, rates):
    """Half the rows are positive: not with 80 % of one class wrong."""
    with pytest.warns(TheoryWarning, match="noise_rates cannot produce") as record:
        model = NoiseAwareLinearClassifier(noise_rates=rates).fit(*small)
    assert len(record) == 1
    assert np.isfinite(model.coef_).all()
    assert (model.class_prior_ > 0).all()


def test_few_rows_predict_no_accuracy(rng):
    X, y = rng.standard_normal((6, 3)), np.arange(6) % 2
    with pytest.warns(TheoryWarning, match="fewer than 10 effective rows") as record:
        model = NoiseAwareLinearClassifier().fit(X, y)
    assert len(record) == 1
    assert np.isnan(model.theoretical_accuracy_) and model.regime_ == "too_few_rows"
    for name in ("theoretical_accuracy_interval_", "observed_accuracy_interval_"):
        assert np.isnan(getattr(model, name)).all() and getattr(model, name).shape == (2,)
    assert np.isnan(model.observed_accuracy_) and np.isnan(model.model_accuracy_)
    for call in (lambda: model.forecast(n_samples=100).score, lambda: model.required(0.9)):
        with pytest.warns(TheoryWarning, match="fewer than 10 effective rows"):
            assert np.isnan(call())
    assert set(model.predict(X)) <= {0, 1}


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_number_of_features_must_match(small):
    model = NoiseAwareLinearClassifier().fit(*small)
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(ValueError, match=r"3 features.*5 features"):
            getattr(model, method)(small[0][:, :3])


def test_unfitted(small):
    model = NoiseAwareLinearClassifier()
    calls = [
        lambda: model.predict(small[0]),
        lambda: model.predict_proba(small[0]),
        lambda: model.decision_function(small[0]),
        model.find_label_issues,
        model.forecast,
        lambda: model.required(0.9),
    ]
    for call in calls:
        with pytest.raises(NotFittedError):
            call()


def test_own_noise_of_rows_allows_the_optimal_perturbation_alone(small):
    model = NoiseAwareLinearClassifier(method="lpc", perturbation="unbiased")
    with pytest.raises(ValueError, match="perturbation='unbiased'"):
        model.fit(*small, sample_noise=np.linspace(0.05, 0.15, N))


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_pair_of_perturbations_is_for_two_classes(three):
    model = NoiseAwareLinearClassifier(method="lpc", perturbation=(0.1, 0.1))
    with pytest.raises(ValueError, match=r"perturbation=\(0\.1, 0\.1\)"):
        model.fit(*three[:2])


def test_noise_matrix_that_confuses_classes(three):
    noise = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(ValueError, match="indistinguishable"):
        NoiseAwareLinearClassifier(noise_rates=noise).fit(*three[:2])
