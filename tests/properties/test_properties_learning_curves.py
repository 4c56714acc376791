"""Properties of learning curves and of reports on estimators of others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeClassifier

from skrmt import datasets, inspection, model_selection
from skrmt.theory import learning_curves

SEEDS = st.integers(0, 10**6)
SPECTRA = st.lists(st.floats(0.05, 4.0), min_size=2, max_size=20)
ROWS = st.integers(30, 500)
PENALTIES = st.floats(0.01, 10.0)
pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


@pytest.mark.property_of("theory.learning_curves.renormalized_penalty")
@given(SPECTRA, PENALTIES, ROWS, st.floats(0.1, 10.0))
def test_the_renormalised_penalty_solves_its_equation_and_scales(spectrum, alpha, n, scale):
    found = learning_curves.renormalized_penalty(spectrum, alpha, n)
    degrees = np.sum(np.array(spectrum) / (np.array(spectrum) + found))
    assert np.isclose(found, alpha + found * degrees / n, rtol=1e-9)
    assert found >= alpha
    assert learning_curves.renormalized_penalty(spectrum, alpha, 2 * n) <= found
    scaled = learning_curves.renormalized_penalty(scale * np.array(spectrum), scale * alpha, n)
    assert np.isclose(scaled, scale * found, rtol=1e-9)


@pytest.mark.property_of("theory.learning_curves.ridge_risk", "theory.learning_curves.RidgeRisk")
@given(SPECTRA, st.floats(0.0, 2.0), PENALTIES, ROWS)
def test_the_risk_exceeds_the_noise_and_tends_to_it_with_many_rows(spectrum, noise, alpha, n):
    signal = np.full(len(spectrum), 0.1)
    found = learning_curves.ridge_risk(spectrum, signal, noise, alpha, n)
    assert found.risk >= noise
    assert 0 <= found.degrees_of_freedom <= len(spectrum)
    assert np.isclose(
        learning_curves.ridge_risk(spectrum, signal, noise, 0.0, 1e9).risk, noise, atol=1e-6
    )
    mirrored = learning_curves.ridge_risk(spectrum[::-1], signal, noise, alpha, n)
    assert np.isclose(mirrored.risk, found.risk, rtol=1e-9)


@pytest.mark.property_of(
    "theory.learning_curves.ridge_profile",
    "theory.learning_curves.RidgeProfile",
    "theory.learning_curves.transfer_degrees",
    "theory.learning_curves.transfer_penalty",
    "theory.learning_curves.transfer_values",
)
@given(SPECTRA, ROWS, st.floats(0.1, 10.0))
def test_the_profile_is_read_off_where_it_was_written_and_has_no_unit(spectrum, n, scale):
    alphas = np.logspace(-2, 2, 25)
    here = learning_curves.ridge_profile(spectrum, alphas, n)
    assert (np.diff(here.df1) <= 0).all()
    assert (here.df2 <= here.df1 + 1e-9).all()
    middle = here.penalties[12]
    assert np.isclose(learning_curves.transfer_degrees(here, middle)[0], here.df1[12], rtol=1e-6)
    assert np.isclose(
        learning_curves.transfer_values(here, here.df1, middle), here.df1[12], rtol=1e-9
    )
    assert np.isclose(learning_curves.transfer_penalty(here, alphas[12], n), middle, rtol=1e-3)
    assert learning_curves.transfer_penalty(here, alphas[12], 10 * n) <= middle * (1 + 1e-9)
    scaled = learning_curves.ridge_profile(scale * np.array(spectrum), scale * alphas, n)
    np.testing.assert_allclose(scaled.df1, here.df1, rtol=1e-9)
    np.testing.assert_allclose(scaled.penalties, scale * here.penalties, rtol=1e-9)


@pytest.mark.property_of("model_selection.GeneralizationReport")
@settings(max_examples=4)
@given(SEEDS, st.floats(0.1, 10.0))
def test_reports_follow_rows_rotations_and_names_of_classes(seed, scale):
    X, y, _, _ = datasets.make_noisy_mixture(120, 6, noise_rates=None, random_state=seed)
    here = model_selection.GeneralizationReport(RidgeClassifier(1.0)).fit(X, y)
    rng = np.random.default_rng(seed)
    order, rotation = rng.permutation(120), np.linalg.qr(rng.standard_normal((6, 6)))[0]
    there = model_selection.GeneralizationReport(RidgeClassifier(1.0)).fit(
        X[order] @ rotation, np.array(["no", "yes"])[y[order]]
    )
    assert np.isclose(there.theoretical_score_, here.theoretical_score_, atol=1e-9)
    scaled = model_selection.GeneralizationReport(RidgeClassifier(scale**2)).fit(scale * X, y)
    assert np.isclose(scaled.theoretical_score_, here.theoretical_score_, atol=1e-9)
    low, high = here.theoretical_score_interval_
    assert 0 <= low <= here.theoretical_score_ <= high <= 1
    curve = here.forecast(n_samples=[60, 120, 1200])
    assert (curve.lower <= curve.score).all()
    assert (curve.score <= curve.upper).all()
    assert np.isclose(curve.score[1], here.theoretical_score_, atol=1e-6)


@pytest.mark.property_of("model_selection.GeneralizationReport")
@settings(max_examples=4)
@given(SEEDS, st.floats(0.1, 10.0), st.floats(-5, 5))
def test_reports_on_regressions_ignore_the_unit_and_the_origin_of_the_target(seed, scale, shift):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((100, 5))
    y = X[:, 0] + 0.5 * rng.standard_normal(100)
    here = model_selection.GeneralizationReport(Ridge(1.0)).fit(X, y)
    there = model_selection.GeneralizationReport(Ridge(1.0)).fit(X, scale * y + shift)
    assert np.isclose(there.theoretical_r2_, here.theoretical_r2_, atol=1e-8)
    assert np.isclose(there.theoretical_error_, scale**2 * here.theoretical_error_, rtol=1e-8)


@pytest.mark.property_of("model_selection.ReportDisplay")
@settings(max_examples=2)
@given(SEEDS)
def test_the_number_drawn_is_the_score(seed):
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y, _, _ = datasets.make_noisy_mixture(80, 5, noise_rates=None, random_state=seed)
    report = model_selection.GeneralizationReport(RidgeClassifier(1.0)).fit(X, y)
    display = model_selection.ReportDisplay.from_estimator(report)
    assert display.report["score"] == report.theoretical_score_
    assert len(display.axes_) == 4
    plt.close("all")


@pytest.mark.property_of("model_selection.ForecastDisplay")
@settings(max_examples=2)
@given(SEEDS)
def test_the_line_drawn_is_the_forecast(seed):
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y, _, _ = datasets.make_noisy_mixture(80, 5, noise_rates=None, random_state=seed)
    report = model_selection.GeneralizationReport(RidgeClassifier(1.0)).fit(X, y)
    display = model_selection.ForecastDisplay.from_estimator(report)
    np.testing.assert_allclose(display.line_.get_ydata(), display.forecast.score)
    np.testing.assert_allclose(display.line_.get_xdata(), display.forecast.conditions["n_samples"])
    plt.close("all")


@pytest.mark.property_of("inspection.PhaseDiagramDisplay")
@settings(max_examples=2)
@given(SEEDS)
def test_the_largest_deviation_is_that_of_the_maps(seed):
    rng = np.random.default_rng(seed)
    theory, simulated = rng.random((2, 3, 4))
    subject = sorted(inspection.PhaseDiagramDisplay.subjects())[0]
    display = inspection.PhaseDiagramDisplay(
        subject, np.arange(1.0, 5), np.arange(1.0, 4), theory,
        simulated=simulated, standard_error=np.full((3, 4), 0.1),
    )  # fmt: skip
    deviation = display.largest_deviation
    deviation = deviation() if callable(deviation) else deviation
    gap = np.abs(theory - simulated).max()
    assert any(np.isclose(gap, d) or np.isclose(gap / 0.1, d) for d in np.atleast_1d(deviation))
