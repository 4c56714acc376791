"""Whether the generator of a synthetic source has seen the real rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lapack
from scipy.special import gammainc, xlogy

from ...linalg import to_numpy
from ...utils._dask import is_dask
from ...utils._rows import RowJob, block_sums
from ._input import LabelledRows, effective_size
from ._source_labels import class_sums

_LEAKED, _INDEPENDENT = (0.02, 0.1, 0.25, 0.5), (1.0, 1.5, 2.2)
"""Squared distance of real and synthetic class means, the sampling error of the latter taken off,
in units of that of the former: about 0 for generators fitted to the real rows, up to .5 where they
distort means (SMOTE, kernel densities), and 1 for rows of the same law, more for others, whose own
training rows and shapes add to it. Each hypothesis is the even mixture of its values."""
_SURE_ODDS, _SURE_PVALUE = 1.5, 0.005
"""Log-odds above which, or p-value below which, a leak is taken as found: on the tables of
benchmarks/bench_synthetic_leaks.py in .92 of the fits with a leak, .007 of those without."""
_POSSIBLE_ODDS = 0.0
"""Log-odds above which a leak is not excluded: there in all fits with one, .08 of those without."""


class LeakEvidence(NamedTuple):
    """What class means show of a leak; nan where there are too few rows.

    Attributes
    ----------
    pvalue : float
        Probability of class means as near if the generator had not seen the real rows.
    log_odds : float
        Log of the likelihood of the distance with a leak over that without.
    """

    pvalue: float
    log_odds: float

    @property
    def found(self) -> bool:
        """Whether a leak is taken as found."""
        return self.log_odds > _SURE_ODDS or self.pvalue < _SURE_PVALUE

    @property
    def possible(self) -> bool:
        """Whether a leak is not excluded."""
        return self.found or self.log_odds > _POSSIBLE_ODDS


NO_EVIDENCE = LeakEvidence(np.nan, np.nan)


class ClassSums(NamedTuple):
    """Sums of the rows of a source over its classes, about a centre.

    Attributes
    ----------
    weights : ndarray of shape (K,)
        Weight of each class.
    sums : ndarray of shape (K, p)
        Weighted sum of the rows of each class.
    gram : ndarray of shape (p, p) or None
        Weighted Gram matrix of all rows; None where there are more features than rows.
    energy : float
        Its trace.
    size : float
        Effective number of rows.
    """

    weights: np.ndarray
    sums: np.ndarray
    gram: np.ndarray | None
    energy: float
    size: float


class Metric(NamedTuple):
    """Inverse of the covariance within classes of a source plus its mean eigenvalue.

    Directions that vary little count as much as others: there are more of them, and the distance
    is then known better.

    Attributes
    ----------
    matrix : ndarray of shape (p, p) or None
        The inverse A; None for the metric of the features as they are.
    trace : float
        tr A C with C the covariance.
    """

    matrix: np.ndarray | None
    trace: float

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Return rows times A."""
        return rows if self.matrix is None else rows @ self.matrix


def leak_evidence(problem: Any) -> list[LeakEvidence]:
    """Test each source of a problem for a leak."""
    real = problem.real
    sources = getattr(problem.basis, "sources", [])
    if not sources:
        return [NO_EVIDENCE for _ in problem.strata]
    rows = _in_memory(real.X)
    centre = np.asarray(real.weights @ rows, dtype=float).ravel() / real.weights.sum()
    found, given = [], iter(sources)
    for strata, corrected in zip(problem.strata, problem.corrected, strict=True):
        filled = [stratum for stratum in strata if len(stratum.codes)]
        parts = [_class_sums(next(given), s, centre, problem, corrected) for s in filled]
        if not parts or real.size < 3:
            found.append(NO_EVIDENCE)
            continue
        weights, part = (
            np.concatenate([getattr(s, name) for s in filled]) for name in ("weights", "part")
        )
        grams = [p.gram for p in parts if p.gram is not None]
        whole = ClassSums(
            np.sum([p.weights for p in parts], axis=0),
            np.sum([p.sums for p in parts], axis=0),
            np.sum(grams, axis=0) if len(grams) == len(parts) else None,
            sum(p.energy for p in parts),
            effective_size(weights, part),
        )
        found.append(source_evidence(real._replace(X=rows), whole, centre, problem.n_classes))
    return found


def _in_memory(X: Any) -> Any:
    """Return data as an array or a sparse matrix."""
    return X if hasattr(X, "toarray") else to_numpy(X)


def _class_sums(
    moments: Any, stratum: LabelledRows, centre: np.ndarray, problem: Any, corrected: bool
) -> ClassSums:
    """Return the sums of rows, from their moments where these are known, with targets -1/+1."""
    n_classes = problem.n_classes
    weights = np.bincount(stratum.codes, stratum.weights, minlength=n_classes)
    total = float(weights.sum())
    if moments.gram is None or not problem.fit_intercept or corrected:
        member = np.eye(n_classes)[stratum.codes] * stratum.weights[:, None]
        if is_dask(moments.X):
            sums, energy = block_sums([RowJob(class_sums, moments.X, (member,))])[0]
        else:
            sums, energy = class_sums(_in_memory(moments.X), member)
        sums = sums - weights[:, None] * centre
        energy -= float((2.0 * sums.sum(0) + total * centre) @ centre)
        return ClassSums(weights, sums, None, float(energy), 0.0)
    gram, cross, mean, target_mean = (
        np.asarray(to_numpy(getattr(moments, name)), dtype=float)
        for name in ("gram", "cross", "mean", "target_mean")
    )
    shift = mean - centre
    signed = cross.T + total * target_mean[:, None] * shift
    if n_classes == 2:
        signed = np.concatenate([-signed, signed])
    sums = (total * shift + signed) / 2.0
    gram = gram + total * np.outer(shift, shift)
    return ClassSums(weights, sums, gram, float(np.trace(gram)), 0.0)


def source_evidence(
    real: LabelledRows, source: ClassSums, centre: np.ndarray, n_classes: int
) -> LeakEvidence:
    """Compare the class means of a source with those of the real rows, by their sampling errors."""
    seen = np.flatnonzero(source.weights > 0)
    total = source.weights.sum()
    own = np.bincount(real.codes, real.weights, minlength=n_classes)
    rows = real.X.toarray() if hasattr(real.X, "toarray") else real.X
    rows = np.asarray(rows, dtype=float) - centre
    member = np.eye(n_classes)[real.codes] * real.weights[:, None]
    means = (member.T @ rows) / own[:, None]
    made = source.sums[seen] / source.weights[seen, None]
    metric = _metric(source, made, seen, total)
    spread = rows - means[real.codes]
    trace, square = _within(spread, real, own, metric, n_classes)
    if not (trace.min() > 0 and metric.trace > 0 and square > 0):
        return NO_EVIDENCE
    shares = own[seen] / own[seen].sum()
    size = real.size * own[seen].sum() / own.sum()
    # The means of all rows, off the contrasts of the classes: these depend on class shares.
    shift = shares @ means[seen] - shares @ made
    factor, n_contrasts, noise = 0.0, len(seen) - 1, float(shares @ trace[seen]) / size
    distance, n_fitted = 0.0, 0
    if n_contrasts:
        # Wrong labels and shrunk classes change the length of the contrasts of a source.
        a, b = means[seen] - shares @ means[seen], made - shares @ made
        energy, cross = (shares @ (metric.apply(b) * other).sum(1) for other in (b, a))
        if not energy > 0:
            return NO_EVIDENCE
        factor = float(cross / energy)
        gap = a - factor * b
        distance = float(shares @ (metric.apply(gap) * gap).sum(1))
        noise += float((1.0 - shares) @ trace[seen]) / size
        inner = metric.apply(b) @ b.T
        shift = shift - np.linalg.pinv(inner, rcond=1e-10) @ (metric.apply(b) @ shift) @ b
        n_fitted = len(seen)
    distance += float(metric.apply(shift[None])[0] @ shift)
    own_noise = (factor**2 * n_contrasts + 1.0) * metric.trace / source.size
    pooled = float(own @ trace / own.sum())
    freedom = max(len(seen) * pooled**2 / square, 1.0)
    left = max(1.0 - n_fitted / freedom, 0.1)
    shape = max(freedom - n_fitted, 1.0) / 2.0
    return _evidence(distance, noise * left, own_noise * left, shape)


def _evidence(distance: float, noise: float, own_noise: float, shape: float) -> LeakEvidence:
    """Return p-value and odds of a squared distance, a scaled chi-square of `2 shape` degrees."""

    def likelihood(factors):
        ratio = shape * max(distance, 1e-300) / (own_noise + np.array(factors) * noise)
        # Log-densities of gamma variables, but for a constant that both hypotheses share.
        return np.logaddexp.reduce(xlogy(shape, ratio) - ratio) - np.log(len(factors))

    pvalue = float(gammainc(shape, shape * distance / (own_noise + noise)))
    return LeakEvidence(pvalue, float(likelihood(_LEAKED) - likelihood(_INDEPENDENT)))


def _metric(source: ClassSums, made: np.ndarray, seen: np.ndarray, total: float) -> Metric:
    """Return the metric of a source, and traces of its covariance within classes in it."""
    freedom = max(source.size - len(seen), 1.0)
    scale = source.size / freedom / total
    p = made.shape[1]
    if source.gram is None:
        within = source.energy - source.weights[seen] @ (made**2).sum(1)
        return Metric(None, float(max(within, 0.0) * scale))
    between = (made.T * source.weights[seen]) @ made
    covariance = (source.gram - between) * scale
    level = float(np.trace(covariance)) / p
    if not level > 0:
        return Metric(None, 0.0)
    system = covariance.copy()
    system.flat[:: p + 1] += level
    factor, info = lapack.dpotrf(system, lower=1)
    if info != 0:
        return Metric(None, float(np.trace(covariance)))
    inverse, _ = lapack.dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    return Metric(inverse, p - level * float(np.trace(inverse)))


def _within(
    spread: np.ndarray, real: LabelledRows, own: np.ndarray, metric: Metric, n_classes: int
) -> tuple[np.ndarray, float]:
    """Return traces of the covariance of each class, and of the square of the pooled one."""
    sizes = own**2 / np.maximum(
        np.bincount(real.codes, real.weights**2 * real.part, minlength=n_classes), 1e-300
    )
    freedom = max(real.size - n_classes, 1.0)
    seen = metric.apply(spread)
    lengths = np.einsum("ij,ij->i", seen, spread)
    pooled = float(real.weights @ lengths / own.sum() * real.size / freedom)
    trace = np.bincount(real.codes, real.weights * lengths, minlength=n_classes) / own
    trace = np.where(sizes > 2, trace * sizes / np.maximum(sizes - 1.0, 1.0), pooled)
    roots = np.sqrt(real.weights / own.sum())[:, None]
    if len(spread) <= spread.shape[1]:
        product = (seen * roots) @ (spread * roots).T
        squares = float((product * product).sum())
    else:
        product = (seen * roots).T @ (spread * roots)
        squares = float((product * product.T).sum())
    squares *= (real.size / freedom) ** 2
    if freedom <= 2:
        return trace, squares
    unbiased = freedom**2 / ((freedom - 1) * (freedom + 2)) * (squares - pooled**2 / freedom)
    # At most as many degrees of freedom as the features have.
    return trace, max(unbiased, pooled**2 / spread.shape[1])
