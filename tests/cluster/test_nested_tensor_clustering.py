"""NestedTensorClustering on data of the model, on real data, and on what it must refuse."""

from __future__ import annotations

import copy
import itertools
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from skrmt.cluster import NestedTensorClustering
from skrmt.cluster._clusters import triangular_draw
from skrmt.cluster._view_products import leading_components
from skrmt.datasets import make_nested_views, make_noisy_copies
from skrmt.exceptions import TheoryWarning
from skrmt.theory import nested_tensor
from skrmt.utils.testing import tensor_estimator_checks

NOISE = (1.0, 2.0, 3.0, 6.0)


def matched(labels, y):
    """Return the accuracy under the best naming of the clusters."""
    table = np.zeros((labels.max() + 1, y.max() + 1))
    np.add.at(table, (labels, y), 1)
    rows, columns = linear_sum_assignment(-table)
    return table[rows, columns].sum() / len(y)


def halves(n, p, seed, **model):
    """Return training and new samples of one model."""
    data = make_nested_views(2 * n, p, random_state=seed, **model)
    return data.X[:n], data.y[:n], data.X[n:], data.y[n:]


def errors(estimator, n, p, draws, **model):
    """Return predictions less what is measured, one row per draw.

    They are the accuracy of the model in sample and on new samples, and the agreement on new
    samples with a fit to five times as many.
    """
    rows = []
    for seed in range(draws):
        data = make_nested_views(7 * n, p, random_state=seed, **model)
        X, many, new = data.X[:n], data.X[n : 6 * n], data.X[6 * n :]
        fit = clone(estimator).set_params(random_state=0).fit(X)
        large = clone(estimator).set_params(refine=None, random_state=0).fit(many)
        assert fit.model_fit_
        accuracy, right = fit.model_accuracy_, fit.score(new, data.y[6 * n :])
        same = matched(fit.predict(new), large.predict(new))
        rows.append(
            (
                accuracy - matched(fit.labels_, data.y[:n]),
                accuracy - right,
                fit.theoretical_accuracy_ - same,
            )
        )
    return np.array(rows)


def assert_unbiased(gaps, n):
    """Check means against four standard errors and a finite-size term.

    Agreement with five times the samples is below that with any number by a tenth of its distance
    from 1, sqrt(1 + 1/5).
    """
    error = gaps.std(axis=0, ddof=1) / np.sqrt(len(gaps))
    slack = 4 * error + 2 / n + np.array([0.0, 0.0, 0.01])
    assert (np.abs(gaps.mean(axis=0)) <= slack).all(), (gaps.mean(axis=0), error)


@pytest.fixture(scope="module")
def data():
    data = make_nested_views(400, 300, noise_stds=NOISE, separation=2.0, random_state=0)
    data.X.setflags(write=False)
    return data


@pytest.fixture(scope="module")
def fitted(data):
    """Return a model fitted once: tests that change it take a copy."""
    return NestedTensorClustering(random_state=0).fit(data.X)


def test_accuracy_is_that_of_the_oracle_and_is_predicted():
    bound = nested_tensor.oracle(
        n_samples=400,
        n_features=300,
        n_views=4,
        theta=2 * np.sqrt((1 + 1 / 4 + 1 / 9 + 1 / 36) * 400 / 704),
        tau=1 + 1 / 4 + 1 / 9 + 1 / 36,
    ).accuracy
    claims, realised = [], []
    for seed in range(16):
        data = make_nested_views(400, 300, noise_stds=NOISE, separation=2.0, random_state=seed)
        fit = NestedTensorClustering(random_state=0).fit(data.X)
        claims.append(fit.model_accuracy_)
        realised.append(matched(fit.labels_, data.y))
    assert bound == pytest.approx(0.8908, abs=1e-4)
    assert abs(np.mean(realised) - bound) < 0.01
    gaps = np.subtract(claims, realised)
    assert abs(gaps.mean()) < 4 * gaps.std() / np.sqrt(len(gaps)) + 0.003


@pytest.mark.parametrize(
    "estimator",
    [
        NestedTensorClustering(method="two_step"),
        NestedTensorClustering(method="tensor"),
        NestedTensorClustering(method="auto"),
        NestedTensorClustering(noise_structure="known", noise_variance=np.square(NOISE)),
        NestedTensorClustering(noise_structure="full"),
        NestedTensorClustering(refine="amp"),
        NestedTensorClustering(threshold="zero"),
    ],
    ids=lambda estimator: repr(estimator)[23:-1],
)
def test_claims_of_all_variants(estimator):
    gaps = errors(estimator, 400, 200, 8, noise_stds=NOISE, separation=2.0)
    assert_unbiased(gaps, 400)


def test_claims_of_concatenated_views():
    estimator = NestedTensorClustering(method="unfolding")
    assert_unbiased(errors(estimator, 400, 60, 12, noise_stds=(1, 1, 2), separation=2.0), 400)


@pytest.mark.parametrize("noise", [(1.0,), (1.0, 3.0), (2.0, 2.0, 2.0, 4.0, 8.0)])
def test_claims_for_any_number_of_views(noise):
    assert_unbiased(
        errors(NestedTensorClustering(), 500, 200, 8, noise_stds=noise, separation=2.2), 500
    )


@pytest.mark.parametrize(("k", "separation"), [(3, 2.6), (5, 3.4)])
def test_claims_for_more_clusters(k, separation):
    estimator = NestedTensorClustering(k)
    gaps = errors(
        estimator,
        800,
        200,
        6,
        noise_stds=(1, 2, 3),
        within_std=0.7,
        separation=separation,
        n_classes=k,
    )
    assert_unbiased(gaps, 200)


@pytest.mark.parametrize("threshold", ["mixture", "zero"])
def test_claims_for_clusters_of_unequal_size(threshold):
    estimator = NestedTensorClustering(threshold=threshold)
    model = dict(noise_stds=(0.5, 0.5, 0.5), separation=2.0, prior=[0.75, 0.25])
    gaps = errors(estimator, 600, 150, 12, **model)
    assert_unbiased(gaps, 300)
    X, *_ = halves(600, 150, 0, **model)
    fit = NestedTensorClustering(threshold=threshold).fit(X)
    assert min(fit.class_prior_) == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 600) + 0.03)
    assert (fit.threshold_ == 0) == (threshold == "zero")


def test_likelihood_is_iterated_where_theory_says_that_it_pays():
    rng = np.random.default_rng(0)
    gains, n, p, m = [], 100, 80, 60
    beta_t, beta_m, total = 0.3, 6.0, 240
    for _ in range(8):
        h = rng.standard_normal(m)
        h /= np.linalg.norm(h)
        mu = rng.standard_normal(p)
        mu *= beta_t * beta_m * np.sqrt(total / n) / np.linalg.norm(mu)
        y = rng.integers(0, 2, n)
        core = np.outer(2 * y - 1, mu)
        core += beta_t * np.sqrt(total / (n + p)) * rng.standard_normal((n, p))
        X = core[:, :, None] * h + rng.standard_normal((n, p, m))
        fits = [
            NestedTensorClustering(method=method, random_state=0).fit(X)
            for method in ("nested_ml", "two_step")
        ]
        assert fits[0].n_iter_ > 1 and fits[0].converged_
        vectors = [fit.embedding_[:, 0] for fit in fits]
        overlaps = [np.corrcoef(v, y)[0, 1] ** 2 for v in vectors]
        gains.append(overlaps[0] - overlaps[1])
    assert np.mean(gains) > 0


def test_missing_views_by_mask_or_nan():
    rng = np.random.default_rng(0)
    claims, realised, unseen = [], [], []
    for seed in range(8):
        X, y, new, truth = halves(
            500, 200, seed, noise_stds=(1, 1.5, 2, 2.5, 3), within_std=0.8, separation=1.8
        )
        mask = rng.random((500, 5)) > 0.4
        mask[np.arange(500), rng.integers(0, 5, 500)] = True
        holed = np.where(mask[:, None, :], X, np.nan)
        fit = NestedTensorClustering(random_state=0).fit(holed)
        if seed == 0:
            same = NestedTensorClustering(random_state=0).fit(X, mask=mask)
            assert (same.labels_ == fit.labels_).all()
        claims.append(fit.model_accuracy_)
        realised.append(matched(fit.labels_, y))
        unseen.append(fit.score(np.where(mask[:, None, :], new, np.nan), truth))
    for actual in (realised, unseen):
        error = np.std(np.subtract(claims, actual)) / np.sqrt(8)
        assert np.mean(claims) == pytest.approx(np.mean(actual), abs=4 * error + 4 / 200)


def test_samples_with_fewer_views_are_less_sure():
    X, _, new, _ = halves(500, 100, 0, noise_stds=(1, 1, 1), separation=2.5)
    fit = NestedTensorClustering(random_state=0).fit(X)
    holed = new.copy()
    holed[:, :, 1:] = np.nan
    sure = np.abs(fit.decision_function(new)).mean()
    assert np.abs(fit.decision_function(holed)).mean() < sure


def widths(seed, n=400):
    """Return views of unequal widths, the last below its own threshold, in two halves."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 2 * n)
    views = []
    for p, signal, noise in ((60, 240, 0.5), (200, 400, 1), (500, 480, 2)):
        mu = rng.standard_normal(p)
        mu *= np.sqrt(signal / 400) / np.linalg.norm(mu)
        views.append(np.outer(2 * y - 1, mu) + np.sqrt(noise) * rng.standard_normal((2 * n, p)))
    return [v[:n] for v in views], y[:n], [v[n:] for v in views], y[n:]


@pytest.mark.parametrize("scaling", ["optimal", "mfa"])
def test_views_of_unequal_widths(scaling):
    gaps = []
    for seed in range(10):
        X, y, new, truth = widths(seed)
        fit = NestedTensorClustering(scaling=scaling, random_state=0).fit(X)
        assert fit.model_fit_ and fit.method_ == "concatenated"
        claim = fit.model_accuracy_
        gaps.append((claim - matched(fit.labels_, y), claim - fit.score(new, truth)))
        assert claim < fit.theoretical_accuracy_ < 1
    error = np.std(gaps, axis=0) / np.sqrt(10)
    assert (np.abs(np.mean(gaps, axis=0)) <= 4 * error + 0.01).all()


def test_frames_of_unequal_widths():
    X, *_ = widths(0)
    frames = [pd.DataFrame(view) for view in X]
    fit = NestedTensorClustering(random_state=0).fit(frames)
    plain = NestedTensorClustering(random_state=0).fit(X)
    assert (fit.labels_ == plain.labels_).all()
    np.testing.assert_allclose(fit.transform(frames), plain.transform(X), atol=1e-10)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
@pytest.mark.parametrize("width", [3, 4])
def test_frames_have_the_features_of_fit(data, width):
    sizes = (3, 3, width)
    frames = [
        pd.DataFrame(data.X[:, :p, k], columns=[f"x{j}" for j in range(p)])
        for k, p in enumerate(sizes)
    ]
    fit = NestedTensorClustering(random_state=0).fit(frames)
    names = ["x0", "x1", "x2"] if width == 3 else [name for frame in frames for name in frame]
    assert fit.feature_names_in_.tolist() == names
    fit.predict(frames)
    reordered = [*frames[:2], frames[2][frames[2].columns[::-1]]]
    with pytest.raises(ValueError, match="feature names"):
        fit.predict(reordered)
    with pytest.warns(UserWarning, match="feature names"):
        fit.predict([frame.to_numpy() for frame in frames])
    fit.fit([frame.to_numpy() for frame in frames])
    assert not hasattr(fit, "feature_names_in_")


def test_masked_views_are_refused(data):
    views = [data.X[:, :, k] for k in range(3)]
    views[1] = np.ma.masked_array(views[1], mask=views[1] > 3)
    for X in (views, np.ma.masked_array(data.X, mask=data.X > 3)):
        with pytest.raises(TypeError, match="MaskedArray"):
            NestedTensorClustering().fit(X)


def test_list_of_equal_widths_is_a_stack(data, fitted):
    views = [data.X[:, :, k] for k in range(4)]
    one = NestedTensorClustering(random_state=0).fit(views)
    assert (one.labels_ == fitted.labels_).all()
    np.testing.assert_allclose(one.transform(views), fitted.transform(data.X))


def test_parameters_of_the_model_are_recovered():
    found = []
    p, n, m, beta_t, beta_m = 300, 400, 5, 1.5, 2.0
    total = n + p + m
    for seed in range(10):
        rng = np.random.default_rng(seed)
        h = np.abs(rng.standard_normal(m)) + 0.5
        h /= np.linalg.norm(h)
        mu = rng.standard_normal(p)
        mu *= beta_t * beta_m * np.sqrt(total / n) / np.linalg.norm(mu)
        y = rng.choice([-1, 1], n)
        within = beta_t * np.sqrt(total / (n + p))
        core = np.outer(y, mu) + within * rng.standard_normal((n, p))
        X = core[:, :, None] * h + rng.standard_normal((n, p, m))
        fit = NestedTensorClustering(random_state=0).fit(X)
        found.append((fit.beta_t_, fit.beta_m_, *fit.noise_variance_))
    error = np.std(found, axis=0) / np.sqrt(10)
    truth = np.array([beta_t, beta_m, *np.ones(m)])
    assert (np.abs(np.mean(found, axis=0) - truth) <= 4 * error + 2 / n).all()


def test_an_interval_of_few_draws_contains_the_claim():
    X = make_nested_views(50, 20, noise_stds=[1, 2, 3], separation=2.5, random_state=1).X
    for seed in range(5):
        model = NestedTensorClustering(n_bootstrap=2, random_state=seed).fit(X)
        low, high = model.theoretical_accuracy_interval_
        assert low <= model.theoretical_accuracy_ <= high


@pytest.mark.parametrize(("n_bootstrap", "draws"), [(0, 30), (30, 12)])
def test_intervals_cover(n_bootstrap, draws):
    hits = []
    for seed in range(draws):
        data = make_nested_views(2700, 100, noise_stds=(1, 1, 2), separation=2.0, random_state=seed)
        X, many, new = data.X[:200], data.X[200:1700], data.X[1700:]
        fit = NestedTensorClustering(n_bootstrap=n_bootstrap, random_state=0).fit(X)
        low, high = fit.theoretical_accuracy_interval_
        large = NestedTensorClustering(random_state=0).fit(many)
        accuracy = matched(fit.predict(new), large.predict(new))
        slack = 2 * np.sqrt(accuracy * (1 - accuracy) / 1000)
        hits.append(low - slack <= accuracy <= high + slack)
    assert np.mean(hits) >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / draws)


def test_nothing_to_find_is_said(data):
    noise = make_nested_views(200, 100, separation=0.0, random_state=0)
    with pytest.warns(TheoryWarning, match="no better than chance") as record:
        fit = NestedTensorClustering(random_state=0).fit(noise.X)
    assert len(record) == 1
    assert fit.theoretical_accuracy_ == 0.5 and fit.n_spikes_ == 0
    assert fit.regime_ == "undetected"
    with pytest.warns(TheoryWarning, match="unknown"):
        assert np.isnan(fit.required(0.9))
    assert np.isnan(fit.theoretical_accuracy_interval_).all()
    with pytest.warns(TheoryWarning):
        three = NestedTensorClustering(3, random_state=0).fit(noise.X)
    assert three.theoretical_accuracy_ == pytest.approx(1 / 3)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_false_alarms_are_rare():
    found = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((80, 60, 3)) + rng.standard_normal((80, 60, 1))
        found += NestedTensorClustering(random_state=0).fit(X).regime_ != "undetected"
    assert found <= 0.02 * 30 + 4 * np.sqrt(0.02 * 30)


def test_a_gaussian_factor_is_not_taken_for_clusters():
    rng = np.random.default_rng(0)
    mu = rng.standard_normal(100)
    core = np.outer(rng.standard_normal(500), 3 * mu / np.linalg.norm(mu))
    X = (core + rng.standard_normal((500, 100)))[:, :, None] + rng.standard_normal((500, 100, 3))
    with pytest.warns(TheoryWarning, match="other fits is unknown"):
        fit = NestedTensorClustering(random_state=0).fit(X)
    assert np.isnan(fit.theoretical_accuracy_) and fit.model_accuracy_ > 0.9 and not fit.model_fit_


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_labels_of_digits_in_noise():
    X, y = load_digits(return_X_y=True)
    ours, clean = [], []
    for a, b in itertools.islice(itertools.combinations(range(10), 2), 0, 45, 9):
        rows = (y == a) | (y == b)
        views = make_noisy_copies(X[rows], (0.5, 1, 2, 4), random_state=0).X
        truth = (y[rows] == a).astype(int)
        fit = NestedTensorClustering(random_state=0).fit(views)
        accuracy = matched(fit.labels_, truth)
        ours.append(accuracy)
        clean.append(matched((PCA(1).fit_transform(X[rows])[:, 0] > 0).astype(int), truth))
        assert not fit.model_fit_
    assert np.mean(ours) >= np.mean(clean)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_agreement_is_claimed_of_digits():
    """Fits to a quarter of the samples against fits to the others, on the others."""
    X, y = load_digits(return_X_y=True)
    inside, widths, gaps = [], [], []
    for a, b in itertools.islice(itertools.combinations(range(10), 2), 2, 45, 8):
        rows = np.random.default_rng(0).permutation(np.flatnonzero((y == a) | (y == b)))
        views = make_noisy_copies(X[rows], (0.5, 1, 2, 4), random_state=1).X
        quarter, rest = views[: len(rows) // 4], views[len(rows) // 4 :]
        fit = NestedTensorClustering(random_state=0).fit(quarter)
        large = NestedTensorClustering(random_state=0).fit(rest)
        same = matched(fit.predict(rest), large.labels_)
        if np.isfinite(fit.theoretical_accuracy_):
            low, high = fit.theoretical_accuracy_interval_
            inside.append(low <= same <= high)
            widths.append(high - low)
            gaps.append(fit.theoretical_accuracy_ - same)
    assert len(inside) >= 3 and np.mean(widths) <= 0.2
    assert np.sum(np.logical_not(inside)) <= 1 and abs(np.mean(gaps)) <= 0.03


def test_forecast(fitted):
    fit = fitted
    now = fit.forecast().score
    assert now == pytest.approx(fit.model_accuracy_, abs=2e-3)
    grid = fit.forecast(n_samples=np.array([[400], [4000]]), n_views=[4, 8, 40])
    assert grid.score.shape == (2, 3) and grid.score[0, 0] == now
    assert (np.diff(grid.score, axis=0) > 0).all() and (np.diff(grid.score, axis=1) > 0).all()
    assert np.isnan(grid.lower).all() and np.isnan(grid.upper).all()
    assert len(grid.to_frame()) == 6
    assert fit.forecast(n_views=10**9).score == pytest.approx(fit.saturation_accuracy_, abs=1e-6)
    without = [fit.forecast(drop_view=view).score for view in (0, 3, [1, 2, 3])]
    assert without[0] < without[1] <= now + 1e-12 and without[2] < now
    for bad in ({"n_samples": 0}, {"n_views": "2"}, {"drop_view": 9}, {"drop_view": range(4)}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            fit.forecast(**bad)


@pytest.mark.parametrize("of", ["n_samples", "n_views"])
def test_required_inverts_the_forecast(fitted, of):
    for fit in (fitted, NestedTensorClustering(random_state=0).fit(widths(0)[0])):
        target = fit.forecast().score + 0.01
        amount = fit.required(target, of=of)
        assert fit.forecast(**{of: amount}).score == pytest.approx(target, abs=1e-6)
        assert fit.forecast(**{of: 0.99 * amount}).score < target
        assert fit.required(target, of=of, drop_view=0) > amount
        assert fit.required(1.01, of=of) == np.inf
    with pytest.raises(ValueError, match="of="):
        fit.required(0.9, of="n_features")


def test_a_view_that_is_repeated_is_one_of_twice_the_width():
    X, *_ = widths(0)
    fit = NestedTensorClustering(random_state=0).fit(X)
    twice = nested_tensor.unequal_views(
        400, [60, 200, 500] * 2, [240, 400, 480] * 2, [0.5, 1, 2] * 2
    )
    assert fit.forecast(n_views=6).score == pytest.approx(twice.accuracy, abs=0.02)


def test_forecasts_hold():
    small = make_nested_views(300, 200, noise_stds=(1, 2, 3), separation=2.0, random_state=0)
    fit = NestedTensorClustering(random_state=0).fit(small.X)
    realised = []
    for seed in range(4):
        large = make_nested_views(
            1500, 200, noise_stds=(1, 2, 3), separation=2.0, random_state=seed
        )
        found = NestedTensorClustering(random_state=0).fit(large.X)
        realised.append(matched(found.labels_, large.y))
    # The signal of 300 samples has a relative standard error of about .09: .02 of the accuracy.
    assert fit.forecast(n_samples=1500).score == pytest.approx(np.mean(realised), abs=0.06)


def test_table_and_bounds(fitted):
    fit = fitted
    table = fit.method_scores_
    assert set(table) == {"unfolding", "tensor", "two_step", "nested_ml", "oracle", "bayes"}
    assert (
        table["unfolding"] <= table["nested_ml"] <= table["oracle"] + 1e-9 <= table["bayes"] + 1e-6
    )
    assert fit.bayes_accuracy_ == table["bayes"]
    assert fit.saturation_accuracy_ > fit.model_accuracy_
    assert (np.diff(fit.view_accuracies_) < 0).all() and (np.diff(fit.view_weights_) < 0).all()
    assert np.abs(fit.view_weights_).sum() == pytest.approx(1)
    np.testing.assert_allclose(fit.noise_variance_, np.square(NOISE), rtol=0.05)
    assert fit.view_accuracies_.max() < fit.model_accuracy_


def test_reversed_views_get_negative_weights(data):
    X = data.X * np.array([1, -1, 1, 1])
    fit = NestedTensorClustering(random_state=0).fit(X)
    assert fit.view_weights_[1] < 0 < fit.view_weights_[0]
    assert fit.score(X, data.y) > 0.85


@pytest.mark.parametrize("factor", [1e-150, 1e-20, 1e20, 1e150])
def test_scale_does_not_matter(data, fitted, factor):
    one = fitted
    other = NestedTensorClustering(random_state=0).fit(data.X * factor)
    assert (one.labels_ == other.labels_).all()
    assert other.theoretical_accuracy_ == pytest.approx(one.theoretical_accuracy_, rel=1e-9)
    assert (other.predict(data.X * factor) == one.predict(data.X)).all()


def test_offsets_do_not_matter(data, fitted):
    one = fitted
    other = NestedTensorClustering(random_state=0).fit(data.X + 1e6)
    assert (one.labels_ == other.labels_).all()
    assert other.theoretical_accuracy_ == pytest.approx(one.theoretical_accuracy_, abs=1e-6)


def test_input_is_not_copied_to_be_centred():
    X = make_nested_views(4000, 100, separation=2.0, random_state=0).X
    tracemalloc.start()
    NestedTensorClustering(random_state=0).fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.9 * X.nbytes


def test_probabilities_and_decisions(data, fitted):
    fit = fitted
    decision, proba = fit.decision_function(data.X), fit.predict_proba(data.X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(fit.predict(data.X), decision > 0)
    np.testing.assert_array_equal(proba[:, 1] > 0.5, decision > 0)
    many = make_nested_views(300, 50, separation=4.0, n_classes=3, random_state=0)
    three = NestedTensorClustering(3, random_state=0).fit(many.X)
    np.testing.assert_allclose(three.predict_proba(many.X).sum(axis=1), 1)
    assert three.decision_function(many.X).shape == (300, 3)
    assert three.score(many.X, np.array(["a", "b", "c"])[many.y]) > 0.95


def test_probabilities_are_calibrated():
    X, _, new, truth = halves(2000, 200, 0, noise_stds=(1, 2, 3), separation=1.5)
    fit = NestedTensorClustering(random_state=0).fit(X)
    proba = fit.predict_proba(new)[:, 1]
    truth = truth if fit.score(new, truth) == np.mean(fit.predict(new) == truth) else 1 - truth
    for low, high in itertools.pairwise((0.0, 0.2, 0.4, 0.6, 0.8, 1.0)):
        rows = (proba >= low) & (proba < high)
        share = truth[rows].mean()
        error = np.sqrt(share * (1 - share) / rows.sum())
        assert proba[rows].mean() == pytest.approx(share, abs=5 * error + 0.02)


def test_pipeline_pickle_and_output(data):
    pipeline = make_pipeline(NestedTensorClustering(random_state=0)).fit(data.X)
    assert pipeline.score(data.X, data.y) > 0.85
    fit = pickle.loads(pickle.dumps(pipeline[0]))
    assert (fit.predict(data.X) == pipeline.predict(data.X)).all()
    frame = clone(fit).set_output(transform="pandas").fit_transform(data.X[:, :, 0])
    assert isinstance(frame, pd.DataFrame)


CHECKS = [
    check
    for method in ("nested_ml", "tensor", "unfolding")
    for check in tensor_estimator_checks(
        NestedTensorClustering(method=method),
        make_nested_views(60, 30, noise_stds=(1, 1.5, 2), separation=5, random_state=0).X,
        output=lambda fitted, X: fitted.predict(X),
        permutation=((0, 0), (1, None), (2, None)),
        rotation=((1, None),),
        rtol=1e-6,
    )
    if "wrong_ndim" not in str(check)
]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_tensor_battery(check):
    check()


@pytest.mark.parametrize("shape", [(30,), (3, 3, 3, 3)])
def test_wrong_number_of_dimensions(shape):
    with pytest.raises(ValueError, match="dimension"):
        NestedTensorClustering().fit(np.ones(shape))


def test_torch_tensors(data, backend, dtype):
    X = data.X.astype(dtype)
    expected = NestedTensorClustering(random_state=0).fit(X)
    actual = NestedTensorClustering(random_state=0).fit(backend.asarray(X))
    tolerance = 1e-9 if dtype == np.float64 else 1e-4
    assert actual.theoretical_accuracy_ == pytest.approx(
        expected.theoretical_accuracy_, rel=tolerance
    )
    for method in ("predict", "transform", "predict_proba", "decision_function"):
        result = getattr(actual, method)(backend.asarray(X))
        assert backend.is_native(result), method
        np.testing.assert_allclose(
            np.asarray(result), getattr(expected, method)(X), rtol=1e-3, atol=1e-3
        )


def test_torch_views_of_unequal_widths(backend):
    X, *_ = widths(0)
    expected = NestedTensorClustering(random_state=0).fit(X)
    actual = NestedTensorClustering(random_state=0).fit([backend.asarray(view) for view in X])
    assert (actual.labels_ == expected.labels_).all()


def holed():
    X = np.random.default_rng(0).standard_normal((20, 5, 3))
    X[3, 2, 1] = np.nan
    return X


GOOD = np.random.default_rng(0).standard_normal((20, 5, 3))


@pytest.mark.parametrize(
    ("parameters", "X", "match"),
    [
        ({}, holed(), "NaN"),
        ({}, np.where(np.isnan(holed()), np.inf, holed()), "infinity"),
        ({}, [GOOD[:, :, 0], GOOD[:10, :3, 1]], "samples"),
        ({}, GOOD * [1, 0, 1], "view 1"),
        ({}, GOOD * 0 + 1, "constant"),
        ({}, [GOOD[:, :, 0], 0 * GOOD[:, :2, 1]], "view 1"),
        ({}, GOOD[:1], "minimum of 2"),
        ({"n_clusters": 21}, GOOD, "n_clusters"),
        ({"n_clusters": 7}, GOOD, "n_clusters"),
        ({"n_clusters": 0}, GOOD, "n_clusters"),
        ({"method": "best"}, GOOD, "method"),
        ({"noise_structure": "known"}, GOOD, "noise_variance"),
        ({"noise_structure": "known", "noise_variance": [1, 2]}, GOOD, "noise_variance"),
        ({"noise_structure": "known", "noise_variance": [1, 2, -1]}, GOOD, "noise_variance"),
        ({"noise_structure": "diagonal"}, GOOD[:, :, :2], "noise_structure='full'"),
        ({"n_clusters": 3, "refine": "amp"}, GOOD, "refine"),
        ({"refine": "amp"}, [GOOD[:, :, 0], GOOD[:, :2, 1]], "refine"),
        ({"scaling": "big"}, GOOD, "scaling"),
        ({"tol": 0}, GOOD, "tol"),
        ({}, GOOD + 1j, "omplex"),
    ],
)
def test_bad_input(parameters, X, match):
    with pytest.raises(ValueError, match=match):
        NestedTensorClustering(**parameters).fit(X)


def test_bad_masks():
    with pytest.raises(ValueError, match="mask"):
        NestedTensorClustering().fit(GOOD, mask=np.ones((3, 3), dtype=bool))
    mask = np.ones((20, 3), dtype=bool)
    mask[4] = False
    with pytest.raises(ValueError, match="sample 4"):
        NestedTensorClustering().fit(GOOD, mask=mask)
    mask[4, 0] = True
    for bad in ({"noise_structure": "full"}, {"method": "unfolding"}):
        with pytest.raises(ValueError, match="missing"):
            NestedTensorClustering(**bad).fit(GOOD, mask=mask)
    with pytest.raises(ValueError, match="mask"):
        NestedTensorClustering().fit([GOOD[:, :, 0], GOOD[:, :2, 1]], mask=mask)


def test_views_that_are_never_seen_together():
    data = make_nested_views(120, 30, noise_stds=(1, 1.5, 2), separation=4, random_state=0)
    mask = np.ones((120, 3), dtype=bool)
    mask[:60, 0] = mask[60:, 1] = False
    with pytest.raises(ValueError, match="views 0 and 1 are together in 0"):
        NestedTensorClustering().fit(data.X, mask=mask)
    mask[:, :2], mask[:, 2] = True, False
    with pytest.raises(ValueError, match="in 0 sample"):
        NestedTensorClustering().fit(data.X, mask=mask)


def test_units_of_views_of_unequal_widths_do_not_matter():
    X, *_ = widths(0)
    factors = (1e150, 1.0, 1e-150)
    other = [view * factor for view, factor in zip(X, factors, strict=True)]
    one, two = (NestedTensorClustering(random_state=0).fit(views) for views in (X, other))
    assert (one.labels_ == two.labels_).all()
    assert (one.predict(X) == two.predict(other)).all()
    assert two.theoretical_accuracy_ == pytest.approx(one.theoretical_accuracy_, rel=1e-6)
    np.testing.assert_allclose(
        two.noise_variance_ / np.square(factors), one.noise_variance_, rtol=1e-6
    )


@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 3, 2), (3, 1, 20), (5, 2, 3), (40, 30, 20)])
@pytest.mark.parametrize("n_clusters", [1, 2])
@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_tiny_shapes(shape, n_clusters):
    X = np.random.default_rng(0).standard_normal(shape)
    fit = NestedTensorClustering(n_clusters, random_state=0).fit(X)
    assert np.isfinite(fit.predict_proba(X)).all()
    assert 0 <= fit.forecast(n_samples=100).score <= 1


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_clusters_without_noise():
    data = make_nested_views(60, 20, separation=3.0, random_state=0)
    for X in (data.means[data.y], np.repeat(data.means[data.y][:, :, None], 3, axis=2)):
        assert NestedTensorClustering(random_state=0).fit(X).score(X, data.y) == 1


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_other_views_in_predict(data, fitted):
    fit = fitted
    for bad in (data.X[:, :10], data.X[:, :, :2], data.X[:, :, 0]):
        with pytest.raises(ValueError, match="features"):
            fit.predict(bad)
    X, *_ = widths(0)
    listed = NestedTensorClustering(random_state=0).fit(X)
    for bad in (X[:2], X[::-1], X[0]):
        with pytest.raises(ValueError, match="widths"):
            listed.predict(bad)
    with pytest.raises(ValueError, match="y has"):
        fit.score(data.X, data.y[:3])


def test_failed_fit_keeps_the_old_one(fitted):
    fit = copy.copy(fitted)
    before = dict(vars(fit))
    with pytest.raises(ValueError):
        fit.fit(np.full((5, 4, 3), np.nan))
    assert vars(fit) == before


def test_seed_decides(data):
    fits = [NestedTensorClustering(3, random_state=seed).fit(data.X) for seed in (0, 0)]
    np.testing.assert_array_equal(fits[0].labels_, fits[1].labels_)
    state = np.random.get_state()[1].copy()
    NestedTensorClustering(3).fit(data.X)
    assert (np.random.get_state()[1] == state).all()


@pytest.mark.parametrize(("n", "p"), [(60, 20), (20, 60), (3, 5)])
def test_draws_of_the_bootstrap_have_the_law_of_the_model(n, p):
    """Trace, largest eigenvalue and alignment: both means within 5 standard errors."""
    draws, rng = 400, np.random.default_rng(0)
    mu = np.eye(1, p)[0] * 3.0

    def seen(Y):
        found = leading_components(Y, 1)
        return found.trace, found.eigenvalues[0], abs(found.right[0, 0])

    dense, short = [], []
    for seed in np.random.SeedSequence(1).spawn(draws):
        Y = rng.choice([-1.0, 1.0], n)[:, None] * mu + 0.7 * rng.standard_normal((n, p))
        dense.append(seen(Y - Y.mean(axis=0)))
        short.append(seen(triangular_draw(seed, n * 9.0, 0.49, (n, p))))
    gap = np.mean(dense, axis=0) - np.mean(short, axis=0)
    error = np.sqrt((np.var(dense, axis=0, ddof=1) + np.var(short, axis=0, ddof=1)) / draws)
    assert (np.abs(gap) <= 5 * error).all(), (gap, error)


def test_embedding_as_a_frame():
    """`transform` is inherited, and scikit-learn wraps it where it is defined."""
    data = make_nested_views(60, 20, noise_stds=[1, 2, 3], separation=2.0, random_state=0)
    model = NestedTensorClustering(random_state=0).set_output(transform="pandas").fit(data.X)
    frame = model.transform(data.X)
    assert list(frame.columns) == list(model.get_feature_names_out())
