"""Properties of learning curves, of reports on estimators of others and of batched problems."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeClassifier

from skrmt import datasets, inspection, model_selection
from skrmt.inspection._phase_cells import (
    cell_blocks,
    rank_one_cells,
    ridge_cells,
    sgd_cells,
    spiked_matrix_cells,
)
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


@given(SEEDS, st.integers(1, 4), st.integers(3, 8), st.integers(2, 5), PENALTIES)
def test_a_batch_of_problems_is_a_loop(seed, c, n, p, alpha):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((c, n, p)), rng.standard_normal((c, n))
    found = ridge_cells(X, y, np.full(c, alpha))
    for k in range(c):
        expected = np.linalg.solve(X[k].T @ X[k] + alpha * np.eye(p), X[k].T @ y[k])
        np.testing.assert_allclose(found[k], expected, atol=1e-9)
    left, right = spiked_matrix_cells(X)
    for k in range(c):
        u, s, v = np.linalg.svd(X[k], full_matrices=False)
        assert s[0] < 1.01 * s[1] or np.isclose(abs(left[k] @ u[:, 0]), 1, atol=1e-6)
        assert s[0] < 1.01 * s[1] or np.isclose(abs(right[k] @ v[0]), 1, atol=1e-6)


@given(SEEDS, st.integers(1, 3), st.tuples(*[st.integers(2, 5)] * 3))
def test_rank_one_tensors_of_a_batch_are_found(seed, c, shape):
    rng = np.random.default_rng(seed)
    truth = [rng.standard_normal((c, length)) for length in shape]
    truth = [u / np.linalg.norm(u, axis=1, keepdims=True) for u in truth]
    T = np.einsum("ci,cj,ck->cijk", *truth)
    for found, u in zip(rank_one_cells(T), truth, strict=True):
        np.testing.assert_allclose(np.abs(np.sum(found * u, axis=1)), 1, atol=1e-9)


@given(SEEDS, st.integers(1, 3), st.integers(1, 6), st.floats(0.01, 0.2))
def test_descents_of_a_batch_are_a_loop_and_rest_without_noise(seed, c, steps, rate):
    rng = np.random.default_rng(seed)
    batches, noises = rng.standard_normal((steps, c, 2, 3)), rng.standard_normal((steps, c, 2))
    rates = np.full(c, rate)
    found = sgd_cells(list(batches), list(noises), rates)
    assert found.shape == (steps, c)
    np.testing.assert_array_equal(sgd_cells(list(batches), list(0 * noises), rates), 0)
    for k in range(c):
        alone = sgd_cells([b[[k]] for b in batches], [e[[k]] for e in noises], rates[[k]])
        np.testing.assert_allclose(found[:, k], alone[:, 0], rtol=1e-9)


@given(st.integers(1, 200), st.integers(1, 1000), st.floats(1e4, 1e6))
def test_blocks_cover_every_problem_once_within_the_memory(n, numbers, memory):
    blocks = list(cell_blocks(n, numbers, memory=memory))
    covered = [k for block in blocks for k in range(n)[block]]
    assert covered == list(range(n))
    assert all(
        (block.stop - block.start) * numbers * 8 <= memory or block.stop - block.start == 1
        for block in blocks
    )
