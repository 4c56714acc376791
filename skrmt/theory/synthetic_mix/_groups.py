"""Ridge on any number of groups of rows: the general theorem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import lapack
from scipy.special import ndtr

from .._checks import FloatArray, FloatOrArray, finite_floats, in_range
from ..noisy_labels._decision import argmax_accuracy

_SWEEPS = 10_000
_TOLERANCE = 1e-12
_LARGEST_CONDITION = 1e6
"""Of the system of the variances, which is singular at interpolation. The next term in 1/n is
larger by this factor over n: beyond it the leading one means nothing below a million rows."""


class MixtureGroup(NamedTuple):
    """Rows of one law.

    Attributes
    ----------
    n : float
        Rows used (kept).
    mean : array-like of shape (p,)
        Mean of the rows times their true class, or of the rows if `target_mean` is given.
    covariance : float or array-like of shape (p,) or (p, p), default=1.0
        Covariance within classes: a variance, a diagonal, a matrix.
    weight : float, default=1.0
        Weight in the loss.
    noise_rate : float, default=0.0
        Share of wrong labels among the rows used, for two symmetric classes.
    target_mean : float or array-like of shape (q,), optional
        Mean target of the rows, all of one class: the group is then that class.
    target_moment : float or array-like of shape (q, q), optional
        E[t t^T]; by default that of a constant target, or 1.
    cross_moment : array-like of shape (p,) or (p, q), optional
        E[x t^T], where it is not ``mean target_mean^T``.
    second_moment : array-like of shape (p, p), optional
        E[x x^T], where it is not ``covariance + mean mean^T``.
    """

    n: float
    mean: ArrayLike
    covariance: ArrayLike = 1.0
    weight: float = 1.0
    noise_rate: float = 0.0
    target_mean: ArrayLike | None = None
    target_moment: ArrayLike | None = None
    cross_moment: ArrayLike | None = None
    second_moment: ArrayLike | None = None


class MixtureRidgeResult(NamedTuple):
    """Law of the score of fresh points, accuracy and risk.

    Attributes
    ----------
    mean : float or ndarray of shape (K,) or (K, q)
        Mean score: of the positive class for two symmetric classes, of each class otherwise.
    variance : float or ndarray of shape (K,) or (K, q, q)
        Its variance or covariance.
    accuracy : float
        Accuracy on right labels of the sign, or of the largest score.
    risk : float
        Expected squared error of the score, targets -1/+1 or one-hot.
    reliable : bool
        False close to interpolation, where variances diverge, and where the fixed point has not
        converged; every other field is then nan. Raise alpha.
    """

    mean: FloatOrArray
    variance: FloatOrArray
    accuracy: float
    risk: float
    reliable: bool = True


class _Components(NamedTuple):
    """Checked groups; covariances are all diagonals (p,) or all matrices (p, p)."""

    share: FloatArray
    weight: FloatArray
    means: FloatArray
    covariances: list[FloatArray]
    cross: FloatArray
    moments: FloatArray
    second: list[FloatArray | None]


def mixture_ridge(
    groups: Sequence[MixtureGroup],
    alpha: float,
    n_total: float,
    mean: ArrayLike,
    covariance: ArrayLike = 1.0,
    *,
    penalty: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    priors: ArrayLike | None = None,
) -> MixtureRidgeResult:
    r"""Return the law of the score of a ridge without intercept on weighted groups of rows.

    Parameters
    ----------
    groups : sequence of MixtureGroup
        The training rows. Groups without rows or weight are set aside.
    alpha : float
        Penalty :math:`\gamma` per row of `n_total`; 0 where more rows are used than features.
    n_total : float
        N, usually the number of rows before pruning.
    mean : array-like of shape (p,) or (K, p)
        Mean of the positive class of the test points (the other has the opposite), or the means of
        K classes.
    covariance : float or array-like, default=1.0
        Covariance of the test points within classes: a variance, a diagonal (p,), a matrix
        (p, p), or (K, p, p).
    penalty : array-like of shape (p,) or (p, p), optional
        Added to ``alpha I``: a generalised ridge, or ``(1/N) sum w x x^T`` of rows in hand on which
        the law is conditioned.
    offset : array-like of shape (p,) or (p, q), optional
        Added to the right side: ``(1/N) sum w x t^T`` of rows in hand.
    priors : array-like of shape (K,), optional
        Class probabilities of the test points; equal by default.

    Returns
    -------
    MixtureRidgeResult
        The law, the accuracy (signed: below chance where labels mislead) and the risk; nan where
        `reliable` is False.

    Raises
    ------
    ValueError
        If a shape or a range is wrong.
    TypeError
        If an argument is not numeric.

    Notes
    -----
    With :math:`c_a = n_a/N`, :math:`A = \Lambda + \sum_a \kappa_a C_a`,
    :math:`\kappa_a = c_a\omega_a/(1+\omega_a\delta_a)`, :math:`\delta_a = \mathrm{tr}(C_aA^{-1})/N`
    and the second moments :math:`\Gamma_a`,

    .. math::

        \bar w = \Big(\Lambda + \sum_a\kappa_a\Gamma_a\Big)^{-1}
                 \Big(r_0 + \sum_a\kappa_a h_a\Big),\qquad
        E[w^\top M w] = \bar w^\top M\bar w + \sum_a s_a d_a L_a,

    :math:`s_a = \kappa_a^2/c_a`, :math:`d = (I - T\,\mathrm{diag}(s))^{-1}d_0`,
    :math:`T_{ab} = \mathrm{tr}(C_aA^{-1}C_bA^{-1})/N`,
    :math:`d_{0a} = \mathrm{tr}(C_aA^{-1}MA^{-1})/N` and :math:`L_a` the population loss of
    :math:`\bar w` on group a. A pruned row has the weight 0: pruning enters :math:`n_a` alone,
    never :math:`\delta_a`. For an intercept append a constant feature (10 times the size of the
    others), without variance. Diagonal covariances cost O(p) per sweep, matrices O(p^3).

    References
    ----------
    "Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory",
    arXiv:2410.08942.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.synthetic_mix import MixtureGroup, mixture_ridge
    >>> mean = np.eye(200)[0]
    >>> groups = [MixtureGroup(300, mean), MixtureGroup(456, mean, noise_rate=0.04 / 0.76)]
    >>> result = mixture_ridge(groups, 1.0, 900, mean)
    >>> round(result.accuracy, 4)
    0.8003
    """
    test_means, symmetric, weights = _test_points(mean, priors)
    size = float(in_range("n_total", n_total, 0.0, np.inf, "neither", "It is a number of rows."))
    gamma = float(in_range("alpha", alpha, 0.0, np.inf, "left", "It is a ridge penalty."))
    dense = _needs_matrices(groups, covariance, penalty)
    parts = _components(groups, size, test_means.shape[1], dense)
    if gamma == 0 and penalty is None and parts.share.sum() * size <= test_means.shape[1]:
        raise ValueError(
            f"alpha must be positive unless more rows are used than features, got 0 with "
            f"{parts.share.sum() * size:g} rows and {test_means.shape[1]} features."
        )
    ridge = _form("penalty", 0.0 if penalty is None else penalty, test_means.shape[1], dense)
    ridge = ridge + gamma * (np.eye(len(ridge)) if dense else 1.0)
    delta, inverse, converged = _fixed_point(parts, ridge, size, dense)
    kappa = parts.share * parts.weight / (1.0 + parts.weight * delta)
    wbar = _mean_classifier(parts, kappa, ridge, offset, dense)
    tests = _test_covariances(covariance, len(test_means), test_means.shape[1], dense)
    unit = max(gamma, 1.0)
    spreads, regular = _score_covariances(parts, kappa, inverse, wbar, tests, size, unit)
    result = _result(test_means @ wbar * unit, spreads, symmetric, weights, unit)
    return result if converged and regular else _unreliable(result)


def _test_points(mean: Any, priors: Any) -> tuple[FloatArray, bool, FloatArray]:
    """Return test means (K, p), whether classes are symmetric, and the priors."""
    means = finite_floats("mean", mean, "Give the mean of the positive class, or of each class.")
    if means.ndim not in (1, 2) or 0 in means.shape:
        raise ValueError(f"mean must have shape (p,) or (K, p), got {means.shape}.")
    if means.ndim == 2 and len(means) == 1:
        raise ValueError(
            f"mean has one class, shape {means.shape}: give the means of two classes or more, or "
            "that of the positive one of two symmetric classes, (p,)."
        )
    symmetric = means.ndim == 1
    means = np.atleast_2d(means)
    if priors is None:
        return means, symmetric, np.full(len(means), 1.0 / len(means))
    weights = in_range("priors", priors, 0.0, 1.0, "both", "Give probabilities.")
    if weights.shape != (len(means),) or abs(weights.sum() - 1) > 1e-6:
        raise ValueError(f"priors must be {len(means)} numbers with sum 1, got {priors!r}.")
    return means, symmetric, weights


def _needs_matrices(groups: Any, covariance: Any, penalty: Any) -> bool:
    """Return whether any matrix is not diagonal."""
    forms = [group.covariance for group in groups] + [covariance]
    forms += [] if penalty is None else [penalty]
    return any(np.ndim(form) >= 2 for form in forms) or any(
        group.second_moment is not None for group in groups
    )


def _form(name: str, value: Any, p: int, dense: bool) -> FloatArray:
    """Return a covariance as a diagonal (p,) or a matrix (p, p)."""
    array = finite_floats(name, value, "Give a variance, a diagonal or a matrix.")
    if array.shape not in ((), (p,), (p, p)):
        raise ValueError(f"{name} must have shape (), ({p},) or ({p}, {p}), got {array.shape}.")
    if array.ndim < 2:
        diagonal = np.broadcast_to(array, (p,)).astype(float)
        if (diagonal < 0).any():
            raise ValueError(f"{name} has a negative variance, {diagonal.min():g}.")
        return np.diag(diagonal) if dense else diagonal
    return array


def _components(groups: Any, size: float, p: int, dense: bool) -> _Components:
    """Check the groups and bring them to one form."""
    if len(groups) == 0:
        raise ValueError("groups is empty: give one MixtureGroup at least.")
    kept = []
    for index, group in enumerate(groups):
        n = float(in_range(f"groups[{index}].n", group.n, 0.0, np.inf, "left", "Rows used."))
        name = f"groups[{index}].weight"
        weight = float(in_range(name, group.weight, 0.0, np.inf, "left", "A loss weight."))
        if n > 0 and weight > 0:
            kept.append((index, n, weight, group))
    if not kept:
        raise ValueError("groups has no row of positive weight: give a positive n and weight.")
    means, covariances, moments, second = [], [], [], []
    cross: list[FloatArray] = []
    for index, _, _, group in kept:
        mean = finite_floats(f"groups[{index}].mean", group.mean, "Give a mean.")
        if mean.shape != (p,):
            raise ValueError(f"groups[{index}].mean must have shape ({p},), got {mean.shape}.")
        means.append(mean)
        covariances.append(_form(f"groups[{index}].covariance", group.covariance, p, dense))
        h, nu = _target_moments(index, group, mean)
        if h.shape != (cross[0] if cross else h).shape or nu.shape != (h.shape[1],) * 2:
            raise ValueError(
                f"groups[{index}] has {h.shape[1]} target columns and a target_moment of shape "
                f"{nu.shape}: give every group the same q columns, and moments (q, q)."
            )
        cross.append(h)
        moments.append(nu)
        given = group.second_moment
        second.append(None if given is None else np.asarray(given, dtype=float))
    share = np.array([n for _, n, _, _ in kept]) / size
    loads = np.array([w for _, _, w, _ in kept])
    return _Components(
        share, loads, np.array(means), covariances, np.array(cross), np.array(moments), second
    )


def _target_moments(index: int, group: Any, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return E[x t^T], (p, q), and E[t t^T], (q, q), of a group."""
    if group.target_mean is None:
        name = f"groups[{index}].noise_rate"
        noise = float(in_range(name, group.noise_rate, 0.0, 1.0, "both", "A share."))
        target, default = np.array([1.0 - 2.0 * noise]), np.ones((1, 1))
    else:
        target = np.atleast_1d(np.asarray(group.target_mean, dtype=float))
        default = np.outer(target, target)
    cross = np.outer(mean, target)
    if group.cross_moment is not None:
        cross = np.asarray(group.cross_moment, dtype=float).reshape(len(mean), -1)
    nu = default if group.target_moment is None else np.atleast_2d(group.target_moment)
    return cross, np.asarray(nu, dtype=float)


def _fixed_point(
    parts: _Components, ridge: FloatArray, size: float, dense: bool
) -> tuple[FloatArray, FloatArray, bool]:
    """Return delta (G,), the inverse of A, and whether the iteration has converged."""
    delta = np.ones(len(parts.share))
    for _ in range(_SWEEPS):
        kappa = parts.share * parts.weight / (1.0 + parts.weight * delta)
        level = ridge + sum(k * c for k, c in zip(kappa, parts.covariances, strict=True))
        inverse = _inverse(level) if dense else 1.0 / level
        traces = np.array([np.sum(c * inverse) for c in parts.covariances]) / size
        close = np.abs(traces - delta).max() <= _TOLERANCE * np.abs(traces).max()
        delta = traces
        if close:
            return delta, inverse, True
    return delta, inverse, False


def _inverse(matrix: FloatArray) -> FloatArray:
    """Return the inverse of a positive definite matrix."""
    factor, info = lapack.dpotrf(matrix, lower=0)
    if info != 0:
        raise ValueError(
            "the penalised covariance is not positive definite: give symmetric positive "
            "semidefinite covariances and penalty, and a positive alpha."
        )
    inverse, _ = lapack.dpotri(factor, lower=0)
    return np.asarray(np.triu(inverse) + np.triu(inverse, 1).T)


def _mean_classifier(
    parts: _Components, kappa: FloatArray, ridge: FloatArray, offset: Any, dense: bool
) -> FloatArray:
    """Return wbar (p, q)."""
    right = np.tensordot(kappa, parts.cross, axes=1)
    if offset is not None:
        right = right + np.asarray(offset, dtype=float).reshape(len(right), -1)
    level = ridge + sum(k * c for k, c in zip(kappa, parts.covariances, strict=True))
    if dense:
        matrix = level.copy()
        for a, moment in enumerate(parts.second):
            mean = parts.means[a]
            rest = np.outer(mean, mean) if moment is None else moment - parts.covariances[a]
            matrix += kappa[a] * rest
        return np.linalg.solve(matrix, right)
    solved = (parts.means / level).T
    system = np.diag(1.0 / kappa) + parts.means @ solved
    base = right / level[:, None]
    return base - solved @ np.linalg.solve(system, parts.means @ base)


def _test_covariances(covariance: Any, n_classes: int, p: int, dense: bool) -> list[FloatArray]:
    """Return one covariance per class of test points, or one for all."""
    if np.ndim(covariance) == 3:
        if len(np.asarray(covariance)) != n_classes:
            raise ValueError(
                f"covariance must have {n_classes} matrices, one per class, got shape "
                f"{np.shape(covariance)}."
            )
        return [_form("covariance", matrix, p, dense) for matrix in np.asarray(covariance)]
    return [_form("covariance", covariance, p, dense)]


def _score_covariances(
    parts: _Components,
    kappa: FloatArray,
    inverse: FloatArray,
    wbar: FloatArray,
    tests: list[FloatArray],
    size: float,
    unit: float,
) -> tuple[FloatArray, bool]:
    """Return E[w_k^T M w_l] for each test covariance, (t, q, q), and whether they mean anything.

    They are those of scores times a unit, which keeps their squares in range at large penalties.
    """
    inverse, scaled = inverse * unit, wbar * unit
    products = [_times(c, inverse) for c in parts.covariances]
    mixing = np.array([[_trace(a, b) for b in products] for a in products]) / size / unit / unit
    second = kappa**2 / parts.share
    system = np.eye(len(kappa)) - mixing * second
    regular = bool(np.linalg.cond(system) <= _LARGEST_CONDITION)
    losses = np.array([_loss(parts, a, wbar) for a in range(len(kappa))])
    spreads = []
    for test in tests:
        shape = _times(test, inverse)
        start = np.array([_trace(product, shape) for product in products]) / size
        factor = second * np.linalg.solve(system, start)
        spreads.append(scaled.T @ _times(test, scaled) + np.tensordot(factor, losses, axes=1))
    return np.array(spreads), regular


def _unreliable(result: MixtureRidgeResult) -> MixtureRidgeResult:
    """Return a result of the same shape, all nan."""
    mean, variance = np.multiply(result.mean, np.nan), np.multiply(result.variance, np.nan)
    return MixtureRidgeResult(mean, variance, np.nan, np.nan, reliable=False)


def _loss(parts: _Components, a: int, wbar: FloatArray) -> FloatArray:
    """Return the population loss of wbar on group a, (q, q)."""
    fit = parts.cross[a].T @ wbar
    moment = parts.second[a]
    if moment is None:
        score = parts.means[a] @ wbar
        energy = wbar.T @ _times(parts.covariances[a], wbar) + np.outer(score, score)
    else:
        energy = wbar.T @ moment @ wbar
    return np.asarray(parts.moments[a] - fit - fit.T + energy)


def _times(matrix: FloatArray, other: FloatArray) -> FloatArray:
    """Multiply by a matrix, or by a diagonal given as a vector."""
    if matrix.ndim == 2:
        return matrix @ other
    return matrix * other if other.ndim == 1 else matrix[:, None] * other


def _trace(one: FloatArray, other: FloatArray) -> float:
    """Return the trace of the product of two matrices or diagonals."""
    return float(np.sum(one * other.T))


def _result(
    scores: FloatArray,
    spreads: FloatArray,
    symmetric: bool,
    priors: FloatArray,
    unit: float,
) -> MixtureRidgeResult:
    """Return the law from scores (K, q) and covariances (t, q, q), both times a unit."""
    n_classes, n_scores = scores.shape
    spreads = np.broadcast_to(spreads, (n_classes, n_scores, n_scores))
    if symmetric and n_scores == 1:
        m, v = float(scores[0, 0]), float(spreads[0, 0, 0])
        accuracy = float(ndtr(m / np.sqrt(v))) if v > 0 else 0.5
        m, v = m / unit, v / unit / unit
        return MixtureRidgeResult(m, v, accuracy, 1.0 - 2.0 * m + m**2 + v)
    if n_scores == 1 and n_classes == 2:
        signs, means, variances = np.array([-1.0, 1.0]), scores[:, 0], spreads[:, 0, 0]
        accuracy = float(priors @ ndtr(signs * means / np.sqrt(variances)))
        means, variances = means / unit, variances / unit / unit
        risk = float(priors @ ((signs - means) ** 2 + variances))
        return MixtureRidgeResult(means, variances, accuracy, risk)
    if n_scores != n_classes:
        raise ValueError(
            f"mean has {n_classes} classes but the targets of groups have {n_scores} columns: give "
            "one column per class, or scalar targets for two classes."
        )
    accuracy = argmax_accuracy(scores, spreads.copy(), priors)
    scores, spreads = scores / unit, spreads / unit / unit
    errors = ((np.eye(n_classes) - scores) ** 2).sum(1) + np.trace(spreads, axis1=1, axis2=2)
    return MixtureRidgeResult(scores, spreads, float(accuracy), float(priors @ errors))
