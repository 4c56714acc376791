"""Left-out scores of the real rows: exact leave-one-out, or folds with a refitted generator."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils import check_random_state

from ...linalg import (
    RidgeBasis,
    as_device,
    coefficients,
    get_backend,
    is_torch,
    loo_path,
    ridge_basis,
    to_numpy,
)
from ._basis import MixSource, mix_basis
from ._input import RealRows
from ._path import mix_coefficients, mix_loo
from ._predict_path import predict_path


class MixProblem(NamedTuple):
    """Rows ready for the kernels.

    Attributes
    ----------
    real : RealRows
        The real rows.
    pieces : list of list of RealRows
        Kept rows of each source, by increasing verifier score.
    thresholds : ndarray of shape (c,)
        Smallest score kept; minus infinity first.
    n_classes : int
        K.
    total_weight : float
        W.
    fit_intercept : bool
        Whether an intercept is fitted.
    basis : MixBasis or RidgeBasis
        Decomposition of all rows.
    """

    real: RealRows
    pieces: list
    thresholds: np.ndarray
    n_classes: int
    total_weight: float
    fit_intercept: bool
    basis: Any

    @property
    def n_pieces(self):
        """Pieces a source."""
        return len(self.thresholds)

    def expand(self, weights, cuts):
        """Return the weight of each piece, (g, S c), for weights of sources and thresholds."""
        kept = np.arange(self.n_pieces) >= np.asarray(cuts, dtype=int)[:, None]
        pieces = np.asarray(weights, dtype=float)[:, :, None] * kept[:, None, :]
        table = pieces.reshape(len(pieces), -1)
        occupied = [len(piece.observed) > 0 for source in self.pieces for piece in source]
        return table[:, np.array(occupied, dtype=bool)]


def mix_problem(rows, unit, fit_intercept, n_thresholds):
    """Cut the sources by their verifier scores and decompose the data."""
    thresholds = score_thresholds(rows.sources, n_thresholds)
    pieces = [_pieces(source, thresholds) for source in rows.sources]
    n_classes = len(rows.classes)
    real = rows.real._replace(X=in_units(rows.real.X, unit))
    sources = [
        MixSource(in_units(piece.X, unit), targets_like(piece, n_classes), piece.weights)
        for source in pieces
        for piece in source
        if len(piece.observed)
    ]
    build = mix_basis if sources else _plain_basis
    basis = build(
        real.X,
        targets_like(real, n_classes),
        sources,
        real.weights,
        fit_intercept=fit_intercept,
        total_weight=rows.total_weight,
    )
    return MixProblem(real, pieces, thresholds, n_classes, rows.total_weight, fit_intercept, basis)


def _plain_basis(X, targets, sources, weights, **options):
    """Return the decomposition of real rows alone."""
    return ridge_basis(X, None if (weights == 1).all() else weights, **options)


def in_units(X, unit):
    """Return data divided by a unit, themselves where it is 1."""
    return X if unit == 1.0 else X * (1.0 / unit)


def targets_like(rows, n_classes):
    """Return the targets -1/+1, (n,) or (n, K), beside the data."""
    codes = rows.observed
    signs = 2.0 * codes - 1.0 if n_classes == 2 else 2.0 * np.eye(n_classes)[codes] - 1.0
    if is_torch(rows.X):
        return get_backend(rows.X).asarray(signs, like=rows.X, dtype="float64")
    return signs


def score_thresholds(sources, n_thresholds):
    """Return minus infinity and, where there are scores, their quantiles."""
    scores = [source.score for source in sources if source.score is not None]
    if not scores:
        return np.array([-np.inf])
    pooled = np.concatenate(scores)
    levels = np.arange(1, n_thresholds) / n_thresholds
    return np.concatenate(
        [[-np.inf], np.unique(np.quantile(pooled, levels, method="inverted_cdf"))]
    )


def _pieces(source, thresholds):
    """Return the kept rows of a source between successive thresholds."""
    if len(thresholds) == 1 or source.score is None:
        return [source.select(source.kept)] + [
            source.select(np.zeros(len(source.kept), dtype=bool)) for _ in thresholds[1:]
        ]
    place = np.searchsorted(thresholds, source.score, side="right") - 1
    return [source.select((place == k) & source.kept) for k in range(len(thresholds))]


def exact_scores(problem, alphas):
    """Return the function that yields exact leave-one-out scores for weights and thresholds."""

    def plain(weights, cuts):
        loo = loo_path(problem.basis, targets_like(problem.real, problem.n_classes), alphas)[0]
        for index in range(len(weights)):
            yield [index], loo[:, :, None]

    def mixed(weights, cuts):
        yield from mix_loo(problem.basis, problem.expand(weights, cuts), alphas)

    return plain if isinstance(problem.basis, RidgeBasis) else mixed


def solve(problem, weights, cut, alpha):
    """Return coefficients (q, p) and intercept (q,) at one point of the grid."""
    if isinstance(problem.basis, RidgeBasis):
        return coefficients(problem.basis, targets_like(problem.real, problem.n_classes), alpha)
    return mix_coefficients(problem.basis, problem.expand([weights], [cut])[0], alpha)


def _splitter(cv, observed, random_state):
    """Return what splits the real rows."""
    if not isinstance(cv, numbers.Integral):
        return check_cv(cv, observed, classifier=True)
    n_splits = int(min(cv, len(observed)))
    smallest = np.bincount(observed).min()
    splitter = StratifiedKFold if smallest >= n_splits else KFold
    return splitter(n_splits, shuffle=True, random_state=random_state.randint(2**31 - 1))


class Fold(NamedTuple):
    """A fold with the synthetic rows of a generator that has not seen it.

    Attributes
    ----------
    train, test : ndarray of int
        Positions of the real rows.
    sources : list of SourceRows
        Generated rows, one group a source.
    """

    train: np.ndarray
    test: np.ndarray
    sources: list


def generate_folds(estimator, rows, labels):
    """Refit the generator without each fold of the real rows."""
    random_state = check_random_state(estimator.random_state)
    real, n = rows.real, len(rows.real.observed)
    folds = _splitter(estimator.cv, real.observed, random_state)
    result = []
    for train, test in folds.split(np.zeros((n, 1)), real.observed):
        y_train = rows.classes[real.observed[train]]
        made = [
            labels(
                estimator.generator(
                    real.X[train], y_train, len(source.observed), random_state.randint(2**31 - 1)
                )
            )
            for source in rows.sources
        ]
        result.append(Fold(train, test, made))
    return result


def crossfitted_scores(problem, rows, folds, alphas, unit):
    """Return the function that yields scores of the real rows by fits that have not seen them."""
    n, q = len(rows.real.observed), 1 if problem.n_classes == 2 else problem.n_classes

    def left_out(weights, cuts):
        for index, (weight, cut) in enumerate(zip(weights, cuts, strict=True)):
            scores = np.empty((n, q, 1, len(alphas)))
            for fold in folds:
                scores[fold.test, :, 0] = _fold_scores(problem, fold, weight, cut, alphas, unit)
            yield np.array([index]), scores

    return left_out


def _fold_scores(problem, fold, weights, cut, alphas, unit):
    """Return the scores (n_test, q, k) of the rows of a fold at every penalty."""
    lowest = problem.thresholds[cut]
    parts = [select_rows(problem.real, fold.train)]
    factors = [1.0]
    total = parts[0].weights.sum()
    for weight, source in zip(weights, fold.sources, strict=True):
        total += source.weights.sum()
        kept = source.kept if source.score is None else source.kept & (source.score >= lowest)
        if weight > 0 and kept.any():
            part = source.select(kept)
            parts.append(part._replace(X=in_units(part.X, unit)))
            factors.append(weight)
    data = stack([part.X for part in parts])
    row_weights = np.concatenate([f * p.weights for f, p in zip(factors, parts, strict=True)])
    everything = RealRows(data, np.concatenate([part.observed for part in parts]), row_weights)
    basis = ridge_basis(
        data, row_weights, fit_intercept=problem.fit_intercept, total_weight=float(total)
    )
    targets = targets_like(everything, problem.n_classes)
    return to_numpy(predict_path(basis, targets, alphas, problem.real.X[fold.test]))


def select_rows(rows, chosen):
    """Return some rows."""
    return RealRows(rows.X[chosen], rows.observed[chosen], rows.weights[chosen])


def stack(parts):
    """Stack data of one kind by rows."""
    if sparse.issparse(parts[0]):
        return sparse.vstack(parts, format="csr")
    if is_torch(parts[0]):
        return get_backend(parts[0]).concatenate(parts, axis=0)
    return np.concatenate(parts)


def on_same_device(X, like):
    """Return generated data in the container of the real ones."""
    if is_torch(like):
        return as_device(np.asarray(to_numpy(X), dtype=np.float64), str(like.device))
    return X
