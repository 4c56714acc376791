"""The risk that staged SGD predicts on fresh rows, and its interval."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import Stage, StagedSGDClassifier, StagedSGDRegressor
from skrmt.linear_model.staged_sgd._interval import risk_claim
from skrmt.linear_model.staged_sgd._moments import row_moments, sample_rows


def fitted(*data, make=StagedSGDRegressor, stages="auto", **arguments):
    """Fit without warnings of theory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        return make(stages, random_state=0).fit(*data, **arguments)


def rows(rng, n, noise, p=5):
    X = rng.standard_normal((n, p))
    return X, X @ np.full(p, p**-0.5) + 0.5 * noise(n)


@pytest.mark.parametrize(
    ("law", "variance"),
    [(None, 1.0), (4, 2.0), (3, 3.0)],
)
def test_the_interval_covers_the_risk(law, variance):
    inside = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        draw = rng.standard_normal if law is None else lambda n, rng=rng: rng.standard_t(law, n)
        model = fitted(*rows(rng, 200, draw))
        risk = (((model.coef_ - 5**-0.5) ** 2).sum() + model.intercept_**2 + 0.25 * variance) / 2
        low, high = model.theoretical_risk_interval_
        assert low <= model.theoretical_risk_ <= high
        inside.append(low <= risk <= high)
    # 90 % of 100 fits, less three standard errors of 3 %.
    assert np.mean(inside) >= 0.81


@pytest.mark.parametrize(("law", "coverage"), [("normal", 0.95), ("t3", 0.9), ("lognormal", 0.9)])
def test_the_interval_of_a_mean_of_losses(law, coverage, rng):
    draw, mean = {
        "normal": (lambda: rng.standard_normal(400) ** 2, 1.0),
        "t3": (lambda: rng.standard_t(3, 400) ** 2, 3.0),
        "lognormal": (lambda: np.exp(2 * rng.standard_normal(400)), np.exp(2.0)),
    }[law]
    shares, inside = np.full(400, 1 / 400), []
    for _ in range(500):
        claim = risk_claim(draw(), shares, shares, 0.0, np.zeros(400))
        inside.append(claim.interval[0] <= mean <= claim.interval[1])
    # Less 4 standard errors of a share of 500.
    assert np.mean(inside) >= coverage - 4 * np.sqrt(coverage * (1 - coverage) / 500)


def test_light_tails_have_a_narrow_interval_and_heavy_ones_no_end(rng):
    light = fitted(*rows(rng, 1000, rng.standard_normal))
    low, high = light.theoretical_risk_interval_
    assert high / low < 1.4
    X, y = rows(rng, 1000, rng.standard_cauchy)
    with pytest.warns(TheoryWarning, match="Few rows decide"):
        heavy = StagedSGDRegressor(random_state=0).fit(X, y)
    assert heavy.theoretical_risk_interval_[1] == np.inf


def test_nothing_is_claimed_where_a_row_decides_its_own_score(rng):
    X, y = rows(rng, 300, rng.standard_normal)
    X[7] *= 100
    y[7] = -X[7].sum()
    with pytest.warns(TheoryWarning, match="Few rows decide|rows of large norm"):
        model = StagedSGDRegressor(random_state=0).fit(X, y)
    assert np.isnan(model.theoretical_risk_) and np.isnan(model.theoretical_risk_interval_).all()
    assert np.isfinite(model.theoretical_loss_curve_).all()


def test_outliers_left_out_of_the_curve_count_in_the_risk(rng):
    X, y = rows(rng, 2000, rng.standard_normal)
    y[[5, 900]] += 40
    model = fitted(X, y)
    expected = 0.125 + 2 * 40**2 / 2 / 2000
    # A chi-square of 2000 degrees: 4.5 errors of 3 % of its part; SGD adds a few per cent.
    assert model.theoretical_risk_ == pytest.approx(expected, rel=0.1)
    assert model.theoretical_loss_curve_[-1] < 0.2
    # Two rows make most of it: a few more or less are as likely.
    low, high = model.theoretical_risk_interval_
    assert low < 0.5 * expected and high > 1.5 * expected


def test_outliers_of_classes_do_not_disturb(rng):
    X = rng.standard_normal((400, 3))
    y = X[:, 0] > 0
    X[:, 0] = np.sign(X[:, 0]) + 0.01 * X[:, 1]
    y[17] = not y[17]
    model = fitted(X, y, make=StagedSGDClassifier)
    assert model.theoretical_accuracy_ > 0.98
    assert model.theoretical_risk_ > 1 / 400


def test_the_risk_is_that_on_fresh_rows_in_many_passes_too():
    ratios, stages = [], [Stage(1500, 2, 0.4, relative=True)]
    for seed in range(12):
        rng = np.random.default_rng(seed)
        model = fitted(*rows(rng, 60, rng.standard_normal, p=20), stages=stages)
        risk = (((model.coef_ - 20**-0.5) ** 2).sum() + model.intercept_**2 + 0.25) / 2
        ratios.append(np.log(model.theoretical_risk_ / risk))
        late = model.theoretical_loss_curve_[-1]
        assert late < 0.7 * model.theoretical_risk_
    # The off-diagonal covariance of the weights is left out: a tenth.
    assert abs(np.mean(ratios)) < 4 * np.std(ratios, ddof=1) / np.sqrt(12) + 0.1


@pytest.mark.parametrize("make", [StagedSGDRegressor, StagedSGDClassifier])
def test_fewer_than_ten_rows_claim_nothing(make, rng):
    X = np.repeat(rng.standard_normal((9, 3)), 30, axis=0)
    y = np.repeat(np.arange(9) % 2, 30)
    with pytest.warns(TheoryWarning, match="fewer than 10 effective rows"):
        model = make(random_state=0).fit(X, y)
    assert model.regime_ == "too_few_rows" and model.n_effective_samples_ == 9
    names = ["theoretical_risk_", "theoretical_risk_interval_", "noise_floor_"]
    names += ["theoretical_loss_curve_"]
    if make is StagedSGDClassifier:
        names += ["theoretical_accuracy_", "theoretical_accuracy_interval_", "observed_accuracy_"]
    for name in names:
        assert np.isnan(getattr(model, name)).all(), name


def test_a_sample_of_rows_has_the_moments_of_all(rng):
    X = rng.standard_t(8, (6000, 6)) * np.arange(1, 7) ** -0.5
    y = X[:, 0] + 0.5 * rng.standard_normal(6000)
    moments = row_moments(X, y[:, None], np.full(6000, 1 / 6000), np.ones(6000), True)
    sample = sample_rows(moments)
    assert len(sample.rows) < 3000 and sample.shares.sum() == pytest.approx(1)
    Z = moments.coordinates()
    np.testing.assert_allclose(sample.fourth, (Z**2).T @ Z**2 / 6000, rtol=0.15)
    regressor = fitted(X, y, stages=[Stage(400, 4, 0.3, relative=True)])
    classifier = fitted(
        X, y > 0, make=StagedSGDClassifier, stages=[Stage(400, 4, 0.3, relative=True)]
    )
    same = fitted(X, np.where(y > 0, 1.0, -1.0), stages=[Stage(400, 4, 0.3, relative=True)])
    # One works out the score of every row, the other of a sample.
    assert same.theoretical_risk_ == pytest.approx(classifier.theoretical_risk_, rel=2e-3)
    np.testing.assert_allclose(
        same.theoretical_risk_interval_, classifier.theoretical_risk_interval_, rtol=0.02
    )
    assert regressor.theoretical_risk_ == pytest.approx(0.125, rel=0.15)


SHAPES = [(400, 12), (60, 150)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_sparse_rows_are_those_rows(shape, weighted, fit_intercept, rng):
    n, p = shape
    X = sparse.random_array((n, p), density=0.2, rng=rng, format="csr")
    y = X @ rng.standard_normal(p) + 0.1 * rng.standard_normal(n)
    weights = rng.uniform(0.5, 2, n) if weighted else None
    stages = [Stage(50, 4, 0.3, relative=True), Stage(20, 4, 0.2, "cosine", relative=True)]
    models = []
    for data in (X, X.toarray()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TheoryWarning)
            model = StagedSGDRegressor(stages, fit_intercept=fit_intercept, random_state=0)
            models.append(model.fit(data, y) if weights is None else model.fit(data, y, weights))
    here, dense = models
    names = ["critical_learning_rate_", "theoretical_loss_curve_", "theoretical_risk_"]
    if not weighted:
        # Weighted rows are drawn by the order of their content, which is not the same.
        names += ["coef_", "intercept_", "loss_curve_"]
        np.testing.assert_allclose(here.predict(X), dense.predict(X.toarray()), rtol=1e-6)
    for name in names:
        np.testing.assert_allclose(getattr(here, name), getattr(dense, name), rtol=1e-6, atol=1e-9)


def test_sparse_rows_of_classes_groups_and_streams(rng):
    X = sparse.random_array((300, 8), density=0.5, rng=rng, format="csr")
    y = np.asarray(X @ np.arange(-3.5, 4)) > 0
    groups = np.arange(300) // 3
    here = fitted(X, y, make=StagedSGDClassifier, groups=groups)
    dense = fitted(X.toarray(), y, make=StagedSGDClassifier, groups=groups)
    assert here.theoretical_accuracy_ == pytest.approx(dense.theoretical_accuracy_, rel=1e-9)
    assert here.score(X, y) == dense.score(X.toarray(), y)
    stream, same = (
        StagedSGDClassifier().partial_fit(data, y, classes=[False, True])
        for data in (X, X.toarray())
    )
    np.testing.assert_allclose(stream.coef_, same.coef_, rtol=1e-7)
    with pytest.raises(ValueError, match="needs dense data"):
        StagedSGDRegressor(device="cpu").fit(X, np.arange(300.0))


def test_sparse_rows_above_the_critical_rate(rng):
    X = sparse.random_array((200, 6), density=0.5, rng=rng, format="csr")
    y = X @ np.ones(6)
    stages = [Stage(40, 4, 1.2, relative=True)]
    with pytest.warns(UserWarning, match="above the critical one|stopped"):
        here = StagedSGDRegressor(stages, random_state=0).fit(X, y)
    with pytest.warns(UserWarning, match="above the critical one|stopped"):
        dense = StagedSGDRegressor(stages, random_state=0).fit(X.toarray(), y)
    np.testing.assert_allclose(
        here.theoretical_loss_curve_, dense.theoretical_loss_curve_, rtol=1e-5
    )


def test_one_far_row_that_fits_by_luck_leaves_the_upper_end_high(rng):
    # One row in 200 has losses 500 times those of others: the risk is 3.5 times that of these.
    shares, leverage = np.full(200, 1 / 200), np.full(200, 0.05)
    leverage[0] = 0.9
    scales = np.where(np.arange(200) == 0, 500.0, 1.0)
    missed = []
    for _ in range(500):
        claim = risk_claim(scales * rng.chisquare(1, 200), shares, shares, 0.0, leverage)
        missed.append(not np.isnan(claim.risk) and not claim.interval[1] > scales.mean())
    # 5 %, and 4 standard errors of a share of 500.
    assert np.mean(missed) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 500)
