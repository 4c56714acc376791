"""Rows ready for the kernels, and what solves ridge regression on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...linalg import (
    RidgeBasis,
    coefficients,
    get_backend,
    group_path,
    is_torch,
    loo_path,
    ridge_basis,
    to_numpy,
)
from .._input import data_unit
from ._basis import mix_basis
from ._input import LabelledRows, MixRows
from ._judge import label_targets, source_targets
from ._path import mix_coefficients, mix_loo

_N_THRESHOLDS = 8


class MixProblem(NamedTuple):
    """Rows ready for the kernels, data in a unit in which squares neither overflow nor vanish.

    Attributes
    ----------
    real : LabelledRows
        The real rows.
    strata : list of list of LabelledRows
        Kept rows of each source between successive thresholds.
    thresholds : ndarray of shape (c,)
        Smallest score kept; minus infinity first.
    n_classes : int
        K.
    total_weight : float
        W.
    fit_intercept : bool
        Whether an intercept is fitted.
    unit : float
        What the data were divided by.
    basis : MixBasis or RidgeBasis
        Decomposition of all rows.
    corrected : list of bool
        Whether the targets of each source are corrected by the errors of its judge.
    """

    real: LabelledRows
    strata: list
    thresholds: np.ndarray
    n_classes: int
    total_weight: float
    fit_intercept: bool
    unit: float
    basis: Any
    corrected: list

    def stratum_weights(self, weights: Any, cuts: Any) -> np.ndarray:
        """Return the weight of each stratum, (g, S c), for weights of sources and thresholds."""
        kept = np.arange(len(self.thresholds)) >= np.asarray(cuts, dtype=int)[:, None]
        table = np.asarray(weights, dtype=float)[:, :, None] * kept[:, None, :]
        occupied = [len(stratum.codes) > 0 for source in self.strata for stratum in source]
        return table.reshape(len(table), -1)[:, np.array(occupied, dtype=bool)]


def mix_problem(rows: MixRows, fit_intercept: bool) -> MixProblem:
    """Cut the sources by their verifier scores and decompose the data."""
    assert rows.real is not None
    thresholds, n_classes = score_thresholds(rows.sources), len(rows.classes)
    strata = [_strata(source, thresholds) for source in rows.sources]
    unit = data_unit(rows.real.X)
    real = rows.real._replace(X=in_units(rows.real.X, unit))
    targets = signed_targets(real.codes, n_classes, real.X)
    tables, corrected = source_targets(rows)
    sources = [
        (in_units(stratum.X, unit), targets_of(stratum.codes, table, stratum.X), stratum.weights)
        for source, table in zip(strata, tables, strict=True)
        for stratum in source
        if len(stratum.codes)
    ]
    options: dict[str, Any] = {
        "fit_intercept": fit_intercept,
        "total_weight": rows.total_weight,
        "part": np.minimum(real.part, 1.0),
    }
    basis: Any
    if sources:
        made = [stratum.group for source in strata for stratum in source if len(stratum.codes)]
        groups = None if real.group is None else (real.group, made)
        basis = mix_basis(real.X, targets, sources, real.weights, groups=groups, **options)
    else:
        weights = None if (real.weights == 1).all() else real.weights
        basis = ridge_basis(real.X, weights, **options)
    return MixProblem(
        real,
        strata,
        thresholds,
        n_classes,
        rows.total_weight,
        fit_intercept,
        unit,
        basis,
        corrected,
    )


def in_units(X, unit):
    """Return data divided by a unit, themselves where it is 1."""
    return X if unit == 1.0 else X * (1.0 / unit)


def signed_targets(codes, n_classes, like):
    """Return the targets -1/+1, (n, q), beside the data."""
    return targets_of(codes, label_targets(n_classes), like)


def targets_of(codes, table, like):
    """Return the targets (n, q) of labels, beside the data."""
    if is_torch(like):
        return get_backend(like).asarray(table[codes], like=like, dtype="float64")
    return table[codes]


def stack(parts):
    """Stack data of one kind by rows."""
    if sparse.issparse(parts[0]):
        return sparse.vstack(parts, format="csr")
    if is_torch(parts[0]):
        return get_backend(parts[0]).concatenate(parts, axis=0)
    return np.concatenate(parts)


def score_thresholds(sources):
    """Return minus infinity and, where there are scores, their quantiles."""
    scores = [source.score for source in sources if source.score is not None]
    if not scores:
        return np.array([-np.inf])
    levels = np.arange(1, _N_THRESHOLDS) / _N_THRESHOLDS
    quantiles = np.quantile(np.concatenate(scores), levels, method="inverted_cdf")
    return np.concatenate([[-np.inf], np.unique(quantiles)])


def _strata(source, thresholds):
    """Return the kept rows of a source between successive thresholds."""
    if len(thresholds) == 1 or source.score is None:
        nothing = np.zeros(len(source.kept), dtype=bool)
        return [source.select(source.kept)] + [source.select(nothing) for _ in thresholds[1:]]
    place = np.searchsorted(thresholds, source.score, side="right") - 1
    return [source.select((place == k) & source.kept) for k in range(len(thresholds))]


def exact_scores(problem: MixProblem, alphas: np.ndarray) -> Callable:
    """Return the function that yields exact leave-one-out scores for weights and thresholds."""

    def plain(weights, cuts):
        targets = signed_targets(problem.real.codes, problem.n_classes, problem.real.X)
        if problem.real.group is None:
            loo = loo_path(problem.basis, targets, alphas)[0]
        else:
            loo = group_path(problem.basis, targets, alphas, problem.real.group)
        for index in range(len(weights)):
            yield [index], loo[:, :, None]

    def mixed(weights, cuts):
        yield from mix_loo(problem.basis, problem.stratum_weights(weights, cuts), alphas)

    return plain if isinstance(problem.basis, RidgeBasis) else mixed


def solve(problem: MixProblem, weights, cut, alpha) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients (q, p) and intercept (q,) at one point of the grid."""
    if isinstance(problem.basis, RidgeBasis):
        targets = signed_targets(problem.real.codes, problem.n_classes, problem.real.X)
        coef, intercept = coefficients(problem.basis, targets, alpha)
    else:
        table = problem.stratum_weights([weights], [cut])
        coef, intercept = mix_coefficients(problem.basis, table[0], alpha)
    return to_numpy(coef), to_numpy(intercept)
