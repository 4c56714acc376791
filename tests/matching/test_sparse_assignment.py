"""One-to-one matches among the best candidates: dense twins, rows left over, claims."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from skrmt.datasets import make_paired_encoders
from skrmt.matching import EncoderMatcher
from skrmt.matching._sparse_assignment import (
    assign_entries,
    assign_products,
    best_entries,
    best_scores,
    sparse_margins,
)


def test_best_scores_are_those_of_rows_and_columns(rng):
    left, right = rng.standard_normal((70, 5)), rng.standard_normal((90, 5))
    scores = left @ right.T
    wanted = np.zeros(scores.shape, dtype=bool)
    for row in range(70):
        wanted[row, np.argsort(-scores[row])[:4]] = True
    for column in range(90):
        wanted[np.argsort(-scores[:, column])[:4], column] = True
    for found in (best_scores(left, right, 4), best_entries(scores, 4)):
        np.testing.assert_allclose(found.toarray(), np.where(wanted, scores, 0.0))


@pytest.mark.parametrize("columns", [60, 75])
def test_all_candidates_give_the_best_assignment(columns, rng):
    left, right = rng.standard_normal((60, 8)), rng.standard_normal((columns, 8))
    score = left @ right.T
    best = score[linear_sum_assignment(score, maximize=True)].sum()
    found = assign_products(left, right, best_scores(left, right, columns), rng)
    assert len(set(found)) == 60
    assert score[np.arange(60), found].sum() == pytest.approx(best)
    few = assign_products(left, right, best_scores(left, right, 8), rng)
    assert len(set(few)) == 60
    assert best - score[np.arange(60), few].sum() < 0.02 * best


def test_rows_without_a_candidate_take_what_is_left(rng):
    # All rows prefer the same columns, all columns the same rows.
    left, right = rng.uniform(1, 2, (200, 1)), rng.uniform(1, 2, (210, 1))
    scores = best_scores(left, right, 8)
    assert (assign_entries(scores) < 0).sum() > 100
    found = assign_products(left, right, scores, rng)
    assert len(set(found)) == 200 and min(found) >= 0
    # The best assignment of products pairs them in order, with the largest columns.
    assert (left[:, 0] * right[found, 0]).sum() > 0.97 * (
        np.sort(left[:, 0]) * np.sort(right[:, 0])[-200:]
    ).sum()


def test_margins_are_those_of_the_whole_matrix(rng):
    scores = rng.standard_normal((40, 45))
    rows, columns = linear_sum_assignment(scores, maximize=True)
    own = scores[rows, columns]
    rivals = scores.copy()
    rivals[rows, columns] = -np.inf
    wanted = own - np.maximum(rivals.max(axis=1), rivals[:, columns].max(axis=0))
    found = sparse_margins(best_entries(scores, 10), columns, own)
    np.testing.assert_allclose(found, wanted)


@pytest.mark.parametrize("method", ["kernel_cca", "ridge"])
def test_matches_and_claims_are_those_of_all_scores(method):
    gaps, ratios = [], []
    for seed in range(5):
        data = make_paired_encoders(460, 30, 40, n_latent=12, noise_std=0.8, random_state=seed)
        X, Y, x, y = data.X[:60], data.Y[:60], data.X[60:], data.Y[60:]
        sparse = EncoderMatcher(method, assignment="sparse", random_state=0).fit(X, Y)
        order = np.random.default_rng(seed).permutation(400)
        found = sparse.match(x, y[order])
        assert len(set(found.indices)) == 400
        right = order[found.indices] == np.arange(400)
        predicted = sparse.predict_accuracy(x, y[order])
        gaps.append([predicted.accuracy - right.mean(), found.confidence.mean() - right.mean()])
        whole = EncoderMatcher(method, random_state=0).fit(X, Y).match(x, y[order])
        ratios.append(found.objective / whole.objective)
    error = np.std(gaps, axis=0, ddof=1) / np.sqrt(5)
    assert (np.abs(np.mean(gaps, axis=0)) < 0.02 + 4 * error).all()
    assert min(ratios) > 0.999


def test_more_scores_than_memory_takes_are_refused_by_name(rng):
    X, Y = rng.standard_normal((2, 20, 2))
    queries = rng.standard_normal((13_000, 2))
    model = EncoderMatcher(random_state=0).fit(X, X + 0.01 * Y)
    for call in (model.match, model.predict_accuracy):
        with pytest.raises(ValueError, match="assignment='sparse'"):
            call(queries, queries)
    with pytest.raises(ValueError, match="as many candidates as queries"):
        model.set_params(assignment="sparse").match(queries[:5], queries[:4])
