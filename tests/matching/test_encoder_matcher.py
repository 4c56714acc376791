"""EncoderMatcher: what it matches, what it predicts, and what it refuses."""

from __future__ import annotations

import copy
import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from skrmt.datasets import make_paired_encoders
from skrmt.exceptions import TheoryWarning
from skrmt.matching import EncoderMatcher, _scorers, cka, cka_test, local_cka_scores
from skrmt.matching._learning_curve import USUAL_RISE

METHODS = ["kernel_cca", "local_cka", "qap", "procrustes", "relative", "cca", "ridge"]
DATA = make_paired_encoders(220, 25, 30, n_latent=10, noise_std=0.5, random_state=0)
KNOWN, QUERY = slice(0, 120), slice(120, 220)


def fitted(method="kernel_cca", data=None, known=KNOWN, **options):
    """Return a fitted matcher, a copy of one that was fitted before where data are the default."""
    if data is None and known is KNOWN:
        return copy.deepcopy(fitted_once(method, **options))
    data = DATA if data is None else data
    options = {"random_state": 0, **options}
    return EncoderMatcher(method, **options).fit(data.X[known], data.Y[known])


@functools.cache
def fitted_once(method, **options):
    return EncoderMatcher(method, random_state=0, **options).fit(DATA.X[KNOWN], DATA.Y[KNOWN])


def queries(data=DATA, rows=QUERY):
    """Return queries and candidates."""
    return data.X[rows], data.Y[rows]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("assignment", ["hungarian", "argmax"])
def test_methods_match_and_predict_how_well(method, assignment):
    model = fitted(method, assignment=assignment)
    accuracy = model.score(*queries())
    predicted = model.predict_accuracy(*queries())
    error = np.hypot(predicted.standard_error, np.sqrt(max(accuracy * (1 - accuracy), 0.01) / 100))
    assert abs(predicted.accuracy - accuracy) < 4 * error
    assert accuracy > 0.5


def test_cca_leaves_out_components_of_noise(monkeypatch):
    """With 12 shared factors in noise more is right than with all components."""
    options = {"n_latent": 12, "noise_std": 1.0}
    draws = [make_paired_encoders(300, 40, 60, **options, random_state=seed) for seed in range(8)]
    rows = slice(0, 150), slice(150, 300)

    def scores():
        return np.array(
            [fitted("cca", data, rows[0], cv=3).score(*queries(data, rows[1])) for data in draws]
        )

    chosen, path = scores(), _scorers.held_out_correlations

    def only_the_last(known, ranks):
        return [np.zeros(1)] * (len(ranks) - 1) + path(known, ranks[-1:])

    monkeypatch.setattr(_scorers, "held_out_correlations", only_the_last)
    gain = chosen - scores()
    assert gain.mean() > 4 * gain.std(ddof=1) / np.sqrt(len(gain))


def test_auto_takes_the_best_on_known_pairs():
    model = fitted("auto")
    assert set(model.method_scores_) == set(METHODS) - {"qap"}
    assert model.method_scores_[model.method_] == max(model.method_scores_.values())
    assert model.theoretical_accuracy_ == model.method_scores_[model.method_]
    assert model.theoretical_accuracy_ == model.observed_accuracy_
    low, high = model.theoretical_accuracy_interval_
    assert model.observed_accuracy_interval_.tolist() == [low, high]
    assert model.regime_ == "detected"
    assert low <= model.theoretical_accuracy_ <= high


@pytest.mark.parametrize("method", ["kernel_cca", "local_cka", "ridge"])
def test_theoretical_accuracy_is_that_of_as_many_candidates(method):
    """Over draws, the nearest of 60 candidates is right as often as predicted."""
    gaps = []
    for seed in range(12):
        data = make_paired_encoders(360, 12, 12, n_latent=6, noise_std=0.8, random_state=seed)
        model = fitted(method, data, slice(0, 60), assignment="argmax")
        measured = [
            model.score(*queries(data, slice(start, start + 60))) for start in range(60, 360, 60)
        ]
        gaps.append(model.theoretical_accuracy_ - np.mean(measured))
    assert abs(np.mean(gaps)) < 0.01 + 4 * np.std(gaps) / np.sqrt(12)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_cross_fitting_agrees_with_a_plain_loop():
    """With one pair a fold, each pair of pairs is scored without both."""
    data = make_paired_encoders(10, 4, 4, n_latent=3, random_state=3)
    model = fitted("local_cka", data, slice(0, 10), cv=10, standardize=False, bandwidth=1.5)
    right = np.ones(10)
    for a, b in np.ndindex(10, 10):
        if a == b:
            continue
        rest = [k for k in range(10) if k not in (a, b)]
        scores = local_cka_scores(
            data.X[rest], data.Y[rest], data.X[[a]], data.Y[[a, b]], bandwidth=1.5
        )[0]
        right[a] *= scores[0] > scores[1]
    # From the 8 pairs that are left to all 10.
    wanted = norm.cdf(norm.ppf(right.mean()) + USUAL_RISE * np.log2(10 / 8))
    assert model.theoretical_accuracy_ == pytest.approx(wanted)


def test_scores_are_local_cka_of_standardized_features():
    model = fitted("local_cka", kernel="linear")
    scales = DATA.X[KNOWN].std(0, ddof=1), DATA.Y[KNOWN].std(0, ddof=1)
    X, Y = DATA.X / scales[0], DATA.Y / scales[1]
    wanted = local_cka_scores(X[KNOWN], Y[KNOWN], X[QUERY], Y[QUERY], kernel="linear")
    found = model.score_matrix(*queries())
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    columns = linear_sum_assignment(wanted, maximize=True)[1]
    assert (model.match(*queries()).indices == columns).all()
    test = cka_test(X[KNOWN], Y[KNOWN])
    assert model.z_score_ == pytest.approx(test.z_score)
    assert model.p_value_ == pytest.approx(test.p_value)
    assert np.isnan(model.bandwidths_).all()


def test_order_of_queries_and_candidates_does_not_matter():
    model = fitted()
    X, Y = queries()
    first = model.match(X, Y).indices
    rows, columns = (np.random.default_rng(k).permutation(100) for k in (1, 2))
    second = model.match(X[rows], Y[columns]).indices
    assert (columns[second] == first[rows]).all()


def test_rotation_and_scale_of_an_encoder_do_not_matter():
    from scipy.stats import ortho_group

    turn = ortho_group.rvs(25, random_state=0)
    plain = EncoderMatcher(standardize=False, random_state=0).fit(DATA.X[KNOWN], DATA.Y[KNOWN])
    turned = EncoderMatcher(standardize=False, random_state=0)
    turned.fit(5 * DATA.X[KNOWN] @ turn + 3, DATA.Y[KNOWN])
    X, Y = queries()
    np.testing.assert_allclose(
        turned.score_matrix(5 * X @ turn + 3, Y), plain.score_matrix(X, Y), atol=1e-9
    )


def test_confidence_is_calibrated_and_precision_abstains():
    data = make_paired_encoders(500, 20, 20, n_latent=10, noise_std=0.4, random_state=1)
    model = fitted(data=data, known=slice(0, 200), assignment="argmax")
    found = model.match(*queries(data, slice(200, 500)))
    right = found.indices == np.arange(300)
    spread = np.sqrt((found.confidence * (1 - found.confidence)).sum()) / 300
    predicted = model.predict_accuracy(*queries(data, slice(200, 500)))
    assert abs(found.confidence.mean() - right.mean()) < 4 * np.hypot(
        spread, predicted.standard_error
    )
    sure = model.match(*queries(data, slice(200, 500)), precision=0.9)
    kept = sure.indices >= 0
    assert 0 < kept.mean() < 1
    error = np.hypot(np.sqrt(0.09 / kept.sum()), predicted.standard_error)
    assert right[kept].mean() > 0.9 - 4 * error
    assert (sure.confidence == found.confidence).all()
    assert found.confidence[kept].min() >= found.confidence[~kept].max()


def test_match_changes_nothing():
    model = fitted(self_training=True, known=slice(0, 40))
    before = pickle.dumps(vars(model))
    first = model.match(*queries())
    again = model.match(*queries())
    assert pickle.dumps(vars(model)) == before
    assert (first.indices == again.indices).all()


def test_self_training_grows_the_known_pairs():
    data = make_paired_encoders(440, 25, 30, n_latent=10, noise_std=0.3, random_state=5)
    rows = slice(40, 440)
    alone = fitted(data=data, known=slice(0, 40)).score(*queries(data, rows))
    model = fitted(data=data, known=slice(0, 40), self_training=True)
    assert model.match(*queries(data, rows)).n_iter >= 1
    assert model.score(*queries(data, rows)) >= alone


def test_more_candidates_than_candidates():
    X, Y = queries()
    model = fitted()
    found = model.match(X[:60], Y).indices
    assert len(set(found)) == 60
    assert np.mean(found == np.arange(60)) > 0.8
    with pytest.raises(ValueError, match="one-to-one"):
        model.match(X, Y[:60])
    assert len(fitted(assignment="argmax").match(X, Y[:60]).indices) == 100
    with pytest.raises(ValueError, match="qap"):
        fitted("qap").match(X[:60], Y)


def test_neighbours_are_the_best_scores():
    model = fitted()
    X, Y = queries()
    scores = model.score_matrix(X, Y)
    found = model.kneighbors(X, Y, 3)
    assert found.indices.shape == (100, 3)
    np.testing.assert_allclose(found.scores, -np.sort(-scores, axis=1)[:, :3])
    with pytest.raises(ValueError, match="n_neighbors"):
        model.kneighbors(X, Y, 101)


def test_zero_shot_classes():
    X, y = load_digits(return_X_y=True)
    chosen = np.flatnonzero(y < 4)
    X, y = X[chosen], y[chosen]
    left, right = X[:, :32], X[:, 32:]
    model = EncoderMatcher(random_state=0).fit(left[:300], right[:300])
    prototypes = np.array([right[:300][y[:300] == k].mean(0) for k in range(4)])
    found = model.classify(left[300:], prototypes, ["zero", "one", "two", "three"])
    names = np.array(["zero", "one", "two", "three"])
    assert np.mean(found == names[y[300:]]) > 0.7
    several = model.classify(left[300:], right[:40], y[:40])
    assert set(several) <= set(range(4))
    with pytest.raises(ValueError, match="labels"):
        model.classify(left[300:], prototypes, [1, 2])


def test_pairs_to_label_next_cover_the_pool():
    model = fitted()
    chosen = model.suggest_pairs(DATA.X[QUERY], 30)
    assert len(set(chosen)) == 30
    assert len(model.suggest_pairs(np.repeat(DATA.X[QUERY][:3], 5, axis=0), 6)) == 6
    with pytest.raises(ValueError, match="exceeds"):
        model.suggest_pairs(DATA.X[QUERY], 101)
    random = np.random.default_rng(0)
    pool = DATA.X[QUERY]

    def radius(rows):
        return ((pool[:, None] - pool[rows]) ** 2).sum(-1).min(1).mean()

    chance = [radius(random.choice(100, 30, replace=False)) for _ in range(20)]
    assert radius(chosen) < np.mean(chance)


def test_required_pairs_grow_with_the_score_and_the_candidates():
    model = fitted()
    some, more = model.required(0.6), model.required(0.7)
    assert some < more < np.inf
    assert model.required(0.6, n_candidates=20) < some
    assert model.required(0.999999, n_candidates=10**6) == np.inf
    assert model.required(model.theoretical_accuracy_) == pytest.approx(120, abs=1)
    for options in ({"score": 1.0}, {"score": 0.5, "of": "n_queries"}):
        with pytest.raises(ValueError, match=list(options)[-1]):
            model.required(**options)


def test_intervals_of_required_pairs_are_where_bands_reach_the_score():
    model = fitted()
    for score, place, end in ((0.9, 0, "upper"), (0.6, 1, "lower")):
        pairs = model.required_interval(score, n_candidates=100)[place]
        assert 2 < pairs < np.inf
        before, after = getattr(model.forecast(n_pairs=[pairs - 1, pairs], n_candidates=100), end)
        assert before < score <= after
    low, high = model.required_interval(0.6, n_candidates=100)
    assert low <= model.required(0.6, n_candidates=100) <= high
    assert model.required_interval(0.999999, n_candidates=10**6).tolist() == [np.inf, np.inf]
    with pytest.raises(ValueError, match="n_queries"):
        model.required_interval(0.5, of="n_queries")


def test_forecast_passes_through_what_was_measured_and_what_is_required():
    model = fitted()
    here = model.forecast()
    assert here.score == pytest.approx(model.theoretical_accuracy_, abs=1e-3)
    assert here.lower < here.score < here.upper
    pairs = model.required(0.5)
    before, after = model.forecast(n_pairs=[pairs - 1, pairs]).score
    assert before < 0.5 <= after
    pairs, candidates = np.ix_([20, 80], [10, 50, 90])
    grid = model.forecast(n_pairs=pairs, n_candidates=candidates)
    assert grid.score.shape == (2, 3)
    assert (np.diff(grid.score, axis=0) > 0).all() and (np.diff(grid.score, axis=1) < 0).all()
    with pytest.raises(TypeError, match="n_samples"):
        model.forecast(n_samples=10)
    with pytest.raises(ValueError, match="n_pairs"):
        model.forecast(n_pairs=1)


def test_model_knows_white_encoders():
    """Features that are correlated Gaussians, one by one: the model is exact."""
    gaps = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((900, 30))
        Y = 0.8 * X + 0.6 * rng.standard_normal((900, 30))
        model = EncoderMatcher(
            kernel="linear", debiased=False, assignment="argmax", standardize=False, random_state=0
        ).fit(X[:100], Y[:100])
        assert model.correlation_ == pytest.approx(0.8, abs=0.05)
        bilinear = X[100:200] @ (X[:100] - X[:100].mean(0)).T @ Y[:100] @ Y[100:200].T
        gaps.append(model.model_accuracy_ - np.mean(bilinear.argmax(1) == np.arange(100)))
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / np.sqrt(10) + 0.01


def test_unrelated_spaces_are_undetected():
    rng = np.random.default_rng(1)
    with pytest.warns(TheoryWarning, match="not more similar") as caught:
        model = EncoderMatcher(random_state=0).fit(
            rng.standard_normal((100, 8)), rng.standard_normal((100, 9))
        )
    assert len(caught) == 1
    assert abs(model.z_score_) < 4 and model.regime_ == "undetected"
    assert model.theoretical_accuracy_ < 0.06
    predicted = model.predict_accuracy(rng.standard_normal((90, 8)), rng.standard_normal((90, 9)))
    assert predicted.accuracy < 0.1


def test_few_pairs_are_enough_to_match_but_not_to_predict():
    with pytest.warns(TheoryWarning, match="too few"):
        model = fitted(known=slice(0, 5))
    assert np.isnan(model.theoretical_accuracy_) and model.regime_ == "too_few_rows"
    assert np.isnan(model.theoretical_accuracy_interval_).all()
    assert np.isnan(model.forecast(n_pairs=[20, 40]).score).tolist() == [True, True]
    with pytest.warns(TheoryWarning, match="no number can be given"):
        assert np.isnan(model.required(0.5))
    with pytest.warns(TheoryWarning, match="no number can be given"):
        assert np.isnan(model.required_interval(0.5)).all()
    found = model.match(*queries())
    assert sorted(found.indices) == list(range(100))
    tiny = fitted(known=slice(0, 10), cv=10)
    assert 0 <= tiny.theoretical_accuracy_ <= 1


def test_ties_are_broken_at_random():
    X = np.repeat(DATA.X[QUERY][:1], 50, axis=0)
    Y = np.repeat(DATA.Y[QUERY][:1], 50, axis=0)
    for assignment in ("hungarian", "argmax"):
        model = fitted(assignment=assignment)
        found = model.match(X, Y).indices
        assert np.mean(found == np.arange(50)) < 0.3
        assert len(set(found)) > 10


def test_constant_features_and_duplicates_do_no_harm():
    X, Y = DATA.X.copy(), DATA.Y.copy()
    X[:, 3], Y[:, :2] = 7.0, 0.0
    X[5:10], Y[5:10] = X[5], Y[5]
    model = EncoderMatcher(random_state=0).fit(X[KNOWN], Y[KNOWN])
    assert model.score(X[QUERY], Y[QUERY]) > 0.8
    repeated = np.repeat(DATA.X[:12], 10, axis=0), np.repeat(DATA.Y[:12], 10, axis=0)
    assert np.isfinite(EncoderMatcher(random_state=0).fit(*repeated).bandwidths_).all()


def test_search_clone_and_pickle():
    search = GridSearchCV(
        EncoderMatcher(random_state=0), {"kernel": ["linear", "rbf"], "standardize": [True]}, cv=3
    )
    search.fit(DATA.X[KNOWN], DATA.Y[KNOWN])
    assert search.best_score_ > 0.8
    model = pickle.loads(pickle.dumps(search.best_estimator_))
    assert (model.predict(*queries()) == search.best_estimator_.predict(*queries())).all()
    assert clone(model).get_params() == model.get_params()
    assert repr(model)


def test_jobs_types_and_input_stay_the_same():
    X, Y = DATA.X.copy(), DATA.Y.copy()
    X.setflags(write=False)
    Y.setflags(write=False)
    one = EncoderMatcher(cv=3, random_state=0).fit(X[KNOWN], Y[KNOWN])
    two = EncoderMatcher(cv=3, random_state=0, n_jobs=2).fit(X[KNOWN], Y[KNOWN])
    assert one.theoretical_accuracy_ == two.theoretical_accuracy_
    first, second = one.match(X[QUERY], Y[QUERY]), two.match(X[QUERY], Y[QUERY])
    assert np.array_equal(first.confidence, second.confidence)
    frames = EncoderMatcher(cv=3, random_state=0).fit(
        pd.DataFrame(X[KNOWN]), pd.DataFrame(Y[KNOWN])
    )
    assert frames.cka_ == pytest.approx(one.cka_)
    single = EncoderMatcher(cv=3).fit(X[KNOWN].astype("f"), Y[KNOWN].astype("f"))
    assert single.cka_ == pytest.approx(one.cka_, abs=1e-5)
    state = np.random.get_state()[1].copy()
    EncoderMatcher(cv=3).fit(X[KNOWN], Y[KNOWN]).match(X[QUERY], Y[QUERY])
    assert np.array_equal(np.random.get_state()[1], state)


def test_feature_names_of_both_sides_are_checked():
    X = pd.DataFrame(DATA.X, columns=[f"x{k}" for k in range(25)])
    Y = pd.DataFrame(DATA.Y, columns=[f"y{k}" for k in range(30)])
    model = EncoderMatcher(random_state=0).fit(X[KNOWN], Y[KNOWN])
    assert [list(names) for names in model.feature_names_in_] == [list(X), list(Y)]
    assert model.score(X[QUERY], Y[QUERY]) == fitted().score(*queries())
    for pair in ((X[QUERY][X.columns[::-1]], Y[QUERY]), (X[QUERY], Y[QUERY][Y.columns[::-1]])):
        for call in (model.score, model.score_matrix, model.predict_accuracy):
            with pytest.raises(ValueError, match="feature names"):
                call(*pair)
    with pytest.raises(ValueError, match="feature names"):
        model.suggest_pairs(X[QUERY][X.columns[::-1]], 2)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.score(*queries())
    assert model.fit(DATA.X[KNOWN], DATA.Y[KNOWN]).feature_names_in_ == (None, None)


@pytest.mark.parametrize("side", [0, 1])
def test_masked_arrays_are_refused_by_name(side):
    pairs, asked = [DATA.X[KNOWN], DATA.Y[KNOWN]], [DATA.X[QUERY], DATA.Y[QUERY]]
    pairs[side], asked[side] = np.ma.masked_array(pairs[side]), np.ma.masked_array(asked[side])
    with pytest.raises(TypeError, match=f"{'XY'[side]} is a numpy.ma.MaskedArray"):
        EncoderMatcher().fit(*pairs)
    with pytest.raises(TypeError, match=f"{'XY'[side]}_query is a numpy.ma.MaskedArray"):
        fitted().match(*asked)


@pytest.mark.parametrize("method", METHODS)
def test_torch_agrees_with_numpy(method):
    torch = pytest.importorskip("torch")
    plain = fitted(method)
    X, Y = torch.as_tensor(DATA.X), torch.as_tensor(DATA.Y)
    model = EncoderMatcher(method, random_state=0).fit(X[KNOWN], Y[KNOWN])
    assert model.cka_ == pytest.approx(plain.cka_, abs=1e-12)
    assert model.theoretical_accuracy_ == plain.theoretical_accuracy_
    found = model.match(X[QUERY], Y[QUERY])
    assert (found.indices == plain.match(*queries()).indices).all()
    moved = EncoderMatcher(method, device="cpu", random_state=0).fit(DATA.X[KNOWN], DATA.Y[KNOWN])
    assert isinstance(moved.score_matrix(*queries()), np.ndarray)
    assert moved.score(*queries()) == plain.score(*queries())
    pickle.loads(pickle.dumps(moved)).predict(*queries())


@pytest.mark.parametrize(
    ("options", "X", "Y", "match"),
    [
        ({"method": "best"}, DATA.X, DATA.Y, "method"),
        ({"kernel": "poly"}, DATA.X, DATA.Y, "kernel"),
        ({"cv": 1}, DATA.X, DATA.Y, "cv"),
        ({"n_init": 0}, DATA.X, DATA.Y, "n_init"),
        ({"bandwidth": (1, -1)}, DATA.X, DATA.Y, "bandwidth"),
        ({}, DATA.X, DATA.Y[:100], "220 rows and Y has 100"),
        ({}, DATA.X[:3], DATA.Y[:3], "at least 4"),
        ({}, DATA.X * np.nan, DATA.Y, "NaN"),
        ({}, DATA.X * np.inf, DATA.Y, "X contains"),
        ({}, DATA.X[0], DATA.Y, "dimension"),
        ({}, np.ones((220, 3)), DATA.Y, "same in all"),
        ({}, DATA.X, np.zeros((220, 3)), "Y is the same"),
    ],
)
def test_bad_input_is_named_and_leaves_the_fit(options, X, Y, match):
    model = fitted()
    before = dict(vars(model))
    model.set_params(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(ValueError, match=match):
            model.fit(X, Y)
    assert all(vars(model)[name] is before[name] for name in before if name.endswith("_"))


def test_bad_queries_are_named():
    model = fitted()
    X, Y = queries()
    for call in ("match", "score", "kneighbors", "predict_accuracy", "score_matrix"):
        with pytest.raises(NotFittedError):
            getattr(EncoderMatcher(), call)(X, Y)
        with pytest.raises(ValueError, match="X_query"):
            getattr(model, call)(X[:, :5], Y)
        with pytest.raises(ValueError, match="Y_query"):
            getattr(model, call)(X, Y * np.nan)
    with pytest.raises(ValueError, match="precision"):
        model.match(X, Y, precision=1.5)
    with pytest.raises(ValueError, match="true_match"):
        model.score(X, Y, [1, 2])
    with pytest.raises(NotFittedError):
        EncoderMatcher().required(0.9)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_objective_of_qap_is_the_cka_of_all_pairs(kernel):
    X, Y = queries()
    model = fitted("qap", kernel=kernel, standardize=False)
    found = model.match(X, Y)
    together = np.vstack([DATA.X[KNOWN], X]), np.vstack([DATA.Y[KNOWN], Y[found.indices]])
    widths = {"bandwidth": model.bandwidths_} if kernel == "rbf" else {}
    wanted = cka(*together, kernel=kernel, debiased=False, **widths)
    assert found.objective == pytest.approx(wanted)
