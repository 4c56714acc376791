"""Regularised kernel CCA: closed forms against refits, its choice, and what it predicts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from skrmt.datasets import make_paired_encoders
from skrmt.exceptions import TheoryWarning
from skrmt.matching import EncoderMatcher, KernelConfiguration
from skrmt.matching._left_out import (
    cosines,
    left_out_cosines,
    one_out_own,
    one_out_products,
    without_fold,
)
from skrmt.matching._smoothers import smoother

IMAGES = load_digits().data.reshape(-1, 8, 8)
LEFT, RIGHT = IMAGES[:, :, :5].reshape(-1, 40), IMAGES[:, :, 3:].reshape(-1, 40)


HALVES = IMAGES[:, :, :4].reshape(-1, 32), IMAGES[:, :, 4:].reshape(-1, 32)


def views(seed, n_known=100, parts=(LEFT, RIGHT)):
    """Return known pairs and queries of two parts of the same digits."""
    order = np.random.default_rng(seed).permutation(len(LEFT))
    known, rest = order[:n_known], order[n_known:]
    return parts[0][known], parts[1][known], parts[0][rest], parts[1][rest]


def weights(known, queries, penalty):
    """Return the weights of ridge regression with an intercept, by a plain solution."""
    rows = known - known.mean(axis=0)
    gram = rows.T @ rows + penalty * np.eye(rows.shape[1])
    return (queries - known.mean(axis=0)) @ np.linalg.solve(gram, rows.T) + 1 / len(rows)


@pytest.fixture(scope="module")
def sides():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((14, 5))
    return X, X @ rng.standard_normal((5, 6)) + rng.standard_normal((14, 6))


PENALTIES = 3.0, 2.0


def refitted(sides, kept, x, y):
    """Return cosines by a fit to some known pairs."""
    rows = zip(sides, (x, y), PENALTIES, strict=True)
    return cosines(*(weights(known[kept], asked, penalty) for known, asked, penalty in rows))


def test_two_pairs_left_out_equal_refits(sides):
    smoothers = [weights(side, side, p) for side, p in zip(sides, PENALTIES, strict=True)]
    scores, own = left_out_cosines(*smoothers)
    for i, j in np.ndindex(14, 14):
        kept = np.setdiff1d(np.arange(14), [i, j])
        found = refitted(sides, kept, sides[0][[i]], sides[1][[j, i]])[0]
        np.testing.assert_allclose([scores[i, j], own[i, j]], found, rtol=1e-8, atol=1e-10)


def test_one_pair_left_out_equals_refits(sides):
    smoothers = [weights(side, side, p) for side, p in zip(sides, PENALTIES, strict=True)]
    gallery = np.random.default_rng(1).standard_normal((7, 6))
    found = one_out_products(*smoothers, weights(sides[1], gallery, PENALTIES[1]))
    own, plain = one_out_own(*smoothers), one_out_own(*smoothers, lengths=False)
    for i in range(14):
        kept = np.setdiff1d(np.arange(14), [i])
        mine = weights(sides[0][kept], sides[0][[i]], PENALTIES[0])[0] - 1 / 13
        rows = np.vstack([gallery, sides[1][[i]]])
        theirs = weights(sides[1][kept], rows, PENALTIES[1]) - 1 / 13
        products = theirs @ mine / np.linalg.norm(mine)
        np.testing.assert_allclose([*found[i], plain[i]], products, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(own[i], products[-1] / np.linalg.norm(theirs[-1]), rtol=1e-8)


def test_a_fold_left_out_equals_a_refit(sides):
    X, queries = sides[0], np.random.default_rng(1).standard_normal((4, 5))
    fold, kept = np.array([2, 5, 11]), np.setdiff1d(np.arange(14), [2, 5, 11])
    H = weights(X, X, 3.0)
    others, own = without_fold(H, weights(X, queries, 3.0), fold)
    np.testing.assert_allclose(others, weights(X[kept], queries, 3.0), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(own, weights(X[kept], X[fold], 3.0), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("unit_rows", [True, False])
def test_weights_at_known_rows_are_the_smoother(sides, kernel, standardize, unit_rows):
    X = sides[0] * np.geomspace(1, 100, 5)
    kind = KernelConfiguration(kernel, standardize, unit_rows, 0.7).representation
    found = smoother(X, kind, "median")
    H = found.matrix(0.7)
    np.testing.assert_allclose(found.weights(X, 0.7), H, atol=1e-10)
    np.testing.assert_allclose(H.sum(axis=1), 1)
    np.testing.assert_allclose(found.matrix(0.7, single=True), H, atol=1e-4)
    for changed in (X * 1e-140, X * 1e140, X + 3.0):
        other = smoother(changed, kind, "median")
        np.testing.assert_allclose(other.matrix(0.7), H, atol=1e-8)


def test_the_default_is_not_below_any_fixed_configuration_and_above_local_cka():
    """One-to-one accuracy on parts of digits, 60 known pairs, 150 queries, over draws."""
    fixed = [
        {"kernel": kernel, "standardize": standardize, "alpha": alpha}
        for kernel in ("linear", "rbf")
        for standardize in (True, False)
        for alpha in (0.1, 1.6, 10.0)
    ]
    chosen, others, local = [], [], []
    for seed in range(8):
        X, Y, x, y = views(seed, 60)
        asked = x[:150], y[:150]
        chosen.append(EncoderMatcher(random_state=0).fit(X, Y).score(*asked))
        local.append(EncoderMatcher("local_cka", random_state=0).fit(X, Y).score(*asked))
        others.append(
            [
                EncoderMatcher(unit_rows=False, random_state=0, **options).fit(X, Y).score(*asked)
                for options in fixed
            ]
        )
    gaps = np.array(chosen)[:, None] - others
    worst = int(np.argmin(gaps.mean(axis=0)))
    assert gaps[:, worst].mean() > -0.005 - 4 * gaps[:, worst].std(ddof=1) / np.sqrt(8)
    gain = np.subtract(chosen, local)
    assert gain.mean() > 4 * gain.std(ddof=1) / np.sqrt(8)


def test_what_is_chosen_is_listed_and_can_be_fixed():
    X, Y, x, y = views(0)
    model = EncoderMatcher(random_state=0).fit(X, Y)
    assert 1 <= len(model.configurations_) <= 3
    options = {"kernel": "linear", "standardize": True, "unit_rows": False, "alpha": 2.0}
    fixed = EncoderMatcher(random_state=0, **options).fit(X, Y)
    assert [one._asdict() for one in fixed.configurations_] == [options]
    assert EncoderMatcher("ridge").fit(X, Y).configurations_ == []
    again = EncoderMatcher(random_state=1).fit(3 * X + 1, Y)
    assert again.configurations_ == model.configurations_
    scores = model.score_matrix(x[:5], y[:5])
    np.testing.assert_allclose(
        again.score_matrix(3 * x[:5] + 1, y[:5]), scores, atol=1e-8 * np.abs(scores).max()
    )


@pytest.mark.parametrize("assignment", ["hungarian", "argmax"])
def test_predicted_accuracies_are_true_over_draws(assignment):
    gaps = []
    for seed in range(16):
        X, Y, x, y = views(seed, 50)
        model = EncoderMatcher(assignment=assignment, random_state=0).fit(X, Y)
        predicted = model.predict_accuracy(x[:100], y[:100]).accuracy
        measured = [
            model.score(x[start : start + 100], y[start : start + 100]) for start in (0, 100, 200)
        ]
        gaps.append(predicted - np.mean(measured))
    assert abs(np.mean(gaps)) < 0.01 + 4 * np.std(gaps, ddof=1) / 4


def measured(model, x, y, n_candidates):
    """Return how often the nearest of some candidates is right."""
    scores = model.score_matrix(x, y)
    ahead = (scores > np.diag(scores)[:, None]).sum(axis=1)
    return hypergeom.cdf(0, len(scores) - 1, ahead, n_candidates - 1).mean()


def test_forecast_and_required_hold_when_more_pairs_are_given():
    """From 40 known pairs: the accuracy of 160, and how many reach it."""
    asked, errors, answers, covered = 50, [], [], []
    truth = []
    for seed in range(8):
        X, Y, x, y = views(seed, 160, HALVES)
        more = EncoderMatcher(random_state=0).fit(X, Y)
        truth.append(measured(more, x[:400], y[:400], asked))
    for seed in range(8):
        X, Y, *_ = views(seed, 40, HALVES)
        model = EncoderMatcher(random_state=0).fit(X, Y)
        found = model.forecast(n_pairs=160, n_candidates=asked)
        errors.append(found.score - np.mean(truth))
        covered.append(found.lower <= np.mean(truth) <= found.upper)
        answers.append(model.required(np.mean(truth), n_candidates=asked))
    assert abs(np.mean(errors)) < 0.02 + 4 * np.std(errors, ddof=1) / np.sqrt(8)
    assert np.mean(covered) > 0.7
    ratios = np.log(answers) - np.log(160)
    assert abs(np.mean(ratios)) < 0.1 + 4 * np.std(ratios, ddof=1) / np.sqrt(8)


def test_forecasts_are_monotone():
    X, Y, *_ = views(0, 60)
    model = EncoderMatcher(random_state=0).fit(X, Y)
    pairs, candidates, places = np.ix_([10, 60, 500], [2, 30, 60, 5000], [1, 2, 10])
    score = model.forecast(n_pairs=pairs, n_candidates=candidates, top_k=places).score
    assert (np.diff(score, axis=0) >= 0).all()
    assert (np.diff(score, axis=1) <= 0).all()
    assert (np.diff(score, axis=2) >= 0).all()
    assert (score[:, 0, 1:] == 1).all()
    wanted = [model.required(score, n_candidates=500) for score in (0.1, 0.3, 0.5, 0.7)]
    assert wanted == sorted(wanted)
    assert model.required(0.7, n_candidates=500, top_k=5) < wanted[-1]
    for options in ({"n_pairs": 1}, {"n_candidates": 0}, {"top_k": 0}, {"n_pairs": 10.5}):
        with pytest.raises(ValueError, match=next(iter(options))):
            model.forecast(**options)


@pytest.mark.parametrize("top_k", [1, 10])
def test_recall_in_an_index_is_predicted(top_k):
    gaps = []
    for seed in range(8):
        X, Y, x, y = views(seed, 80)
        model = EncoderMatcher(random_state=0).fit(X, Y)
        predicted = model.predict_topk(y[:600], top_k=top_k).accuracy
        gaps.append(predicted - model.score_topk(x[:300], y[:600], top_k=top_k))
    assert abs(np.mean(gaps)) < 0.01 + 4 * np.std(gaps, ddof=1) / np.sqrt(8)


def test_vectors_find_partners_in_any_index_by_cosine():
    X, Y, x, y = views(0, 100)
    model = EncoderMatcher(random_state=0).fit(X, Y)
    for vectors, gallery in (
        (model.transform(x[:200]), y[:300]),
        (model.inverse_transform(y[:200]), x[:300]),
    ):
        assert vectors.shape == (200, 40)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
        index = NearestNeighbors(n_neighbors=5, metric="cosine").fit(gallery)
        found = index.kneighbors(vectors, return_distance=False)
        recall = (found == np.arange(200)[:, None]).any(axis=1).mean()
        assert recall > 0.5
        if gallery is y[:300] or gallery.base is y:
            assert model.score_topk(x[:200], gallery, top_k=5) == pytest.approx(recall)
    # The known rows are part of the index that is moved.
    whole = np.vstack([Y, y])
    rows = model.score_topk(X, whole, top_k=1)
    assert rows >= model.predict_topk(whole, top_k=1).accuracy
    shuffled = np.random.default_rng(0).permutation(300)
    again = model.score_topk(x[shuffled], y[:300], true_match=shuffled, top_k=5)
    assert again == model.score_topk(x[:300], y[:300], top_k=5)
    with pytest.raises(ValueError, match="true_match"):
        model.score_topk(x[:10], y[:5])


@pytest.mark.parametrize("scale", [1e-140, 1e140])
def test_huge_and_tiny_features_change_nothing(scale):
    X, Y, x, y = views(0, 60)
    plain = EncoderMatcher(random_state=0).fit(X, Y)
    model = EncoderMatcher(random_state=0).fit(X * scale, Y)
    assert model.configurations_ == plain.configurations_
    assert model.theoretical_accuracy_ == plain.theoretical_accuracy_
    assert (
        model.match(x[:50] * scale, y[:50]).indices == plain.match(x[:50], y[:50]).indices
    ).all()
    np.testing.assert_allclose(model.transform(x * scale), plain.transform(x), atol=1e-8)


def test_more_pairs_than_the_choice_takes():
    data = make_paired_encoders(800, 8, 9, n_latent=6, noise_std=0.5, random_state=0)
    model = EncoderMatcher(random_state=0, cv=3).fit(data.X[:500], data.Y[:500])
    found = model.match(data.X[500:], data.Y[500:])
    predicted = model.predict_accuracy(data.X[500:], data.Y[500:])
    real = np.mean(found.indices == np.arange(300))
    assert abs(predicted.accuracy - real) < 4 * np.hypot(predicted.standard_error, 0.03)


def test_few_pairs_make_no_choice():
    X, Y, x, y = views(0, 5)
    with pytest.warns(TheoryWarning, match="too few"):
        model = EncoderMatcher(random_state=0).fit(X, Y)
    assert np.isnan(model.predict_topk(y[:50]).accuracy)
    assert np.isfinite(model.transform(x[:3])).all()


@pytest.mark.parametrize("method", ["kernel_cca", "local_cka", "ridge"])
def test_a_handful_of_known_pairs_predicts_nothing(method):
    data = make_paired_encoders(40, 6, 7, n_latent=4, random_state=0)
    for n in (6, 9):
        with pytest.warns(TheoryWarning, match="fewer than ten known pairs"):
            matcher = EncoderMatcher(method, random_state=0).fit(data.X[:n], data.Y[:n])
        predicted = matcher.predict_accuracy(data.X[n:], data.Y[n:])
        assert np.isnan(
            [matcher.theoretical_accuracy_, *matcher.theoretical_accuracy_interval_]
        ).all()
        assert np.isnan(predicted.accuracy)
        assert matcher.regime_ == "too_few_rows"
    matcher = EncoderMatcher(method, random_state=0).fit(data.X[:20], data.Y[:20])
    assert np.isfinite(matcher.theoretical_accuracy_)
