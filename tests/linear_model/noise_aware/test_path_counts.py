"""Decisions on rows left out at every penalty, against those of all leave-one-out scores."""

import numpy as np
import pytest

from skrmt.linalg import loo_path, ridge_basis
from skrmt.linear_model.noise_aware import _path_counts
from skrmt.linear_model.noise_aware._held_out import content_folds, held_out, pull_of_own
from skrmt.linear_model.noise_aware._path_counts import count_decisions, counts_of_scores
from skrmt.model_selection._clean_labels import read_labels

ALPHAS = np.logspace(-4, 2, 7)


def problem(rng, n_classes, n=1500, p=8):
    """Return data of overlapping classes, the labels, and how scores decide."""
    y = rng.integers(0, n_classes, n)
    X = 0.7 * rng.standard_normal((n, p)) + rng.standard_normal((n_classes, p))[y] + 1.0
    n_columns = 1 if n_classes == 2 else n_classes
    decision = _path_counts.Decision(
        stretch=np.linspace(1.0, 40.0, len(ALPHAS)),
        shift=0.1 * rng.standard_normal((n_columns, len(ALPHAS))),
        directions=2.0 * np.eye(n_columns) + 0.1,
        offsets=0.1 * rng.standard_normal(n_columns),
    )
    return X, y, decision


def labels_of(y, weights):
    """Return labels of unknown noise."""
    return read_labels(y, weights, int(y.max()) + 1, "estimate", None, None, None)


def in_memory(X, tmp_path):
    """Return the data as they are."""
    return X


def mapped(X, tmp_path):
    """Return the data in a file."""
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def in_blocks(X, tmp_path):
    """Return the data as a Dask array."""
    return pytest.importorskip("dask.array").from_array(X, chunks=(400, -1))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", [in_memory, mapped, in_blocks])
@pytest.mark.parametrize("far", [False, True])
def test_counts_are_those_of_leave_one_out(
    rng, tmp_path, monkeypatch, n_classes, weighted, kind, far
):
    """Most rows are decided by a fit to all, which rows far out forbid; no count changes by it."""
    X, y, decision = problem(rng, n_classes)
    X[:3] *= 300.0 if far else 1.0
    weights = rng.uniform(0.5, 2.0, len(y)) if weighted else np.ones(len(y))
    labels = labels_of(y, weights)
    targets = labels.first_targets()
    basis = ridge_basis(kind(X, tmp_path), weights)
    fit = held_out(basis, targets, ALPHAS, content_folds(X[:, 0], y))
    scores = loo_path(ridge_basis(X, weights), targets, ALPHAS)[0]
    label = labels.shares_of_rows[:, None] * np.eye(n_classes)[y]
    expected = counts_of_scores(scores, label, decision, pull_of_own(basis, targets))
    seen, sure = [], _path_counts._sure

    def spy(*given):
        seen.append(sure(*given))
        return seen[-1]

    monkeypatch.setattr(_path_counts, "_sure", spy)
    found = count_decisions(basis, targets, fit, labels, decision)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    decided = np.concatenate(seen)
    assert len(decided) == len(y)
    assert decided.mean() < 0.1 if far else 0.3 < decided.mean() < 1.0


def test_an_infinite_penalty_decides_no_row_beforehand(rng):
    X, y, decision = problem(rng, 2)
    alphas = np.append(ALPHAS[:-1], np.inf)
    labels = labels_of(y, np.ones(len(y)))
    targets, basis = labels.first_targets(), ridge_basis(X)
    fit = held_out(basis, targets, alphas, content_folds(X[:, 0], y))
    scores = loo_path(basis, targets, alphas)[0]
    label = labels.shares_of_rows[:, None] * np.eye(2)[y]
    expected = counts_of_scores(scores, label, decision, pull_of_own(basis, targets))
    found = count_decisions(basis, targets, fit, labels, decision)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
