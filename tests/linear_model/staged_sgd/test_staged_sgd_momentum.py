"""Momentum and weight decay of staged SGD: critical rates, curves and streams."""

import numpy as np
import pytest

from skrmt.linear_model import Stage, StagedSGDRegressor
from skrmt.linear_model.staged_sgd._critical import critical_rate
from skrmt.linear_model.staged_sgd._moments import row_moments, sample_rows
from skrmt.theory import sgd


def spectrum(p):
    lam = 1 / (1.0 + np.arange(p))
    return lam / lam.mean()


def gaussian_rows(n, lam, rng):
    X = rng.standard_normal((n, len(lam))) * np.sqrt(lam)
    return X, X @ np.full(len(lam), len(lam) ** -0.5) + 0.5 * rng.standard_normal(n)


def true_radius(moments, rate, B, momentum):
    """Return the spectral radius of the map of second moments of weights and velocity."""
    r, Z = len(moments.eigenvalues), moments.coordinates()
    H = np.diag(moments.eigenvalues)
    columns = []
    for unit in np.eye(3 * r * r):
        square, cross, push = unit.reshape(3, r, r)
        square, push = (square + square.T) / 2, (push + push.T) / 2
        forms = moments.shares * np.einsum("ni,ij,nj->n", Z, square, Z)
        noise = (1 - 1 / B) * H @ square @ H + Z.T @ (forms[:, None] * Z) / B
        push = momentum**2 * push + momentum * (H @ cross + cross.T @ H) + noise
        both = momentum * cross + square @ H
        square = square - rate * (both + both.T) + rate**2 * push
        columns.append(np.concatenate([square, both - rate * push, push]).ravel())
    return np.abs(np.linalg.eigvals(np.array(columns).T)).max()


@pytest.mark.parametrize(("B", "momentum"), [(1, 0.9), (6, 0.5), (40, 0.9)])
def test_critical_rate_has_radius_one(B, momentum, rng):
    X = rng.standard_t(5, (60, 4)) * [1, 2, 0.5, 3]
    moments = row_moments(X, X[:, :1], rng.dirichlet(np.ones(60)), np.ones(60), True)
    rate = critical_rate(moments, sample_rows(moments), B, momentum, 1e-10, 5000)
    assert true_radius(moments, rate, B, momentum) == pytest.approx(1, abs=1e-7)
    radii = [true_radius(moments, part * rate, B, momentum) for part in (0.98, 1.02)]
    assert radii[0] < 1 < radii[1]


def test_predicted_curve_is_the_mean_of_runs():
    lam = spectrum(12)
    stages = [
        Stage(80, 4, 0.02, momentum=0.8, weight_decay=0.05),
        Stage(40, 8, 0.05, "cosine", momentum=0.5),
        Stage(20, 8, 0.05),
    ]
    observed, predicted, ends = [], [], []
    for seed in range(40):
        X, y = gaussian_rows(900, lam, np.random.default_rng(seed))
        model = StagedSGDRegressor(stages, detect_spikes=False, random_state=seed).fit(X, y)
        observed.append(model.loss_curve_)
        predicted.append(model.theoretical_loss_curve_)
        ends.append([((model.coef_ - 12**-0.5) ** 2 @ lam + 0.25) / 2, model.theoretical_risk_])
    truth = sgd.risk_curve(lam, np.full(12, -(12**-0.5)), 0.25, stages)[:-1]
    # A batch loss has the relative variance 2/B, and that of the risk of wandering weights.
    error = truth * np.sqrt((2 / np.repeat([4, 8, 8], [80, 40, 20]) + 0.1) / 40)
    assert (np.abs(np.mean(observed, axis=0) - truth) < 4.5 * error).all()
    assert (np.abs(np.mean(observed, axis=0) - np.mean(predicted, axis=0)) < 4.5 * error).all()
    np.testing.assert_allclose(np.mean(predicted, axis=0), truth, rtol=0.05)
    gap = np.subtract(*np.array(ends).T)
    assert abs(gap.mean()) < 4.5 * gap.std(ddof=1) / np.sqrt(40)


def test_no_momentum_is_the_limit_of_little(rng):
    X, y = gaussian_rows(300, spectrum(5), rng)
    none, little = (
        StagedSGDRegressor(
            [Stage(60, 3, 0.05, momentum=value), Stage(40, 2, 0.03, weight_decay=0.1)],
            random_state=0,
        ).fit(X, y)
        for value in (0.0, 1e-17)
    )
    np.testing.assert_allclose(little.coef_, none.coef_, rtol=1e-12)
    np.testing.assert_allclose(
        little.theoretical_loss_curve_, none.theoretical_loss_curve_, rtol=1e-11
    )
    np.testing.assert_allclose(little.theoretical_risk_, none.theoretical_risk_, rtol=1e-11)


def test_floor_is_where_a_long_stage_ends(rng):
    X, y = gaussian_rows(3000, spectrum(6), rng)
    stages = [Stage(4000, 2, 0.01, momentum=0.8, weight_decay=0.2)]
    model = StagedSGDRegressor(stages, random_state=0, detect_spikes=False).fit(X, y)
    curve = model.theoretical_loss_curve_
    assert model.noise_floor_ == pytest.approx(curve[-1], rel=1e-3)


def test_a_stream_keeps_its_velocity(rng):
    X, y = gaussian_rows(60, spectrum(3), rng)
    stages = [Stage(4, 5, 0.05, momentum=0.7, weight_decay=0.1), Stage(8, 5, 0.02, momentum=0.9)]
    model = StagedSGDRegressor(stages, fit_intercept=False)
    model.partial_fit(X[:30], y[:30]).partial_fit(X[30:], y[30:])
    w, v = np.zeros(3), np.zeros(3)
    for step in range(12):
        rate, decay, momentum = (0.05, 0.1, 0.7) if step < 4 else (0.02, 0.0, 0.9)
        rows = slice(5 * step, 5 * step + 5)
        v = momentum * v + X[rows].T @ (X[rows] @ w - y[rows]) / 5
        w = (1 - rate * decay) * w - rate * v
    np.testing.assert_allclose(model.coef_, w, rtol=1e-12)


def test_a_stream_goes_on_with_the_velocity_of_a_fit(rng):
    X, y = gaussian_rows(40, spectrum(3), rng)
    stages = [Stage(20, 2, 0.02, momentum=0.9)]
    units = []
    for unit in (1.0, 1e40):
        model = StagedSGDRegressor(
            [Stage(20, 2, 0.02 / unit**2, momentum=0.9)] if unit != 1 else stages,
            fit_intercept=False,
            random_state=0,
        )
        model.fit(unit * X, y).partial_fit(unit * X[:2], y[:2])
        units.append(unit * model.coef_)
    np.testing.assert_allclose(units[1], units[0], rtol=1e-7)


def test_planted_spikes_are_rolled_back_with_momentum(rng):
    X, y = gaussian_rows(4000, spectrum(10), rng)
    y[rng.choice(4000, 3, replace=False)] += 40
    stages = [Stage(1000, 4, 0.3, relative=True, momentum=0.5)]
    model = StagedSGDRegressor(stages, random_state=0).fit(X, y)
    assert len(model.rollbacks_) == 3
    risk = ((model.coef_ - 10**-0.5) ** 2 @ spectrum(10) + 0.25) / 2
    assert risk < 0.25
