"""Staged SGD: predicted and observed losses, spikes, rollbacks, streams."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import Stage, StagedSGDClassifier, StagedSGDRegressor
from skrmt.linear_model.staged_sgd._critical import critical_rate
from skrmt.linear_model.staged_sgd._moments import row_moments, sample_rows
from skrmt.theory import sgd


def spectrum(p, alpha=1.0):
    lam = (1.0 + np.arange(p)) ** -alpha
    return lam / lam.mean()


def gaussian_rows(n, lam, rng, variance=0.25):
    p = len(lam)
    X = rng.standard_normal((n, p)) * np.sqrt(lam)
    return X, X @ np.full(p, p**-0.5) + np.sqrt(variance) * rng.standard_normal(n)


def digits(classes=None):
    X, y = load_digits(return_X_y=True)
    return StandardScaler().fit_transform(X), y if classes is None else y % classes


def moments_of(X, targets, shares):
    """Return the moments of rows, each of which goes out alone."""
    return row_moments(X, targets, shares, np.ones(len(X)), True)


def true_radius(moments, rate, B):
    """Return the spectral radius of the map of second moments, as a matrix."""
    r, Z = len(moments.eigenvalues), moments.coordinates()
    H, eye = np.diag(moments.eigenvalues), np.eye(r)
    pairs = np.einsum("ni,nj->nij", Z, Z).reshape(len(Z), -1)
    fourth = pairs.T @ (moments.shares[:, None] * pairs)
    whole = (
        np.eye(r * r)
        - rate * (np.kron(H, eye) + np.kron(eye, H))
        + rate**2 * ((1 - 1 / B) * np.kron(H, H) + fourth / B)
    )
    return np.abs(np.linalg.eigvals(whole)).max()


@pytest.mark.parametrize("B", [1, 5, 40])
def test_critical_rate_has_radius_one(B, rng):
    X = rng.standard_t(5, (60, 5)) * [1, 2, 1, 0.5, 3]
    moments = moments_of(X, X[:, :1], rng.dirichlet(np.ones(60)))
    rate = critical_rate(moments, sample_rows(moments), B, 0.0, 1e-10, 5000)
    assert true_radius(moments, rate, B) == pytest.approx(1, abs=1e-8)
    assert true_radius(moments, 1.02 * rate, B) > 1 > true_radius(moments, 0.98 * rate, B)


def test_critical_rate_of_gaussian_rows_is_the_gaussian_one(rng):
    X, y = gaussian_rows(20_000, np.ones(10), rng)
    moments = moments_of(X, y[:, None], np.full(len(y), 1 / len(y)))
    # Fourth moments of 3000 rows: an error of a few per cent.
    assert critical_rate(moments, sample_rows(moments), 4) == pytest.approx(8 / 15, rel=0.05)


def test_digits_are_far_from_gaussian():
    X, y = digits(2)
    with pytest.warns(TheoryWarning, match="Gaussian") as caught:
        model = StagedSGDClassifier([Stage(20, 8, "auto")], random_state=0).fit(X, y)
    assert len(caught) == 1
    gaussian = sgd.critical_learning_rate(np.linalg.eigvalsh(np.cov(X.T))[3:], 8)
    assert gaussian > 16 * model.critical_learning_rate_


def mean_curves(stages, n, lam, runs, **parameters):
    observed, predicted = [], []
    for seed in range(runs):
        X, y = gaussian_rows(n, lam, np.random.default_rng(seed))
        model = StagedSGDRegressor(stages, random_state=seed, **parameters).fit(X, y)
        observed.append(model.loss_curve_)
        predicted.append(model.theoretical_loss_curve_)
    return np.mean(observed, axis=0), np.mean(predicted, axis=0)


def test_predicted_curve_is_the_mean_of_runs():
    lam = spectrum(20)
    rate = 0.5 * sgd.critical_learning_rate(lam, 4)
    stages = [Stage(100, 4, rate), Stage(100, 8, rate, "cosine")]
    observed, predicted = mean_curves(stages, 1200, lam, 40, detect_spikes=False)
    truth = sgd.risk_curve(lam, np.full(20, 20**-0.5), 0.25, stages)[:-1]
    sizes = np.repeat([4, 8], 100)
    # A batch loss has the relative variance 2/B, and that of the risk of wandering weights.
    error = truth * np.sqrt((2 / sizes + 0.1) / 40)
    assert (np.abs(observed - truth) < 4.5 * error).all()
    assert (np.abs(observed - predicted) < 4.5 * error).all()
    np.testing.assert_allclose(predicted, truth, rtol=0.05)


def test_predicted_curve_when_rows_are_drawn_again_and_again(rng):
    X, y = gaussian_rows(150, spectrum(10), rng)
    stages, observed = [Stage(400, 3, 0.3, relative=True)], []
    for seed in range(40):
        model = StagedSGDRegressor(stages, detect_spikes=False, random_state=seed).fit(X, y)
        observed.append(model.loss_curve_)
    predicted = model.theoretical_loss_curve_
    blocks = np.reshape(observed, (40, 8, 50)).mean(axis=2)
    error = blocks.std(axis=0, ddof=1) / np.sqrt(40)
    wanted = predicted.reshape(8, 50).mean(axis=1)
    # Off-diagonal covariances that are left out: a hundredth.
    assert (np.abs(blocks.mean(axis=0) - wanted) < 4 * error + 0.01 * wanted).all()


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
@pytest.mark.parametrize("classes", [2, 10])
def test_predicted_curve_and_accuracy_on_digits(classes):
    X, y = digits(classes)
    ratios, gaps = [], []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(y))
        train, test = order[:1400], order[1400:]
        stages = [Stage(100, 8, 0.5, relative=True), Stage(60, 8, 0.5, "cosine", relative=True)]
        model = StagedSGDClassifier(stages, random_state=seed).fit(X[train], y[train])
        parts = [
            np.add.reduceat(curve, np.arange(0, 160, 20))
            for curve in (model.loss_curve_, model.theoretical_loss_curve_)
        ]
        ratios.append(parts[0] / parts[1])
        gaps.append(model.score(X[test], y[test]) - model.theoretical_accuracy_)
    assert (np.abs(np.mean(ratios, axis=0) - 1) < 0.1).all()
    error = np.std(gaps, ddof=1) / np.sqrt(6)
    assert abs(np.mean(gaps)) < 4 * error + 0.01


def test_theoretical_attributes_of_gaussian_rows(rng):
    lam = spectrum(10, 0.5)
    X, y = gaussian_rows(4000, lam, rng)
    rate = 0.4 * sgd.critical_learning_rate(lam, 2)
    model = StagedSGDRegressor([Stage(1500, 2, rate)], random_state=0).fit(X, y)
    floor = sgd.noise_floor(lam, 0.25, rate, 2)
    # The variance of the noise is estimated from 4000 rows: an error of sqrt(2/4000) = 2.2 %.
    assert model.noise_floor_ == pytest.approx(floor, rel=0.1)
    assert model.theoretical_risk_ == pytest.approx(floor, rel=0.1)
    assert model.critical_batch_size_ == pytest.approx(sgd.critical_batch_size(lam), rel=0.1)
    assert np.isnan(model.tail_index_)
    assert model.stage_bounds_.tolist() == [0, 1500] and model.n_iter_ == 1500
    assert len(model.loss_curve_) == len(model.theoretical_loss_curve_) == 1500


def test_tail_index_of_isotropic_rows_and_single_row_batches(rng):
    X, y = gaussian_rows(3000, np.ones(5), rng)
    model = StagedSGDRegressor([Stage(500, 1, 0.1)], random_state=0).fit(X, y)
    assert model.tail_index_ == pytest.approx(sgd.tail_index(0.1, 5), rel=0.15)
    assert np.isnan(StagedSGDRegressor([Stage(50, 2, 0.1)]).fit(X, y).tail_index_)


def test_automatic_stages_approach_least_squares(rng):
    X, y = gaussian_rows(3000, np.ones(10), rng, 0.01)
    model = StagedSGDRegressor(random_state=0).fit(X + 5, 2 * y + 7)
    best = LinearRegression().fit(X + 5, 2 * y + 7)
    assert model.score(X + 5, 2 * y + 7) > best.score(X + 5, 2 * y + 7) - 0.01
    assert model.intercept_ == pytest.approx(best.intercept_, abs=0.5)


@pytest.mark.parametrize("fits", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_long_run_at_a_small_rate_has_false_alarms_at_their_rate(fits):
    lam, spikes = np.ones(20), 0
    for seed in range(fits):
        X, y = gaussian_rows(20_000, lam, np.random.default_rng(seed))
        stages = [Stage(5000, 4, 0.1, relative=True)]
        spikes += len(StagedSGDRegressor(stages, random_state=seed).fit(X, y).spikes_)
    # Up to 10^5 steps, one false alarm in a hundred fits: Poisson of mean 0.2 at most.
    assert spikes <= 2


def planted(rng, n_bad=3):
    X, y = gaussian_rows(4000, spectrum(20), rng)
    y[rng.choice(4000, n_bad, replace=False)] += 40
    return X, y


def test_planted_spikes_are_found_and_rolled_back(rng):
    X, y = planted(rng)
    clean, stages = X @ np.full(20, 20**-0.5), [Stage(1000, 4, 0.5, relative=True)]
    restored = StagedSGDRegressor(stages, random_state=0).fit(X, y)
    hurt = StagedSGDRegressor(stages, random_state=0, rollback=False).fit(X, y)
    found = np.flatnonzero(hurt.loss_curve_ > 150)
    assert len(found) == 3 and hurt.rollbacks_ == []
    assert {step for step, _ in hurt.spikes_} >= set(found.tolist())
    assert [step for step, _ in restored.spikes_] == found.tolist()
    assert [step for step, _ in restored.rollbacks_] == found.tolist()
    assert all(p < 1e-10 for _, p in restored.spikes_)
    for (noticed, back), step in zip(restored.rollbacks_, found, strict=True):
        assert noticed == step and back <= step and back % 100 == 0
    after = [slice(step + 1, step + 11) for step in found]
    for part in after:
        ratio = restored.loss_curve_[part].mean() / restored.theoretical_loss_curve_[part].mean()
        # The mean of 10 batches of 4 has the relative standard error sqrt(2/40) = 0.22.
        assert ratio < 1 + 4.5 * 0.25
        assert hurt.loss_curve_[part].mean() > 3 * restored.loss_curve_[part].mean()
    assert np.mean((restored.predict(X) - clean) ** 2) < 0.3


@pytest.mark.filterwarnings("ignore:Few rows decide:skrmt.exceptions.TheoryWarning")
def test_rollbacks_are_limited(rng):
    X, y = planted(rng, 6)
    stages = [Stage(1000, 4, 0.5, relative=True)]
    model = StagedSGDRegressor(stages, max_rollbacks=2, random_state=0).fit(X, y)
    assert len(model.rollbacks_) == 2 and len(model.spikes_) >= 6


def test_mixtures_draw_their_sources(rng):
    X, _ = gaussian_rows(3000, np.ones(4), rng)
    source = np.where(np.arange(3000) % 3 == 0, "web", "books")
    y = np.where(source == "web", X[:, 0], X[:, 1])
    stages = [
        Stage(400, 8, 0.3, relative=True, mixture={"web": 1.0}),
        Stage(400, 8, 0.1, relative=True, mixture={"web": 0.25, "books": 0.75}),
    ]
    first = StagedSGDRegressor(stages[:1], random_state=0).fit(X, y, sample_source=source)
    assert first.coef_ == pytest.approx([1, 0, 0, 0], abs=1e-6)
    both = StagedSGDRegressor(stages, random_state=0).fit(X, y, sample_source=source)
    assert both.coef_ == pytest.approx([0.25, 0.75, 0, 0], abs=0.1)
    late = slice(500, 800)
    # The mean of 300 batches of 8; losses of a mixture have kurtosis up to 9: 4.5 errors of 5 %.
    ratio = both.loss_curve_[late].mean() / both.theoretical_loss_curve_[late].mean()
    assert abs(ratio - 1) < 0.23
    assert both.theoretical_loss_curve_[400] > 10 * both.theoretical_loss_curve_[399]


def test_weight_decay_shrinks_and_is_predicted(rng):
    X, y = gaussian_rows(4000, np.ones(5), rng)
    stages = [Stage(900, 4, 0.05, weight_decay=1.0)]
    model = StagedSGDRegressor(stages, random_state=0).fit(X, y)
    ridge = np.linalg.solve(X.T @ X / 4000 + np.eye(5), X.T @ y / 4000)
    assert model.coef_ == pytest.approx(ridge, abs=0.15)
    late = slice(450, 900)
    ratio = model.loss_curve_[late].mean() / model.theoretical_loss_curve_[late].mean()
    # The mean of 450 batches of 4: 4.5 times sqrt(2/1800) = 3.3 %.
    assert abs(ratio - 1) < 0.15


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_partial_fit_goes_on(rng, dtype):
    X, y = gaussian_rows(6000, np.ones(6), rng, 0.01)
    X = (X + 3).astype(dtype)
    model = StagedSGDRegressor()
    for part in np.array_split(np.arange(6000), 6):
        model.partial_fit(X[part], y[part])
    assert model.coef_.dtype == dtype and model.n_iter_ == 6 * 32
    best = LinearRegression().fit(X, y)
    assert model.coef_ == pytest.approx(best.coef_, abs=0.05)
    assert model.score(X, y) > 0.95
    assert np.isnan(model.theoretical_risk_)


def test_partial_fit_follows_the_stages(rng):
    X, y = gaussian_rows(64, np.ones(3), rng)
    stages = [Stage(2, 8, 0.1), Stage(2, 16, 0.2, "linear", weight_decay=0.5)]
    model = StagedSGDRegressor(stages, fit_intercept=False).partial_fit(X, y)
    w, start, losses = np.zeros(3), 0, []
    steps = [(8, 0.1, 0), (8, 0.1, 0), (16, 0.2, 0.5), (16, 0.1, 0.5), (16, 0.1, 0.5)]
    for size, rate, decay in steps:
        rows = slice(start, start + size)
        residual = X[rows] @ w - y[rows]
        losses.append(residual @ residual / (2 * size))
        w = (1 - rate * decay) * w - rate / size * X[rows].T @ residual
        start += size
    np.testing.assert_allclose(model.coef_, w, rtol=1e-12)
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-12)


def test_partial_fit_of_classes(rng):
    X, y = gaussian_rows(900, np.ones(4), rng, 0.01)
    y = np.digitize(y, [-0.5, 0.5])
    model = StagedSGDClassifier()
    with pytest.raises(ValueError, match="first call"):
        model.partial_fit(X, y)
    model.partial_fit(X[:450], y[:450], classes=[0, 1, 2]).partial_fit(X[450:], y[450:])
    assert model.coef_.shape == (3, 4) and model.score(X, y) > 0.5
    with pytest.raises(ValueError, match="not the same"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="not in classes"):
        model.partial_fit(X, y + 1)


def test_a_row_of_weight_two_is_that_row_twice(rng):
    X, y = gaussian_rows(80, np.ones(3), rng)
    weights = rng.integers(0, 4, 80)
    stages = [Stage(60, 4, 0.3, relative=True)]
    weighted = StagedSGDRegressor(stages, random_state=0).fit(X, y, weights)
    order = rng.permutation(weights.sum())
    rows = np.repeat(np.arange(80), weights)[order]
    with pytest.warns(TheoryWarning, match="Rows of X repeat"):
        repeated = StagedSGDRegressor(stages, random_state=0).fit(X[rows], y[rows])
    assert weighted.n_effective_samples_ == repeated.n_effective_samples_
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-10)
    np.testing.assert_allclose(
        weighted.theoretical_loss_curve_, repeated.theoretical_loss_curve_, rtol=1e-10
    )


def test_units_of_a_one_hot_table_are_rows_of_their_own(rng):
    column = rng.integers(0, 6, 1000)
    y = rng.random(1000) < np.linspace(0.1, 0.9, 6)[column]
    model = StagedSGDClassifier(random_state=0).fit(np.eye(6)[column], y)
    pairs, counts = np.unique(np.column_stack([column, y]), axis=0, return_counts=True)
    X = np.eye(6)[pairs[:, 0]]
    merged = StagedSGDClassifier(random_state=0).fit(X, pairs[:, 1], sample_weight=counts)
    assert model.n_effective_samples_ == merged.n_effective_samples_ == 1000
    assert merged.n_iter_ == model.n_iter_ == 100
    assert merged.theoretical_accuracy_ == pytest.approx(model.theoretical_accuracy_, rel=1e-9)
    assert model.regime_ == "detected"


def test_copies_go_out_together(rng):
    X, y = gaussian_rows(60, np.ones(20), rng)
    stages = [Stage(200, 4, 0.3, relative=True)]
    once = StagedSGDRegressor(stages, random_state=0).fit(X, y)
    with pytest.warns(TheoryWarning, match="Rows of X repeat"):
        thrice = StagedSGDRegressor(stages, random_state=0).fit(np.tile(X, (3, 1)), np.tile(y, 3))
    assert thrice.n_effective_samples_ == 60
    assert thrice.theoretical_risk_ == pytest.approx(once.theoretical_risk_, rel=1e-9)


def test_nothing_is_claimed_on_few_rows(rng):
    X, y = gaussian_rows(9, np.ones(3), rng)
    with pytest.warns(TheoryWarning, match="fewer than 10 effective rows"):
        model = StagedSGDClassifier(random_state=0).fit(X, np.arange(9) % 2)
    assert model.regime_ == "too_few_rows"
    assert np.isnan(model.theoretical_accuracy_) and np.isnan(model.theoretical_risk_)
    assert np.isnan(model.observed_accuracy_interval_).all()
    with pytest.warns(TheoryWarning, match="fewer than 10 effective rows"):
        assert StagedSGDRegressor(random_state=0).fit(X, y).regime_ == "too_few_rows"


def test_regimes(rng):
    X, y = gaussian_rows(300, np.ones(5), rng)
    noise = rng.standard_normal(300)
    assert StagedSGDRegressor(random_state=0).fit(X, y).regime_ == "detected"
    assert StagedSGDRegressor(random_state=0).fit(X, noise).regime_ == "undetected"
    assert StagedSGDClassifier(random_state=0).fit(X, y > 0).regime_ == "detected"
    assert StagedSGDClassifier(random_state=0).fit(X, noise > 0).regime_ == "undetected"


def test_the_interval_contains_the_accuracy_on_fresh_rows():
    inside, gaps = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 4200)
        X = rng.standard_normal((4200, 10)) + 0.3 * (2 * y[:, None] - 1)
        model = StagedSGDClassifier(random_state=seed).fit(X[:200], y[:200])
        truth = model.score(X[200:], y[200:])
        low, high = model.observed_accuracy_interval_
        inside.append(low <= truth <= high)
        gaps.append(model.theoretical_accuracy_ - truth)
    # 95 % of 60 fits, 3 standard errors of 2.8 %.
    assert np.mean(inside) >= 0.86
    assert abs(np.mean(gaps)) < 0.01 + 4 * np.std(gaps) / np.sqrt(60)


@pytest.mark.parametrize("factor", [1e160, 1e-160])
def test_scales_without_rates_are_refused(rng, factor):
    X, y = rng.standard_normal((50, 3)), rng.standard_normal(50)
    with pytest.raises(ValueError, match=r"X has values up to .* Divide X by"):
        StagedSGDRegressor().fit(factor * X, y)
    with pytest.raises(ValueError, match=r"y has values up to .* Divide y by"):
        StagedSGDRegressor().fit(X, factor * y)
    with pytest.raises(ValueError, match=r"X has values up to .* Divide X by"):
        StagedSGDClassifier().fit(factor * X, y > 0)


@pytest.mark.parametrize("factor", [1e-150, 1e-40, 1e40, 1e150])
def test_any_unit_of_the_features(rng, factor):
    X, y = gaussian_rows(400, np.ones(3), rng)
    plain = StagedSGDRegressor(random_state=0).fit(X, y)
    scaled = StagedSGDRegressor(random_state=0).fit(factor * X, y)
    np.testing.assert_allclose(scaled.predict(factor * X), plain.predict(X), rtol=1e-7, atol=1e-9)
    assert scaled.theoretical_risk_ == pytest.approx(plain.theoretical_risk_, rel=1e-7)


def test_more_features_than_rows():
    lam, ratios = np.ones(200), []
    for seed in range(12):
        X, y = gaussian_rows(100, lam, np.random.default_rng(seed))
        model = StagedSGDRegressor([Stage(50, 2, 0.4, relative=True)], random_state=seed).fit(X, y)
        assert np.isnan(model.noise_floor_)
        risk = np.mean((model.coef_ - 200**-0.5) ** 2) * 200 / 2 + 0.125
        ratios.append(risk / model.theoretical_risk_)
    # Rotations of the leverages by the mean path: a tenth.
    error = np.std(ratios, ddof=1) / np.sqrt(12)
    assert abs(np.mean(ratios) - 1) < 4 * error + 0.1


def test_columns_that_do_not_vary(rng):
    y = rng.standard_normal(30)
    model = StagedSGDRegressor(random_state=0).fit(np.ones((30, 2)), y)
    assert model.predict(np.ones((1, 2))) == pytest.approx([y.mean()])
    assert model.critical_learning_rate_ == np.inf


def test_rates_above_the_critical_one(rng):
    X, y = gaussian_rows(500, np.ones(5), rng)
    stages = [Stage(3, 4, 1.2, relative=True)]
    with pytest.warns(ConvergenceWarning, match="above the critical one"):
        StagedSGDRegressor(stages, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"above the critical one, 0\."):
        StagedSGDRegressor(stages, strict=True).fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"stages": []}, "stages is empty"),
        ({"stages": "fast"}, "'auto' or a list"),
        ({"stages": [(3, 2, 0.1)]}, "instances of Stage"),
        ({"stages": 3}, "list of Stage"),
        ({"stages": [Stage(3, 200, 0.1)]}, "batch_size=200 is larger"),
        ({"stages": [Stage(3, 2, 0.1, mixture={"a": 1.0})]}, "needs sample_source"),
        ({"stages": [Stage(3, 2, 0.1, noise_variance=1.0)]}, "noise_variance"),
        ({"snapshot_every": 0}, "snapshot_every"),
        ({"max_rollbacks": -1}, "max_rollbacks"),
    ],
)
def test_parameters_that_make_no_sense(parameters, message, rng):
    X, y = gaussian_rows(100, np.ones(3), rng)
    with pytest.raises((ValueError, TypeError), match=message):
        StagedSGDRegressor(**parameters).fit(X, y)


def test_data_that_make_no_sense(rng):
    X, y = gaussian_rows(100, np.ones(3), rng)
    stage = Stage(3, 2, 0.1, mixture={"a": 0.5, "z": 0.5})
    with pytest.raises(ValueError, match="'z', of which there are no rows"):
        StagedSGDRegressor([stage]).fit(X, y, sample_source=["a"] * 100)
    with pytest.raises(ValueError, match="sample_source has shape"):
        StagedSGDRegressor([stage]).fit(X, y, sample_source=["a"] * 99)
    y[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        StagedSGDRegressor().fit(X, y)
    with pytest.raises(ValueError, match="mixture"):
        StagedSGDRegressor([stage]).partial_fit(X, np.zeros(100))


def test_progress_is_printed(rng, capsys):
    X, y = gaussian_rows(500, np.ones(3), rng)
    StagedSGDRegressor([Stage(100, 4, 0.1)], verbose=1, snapshot_every=10).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9 and "step 50 of 100" in lines[4]


def test_sources_are_routed(rng):
    model = StagedSGDRegressor()
    assert "sample_source" in str(model.get_metadata_routing())
