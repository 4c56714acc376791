"""TensorDeflation: what it predicts comes true, and where it may not predict it says so."""

from __future__ import annotations

import copy
import functools
import itertools
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skrmt.datasets import make_spiked_tensor
from skrmt.decomposition import TensorDeflation, factor_alignments
from skrmt.exceptions import TheoryWarning
from skrmt.theory import deflation, spiked_tensor

GRAMS = np.array([[1, 0.5, 0.3], [0.5, 1, 0.4], [0.3, 0.4, 1]])


def easy(random_state=0, **options):
    options = {"grams": 0.4} | options
    return make_spiked_tensor((24, 30, 36), [6.0, 4.0], random_state=random_state, **options)


@functools.cache
def fitted(**parameters):
    """Return a model of the easy tensor, fitted once: a test that changes it takes a copy."""
    return easily(**parameters).fit(easy().X)


def easily(**parameters):
    """Return an estimator with few restarts, which a strong signal does not need."""
    return TensorDeflation(**{"n_init": 4, "random_state": 0} | parameters)


def draws(dims, betas, grams, n_draws, **parameters):
    """Return models, and realised alignments in the order of each model's components."""
    for seed in range(n_draws):
        data = make_spiked_tensor(dims, betas, grams=grams, noise_std=2.0, random_state=seed)
        model = TensorDeflation(random_state=0, **parameters).fit(data.X)
        yield model, factor_alignments(data.factors, model.factors_)


@pytest.mark.parametrize("method", ["joint", "hotelling", "orthogonalized"])
def test_predicted_alignments_come_true(method):
    """80^3, three correlated components, unknown noise: mean error at most 0.02."""
    errors = [
        np.abs(model.theoretical_alignments_ - realised).mean()
        for model, realised in draws((80, 80, 80), [8, 6, 4.5], GRAMS, 2, method=method, gamma=0.7)
    ]
    assert np.mean(errors) < 0.02


def test_signal_and_its_error_are_estimated():
    """Mean over 12 draws within 4 of its standard errors, spread as predicted (a chi square)."""
    models = [m for m, _ in draws((40, 50, 60), [5.0, 3.5], [0.6, 0.4, 0.2], 12, n_components=2)]
    snr = np.array([model.snr_ for model in models])
    spread = np.mean([model.snr_std_ for model in models], axis=0)
    assert (np.abs(snr.mean(axis=0) - [5.0, 3.5]) < 4 * spread / np.sqrt(12) + 2 / 150).all()
    assert (snr.std(axis=0, ddof=1) / spread > 0.4).all()
    assert (snr.std(axis=0, ddof=1) / spread < 1.7).all()
    cosines = np.abs([model.grams_[:, 0, 1] for model in models])
    error = cosines.std(axis=0, ddof=1) / np.sqrt(12)
    assert (np.abs(cosines.mean(axis=0) - [0.6, 0.4, 0.2]) < 4 * error + 2 / 150).all()


def test_errors_of_alignments_are_as_foretold():
    """24 draws of 6 alignments: 95 % within 1.96, a z of spread 1 (s.e. of 48 or more: 0.1)."""
    scores, covered = [], []
    for model, realised in draws((30, 40, 50), [4.0, 3.0], 0.4, 24, n_components=2):
        gap = realised - model.theoretical_alignments_
        scores.append(gap / model.theoretical_alignments_std_)
        low, high = model.theoretical_accuracy_interval_
        covered.append(low < (realised**2).mean() < high)
    assert 0.6 < np.std(scores) < 1.4
    assert np.mean(np.abs(scores) < 1.96) > 0.85
    assert np.mean(covered) > 0.8


def test_components_that_are_alike_are_told_apart():
    """A pair of cosines 0.6 that leaves, after its best rank one, no more than noise has."""
    for model, realised in draws((60, 60, 60), [3.0, 2.55], 0.6, 3):
        assert model.n_components_ == 2
        assert realised.min() > 0.9


@pytest.mark.slow
def test_theory_holds_at_two_sizes():
    """Bias of the mean overlap: within 4 standard errors and 1/N."""
    for size in (40, 80):
        gaps = [
            model.theoretical_accuracy_ - (realised**2).mean()
            for model, realised in draws((size,) * 3, [4.0, 3.0], 0.5, 40)
        ]
        error = np.std(gaps, ddof=1) / np.sqrt(40)
        assert abs(np.mean(gaps)) < 4 * error + 1 / (3 * size)


def test_attributes_of_one_component_are_those_of_the_closed_form():
    data = make_spiked_tensor((30, 40, 50), [3.0], noise_std=0.1, random_state=1)
    model = TensorDeflation(random_state=0).fit(data.X)
    unit = np.sqrt(model.noise_variance_ * 120)
    np.testing.assert_allclose(model.singular_values_, model.weights_ / unit)
    beta = spiked_tensor.signal_strength(model.singular_values_[0], (30, 40, 50))
    assert model.snr_[0] == pytest.approx(beta)
    limit = spiked_tensor.rank_one_limit(beta, (30, 40, 50))
    np.testing.assert_allclose(model.theoretical_alignments_[0], limit.alignments)
    assert model.theoretical_accuracy_ == pytest.approx((limit.alignments**2).mean())
    assert model.snr_std_[0] == pytest.approx(1 / np.sqrt(120) / limit.alignments.prod())
    assert model.shrinkage_[0] == pytest.approx(
        beta * limit.alignments.prod() / model.singular_values_[0]
    )
    assert model.noise_variance_ == pytest.approx(0.01, rel=5 * np.sqrt(2 / 60000))
    assert model.thresholds_ == spiked_tensor.thresholds((30, 40, 50))
    assert model.component_regimes_ == ["detected"]


def test_cross_alignments_and_grams_have_the_signs_of_the_factors():
    model = easily().fit(easy(grams=[0.6, 0.5, -0.4]).X)
    for mode, factor in enumerate(model.factors_):
        np.testing.assert_allclose(model.cross_alignments_[:, :, mode], factor.T @ factor)
        np.testing.assert_allclose(np.linalg.norm(factor, axis=0), 1)
        assert np.sign(model.grams_[mode, 0, 1]) == np.sign(model.cross_alignments_[0, 1, mode])
        if mode < 2:
            assert (factor[np.abs(factor).argmax(axis=0), [0, 1]] > 0).all()
    assert (model.weights_ > 0).all()
    assert (np.diff(model.weights_) < 0).all()


def test_methods_are_compared_and_the_best_is_taken():
    model = fitted(method="auto", gamma=0.7)
    assert set(model.method_scores_) == {"joint", "hotelling", "orthogonalized"}
    assert model.method_ == "joint"
    assert model.method_scores_["joint"] == pytest.approx(model.theoretical_accuracy_)
    for method in ("hotelling", "orthogonalized"):
        single = fitted(method=method, gamma=0.7)
        assert single.theoretical_accuracy_ == pytest.approx(model.method_scores_[method])
        assert single.theoretical_accuracy_ < model.theoretical_accuracy_


def test_hotelling_values_are_the_rank_one_values():
    data = easy()
    model = fitted(method="hotelling")
    unit = np.sqrt(model.noise_variance_ * 90)
    np.testing.assert_allclose(model.singular_values_ * unit, model.weights_)
    contracted = np.einsum("abc,a,b,c->", data.X, *[factor[:, 0] for factor in model.factors_])
    assert contracted == pytest.approx(model.weights_[0], rel=1e-9)
    predicted = deflation.hotelling(model.snr_, model.grams_, (24, 30, 36))
    np.testing.assert_allclose(predicted.singular_values, model.singular_values_, atol=0.25)
    assert np.isnan(model.gamma_)


@pytest.mark.parametrize("method", ["hotelling", "orthogonalized"])
def test_signs_of_grams_are_those_of_the_factors_found(method):
    data = easy(grams=[0.5, 0.6, -0.4])
    model = easily(n_components=2, method=method, gamma=0.6).fit(data.X)
    for factor, true, gram in zip(model.factors_, data.factors, model.grams_, strict=True):
        signs = np.sign(np.einsum("pr,pr->r", factor, true))
        assert gram[0, 1] * signs.prod() == pytest.approx(true[:, 0] @ true[:, 1], abs=0.15)


def test_gamma_is_used_and_reported():
    model = fitted(method="orthogonalized", gamma=1.0)
    assert model.gamma_ == 1.0
    assert abs(model.factors_[0][:, 0] @ model.factors_[0][:, 1]) < 1e-6
    best = fitted(method="orthogonalized")
    assert best.gamma_ == pytest.approx(
        deflation.optimal_gamma(best.snr_, best.grams_, (24, 30, 36))
    )


def test_transform_is_least_squares_and_inverse_transform_its_adjoint(rng):
    data, model = easy(), copy.copy(fitted())
    scores = model.transform(data.X)
    np.testing.assert_allclose(scores, model.factors_[0] * model.weights_, atol=1e-4)
    terms = np.einsum("br,cr->bcr", *model.factors_[1:]).reshape(-1, 2)
    expected = np.linalg.lstsq(terms, data.X.reshape(24, -1).T, rcond=None)[0].T
    np.testing.assert_allclose(scores, expected, atol=1e-10)
    np.testing.assert_allclose(model.inverse_transform(scores), model.predict(data.X))
    new = rng.standard_normal((3, 30, 36))
    assert model.predict(new).shape == new.shape
    np.testing.assert_allclose(model.fit_transform(data.X), scores)
    np.testing.assert_allclose(model.reconstruct(), model.predict(data.X), atol=1e-4)


def test_score_is_the_explained_share():
    data, model = easy(), fitted()
    left = data.X - model.predict(data.X)
    assert model.score(data.X) == pytest.approx(1 - (left**2).sum() / (data.X**2).sum())
    assert model.score(1e150 * data.X) == pytest.approx(model.score(data.X))
    assert model.score(np.zeros((2, 30, 36))) == 1.0


def test_shrinking_brings_the_tensor_closer_to_the_signal():
    data = make_spiked_tensor((30, 30, 30), [2.2, 1.8], grams=0.3, random_state=3)
    signal = np.sqrt(90) * np.einsum("ar,br,cr,r->abc", *data.factors, [2.2, 1.8])
    model = TensorDeflation(2, random_state=0).fit(data.X)
    errors = [np.linalg.norm(model.reconstruct(shrink) - signal) for shrink in (False, True)]
    assert errors[1] < errors[0]
    basis = np.einsum("ar,br,cr->abcr", *model.factors_).reshape(-1, 2)
    best = np.linalg.norm(
        basis @ np.linalg.lstsq(basis, signal.ravel(), rcond=None)[0] - signal.ravel()
    )
    assert errors[1] < best + 0.2 * (errors[0] - best)


def test_alignment_score():
    data, model = easy(), fitted()
    alignments = factor_alignments(model.factors_, data.factors)
    assert model.alignment_score(data.factors) == pytest.approx(alignments.mean())
    with pytest.raises(ValueError, match="true_factors"):
        model.alignment_score(data.factors[:2])


@pytest.mark.parametrize("method", ["joint", "hotelling", "orthogonalized", "auto"])
def test_pure_noise_has_no_component(method, rng):
    with pytest.warns(TheoryWarning, match="n_components_ is 0") as record:
        model = TensorDeflation(method=method, random_state=0).fit(
            rng.standard_normal((20, 20, 20))
        )
    assert len(record) == 1
    assert model.n_components_ == 0
    assert model.theoretical_accuracy_ == 0
    assert model.transform(np.ones((3, 20, 20))).shape == (3, 0)
    assert (model.predict(np.ones((3, 20, 20))) == 0).all()
    assert model.inverse_transform(np.zeros((3, 0))).shape == (3, 20, 20)
    assert model.reconstruct(shrink=True).shape == (20, 20, 20)
    assert model.next_singular_value_ < model.thresholds_.noise_norm + 1 / np.sqrt(60)


@pytest.mark.parametrize(("dims", "seed"), [((5, 10, 7), 28), ((5, 10, 7, 4), 8)])
def test_noise_of_unequal_variance_has_no_component(dims, seed):
    """A component that its measured norm takes away again is none."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(dims) * np.exp(rng.standard_normal(dims))
    with pytest.warns(TheoryWarning, match="heavy tails"):
        model = TensorDeflation(n_init=4, random_state=0).fit(noise)
    assert model.n_components_ == 0 and np.isnan(model.theoretical_accuracy_)


@pytest.mark.parametrize("method", ["joint", "hotelling", "orthogonalized", "auto"])
def test_components_below_the_threshold_are_fitted_and_flagged(method, rng):
    with pytest.warns(TheoryWarning, match="do not stand out") as record:
        model = TensorDeflation(2, method=method, random_state=0).fit(
            rng.standard_normal((15, 16, 17))
        )
    assert len(record) == 1
    assert model.component_regimes_ == ["undetected"] * 2
    assert model.regime_ == "undetected"
    assert (model.theoretical_alignments_ == 0).all()
    assert model.theoretical_accuracy_ == 0
    assert np.isnan(model.snr_).all()


def test_one_real_and_one_spurious_component():
    data = make_spiked_tensor((30, 30, 30), [5.0], random_state=0)
    with pytest.warns(TheoryWarning, match="Some components"):
        model = TensorDeflation(2, random_state=0).fit(data.X)
    assert model.component_regimes_ == ["detected", "undetected"]
    assert model.regime_ == "detected"
    assert model.theoretical_alignments_[0].min() > 0.9
    assert (model.theoretical_alignments_[1] == 0).all()
    assert model.snr_[0] == pytest.approx(5.0, abs=4 * model.snr_std_[0])


def test_zeros_for_missing_entries_are_named(rng):
    """Zeros that stand for missing entries: no theory, and a number by split halves."""
    X = easy().X * (rng.random((24, 30, 36)) > 0.2)
    with pytest.warns(TheoryWarning, match="missing") as record:
        model = TensorDeflation(max_iter=50, random_state=0).fit(X)
    assert len(record) == 1
    assert model.regime_ == "misfit" and set(model.component_regimes_) == {"misfit"}
    assert np.isnan(model.snr_).all()
    assert 0 < model.theoretical_accuracy_ <= 1
    low, high = model.theoretical_accuracy_interval_
    assert low <= model.theoretical_accuracy_ <= high


@pytest.mark.parametrize("snr", [[12.0, 10.0], [5.0, 4.0], [3.0, 2.5]])
def test_nothing_is_claimed_of_a_mixture_of_components(snr):
    """Halves agree on the mixture, and its value is that of one component: neither is the truth."""
    data = make_spiked_tensor((40, 50, 60), snr, grams=0.5, random_state=0)
    with pytest.warns(TheoryWarning, match="more components"):
        model = TensorDeflation(1, random_state=0).fit(data.X)
    assert factor_alignments(data.factors, model.factors_).min() < 0.97
    assert np.isnan(model.snr_).all() and np.isnan(model.theoretical_alignments_).all()
    assert np.isnan(model.theoretical_accuracy_)
    assert model.component_regimes_ == ["misfit"] and model.regime_ == "misfit"
    both = TensorDeflation(2, random_state=0).fit(data.X)
    assert both.regime_ == "detected"


def spoiled(kind, rng):
    """Return a tensor of two components in noise of one kind, mean variance 1."""
    data = make_spiked_tensor((24, 30, 36), [6.0, 4.0], grams=0.3, random_state=5)
    white = make_spiked_tensor((24, 30, 36), [], random_state=5).X
    W = rng.standard_normal((24, 30, 136))
    if kind == "rows":
        noise = W[..., :36] * np.sqrt(rng.permutation(np.linspace(0.1, 1.9, 30)))[:, None]
    elif kind == "smooth":
        for step in range(1, 136):
            W[..., step] = 0.7 * W[..., step - 1] + np.sqrt(1 - 0.49) * W[..., step]
        noise = W[..., 100:]
    elif kind == "student":
        noise = rng.standard_t(4, white.shape) / np.sqrt(2)
    elif kind == "outliers":
        noise = W[..., :36].copy()
        noise.ravel()[rng.choice(noise.size, 20, replace=False)] = 40.0
    else:
        noise = W[..., :36]
    return data.X - white + noise, data.factors


@pytest.mark.parametrize("kind", ["rows", "smooth", "student", "outliers"])
@pytest.mark.parametrize("seed", range(2))
def test_noise_that_is_not_white_is_made_so(kind, seed):
    """Two components, alignments within .02 of the predicted ones."""
    X, factors = spoiled(kind, np.random.default_rng(seed))
    model = TensorDeflation(random_state=0).fit(X)
    assert model.n_components_ == 2
    assert model.regime_ == "detected"
    expected = {"rows": 1, "smooth": 2}.get(kind)
    coloured = [
        m for m, c in enumerate(model.noise_covariances_) if not np.allclose(c, np.eye(len(c)))
    ]
    assert coloured == ([] if expected is None else [expected])
    assert (model.n_outliers_ > 0) == (kind in ("student", "outliers"))
    realised = factor_alignments(factors, model.factors_)
    np.testing.assert_allclose(realised, model.theoretical_alignments_, atol=0.02)
    assert 0.3 < model.noise_variance_ < 1.5


def test_covariance_of_smooth_noise_is_estimated():
    """The first lag is .7; its standard error, of 720 rows of 36 steps, below .01."""
    X = spoiled("smooth", np.random.default_rng(3))[0]
    model = TensorDeflation(random_state=0).fit(X)
    covariance = model.noise_covariances_[2]
    assert np.trace(covariance) == pytest.approx(36)
    lags = [np.diagonal(covariance, lag).mean() for lag in (0, 1, 2)]
    np.testing.assert_allclose(lags, [1.0, 0.7, 0.49], atol=0.05)


def test_white_structure_changes_nothing():
    model = TensorDeflation(2, noise_structure="white", random_state=0).fit(easy().X)
    np.testing.assert_allclose(model.snr_, easily().fit(easy().X).snr_, rtol=1e-6)
    with pytest.raises(ValueError, match="noise_structure"):
        TensorDeflation(noise_structure="pink").fit(easy().X)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_missing_entries_are_fitted_around(share):
    """Number of components and alignments as without gaps; a stationary point of the observed."""
    data = make_spiked_tensor((30, 40, 50), [6.0, 4.5], grams=0.3, random_state=8)
    gaps = np.random.default_rng(0).random(data.X.shape) < share
    X = np.where(gaps, np.nan, data.X)
    model = TensorDeflation(random_state=0).fit(X)
    assert model.n_components_ == 2
    assert model.regime_ == "detected"
    realised = factor_alignments(data.factors, model.factors_)
    np.testing.assert_allclose(realised, model.theoretical_alignments_, atol=0.02)
    assert model.noise_variance_ == pytest.approx(1.0, rel=5 * np.sqrt(2 / gaps.size / (1 - share)))
    expected = np.array([6.0, 4.5]) * np.sqrt(1 - share)
    assert (np.abs(model.snr_ - expected) < 4 * model.snr_std_ + 0.02 * expected).all()
    left = np.where(gaps, 0.0, data.X - model.reconstruct())
    gradient = np.einsum("abc,br,cr->ar", left, *model.factors_[1:])
    assert np.abs(gradient).max() < 1e-2 * np.sqrt((left**2).mean())


@pytest.mark.parametrize("seed", [5000, 5003, 5007])
def test_gaps_in_noise_of_unequal_variance_make_no_components(seed):
    """The signal that gaps take away looks like components until they are filled in."""
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.uniform(-1, 1, 30))
    noise = rng.standard_normal((30, 40, 50)) * (scale / np.sqrt((scale**2).mean()))[:, None, None]
    data = make_spiked_tensor((30, 40, 50), [5.0, 4.0], grams=0.3, random_state=seed)
    signal = np.sqrt(120) * np.einsum("ar,br,cr,r->abc", *data.factors, [5.0, 4.0])
    gaps = np.random.default_rng(seed - 5000).random(noise.shape) < 0.3
    model = TensorDeflation(random_state=0).fit(np.where(gaps, np.nan, signal + noise))
    assert model.n_components_ == 2 and model.regime_ == "detected"
    realised = factor_alignments(data.factors, model.factors_)
    np.testing.assert_allclose(realised, model.theoretical_alignments_, atol=0.02)


def test_scores_of_samples_with_gaps(rng):
    data, model = easy(), fitted()
    X = data.X[:3].copy()
    gaps = rng.random(X.shape) < 0.2
    X[gaps] = np.nan
    terms = np.einsum("br,cr->bcr", *model.factors_[1:])
    expected = [
        np.linalg.lstsq(terms[~g], x[~g], rcond=None)[0] for g, x in zip(gaps, X, strict=True)
    ]
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-8)
    assert np.isfinite(model.predict(X)).all()
    assert 0 < model.score(X) < 1


def test_too_much_missing_is_refused(rng):
    X = easy().X.copy()
    X[rng.random(X.shape) < 0.4] = np.nan
    with pytest.raises(ValueError, match=r"40%.*missing"):
        TensorDeflation().fit(X)
    X = easy().X.copy()
    X[:, 3] = np.nan
    with pytest.raises(ValueError, match="index 3 of axis 1"):
        TensorDeflation().fit(X)


def test_symmetric_tensors_have_the_theory_of_independent_noise():
    """Noise averaged over the orders of the axes: mean over 6 draws within 4 standard errors."""
    errors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x = np.linalg.qr(rng.standard_normal((40, 2)))[0]
        signal = np.einsum("r,ar,br,cr->abc", np.sqrt(120) * np.array([5.0, 3.5]), x, x, x)
        noise = np.sqrt(3) * rng.standard_normal((40, 40, 40))
        orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
        noise = np.mean([noise.transpose(order) for order in orders], axis=0)
        model = TensorDeflation(random_state=0).fit(signal + noise)
        assert model.n_components_ == 2
        assert model.regime_ == "detected"
        np.testing.assert_allclose(np.abs(model.factors_[1]), np.abs(model.factors_[0]), atol=1e-4)
        np.testing.assert_allclose(
            factor_alignments([x] * 3, model.factors_), model.theoretical_alignments_, atol=0.02
        )
        errors.append((model.snr_ - [5.0, 3.5]) / model.snr_std_)
    assert (np.abs(np.mean(errors, axis=0)) < 4 / np.sqrt(6)).all()
    assert 0.3 < np.std(errors) < 1.8


def symmetric_draw(seed, cosine=0.0):
    """Return the factor of two components, and their symmetric tensor in symmetric noise."""
    rng = np.random.default_rng(seed)
    x = np.linalg.qr(rng.standard_normal((40, 2)))[0]
    x[:, 1] = cosine * x[:, 0] + np.sqrt(1 - cosine**2) * x[:, 1]
    signal = np.einsum("r,ar,br,cr->abc", np.sqrt(120) * np.array([6.0, 4.0]), x, x, x)
    noise = np.sqrt(3) * rng.standard_normal((40, 40, 40))
    orders = list(itertools.permutations(range(3)))
    return x, signal + np.mean([noise.transpose(order) for order in orders], axis=0)


@pytest.mark.parametrize("method, atol", [("joint", 0.02), ("hotelling", 0.04)])
def test_deflation_of_symmetric_tensors(method, atol):
    """Hotelling's steps of correlated symmetric components reach what theory predicts of them."""
    gaps, worse = [], []
    for seed in range(4):
        x, X = symmetric_draw(seed, 0.4)
        model = TensorDeflation(2, method=method, random_state=0).fit(X)
        assert model.regime_ == "detected"
        realised = factor_alignments([x] * 3, model.factors_)
        gaps.append(model.theoretical_alignments_ - realised)
        worse.append(realised.mean())
    assert np.abs(np.mean(gaps, axis=0)).max() < atol
    assert (np.mean(worse) < 0.985) == (method == "hotelling")


@pytest.mark.parametrize("method", ["joint", "hotelling"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_gaps_in_symmetric_and_other_tensors(method, symmetric):
    """A fifth of the entries is missing; of symmetric tensors, entries and their transposes."""
    if symmetric:
        x, X = symmetric_draw(1)
        factors, rank = [x] * 3, np.arange(40)
        chances = np.random.default_rng(0).random((40, 40, 40))
        index = np.sort(np.stack(np.meshgrid(rank, rank, rank, indexing="ij")), axis=0)
        gaps = chances[tuple(index)] < 0.2
    else:
        data = easy()
        X, factors = data.X, data.factors
        gaps = np.random.default_rng(0).random(X.shape) < 0.2
    model = TensorDeflation(method=method, random_state=0).fit(np.where(gaps, np.nan, X))
    assert model.n_components_ == 2 and model.regime_ == "detected"
    realised = factor_alignments(factors, model.factors_)
    np.testing.assert_allclose(realised, model.theoretical_alignments_, atol=0.04)


def test_uniform_noise_has_the_same_theory(rng):
    signal = easy(noise_std=1e-3).X / 1e-3
    noise = make_spiked_tensor((24, 30, 36), [], random_state=0).X
    other = np.sqrt(3) * rng.uniform(-1, 1, noise.shape)
    model = TensorDeflation(random_state=0).fit(signal - noise + other)
    assert model.n_components_ == 2
    assert (np.abs(model.snr_ - [6.0, 4.0]) < 5 * model.snr_std_).all()


def test_noise_variance_is_trusted():
    data = make_spiked_tensor((30, 30, 30), [3.0], noise_std=2.0, random_state=2)
    model = TensorDeflation(noise_variance=4.0, random_state=0).fit(data.X)
    assert model.noise_variance_ == pytest.approx(4.0)
    with pytest.warns(TheoryWarning):
        assert TensorDeflation(noise_variance=40.0, random_state=0).fit(data.X).n_components_ == 0


@pytest.mark.parametrize("shape", [(6, 20, 90), (90, 6, 20), (12, 9, 10, 11), (7, 6, 8, 5, 6)])
def test_any_order_and_unequal_sizes(shape):
    data = make_spiked_tensor(shape, [6.0, 4.0], grams=0.3, random_state=0)
    model = TensorDeflation(2, random_state=0).fit(data.X)
    assert [factor.shape for factor in model.factors_] == [(size, 2) for size in shape]
    assert model.alignment_score(data.factors) > 0.9
    predicted = model.theoretical_alignments_
    np.testing.assert_allclose(predicted, factor_alignments(data.factors, model.factors_), atol=0.1)


def test_float32_and_torch_agree_with_float64(backend, dtype):
    data, expected = easy(), fitted()
    X = backend.asarray(data.X, dtype)
    model = easily().fit(X)
    assert all(factor.dtype == dtype for factor in model.factors_)
    rtol = 1e-8 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(model.snr_, expected.snr_, rtol)
    assert model.theoretical_accuracy_ == pytest.approx(expected.theoretical_accuracy_, rel=rtol)
    for output in (
        model.transform(X),
        model.predict(X),
        model.inverse_transform(model.transform(X)),
    ):
        assert backend.is_native(output)
        assert str(output.dtype).endswith(str(dtype))


def test_device_torch_returns_numpy():
    pytest.importorskip("torch")
    data = easy()
    model = easily(device="cpu").fit(data.X)
    assert isinstance(model.transform(data.X), np.ndarray)
    np.testing.assert_allclose(model.snr_, fitted().snr_, rtol=1e-8)


@pytest.mark.parametrize("scale", [1e-150, 1e-3, 1e150])
def test_scale(scale):
    expected = fitted()
    model = easily().fit(scale * easy().X)
    np.testing.assert_allclose(model.snr_, expected.snr_, rtol=1e-8)
    np.testing.assert_allclose(model.weights_, scale * expected.weights_, rtol=1e-8)
    assert model.noise_variance_ / scale / scale == pytest.approx(expected.noise_variance_)


@pytest.mark.parametrize(
    "X, message",
    [
        (np.ones((3, 4)), "dimension"),
        (np.random.default_rng(0).standard_normal((3, 1, 4)), "size 1"),
        (np.full((3, 4, 5), np.nan), "NaN"),
        (np.where(np.arange(60).reshape(3, 4, 5) == 7, np.inf, 1.0), "infinity"),
        (np.ones((3, 4, 5), dtype=complex), "complex"),
        (np.ones((3, 4, 5)), "constant"),
        (np.zeros((3, 4, 5)), "constant"),
        (np.zeros((0, 4, 5)), "empty"),
    ],
)
def test_bad_tensors_are_refused_by_name(X, message):
    model = copy.copy(fitted())
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message) as error:
        model.fit(X)
    assert "X" in str(error.value)
    assert vars(model) == before


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": 0},
        {"n_components": 1000},
        {"n_components": 1.5},
        {"n_components": "many"},
        {"gamma": -0.1},
        {"gamma": 1.1},
        {"noise_variance": -1.0},
        {"noise_variance": 0.0},
        {"method": "svd"},
        {"tol": 0.0},
        {"max_iter": 0},
        {"n_init": 0},
        {"device": "abacus"},
    ],
)
def test_bad_parameters_are_refused_by_name(parameters):
    if "device" in parameters:
        pytest.importorskip("torch")
    with pytest.raises(ValueError, match=next(iter(parameters))):
        TensorDeflation(**parameters, random_state=0).fit(easy().X)


def test_samples_of_another_shape_are_refused():
    model = fitted()
    for method in (model.transform, model.predict, model.score):
        with pytest.raises(ValueError, match="in fit"):
            method(np.ones((3, 30, 35)))
    with pytest.raises(ValueError, match="features"):
        model.inverse_transform(np.ones((3, 3)))
    with pytest.raises(NotFittedError):
        TensorDeflation(random_state=0).reconstruct()


def test_too_few_sweeps_warn_with_advice():
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        TensorDeflation(2, max_iter=1, random_state=0).fit(easy().X)


def test_verbose_tells_of_every_component(capsys):
    easily(verbose=1).fit(easy().X)
    assert "2 component(s)" in capsys.readouterr().out


def test_citizen_of_scikit_learn():
    data = easy()
    y = np.arange(24) % 2
    pipeline = make_pipeline(easily(n_components=2), LogisticRegression())
    assert pipeline.fit(data.X, y).predict(data.X).shape == (24,)
    search = GridSearchCV(easily(), {"n_components": [1, 2]}, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        search.fit(data.X)
    assert search.best_params_["n_components"] == 2
    model = clone(search.best_estimator_).set_output(transform="pandas").fit(data.X)
    frame = model.transform(data.X)
    assert list(frame.columns) == ["tensordeflation0", "tensordeflation1"]
    np.testing.assert_allclose(model.inverse_transform(frame), model.predict(data.X))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(data.X), frame)


def test_seed_and_workers_do_not_matter_to_strong_signals():
    model = easily(random_state=1, n_jobs=2).fit(easy().X)
    np.testing.assert_allclose(model.snr_, fitted().snr_, rtol=1e-6)
