"""Ridge fits to wide sparse data by Krylov spaces, without a dense array of their size."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import eigh_tridiagonal

from ...linalg._gram import _clear_columns, _constant_columns
from ...linalg._ridge_basis import check_alphas
from ...utils._progress import say

TOLERANCE = 1e-3
"""Root mean square error of converged fits, over that of the targets: a score of 1 has three
digits, far more than its sampling error."""

_FIRST_STEPS = 12
"""Steps after which convergence is looked at; half as many more each time it is not reached."""

_FEWEST_STEPS = 48
"""Steps for which there must be memory: enough for penalties of some use in every case tried."""

_MOST_STEPS = 384
"""Steps beyond which penalties that have not converged are given up."""

_VECTORS = 1 << 26
"""Numbers of Krylov vectors kept, in single precision: 256 MB. Without memory for the fewest
steps, folds are fitted in turn."""

_SOLUTIONS = 1 << 23
"""Numbers of coefficients at all penalties of a fold that are held at once: 64 MB."""

_CG_TOLERANCE = 1e-7
"""Relative residual of the coefficients that are kept."""

_CG_STEPS = 2000
"""Most steps of conjugate gradients for them."""


class SparseRidge(NamedTuple):
    """Sparse data of ridge fits, of which neither side has a dense Gram matrix.

    Parameters
    ----------
    data : sparse array of shape (n, p)
        The rows in double precision, constant columns cleared.
    transposed : sparse array of shape (p, n)
        Its transpose, by rows: products with it are twice as fast.
    weights : ndarray of shape (n,)
        Weights of the rows.
    mean : ndarray of shape (p,)
        Weighted column means, zeros without intercept.
    total_weight : float
        W: the penalty is ``W alpha``.
    fit_intercept : bool
        Whether an intercept is fitted.
    varying : ndarray of shape (p,)
        False for the columns that are constant.
    trace : float
        Sum of the squared singular values of the centred, weighted rows.
    part : ndarray of shape (n,)
        Part of the weight of each row that its fold leaves out.
    dtype : {"float32", "float64"}
        Precision of coefficients.
    """

    data: Any
    transposed: Any
    weights: np.ndarray
    mean: np.ndarray
    total_weight: float
    fit_intercept: bool
    varying: np.ndarray
    trace: float
    part: np.ndarray
    dtype: str

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self.data.shape[0]

    @property
    def largest(self) -> float:
        """Bound of the largest squared singular value; convergence finds penalties too small."""
        return 0.0

    @property
    def share(self) -> np.ndarray:
        """Leverage of the intercept: each row's share of the weight, zero without intercept."""
        return self.weights * (self.fit_intercept / self.total_weight)


class FoldPath(NamedTuple):
    """Scores of rows by fits without their fold, at every penalty.

    Attributes
    ----------
    scores : ndarray of shape (n, q, k)
        The scores, in single precision.
    converged : ndarray of bool of shape (k,)
        Penalties at which the fits are as accurate as `TOLERANCE`; False also where the search
        ended before, at larger penalties that are better.
    """

    scores: np.ndarray
    converged: np.ndarray


def sparse_ridge(
    X: Any,
    sample_weight: np.ndarray | None = None,
    *,
    fit_intercept: bool = True,
    part: np.ndarray | None = None,
) -> SparseRidge:
    """Prepare sparse data of moderate scale for ridge fits by Krylov spaces.

    The data are copied twice, in double precision.
    """
    n, p = X.shape
    data = sparse.csr_array(X, dtype=np.float64, copy=True)
    weights = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    total = float(weights.sum())
    mean, varying = np.zeros(p), np.ones(p, dtype=bool)
    if fit_intercept:
        varying = ~_constant_columns(data)
        _clear_columns(data, varying)
        mean = data.T @ weights / total
    squares = np.repeat(weights, np.diff(data.indptr)) @ data.data**2
    return SparseRidge(
        data=data,
        transposed=data.T.tocsr(),
        weights=weights,
        mean=mean,
        total_weight=total,
        fit_intercept=fit_intercept,
        varying=varying,
        trace=max(float(squares - total * (mean @ mean)), 0.0),
        part=np.ones(n) if part is None else np.asarray(part, dtype=float),
        dtype="float32" if X.dtype == np.float32 else "float64",
    )


class _Folds(NamedTuple):
    """Fits to the rows outside each of some folds.

    Attributes
    ----------
    system : SparseRidge
        The data.
    weights : ndarray of shape (n, f)
        Weights of the rows in each fit.
    totals : ndarray of shape (f,)
        Their sums.
    means : ndarray of shape (p, f)
        Column means in each fit.
    dual : bool
        Whether Krylov vectors are of the length of a column, else of a row.
    """

    system: SparseRidge
    weights: np.ndarray
    totals: np.ndarray
    means: np.ndarray
    dual: bool

    def operate(self, vectors: np.ndarray) -> np.ndarray:
        """Multiply each vector by the Gram matrix of its fit, (p, f) or dual (n, f)."""
        X, across = self.system.data, self.system.transposed
        if self.dual:
            heavy = np.sqrt(self.weights) * vectors
            columns = across @ heavy - self.means * heavy.sum(0)
            return np.sqrt(self.weights) * (X @ columns - (self.means * columns).sum(0))
        product = across @ (self.weights * (X @ vectors))
        return product - self.means * (self.totals * np.einsum("pf,pf->f", self.means, vectors))

    def start(self, target: np.ndarray) -> np.ndarray:
        """Return the right-hand side of each fit for a target (n,)."""
        centred = target[:, None] - self.target_means(target)
        if self.dual:
            return np.sqrt(self.weights) * centred
        heavy = self.weights * centred
        return self.system.transposed @ heavy - self.means * heavy.sum(0)

    def target_means(self, target: np.ndarray) -> np.ndarray:
        """Return the mean of a target in each fit, zero without intercept."""
        return self.system.fit_intercept * (target @ self.weights) / self.totals

    def coefficients(self, fold: int, solutions: np.ndarray) -> np.ndarray:
        """Return the coefficients (p, k) of solutions of a fit, (p, k) or dual (n, k)."""
        if not self.dual:
            return solutions
        heavy = np.sqrt(self.weights[:, [fold]]) * solutions
        return self.system.transposed @ heavy - np.outer(self.means[:, fold], heavy.sum(0))


def fold_path(
    system: SparseRidge,
    targets: np.ndarray,
    alphas: Any,
    folds: np.ndarray,
    *,
    all_penalties: bool = False,
) -> FoldPath:
    r"""Compute scores of rows by ridge fits without their fold, at every penalty.

    Lanczos' recursion of the smaller of ``X_c^T X_c`` and ``X_c X_c^T`` from the target gives the
    fits at all penalties: after m steps, with tridiagonal T and orthonormal vectors Q,

    .. math:: x(\lambda) = \|b\| Q (T + \lambda)^{-1} e_1,

    whose residual is known from the last entry. Folds run together, so that the sparse matrix is
    read twice a step for all of them. Time ``O(nnz m f)``, memory ``O(m f min(n, p))``, 256 MB at
    most, and ``n q k`` scores.
    """
    alphas = check_alphas(alphas)
    columns = np.asarray(targets, dtype=float).reshape(system.n_samples, -1)
    scores = np.zeros((system.n_samples, columns.shape[1], len(alphas)), dtype=np.float32)
    converged = np.ones(len(alphas), dtype=bool)
    n_folds = int(folds.max()) + 1
    side = min(system.data.shape)
    at_once = int(np.clip(_VECTORS // (side * _FEWEST_STEPS), 1, n_folds))
    for first in range(0, n_folds, at_once):
        chosen = np.arange(first, min(first + at_once, n_folds))
        fits = _folds(system, folds, chosen)
        for j in range(columns.shape[1]):
            converged &= _fill(
                fits, columns[:, j], alphas, folds, chosen, all_penalties, scores[:, j]
            )
        say(f"{chosen[-1] + 1} of {n_folds} folds fitted")
    return FoldPath(scores, converged)


def _folds(system: SparseRidge, folds: np.ndarray, chosen: np.ndarray) -> _Folds:
    """Return the fits to the rows outside some folds."""
    out = (folds[:, None] == chosen) * system.part[:, None]
    weights = system.weights[:, None] * (1.0 - out)
    totals = weights.sum(0)
    means = np.zeros((system.data.shape[1], len(chosen)))
    if system.fit_intercept:
        means = system.transposed @ weights / totals
    return _Folds(system, weights, totals, means, system.data.shape[0] < system.data.shape[1])


def _fill(
    fits: _Folds,
    target: np.ndarray,
    alphas: np.ndarray,
    folds: np.ndarray,
    chosen: np.ndarray,
    all_penalties: bool,
    scores: np.ndarray,
) -> np.ndarray:
    """Write the scores (n, k) of the rows of some folds, and return what has converged."""
    space = _Krylov(fits, target)
    rows = [np.flatnonzero(folds == fold) for fold in chosen]
    members = [fits.system.data[row] for row in rows]
    limit = min(_MOST_STEPS, max(_FEWEST_STEPS, _VECTORS // space.current.size))
    steps = _FIRST_STEPS
    while True:
        space.extend(min(steps, limit))
        converged = space.converged(alphas)
        finished = converged.all() or space.exhausted or steps >= limit
        if finished or (converged.any() and not all_penalties):
            errors = np.zeros(len(alphas))
            for place, (row, member) in enumerate(zip(rows, members, strict=True)):
                found = _scores_of_fold(space, place, member, alphas)
                scores[row] = found
                # As everywhere, errors of far scores are bounded.
                bounded = np.clip(found, target.min() - 1.0, target.max() + 1.0)
                errors += fits.system.weights[row] @ (target[row, None] - bounded) ** 2
            best = int(np.argmin(np.where(converged, errors, np.inf)))
            if finished or converged[max(best - 1, 0) :].all():
                return converged
        steps += steps // 2


def _scores_of_fold(space: _Krylov, place: int, rows: Any, alphas: np.ndarray) -> np.ndarray:
    """Return the scores (m, k) of the rows of a fold by the fit without them."""
    fits = space.fits
    width = max(1, _SOLUTIONS // max(rows.shape[1], fits.weights.shape[0] * fits.dual))
    parts = []
    for first in range(0, len(alphas), width):
        some = alphas[first : first + width]
        coef = fits.coefficients(place, space.solutions(place, some))
        parts.append(rows @ coef - fits.means[:, place] @ coef + space.target_means[place])
    return np.concatenate(parts, axis=1)


class _Krylov:
    """Krylov spaces of several fits, from one target, with what solves them at every penalty."""

    def __init__(self, fits: _Folds, target: np.ndarray):
        self.fits = fits
        self.target_means = fits.target_means(target)
        start = fits.start(target)
        self.size = np.sqrt((start * start).sum(0))
        spread = (fits.weights * (target[:, None] - self.target_means) ** 2).sum(0)
        self.target_size = np.sqrt(spread)
        self.current = start / np.where(self.size > 0, self.size, 1.0)
        self.previous = np.zeros_like(start)
        self.blocks: list[np.ndarray] = []
        self.diagonal: list[np.ndarray] = []
        self.beside: list[np.ndarray] = []

    @property
    def exhausted(self) -> bool:
        """Whether the spaces hold the solutions themselves."""
        return bool(self.diagonal) and not (self.beside[-1] > 0).any()

    def extend(self, steps: int) -> None:
        """Take Lanczos' recursion to a number of steps."""
        first = len(self.diagonal)
        block = np.zeros((self.current.shape[1], max(steps - first, 0), len(self.current)), "f4")
        self.blocks.append(block)
        while len(self.diagonal) < steps and not self.exhausted:
            block[:, len(self.diagonal) - first] = self.current.T
            after = self.fits.operate(self.current)
            diagonal = (after * self.current).sum(0)
            after -= diagonal * self.current
            if self.beside:
                after -= self.beside[-1] * self.previous
            beside = np.sqrt((after * after).sum(0))
            # What is left of an exhausted space is rounding.
            beside[beside <= 1e-13 * self._largest(diagonal)] = 0.0
            after *= np.where(beside > 0, 1.0 / np.where(beside > 0, beside, 1.0), 0.0)
            self.diagonal.append(diagonal)
            self.beside.append(beside)
            self.previous, self.current = self.current, after

    def _largest(self, diagonal: np.ndarray) -> np.ndarray:
        """Return the largest diagonal entry of each fit."""
        return np.max([*self.diagonal, diagonal], axis=0)

    def _eigen(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the eigenvalues and vectors of the tridiagonal matrix of a fit."""
        diagonal = np.array([entry[place] for entry in self.diagonal])
        beside = np.array([entry[place] for entry in self.beside])
        ends = np.flatnonzero(beside == 0.0)
        size = ends[0] + 1 if len(ends) else len(diagonal)
        values, vectors = eigh_tridiagonal(diagonal[:size], beside[: size - 1])
        return np.maximum(values, 0.0), vectors

    def _filters(self, values: np.ndarray, alphas: np.ndarray) -> np.ndarray:
        """Return the factors of eigendirections at every penalty, (m, k)."""
        penalty = self.fits.system.total_weight * alphas
        finite = np.isfinite(alphas)
        factors = 1.0 / np.maximum(values[:, None] + np.where(finite, penalty, 1.0), 1e-300)
        return np.where(finite, factors, 1.0 / self.fits.system.total_weight)

    def solutions(self, place: int, alphas: np.ndarray) -> np.ndarray:
        """Return the solutions of a fit at every penalty, (p, k) or dual (n, k)."""
        values, vectors = self._eigen(place)
        inner = (vectors * vectors[0]) @ self._filters(values, alphas) * self.size[place]
        inner = inner.astype(np.float32)
        found: Any = 0.0
        for block in self.blocks:
            some, inner = inner[: block.shape[1]], inner[block.shape[1] :]
            found = found + block[place, : len(some)].T @ some
        return found

    def converged(self, alphas: np.ndarray) -> np.ndarray:
        """Return at which penalties the error of the fits is small."""
        penalty = self.fits.system.total_weight * alphas
        converged = np.ones(len(alphas), dtype=bool)
        for place, size in enumerate(self.size):
            values, vectors = self._eigen(place)
            rest = self.beside[len(values) - 1][place]
            last = (vectors[-1] * vectors[0]) @ self._filters(values, alphas)
            residual = rest * abs(last) * size
            root = 1.0 if self.fits.dual else 0.5
            with np.errstate(divide="ignore", invalid="ignore"):
                shrunk = values[:, None] ** root / (values[:, None] + penalty)
            error = residual * np.nan_to_num(shrunk, nan=0.0, posinf=0.0).max(0)
            converged &= (error <= TOLERANCE * self.target_size[place]) | np.isinf(alphas)
        return converged


def sparse_coefficients(
    system: SparseRidge, targets: np.ndarray, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the ridge coefficients at one penalty by conjugate gradients.

    Residuals fall to 1e-7 of the right-hand side.
    """
    columns = np.asarray(targets, dtype=float).reshape(system.n_samples, -1)
    nobody = np.zeros(system.n_samples, dtype=int)
    whole = _folds(system._replace(part=np.zeros(system.n_samples)), nobody, nobody[:1])
    share = system.share
    coef = np.empty((columns.shape[1], system.data.shape[1]))
    for j, target in enumerate(columns.T):
        start = whole.start(target)
        if np.isfinite(alpha):
            solution = _conjugate_gradients(whole, start, system.total_weight * alpha)
        else:
            solution = start / system.total_weight
        coef[j] = whole.coefficients(0, solution)[:, 0]
    intercept = share @ columns - coef @ system.mean
    return coef.astype(system.dtype), intercept.astype(system.dtype)


def _conjugate_gradients(fits: _Folds, start: np.ndarray, penalty: float) -> np.ndarray:
    """Return the solution of one fit at one penalty."""
    solution, residual = np.zeros_like(start), start.copy()
    direction, size = residual.copy(), float((residual * residual).sum())
    wanted = _CG_TOLERANCE**2 * size
    for _ in range(_CG_STEPS):
        if size <= wanted:
            break
        image = fits.operate(direction) + penalty * direction
        curvature = float((direction * image).sum())
        if not curvature > 0:
            break
        step = size / curvature
        solution += step * direction
        residual -= step * image
        before, size = size, float((residual * residual).sum())
        direction = residual + (size / before) * direction
    return solution


def squared_distances(system: SparseRidge, rows: np.ndarray) -> np.ndarray:
    """Compute squared distances of all rows from some of them."""
    data = system.data
    norms = np.asarray(data.multiply(data).sum(axis=1), dtype=float).ravel()
    products = np.asarray((data @ data[rows].T).toarray())
    return np.maximum(norms[:, None] + norms[rows] - 2.0 * products, 0.0)
