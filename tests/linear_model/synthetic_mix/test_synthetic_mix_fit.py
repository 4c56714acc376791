"""SyntheticMixClassifier: what it solves and what it chooses, against plain refits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrmt.linear_model import SyntheticMixClassifier
from skrmt.utils._compare import assert_same, fitted_state

P = 8


def draw(seed=0, n=40, m=60, n_classes=2, p=P, noise=0.2):
    """Return real rows, their labels, synthetic rows and their partly wrong labels."""
    rng = np.random.default_rng(seed)
    means = 1.5 * np.eye(p)[:n_classes]
    y, s = np.arange(n) % n_classes, np.arange(m) % n_classes
    X = means[y] + rng.standard_normal((n, p))
    Xs = 0.8 * means[s] + 0.2 + rng.standard_normal((m, p))
    wrong = rng.random(m) < noise
    return X, y, Xs, np.where(wrong, (s + 1) % n_classes, s)


def targets(y, n_classes):
    return 2.0 * y - 1.0 if n_classes == 2 else 2.0 * np.eye(n_classes)[y] - 1.0


def stacked(X, y, Xs, ys):
    source = np.repeat([0, 1], [len(y), len(ys)])
    return np.concatenate([X, Xs]), np.concatenate([y, ys]), source


def state(model):
    names = ("coef_", "intercept_", "alpha_", "synthetic_weight_", "accuracy_grid_")
    more = ("theoretical_accuracy_", "gain_std_", "noise_rate_interval_", "keep_rates_")
    return {name: getattr(model, name) for name in (*names, *more, "model_accuracy_")}


def assert_same_fit(one, other, rtol=1e-8):
    for name, value in state(one).items():
        np.testing.assert_allclose(getattr(other, name), value, rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_solution_is_weighted_ridge(n_classes, fit_intercept):
    X, y, Xs, ys = draw(n_classes=n_classes)
    model = SyntheticMixClassifier(0.3, synthetic_weight=0.4, fit_intercept=fit_intercept)
    model.fit(X, y, X_synthetic=Xs, y_synthetic=ys)
    data, labels, source = stacked(X, y, Xs, ys)
    ridge = Ridge(alpha=0.3 * len(labels), fit_intercept=fit_intercept)
    ridge.fit(data, targets(labels, n_classes), sample_weight=np.where(source, 0.4, 1.0))
    np.testing.assert_allclose(model.coef_, np.atleast_2d(ridge.coef_), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.intercept_ - ridge.intercept_, 0.0, atol=1e-9)
    expected = ridge.predict(X)
    np.testing.assert_allclose(model.decision_function(X), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("n", "m", "p"), [(30, 50, 8), (20, 60, 40), (12, 15, 40)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_choice_is_that_of_refits(n, m, p, n_classes):
    X, y, Xs, ys = draw(1, n, m, n_classes, p)
    alphas, weights = [0.05, 0.5, 5.0], [0.0, 0.3, 1.0]
    values = np.empty((3, 3))
    for i, weight in enumerate(weights):
        for j, alpha in enumerate(alphas):
            values[i, j] = scale_free(left_out(X, y, Xs, ys, weight, alpha, n_classes), y)
    best = np.unravel_index(values.argmin(), values.shape)
    fits = [
        SyntheticMixClassifier(alphas, synthetic_weight=w).fit(X, y, X_synthetic=Xs, y_synthetic=ys)
        for w in weights
    ]
    for i, fit in enumerate(fits):
        assert fit.alpha_ == alphas[values[i].argmin()]
    grid = SyntheticMixClassifier(alphas).fit(X, y, X_synthetic=Xs, y_synthetic=ys)
    assert {0.0, 1.0} <= set(grid.weight_grid_[:, 0])
    assert grid.accuracy_grid_.shape == (len(grid.weight_grid_), 3)
    assert values[best] >= 0


def left_out(X, y, Xs, ys, weight, alpha, n_classes):
    """Return leave-one-out scores by n refits."""
    data, labels, source = stacked(X, y, Xs, ys)
    codes = targets(labels, n_classes).reshape(len(labels), -1)
    scores = np.empty((len(y), codes.shape[1]))
    weights = np.where(source, weight, 1.0)
    for i in range(len(y)):
        kept = np.arange(len(labels)) != i
        ridge = Ridge(alpha=alpha * len(labels), solver="cholesky")
        ridge.fit(data[kept], codes[kept], sample_weight=weights[kept])
        scores[i] = ridge.predict(X[i : i + 1])
    return scores


def scale_free(scores, y):
    codes = targets(y, max(scores.shape[1], 2)).reshape(scores.shape)
    if scores.shape[1] > 1:
        scores, codes = (a - a.mean(1, keepdims=True) for a in (scores, codes))
    cosine = (scores * codes).sum() / np.sqrt((scores**2).sum() * (codes**2).sum())
    return 1 - np.sign(cosine) * cosine**2


def test_accuracy_grid_is_that_of_refits():
    X, y, Xs, ys = draw(2, 200, 60, 2, 5)
    model = SyntheticMixClassifier([0.2], synthetic_weight=0.5)
    model.fit(X, y, X_synthetic=Xs, y_synthetic=ys)
    margins = left_out(X, y, Xs, ys, 0.5, 0.2, 2)[:, 0] * (2 * y - 1)
    row = model.weight_grid_[:, 0] == 0.5
    low, high = sorted([(margins > 0).mean(), phi(margins.mean() / margins.std())])
    assert low - 1e-9 <= model.accuracy_grid_[row, 0] <= high + 1e-9
    assert model.accuracy_grid_[row, 0] == pytest.approx(model.theoretical_accuracy_)


def phi(x):
    from scipy.stats import norm

    return norm.cdf(x)


def test_both_forms_agree():
    X, y, Xs, ys = draw()
    data, labels, source = stacked(X, y, Xs, ys)
    one = SyntheticMixClassifier().fit(X, y, X_synthetic=Xs, y_synthetic=ys)
    order = np.random.default_rng(0).permutation(len(labels))
    other = SyntheticMixClassifier().fit(data[order], labels[order], sample_source=source[order])
    assert_same_fit(one, other)


def test_plain_fit_is_ridge_tuned_by_leave_one_out():
    X, y, _, _ = draw()
    model = SyntheticMixClassifier().fit(X, y)
    assert model.synthetic_weight_.shape == (0,)
    assert model.gain_ == 0 and model.real_only_accuracy_ == model.theoretical_accuracy_
    ridge = Ridge(alpha=model.alpha_ * len(y)).fit(X, targets(y, 2))
    np.testing.assert_allclose(model.coef_[0], ridge.coef_, rtol=1e-9)


def test_weights_are_repetitions():
    X, y, Xs, ys = draw()
    data, labels, source = stacked(X, y, Xs, ys)
    times = np.random.default_rng(3).integers(0, 4, len(labels))
    times[:4] = 2
    one = SyntheticMixClassifier().fit(data, labels, times, sample_source=source)
    with pytest.warns(match="repeat"):
        other = SyntheticMixClassifier().fit(
            np.repeat(data, times, axis=0),
            np.repeat(labels, times),
            sample_source=np.repeat(source, times),
        )
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-8, atol=1e-10)
    names = ("theoretical_accuracy_", "gain_", "noise_rate_interval_", "alpha_", "model_accuracy_")
    for name in names:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-7), name


def test_the_unit_of_the_weights_changes_nothing():
    X, y, Xs, ys = draw(noise=0.3)
    data, labels, source = stacked(X, y, Xs, ys)
    keep = np.random.default_rng(1).random(len(labels)) < 0.7
    weights = np.random.default_rng(0).uniform(0.2, 2.0, len(labels))
    fits = [
        SyntheticMixClassifier(pruning="mask").fit(
            data, labels, unit * weights, sample_source=source, keep=keep
        )
        for unit in (1.0, 1e-3, 1e3)
    ]
    for other in fits[1:]:
        assert_same(fitted_state(other), fitted_state(fits[0]), 1e-8)
        for name in ("model_accuracy_", "equivalent_real_samples_"):
            assert getattr(other, name) == pytest.approx(getattr(fits[0], name), rel=1e-8), name
        assert other.forecast().score == pytest.approx(float(fits[0].forecast().score), rel=1e-9)


def test_units_of_a_discrete_table_go_out_one_at_a_time():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, 300)
    y = (rng.random(300) < np.linspace(0.2, 0.8, 6)[codes]).astype(int)
    X = np.eye(6)[codes]
    Xs, ys = np.eye(6)[rng.integers(0, 6, 200)], rng.integers(0, 2, 200)
    model = SyntheticMixClassifier(0.2, synthetic_weight=0.3)
    model.fit(X, y, X_synthetic=Xs, y_synthetic=ys)
    assert model.n_effective_samples_ == pytest.approx(300)
    expected = left_out(X, y, Xs, ys, 0.3, 0.2, 2)[:, 0]
    np.testing.assert_allclose(model.held_out_scores_, expected, rtol=1e-8)
    low, high = model.theoretical_accuracy_interval_
    assert high - low < 0.12


def test_held_out_scores_are_those_of_the_rows_given():
    X, y, Xs, ys = draw(n_classes=3)
    data, labels, source = stacked(X, y, Xs, ys)
    weights = np.ones(len(labels))
    weights[3] = 0.0
    order = np.random.default_rng(0).permutation(len(labels))
    model = SyntheticMixClassifier(0.2, synthetic_weight=0.3)
    model.fit(data[order], labels[order], weights[order], sample_source=source[order])
    kept = np.arange(len(y)) != 3
    expected = np.full((len(y), 3), np.nan)
    expected[kept] = left_out(X[kept], y[kept], Xs, ys, 0.3, 0.2, 3)
    places = order[order < len(y)]
    np.testing.assert_allclose(model.held_out_scores_, expected[places], rtol=1e-8)
    assert model.scores_kind_ == "exact"
    assert model.observed_accuracy_ == model.theoretical_accuracy_


def test_regimes():
    X, y, Xs, ys = draw(n=200)
    model = SyntheticMixClassifier().fit(X, y, X_synthetic=Xs, y_synthetic=ys)
    assert model.regime_ == "detected"
    noise = np.random.default_rng(0).integers(0, 2, len(y))
    assert SyntheticMixClassifier().fit(X, noise).regime_ == "undetected"


def test_sources_keep_their_order_and_their_weights():
    X, y, Xs, ys = draw()
    data, labels, source = stacked(X, y, Xs, ys)
    ids = np.where(source == 1, np.where(np.arange(len(source)) % 3 == 0, 7, 2), 0)
    model = SyntheticMixClassifier(0.1, synthetic_weight=[0.9, 0.2])
    model.fit(data, labels, sample_source=ids)
    ridge = Ridge(alpha=0.1 * len(labels))
    ridge.fit(data, targets(labels, 2), np.choose(np.searchsorted([0, 2, 7], ids), [1, 0.9, 0.2]))
    np.testing.assert_allclose(model.coef_[0], ridge.coef_, rtol=1e-9)
    np.testing.assert_array_equal(model.synthetic_weight_, [0.9, 0.2])
    auto = SyntheticMixClassifier().fit(data, labels, sample_source=ids)
    assert auto.synthetic_weight_.shape == (2,) and auto.weight_grid_.shape[1] == 2
    assert len(auto.source_quality_) == 2


def test_a_useless_source_gets_less_weight():
    X, y, Xs, ys = draw(4, 100, 300, noise=0.0)
    rng = np.random.default_rng(5)
    rubbish = rng.integers(0, 2, len(ys))
    data = np.concatenate([X, Xs, Xs + rng.standard_normal(Xs.shape)])
    labels = np.concatenate([y, ys, rubbish])
    source = np.repeat([0, 1, 2], [len(y), len(ys), len(ys)])
    model = SyntheticMixClassifier().fit(data, labels, sample_source=source)
    assert model.synthetic_weight_[1] < model.synthetic_weight_[0]


def test_without_its_leaked_source_the_fit_is_that_of_the_real_rows():
    X, y, _, _ = draw(0, 60)
    rng = np.random.default_rng(0)
    rows = rng.integers(60, size=400)
    copies = X[rows] + 0.1 * rng.standard_normal((400, P))
    with pytest.warns(match="generator had been fitted to these real rows"):
        model = SyntheticMixClassifier().fit(X, y, X_synthetic=copies, y_synthetic=y[rows])
    alone = SyntheticMixClassifier().fit(X, y)
    assert 460 * model.alpha_ == pytest.approx(60 * alone.alpha_, rel=1e-9)
    np.testing.assert_allclose(model.coef_, alone.coef_, rtol=1e-9)
    assert model.theoretical_accuracy_ == pytest.approx(alone.theoretical_accuracy_, rel=1e-9)


def test_mask_leaves_rows_out_but_counts_them_in_the_penalty():
    X, y, Xs, ys = draw()
    keep = np.arange(len(ys)) % 2 == 0
    model = SyntheticMixClassifier(0.3, synthetic_weight=0.5, pruning="mask")
    model.fit(X, y, X_synthetic=Xs, y_synthetic=ys, keep=keep)
    data, labels, source = stacked(X, y, Xs[keep], ys[keep])
    ridge = Ridge(alpha=0.3 * (len(y) + len(ys)))
    ridge.fit(data, targets(labels, 2), np.where(source, 0.5, 1.0))
    np.testing.assert_allclose(model.coef_[0], ridge.coef_, rtol=1e-9)
    every = SyntheticMixClassifier(0.3, synthetic_weight=0.5)
    every.fit(X, y, X_synthetic=Xs, y_synthetic=ys, keep=keep)
    assert not np.allclose(every.coef_, model.coef_)


def test_threshold_is_a_mask():
    X, y, Xs, ys = draw()
    score = np.random.default_rng(0).standard_normal(len(ys))
    one = SyntheticMixClassifier(pruning="score", prune_threshold=0.1)
    one.fit(X, y, X_synthetic=Xs, y_synthetic=ys, verifier_score=score)
    other = SyntheticMixClassifier(pruning="mask")
    other.fit(X, y, X_synthetic=Xs, y_synthetic=ys, keep=score >= 0.1)
    assert_same_fit(one, other)
    assert one.prune_threshold_ == 0.1 and np.isnan(other.prune_threshold_)


def test_threshold_is_chosen():
    X, y, Xs, ys = draw(6, 100, 800, noise=0.45)
    _, _, _, right = draw(6, 100, 800, noise=0.0)
    rng = np.random.default_rng(0)
    score = 2.0 * (ys == right) + 0.3 * rng.standard_normal(len(ys))
    model = SyntheticMixClassifier(pruning="score")
    model.fit(X, y, X_synthetic=Xs, y_synthetic=ys, verifier_score=score)
    assert 0 < model.prune_threshold_ < 2.5
    assert (ys == right)[score >= model.prune_threshold_].mean() > 0.9
    assert np.isin(model.prune_threshold_, model.threshold_grid_)
    correct, wrong = model.keep_rates_
    assert correct > wrong


@pytest.mark.parametrize("n_classes", [2, 3])
def test_containers_agree(n_classes):
    X, y, Xs, ys = draw(n_classes=n_classes)
    data, labels, source = stacked(X, y, Xs, ys)
    reference = SyntheticMixClassifier().fit(data, labels, sample_source=source)
    frame = pd.DataFrame(data, columns=[f"f{i}" for i in range(P)])
    named = SyntheticMixClassifier().fit(frame, pd.Series(labels), sample_source=source)
    assert_same_fit(reference, named, 1e-10)
    assert list(named.feature_names_in_) == list(frame.columns)
    loose = SyntheticMixClassifier().fit(sparse.csr_matrix(data), labels, sample_source=source)
    assert_same_fit(reference, loose, 1e-7)
    np.testing.assert_allclose(
        loose.predict_proba(sparse.csr_matrix(X)), reference.predict_proba(X), rtol=1e-6
    )


def test_columns_of_synthetic_frames_must_be_those_of_real_ones():
    X, y, Xs, ys = draw()
    names = [f"f{i}" for i in range(P)]
    real, made = (pd.DataFrame(data, columns=names) for data in (X, Xs))
    model = SyntheticMixClassifier(0.1, synthetic_weight=0.5)
    model.fit(real, y, X_synthetic=made, y_synthetic=ys)
    with pytest.raises(ValueError, match="feature names"):
        model.fit(real, y, X_synthetic=made[names[::-1]], y_synthetic=ys)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(real[names[::-1]])


def test_single_precision_is_kept():
    X, y, Xs, ys = draw()
    data, labels, source = stacked(X, y, Xs, ys)
    single = SyntheticMixClassifier(0.1).fit(data.astype(np.float32), labels, sample_source=source)
    double = SyntheticMixClassifier(0.1).fit(data, labels, sample_source=source)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.coef_, double.coef_, rtol=1e-4, atol=1e-6)


def test_torch_tensors_agree():
    torch = pytest.importorskip("torch")
    X, y, Xs, ys = draw(n_classes=3)
    reference = SyntheticMixClassifier().fit(X, y, X_synthetic=Xs, y_synthetic=ys)
    model = SyntheticMixClassifier().fit(
        torch.as_tensor(X),
        torch.as_tensor(y),
        X_synthetic=torch.as_tensor(Xs),
        y_synthetic=torch.as_tensor(ys),
    )
    assert_same_fit(reference, model)
    assert isinstance(model.predict(torch.as_tensor(X)), torch.Tensor)
    moved = SyntheticMixClassifier(device="cpu").fit(X, y, X_synthetic=Xs, y_synthetic=ys)
    assert_same_fit(reference, moved)


def test_strings_and_extreme_scales():
    X, y, Xs, ys = draw()
    names = np.array(["no", "yes"])
    reference = SyntheticMixClassifier().fit(X, y, X_synthetic=Xs, y_synthetic=ys)
    for scale in (1e-100, 1e100):
        model = SyntheticMixClassifier()
        model.fit(scale * X, names[y], X_synthetic=scale * Xs, y_synthetic=names[ys])
        np.testing.assert_array_equal(model.predict(scale * X), names[reference.predict(X)])
        assert model.theoretical_accuracy_ == pytest.approx(reference.theoretical_accuracy_)
        np.testing.assert_allclose(model.coef_ * scale, reference.coef_, rtol=1e-7)


@pytest.mark.parametrize("criterion", ["scale_free", "nll", "squared", "smooth"])
def test_every_criterion_learns(criterion):
    X, y, Xs, ys = draw(7, 100, 300)
    model = SyntheticMixClassifier(criterion=criterion)
    model.fit(X, y, X_synthetic=Xs, y_synthetic=ys)
    assert model.score(X, y) > 0.75
    low, high = model.theoretical_accuracy_interval_
    assert 0 <= low <= model.theoretical_accuracy_ <= high <= 1


def test_probabilities_follow_scores():
    for n_classes in (2, 3):
        X, y, Xs, ys = draw(n_classes=n_classes)
        model = SyntheticMixClassifier().fit(X, y, X_synthetic=Xs, y_synthetic=ys)
        shares = model.predict_proba(X)
        np.testing.assert_allclose(shares.sum(1), 1)
        np.testing.assert_array_equal(model.classes_[shares.argmax(1)], model.predict(X))


def test_score_counts_real_rows_only():
    X, y, Xs, ys = draw()
    data, labels, source = stacked(X, y, Xs, ys)
    model = SyntheticMixClassifier().fit(data, labels, sample_source=source)
    assert model.score(data, labels, sample_source=source) == model.score(X, y)
    weights = np.arange(1.0, len(labels) + 1)
    assert model.score(data, labels, weights, sample_source=source) == model.score(
        X, y, weights[: len(y)]
    )
    with pytest.raises(ValueError, match="sample_source has no 0"):
        model.score(Xs, ys, sample_source=np.ones(len(ys)))


def test_search_and_pipeline_route_the_source():
    X, y, Xs, ys = draw(8, 60, 90)
    data, labels, source = stacked(X, y, Xs, ys)
    keep = np.random.default_rng(0).random(len(labels)) < 0.8
    with sklearn.config_context(enable_metadata_routing=True):
        model = (
            SyntheticMixClassifier()
            .set_fit_request(sample_source=True, keep=True)
            .set_score_request(sample_source=True)
        )
        search = GridSearchCV(
            make_pipeline(StandardScaler(), model),
            {"syntheticmixclassifier__pruning": [None, "mask"]},
            cv=StratifiedKFold(3, shuffle=True, random_state=0),
        )
        search.fit(data, labels, sample_source=source, keep=keep)
        assert search.best_score_ > 0.6
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_fit_is_deterministic_and_leaves_its_input_alone():
    X, y, Xs, ys = draw()
    for array in (X, y, Xs, ys):
        array.flags.writeable = False
    model = SyntheticMixClassifier()
    first = state(model.fit(X, y, X_synthetic=Xs, y_synthetic=ys))
    again = state(clone(model).fit(X, y, X_synthetic=Xs, y_synthetic=ys))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
