"""Staged SGD near the critical rate and above: median curves, and fits that stop."""

from contextlib import nullcontext

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import Stage, StagedSGDClassifier, StagedSGDRegressor


def heavy_rows(rng, n=600, p=8):
    """Rows of which few have a large norm: the rate is limited by them."""
    X = rng.standard_t(6, (n, p))
    return X, X @ np.full(p, p**-0.5) + 0.5 * rng.standard_normal(n)


def run(X, y, rate, B, rng, momentum=0.0):
    """Return the losses of one pass in random order, by plain steps."""
    X, y = X - X.mean(axis=0), y - y.mean()
    w, v, losses = np.zeros(X.shape[1]), np.zeros(X.shape[1]), []
    for rows in rng.permutation(len(y))[: len(y) // B * B].reshape(-1, B):
        residual = X[rows] @ w - y[rows]
        losses.append(residual @ residual / (2 * B))
        v = momentum * v + X[rows].T @ residual / B
        w = w - rate * v
    return losses


@pytest.mark.parametrize(
    ("part", "B", "momentum"), [(1.0, 8, 0.0), (1.3, 8, 0.0), (1.3, 2, 0.0), (2.0, 8, 0.5)]
)
def test_predicted_curve_is_the_median_of_runs(part, B, momentum, rng):
    X, y = heavy_rows(rng)
    stages = [Stage(600 // B, B, part, relative=True, momentum=momentum)]
    with pytest.warns(ConvergenceWarning) if part > 1 else nullcontext():
        model = StagedSGDRegressor(stages, random_state=0).fit(X, y)
    rate = part * model.critical_learning_rate_
    runs = np.log10([run(X, y, rate, B, rng, momentum) for _ in range(120)])
    predicted = model.theoretical_loss_curve_
    median = np.median(runs, axis=0)
    finite = median < np.log10(1e6 * predicted[0])
    spread = 1.4826 * np.median(np.abs(runs - median), axis=0)
    # The median of R values of spread s has the error 1.25 s / sqrt(R), here of 120 and of 200.
    error = 1.25 * spread * np.sqrt(1 / 120 + 1 / 200)
    both = finite & np.isfinite(predicted)
    gap = np.abs(np.log10(predicted[both]) - median[both])
    assert (gap < 5 * error[both] + 0.05).all()
    # Where it crosses a million is known to a few errors only.
    assert np.mean(finite != np.isfinite(predicted)) < 0.1


def test_a_fit_that_diverges_stops_with_one_warning(rng):
    X, y = heavy_rows(rng, 100)
    stages = [Stage(30, 4, 0.3, relative=True), Stage(3000, 4, 4.0, relative=True)]
    for y_given, estimator in ((y, StagedSGDRegressor), (y > 0, StagedSGDClassifier)):
        with pytest.warns(ConvergenceWarning, match="stopped after") as caught:
            model = estimator(stages, random_state=0).fit(X, y_given)
        assert len(caught) == 1
        assert 30 < model.n_iter_ < 3030
        assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()
        losses, start = model.loss_curve_, model.theoretical_loss_curve_[0]
        assert np.isfinite(losses[: model.n_iter_]).all()
        assert np.isinf(losses[model.n_iter_ + 1 :]).all() and len(losses) == 3030
        assert 1e3 * start < losses[: model.n_iter_ + 1].max()
        assert model.spikes_ == []
        predicted = model.theoretical_loss_curve_
        first = np.flatnonzero(np.isinf(predicted))[0]
        assert np.isinf(predicted[first:]).all() and predicted[:first].max() <= 1e6 * start
        assert model.theoretical_risk_ == np.inf
    assert np.isnan(model.theoretical_accuracy_)
    # The last weights are those that `n_iter_` steps lead to.
    with pytest.warns(ConvergenceWarning):
        again = StagedSGDClassifier(
            [stages[0], Stage(model.n_iter_ - 30, 4, 4 * model_rate(X, y, 4))], random_state=0
        ).fit(X, y > 0)
    np.testing.assert_allclose(again.coef_, model.coef_, rtol=1e-6)


def model_rate(X, y, B):
    """Return the critical rate of a batch size."""
    stage = Stage(1, B, "auto")
    return StagedSGDRegressor([stage], random_state=0).fit(X, y).critical_learning_rate_


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loss_that_overflows_leaves_finite_weights(rng, dtype):
    X, y = heavy_rows(rng)
    with pytest.warns(ConvergenceWarning, match="stopped after"):
        model = StagedSGDRegressor([Stage(50, 4, 1e25)], random_state=0).fit(X.astype(dtype), y)
    assert np.isfinite(model.coef_).all() and 0 <= model.n_iter_ < 50


def test_a_short_stage_above_the_critical_rate_has_a_risk(rng):
    X, y = heavy_rows(rng, 2000)
    Xt, yt = heavy_rows(rng, 40_000)
    stages, claims, truths, inside = [Stage(40, 8, 1.1, relative=True)], [], [], []
    for seed in range(30):
        with pytest.warns(ConvergenceWarning, match="above the critical one"):
            model = StagedSGDClassifier(stages, random_state=seed).fit(X, y > 0)
        risk = np.mean((model.decision_function(Xt) - np.where(yt > 0, 1, -1)) ** 2) / 2
        truths.append([np.log10(risk), model.score(Xt, yt > 0)])
        claims.append([np.log10(model.theoretical_risk_), model.theoretical_accuracy_])
        low, high = model.theoretical_risk_interval_
        least, most = model.theoretical_accuracy_interval_
        inside.append([low <= risk <= high, least <= truths[-1][1] <= most])
    error = 1.25 * np.std(truths, axis=0, ddof=1) / np.sqrt(30)
    gap = np.median(truths, axis=0) - claims[0]
    # The prediction has 2000 rows and 200 runs, and does not depend on the seed.
    assert (np.abs(gap) < 4.5 * error + [0.05, 0.02]).all()
    np.testing.assert_array_equal(claims, [claims[0]] * 30)
    # 95 % of 30, less 4 standard errors of 4 %.
    assert (np.mean(inside, axis=0) >= 0.79).all()


def test_what_takes_too_long_to_simulate_is_not_predicted(rng):
    X, y = heavy_rows(rng, 200, 4)
    stages = [Stage(20, 4, 0.3, relative=True), Stage(10_000, 200, 0.99, relative=True)]
    with pytest.warns(TheoryWarning, match="would take too long") as caught:
        model = StagedSGDRegressor(stages, random_state=0).fit(X, y)
    assert len(caught) == 1
    assert np.isfinite(model.theoretical_loss_curve_[:20]).all()
    assert np.isnan(model.theoretical_loss_curve_[20:]).all()
    assert np.isnan(model.theoretical_risk_) and np.isnan(model.theoretical_risk_interval_).all()
