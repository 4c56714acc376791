"""Properties of the linear classifiers and of their reports."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt import datasets, linear_model

SEEDS = st.integers(0, 10**6)
pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def turned(X, seed):
    """Return rows in rotated coordinates."""
    p = X.shape[1]
    return X @ np.linalg.qr(np.random.default_rng(seed).standard_normal((p, p)))[0]


@pytest.mark.property_of("linear_model.NoiseAwareLinearClassifier")
@settings(max_examples=3)  # Each fits four classifiers.
@given(SEEDS)
def test_a_fit_follows_rows_rotations_and_names_of_classes(seed):
    X, y, _, _ = datasets.make_noisy_mixture(80, 5, noise_rates=(0.1, 0.2), random_state=seed)
    before = X.copy(), y.copy()
    here = linear_model.NoiseAwareLinearClassifier().fit(X, y)
    scores = here.decision_function(X)
    order = np.random.default_rng(seed).permutation(80)
    moved = linear_model.NoiseAwareLinearClassifier().fit(X[order], y[order])
    np.testing.assert_allclose(moved.decision_function(X), scores, atol=1e-6)
    rotated = turned(X, seed)
    # Folds and landmarks follow from the columns: only a fit that needs neither can be rotated.
    known = {"alpha": 1.0, "noise_rates": (0.1, 0.2)}
    level = linear_model.NoiseAwareLinearClassifier(**known).fit(X, y).decision_function(X)
    spun = linear_model.NoiseAwareLinearClassifier(**known).fit(rotated, y)
    np.testing.assert_allclose(spun.decision_function(rotated), level, atol=1e-6)
    named = linear_model.NoiseAwareLinearClassifier().fit(X, np.array(["no", "yes"])[y])
    np.testing.assert_array_equal(named.predict(X) == "yes", here.predict(X) == 1)
    assert np.isclose(named.theoretical_accuracy_, here.theoretical_accuracy_)
    low, high = here.theoretical_accuracy_interval_
    assert 0 <= low <= here.theoretical_accuracy_ <= high <= 1
    np.testing.assert_array_equal(here.predict(X), (scores > 0).astype(int))
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


@pytest.mark.property_of("linear_model.NoiseAwareLinearClassifier")
@settings(max_examples=3)  # Each fits three classifiers.
@given(SEEDS, st.floats(0.01, 100.0))
def test_the_unit_of_the_features_and_single_precision_do_not_matter(seed, scale):
    X, y, _, _ = datasets.make_noisy_mixture(80, 5, random_state=seed)
    here = linear_model.NoiseAwareLinearClassifier().fit(X, y)
    scaled = linear_model.NoiseAwareLinearClassifier().fit(scale * X, y)
    np.testing.assert_allclose(scaled.predict_proba(scale * X), here.predict_proba(X), atol=1e-6)
    assert np.isclose(scaled.theoretical_accuracy_, here.theoretical_accuracy_, atol=1e-6)
    single = linear_model.NoiseAwareLinearClassifier().fit(X.astype(np.float32), y)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.predict_proba(X), here.predict_proba(X), atol=5e-3)


@pytest.mark.property_of("linear_model.LabelIssues", "linear_model.NoiseAwareLinearClassifier")
@settings(max_examples=4)  # Each fits a classifier.
@given(SEEDS, st.floats(0.3, 0.7))
def test_suspects_come_by_falling_probability_and_fewer_above_a_higher_threshold(seed, threshold):
    X, y, _, _ = datasets.make_noisy_mixture(100, 5, mean_norm=3.0, random_state=seed)
    model = linear_model.NoiseAwareLinearClassifier().fit(X, y)
    issues = model.find_label_issues(threshold=threshold)
    assert isinstance(issues, linear_model.LabelIssues)
    assert len(issues.probabilities) == len(issues.indices)
    assert (np.diff(issues.probabilities) <= 1e-12).all()
    assert ((issues.probabilities >= 0) & (issues.probabilities <= 1)).all()
    fewer = model.find_label_issues(threshold=threshold + 0.2).indices
    assert set(fewer) <= set(issues.indices)


@pytest.mark.property_of(
    "linear_model.SyntheticMixClassifier",
    "linear_model.MixReport",
    "linear_model.SourceQuality",
)
@settings(max_examples=3)
@given(SEEDS)
def test_a_mix_does_not_depend_on_the_order_of_rows_and_reports_shares(seed):
    data = datasets.make_synthetic_mix(60, 120, 8, random_state=seed)
    here = linear_model.SyntheticMixClassifier(random_state=0).fit(
        data.X, data.y, sample_source=data.sample_source
    )
    synthetic = data.sample_source == 1
    order = np.arange(180)
    order[synthetic] = np.random.default_rng(seed).permutation(order[synthetic])
    moved = linear_model.SyntheticMixClassifier(random_state=0).fit(
        data.X[order], data.y[order], sample_source=data.sample_source[order]
    )
    np.testing.assert_allclose(
        moved.decision_function(data.X), here.decision_function(data.X), atol=1e-6
    )
    assert ((here.synthetic_weight_ >= 0) & (here.synthetic_weight_ <= 1)).all()
    report = here.data_report()
    assert isinstance(report, linear_model.MixReport)
    assert report.accuracy == here.theoretical_accuracy_
    assert report.interval[0] <= report.accuracy <= report.interval[1]
    (quality,) = report.sources
    assert isinstance(quality, linear_model.SourceQuality)
    assert 0 <= quality.n_kept <= quality.n_rows == 120
    sizes, weights = np.ix_([0, 100, 1000], [0.0, 0.5, 1.0])
    accuracy = here.forecast(n_synthetic=sizes, weight=weights).score
    # Of rows that look as if they were made from the real ones nothing is predicted.
    assert quality.leaked == bool(np.isnan(accuracy).all())
    assert quality.leaked or ((accuracy >= 0) & (accuracy <= 1)).all()
    np.testing.assert_allclose(accuracy[:, 0], accuracy[0, 0], atol=2e-3)


@pytest.mark.property_of("linear_model.Stage")
@given(
    st.integers(2, 200), st.integers(1, 32), st.floats(0.01, 1.0),
    st.sampled_from(["constant", "linear", "cosine"]), st.floats(0.1, 10.0),
)  # fmt: skip
def test_rates_of_a_stage_start_at_the_first_fall_and_scale(n, batch, rate, schedule, factor):
    rates = linear_model.Stage(n, batch, rate, schedule).learning_rates()
    assert rates.shape == (n,)
    assert np.isclose(rates[0], rate)
    assert (np.diff(rates) <= 1e-15).all()
    assert (rates >= 0).all()
    scaled = linear_model.Stage(n, batch, factor * rate, schedule).learning_rates()
    np.testing.assert_allclose(scaled, factor * rates)


@pytest.mark.property_of("linear_model.StagedSGDRegressor")
@settings(max_examples=4)
@given(SEEDS, st.floats(0.1, 10.0))
def test_staged_regression_repeats_with_its_seed_and_scales_with_its_target(seed, scale):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((150, 4))
    y = X[:, 0] + 0.5 * rng.standard_normal(150)
    stages = [linear_model.Stage(60, 4, 0.05)]

    def fit(y):
        model = linear_model.StagedSGDRegressor(stages, detect_spikes=False, random_state=seed)
        return model.fit(X, y)

    here, again, scaled = fit(y), fit(y), fit(scale * y)
    np.testing.assert_array_equal(again.coef_, here.coef_)
    np.testing.assert_allclose(scaled.coef_, scale * here.coef_, rtol=1e-6, atol=1e-9 * scale)
    np.testing.assert_allclose(
        scaled.theoretical_loss_curve_, scale**2 * here.theoretical_loss_curve_, rtol=1e-6
    )


@pytest.mark.property_of("linear_model.StagedSGDClassifier")
@settings(max_examples=4)
@given(SEEDS)
def test_staged_classification_follows_the_names_of_classes(seed):
    X, y, _, _ = datasets.make_noisy_mixture(200, 4, random_state=seed)
    stages = [linear_model.Stage(60, 4, 0.05)]

    def fit(y):
        model = linear_model.StagedSGDClassifier(stages, detect_spikes=False, random_state=seed)
        return model.fit(X, y)

    here, named = fit(y), fit(np.array(["no", "yes"])[y])
    np.testing.assert_array_equal(named.predict(X) == "yes", here.predict(X) == 1)
    assert 0 <= here.theoretical_accuracy_ <= 1
