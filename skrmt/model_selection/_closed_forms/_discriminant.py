"""Leave-one-out scores of linear discriminant analysis, from one decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import eigh, qr, solve_triangular
from scipy.linalg.lapack import dpstrf

from .._input import Rows
from ._class_distances import (
    Classes,
    Found,
    OwnClass,
    inner_products,
    largest_inverse,
    left_out_scores,
    lower_factor,
    solve_lower,
)
from ._frequencies import HeldOut
from ._ledoit_wolf import ledoit_wolf_scores
from ._ridge import least_squares_area

_LEAST_EIGENVALUE = 1e-12
"""Smallest over largest eigenvalue of a shrunk scatter: below, it is hardly shrunk at all."""
_NOTHING = 1e-12
"""Scatter of a feature, given others, over the largest up to which it is rounding."""
_CLEAR = 1e-10
"""Scatter of a feature, given others, over the largest from which it is none."""
_APART = 1e-8
"""Distance of means over the largest, along what does not vary, up to which it is rounding."""
_MOST_FEATURES = 3000
"""Features up to which matrices of their number squared are held, 72 MB each."""


def discriminant_scores(model: Any, rows: Rows) -> HeldOut | None:
    r"""Return leave-one-out scores, None if there is no closed form.

    Notes
    -----
    Without a row of class c, with deviation d, :math:`r = n_c / (n_c - 1)` and an intensity of
    shrinkage s, the mean of the class moves by :math:`-d / (n_c - 1)` and its shrunk scatter
    :math:`(1 - s) S_c + s n_c T_c` by

    .. math:: -(1 - s) r d d^T - s r T(d) + (s' - s) (n_c T_c - S_c).

    With s given, :math:`T(d) = |d|^2 I / p` and s' = s: the first term is of rank one, the second
    shifts all eigenvalues alike, and scores are exact (to 1e-12 of the largest, measured) with one
    decomposition, or one per class where priors are given, as the row then changes by what the
    scatter of its class is multiplied. Where s is that of Ledoit and Wolf, see
    `ledoit_wolf_scores`. Scores are minus half the squared distances from the row to the means plus
    log priors: those of scikit-learn, up to a constant per row.
    """
    classes = _read_classes(model, rows)
    if classes is None:
        return None
    found, kind = None, "exact"
    if model.shrinkage == "auto":
        found, kind = ledoit_wolf_scores(classes)
    elif model.shrinkage:
        found = _shrunk(classes, float(model.shrinkage), rows.X.shape[1])
    else:
        found = _plain(classes, model)
    if found is None:
        return None
    first = np.cumsum(_repeats(rows)) - _repeats(rows)
    kept = classes.kept_priors()[first]
    fair, area = found.exact[first] + kept, None
    if len(classes.counts) == 2 and not (model.shrinkage or classes.weighed):
        # Two classes are ranked along the coefficients of least squares, whatever their scale.
        area = least_squares_area(rows, model.classes_)
    ranks = None if found.shift is None else fair - found.shift[first]
    return HeldOut(found.exact[first], found.even[first] + kept, kind, fair, area, ranks)


def _repeats(rows: Rows) -> np.ndarray:
    """Return how often each row is repeated: there are no weights, they count it."""
    return np.rint(rows.weights).astype(int)


def _read_classes(model: Any, rows: Rows) -> Classes | None:
    """Return the classes, None if a row is no row of its own or there is no closed form."""
    repeats, p = _repeats(rows), rows.X.shape[1]
    if (repeats * rows.part > 1.5).any() or model.covariance_estimator is not None:
        return None
    X, codes = rows.X.astype(float, copy=False), np.searchsorted(model.classes_, rows.y)
    if (repeats > 1).any():
        X, codes = np.repeat(X, repeats, axis=0), np.repeat(codes, repeats)
    counts = np.bincount(codes).astype(float)
    if counts.min() < 2 or (model.shrinkage == "auto" and p > _MOST_FEATURES):
        return None
    if not model.shrinkage and len(X) - len(counts) <= p:
        return None
    means = np.array([X[codes == k].mean(axis=0) for k in range(len(counts))])
    where = [np.flatnonzero(codes == k) for k in range(len(counts))]
    deviations = [X[own] - mean for own, mean in zip(where, means, strict=True)]
    unit = np.sqrt(sum(np.einsum("ij,ij->j", own, own) for own in deviations) / len(X))
    if model.shrinkage not in (None, "auto"):
        # The identity that it is shrunk to fixes the units, but for one factor.
        unit[:] = np.sqrt(np.mean(unit**2))
    unit[unit == 0] = 1.0
    for own in deviations:
        own /= unit
    priors = None if model.priors is None else np.asarray(model.priors_, dtype=float)
    weighed = priors is not None and model.solver != "svd"
    means = (means - means.mean(axis=0)) / unit
    return Classes(deviations, means, unit, where, counts, priors, weighed)


def _scatters(classes: Classes) -> list[np.ndarray]:
    """Return the scatter of each class, or of all at once if they are not weighed."""
    scatters = [own.T @ own for own in classes.deviations]
    return scatters if classes.weighed else [np.sum(scatters, axis=0)]


def _plain(classes: Classes, model: Any) -> Found | None:
    """Return scores by the scatter as it is, None if it is nearly singular."""
    scatters, coef = _scatters(classes), model.coef_ * classes.unit
    least = (2.0 * model.tol) ** 2 * (classes.n_rows - len(classes.counts))
    least = least if model.solver == "svd" else 0.0
    lower = lower_factor(classes.total(scatters, 0))
    if lower is None:
        found = _independent(classes, classes.total(scatters, 0), coef)
        if found is None:
            return None
        classes, lower, coef = found
        scatters = _scatters(classes) if classes.weighed else []
    if least * largest_inverse(lower) > 1.0:
        # scikit-learn drops directions of little scatter, of which a row more or less decides.
        return None
    parts: list[OwnClass] = []
    for k, own in enumerate(classes.deviations):
        if k and classes.weighed:
            lower = lower_factor(classes.total(scatters, k))
        if lower is None:
            return None
        own, apart = solve_lower(lower, own), solve_lower(lower, classes.differences(k))
        gain = np.full(len(own), classes.ratio(k) * classes.weight(k, left=True))
        parts.append(OwnClass(inner_products(own, apart), gain))
    if model.solver == "svd" and lower is not None:
        direction = solve_lower(lower, apart[:1], transposed=True)[0]
        excess = _lost_degrees(coef, direction, classes)
        return left_out_scores(classes, parts, classes.scale - excess)
    return left_out_scores(classes, parts)


def _independent(classes: Classes, scatter: np.ndarray, coef: np.ndarray) -> tuple | None:
    """Return classes by features of which no others are linear, their factor and coefficients.

    None where it is not clear which these are. A feature that is linear in others is so without
    each row, and no score depends on it.
    """
    largest = float(np.diag(scatter).max())
    factor, order, rank, _ = dpstrf(scatter, tol=_NOTHING * largest, lower=1)
    kept, left = order[:rank] - 1, order[rank:] - 1
    lower = np.tril(factor[:rank, :rank])
    if not rank or np.diag(lower).min() ** 2 < _CLEAR * largest:
        return None
    combined = solve_triangular(lower, factor[rank:, :rank].T, lower=True, trans="T")
    gap = np.abs(classes.means[:, left] - classes.means[:, kept] @ combined).max(initial=0.0)
    if gap > _APART * np.abs(classes.means).max():
        return None
    deviations = [own[:, kept] for own in classes.deviations]
    fewer = classes._replace(deviations=deviations, means=classes.means[:, kept])
    return fewer, lower, coef[:, kept] + coef[:, left] @ combined.T


def _lost_degrees(coef: np.ndarray, direction: np.ndarray, classes: Classes) -> int:
    """Return by how much less than the rows the scatter is divided: by the classes, or not."""
    seen = coef[-1] - (coef[0] if len(coef) > 1 else 0.0)
    divisor = float(seen @ direction / (direction @ direction))
    n, n_classes = classes.n_rows, len(classes.counts)
    return min((0, n_classes), key=lambda lost: abs(n - lost - divisor))


def _shrunk(classes: Classes, share: float, n_features: int) -> Found | None:
    """Return scores by a scatter of which a share is a multiple of the identity."""
    classes = _in_their_span(classes)
    scatters, values = _scatters(classes), None
    parts = []
    for k, own in enumerate(classes.deviations):
        if values is None or classes.weighed:
            matrix = classes.total(scatters, k)
            level = share * float(np.trace(matrix)) / n_features
            values, vectors = eigh((1.0 - share) * matrix, driver="evd", check_finite=False)
            values += level
        own, apart = own @ vectors, classes.differences(k) @ vectors
        gain = classes.ratio(k) * classes.weight(k, left=True)
        shift = share * gain * np.einsum("ij,ij->i", own, own) / n_features
        room = values - shift[:, None]
        if not room.min() > _LEAST_EIGENVALUE * values[-1]:
            return None
        products = inner_products(own, apart, 1.0 / room)
        parts.append(OwnClass(products, np.full(len(own), (1.0 - share) * gain)))
    return left_out_scores(classes, parts)


def _in_their_span(classes: Classes) -> Classes:
    """Return classes in orthonormal coordinates of their span, if features are more than rows."""
    every = [*classes.deviations, classes.means]
    sizes = [len(rows) for rows in every]
    if classes.means.shape[1] <= sum(sizes):
        return classes
    upper = qr(np.vstack(every).T, mode="r", check_finite=False)[0]
    *deviations, means = np.split(upper[: sum(sizes)].T, np.cumsum(sizes)[:-1])
    return classes._replace(deviations=deviations, means=means)
