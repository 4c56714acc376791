"""Estimate the quality of synthetic sources from their rows and the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...linalg import to_numpy
from ...utils._dask import is_dask
from ...utils._rows import RowJob, block_values
from ._input import LabelledRows, SourceRows
from ._leak import LeakEvidence
from ._loo_accuracy import loo_accuracy, score_margins, score_temperature
from ._problem import MixProblem, in_units, solve
from ._source_labels import (
    ClassGeometry,
    class_geometry,
    class_sums,
    generator_shift,
    geometry_of_sums,
    label_noise,
    separation_ratio,
)

_SPLIT = 0.03
"""Difference, beyond two standard errors, of shares of wrong labels with and without a split at the
verifier's decision, from which what it keeps is not identified."""


class SourceQuality(NamedTuple):
    """Estimated quality of a synthetic source.

    Attributes
    ----------
    n_rows, n_kept : int
        Rows given, and left by pruning.
    noise_rate, noise_rate_interval : float, ndarray of shape (2,)
        Share of wrong labels before pruning, nan where it is not identified, and its range over
        all explanations of the labels.
    flip_rate, flip_rate_std : float
        The share, and its standard error, if wrong labels fall on all rows alike.
    keep_correct, keep_incorrect : float
        Probability that pruning leaves a right label, a wrong one.
    mean_scale, mean_orthogonal : float
        Component of the class means along the real ones (1: right), and norm of the rest in
        standard deviations of a real feature.
    variance_ratio : float
        Variance within classes over that of the real rows.
    leak_pvalue : float
        Small where class means are too near to those of the real rows at hand.
    leaked : bool
        Whether the generator is taken to have seen the real rows: what its rows show of labels and
        classes is then nan.
    """

    n_rows: int
    n_kept: int
    noise_rate: float
    noise_rate_interval: np.ndarray
    flip_rate: float
    flip_rate_std: float
    keep_correct: float
    keep_incorrect: float
    mean_scale: float
    mean_orthogonal: float
    variance_ratio: float
    leak_pvalue: float
    leaked: bool = False


_NAN = np.nan
NO_SOURCE = SourceQuality(
    0, 0, _NAN, np.array([0.0, 1.0]), _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN, _NAN
)


class RealReference(NamedTuple):
    """Real rows, and the fit to them alone, by which synthetic ones are measured.

    Attributes
    ----------
    rows : LabelledRows
        The real rows.
    geometry : ClassGeometry
        Their class means, and variance within classes.
    second : float
        Trace of the square of the covariance within classes.
    scores : ndarray of shape (n, q)
        Their left-out scores by the fit.
    coef, intercept : ndarray of shape (q, p), ndarray of shape (q,)
        Its coefficients.
    temperature : float
        Factor that makes its scores log-odds.
    """

    rows: LabelledRows
    geometry: ClassGeometry
    second: float
    scores: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    temperature: float

    @property
    def error_std(self) -> float:
        """Standard error of the share of left-out rows that the fit gets wrong."""
        rows, size = self.rows, self.rows.size
        margins = score_margins(self.scores, rows.codes)
        share = float(loo_accuracy(margins, rows.weights, rows.part).accuracy)
        return float(np.sqrt(max(share * (1.0 - share), 0.25 / size) / size))

    @property
    def n_features(self) -> float:
        """Effective number of features, nan without variance within classes."""
        return self.geometry.trace**2 / self.second if self.second > 0 else np.nan

    @property
    def feature_variance(self) -> float:
        """Mean variance of a feature within classes."""
        return self.geometry.trace / self.geometry.means.shape[1]

    @property
    def effective_variance(self) -> float:
        """Variance of an effective feature within classes, nan without any."""
        return self.second / self.geometry.trace if self.geometry.trace > 0 else np.nan

    @property
    def signal(self) -> float:
        """Squared norm of half the difference of the class means, or its analogue."""
        freedom = max(len(self.geometry.shares) - 1, 1)
        return max(self.geometry.energy(), 0.0) / freedom


def real_reference(problem: MixProblem, scores: np.ndarray, alpha: float) -> RealReference:
    """Describe the real rows, given their left-out scores at weight 0 and one penalty."""
    rows = problem.real
    temperature = score_temperature(scores, rows.codes, rows.weights)
    X = _in_memory(rows.X)
    geometry = class_geometry(X, rows.codes, rows.weights, problem.n_classes, rows.part)
    second = second_trace(X, rows, geometry)
    coef, intercept = solve(problem, np.zeros(len(problem.strata)), 0, alpha)
    return RealReference(rows, geometry, second, scores, coef, intercept, temperature)


class Measures(NamedTuple):
    """What synthetic rows show of their classes, and the scores of each.

    Attributes
    ----------
    sums : ndarray of shape (K, p)
        Weighted sum of the rows of each class.
    energy : float
        Weighted sum of their squared norms.
    scores : ndarray of shape (n, q)
        Score of each row.
    """

    sums: np.ndarray
    energy: float
    scores: np.ndarray


def source_qualities(
    sources: Sequence[SourceRows],
    reference: RealReference,
    unit: float,
    evidence: Sequence[LeakEvidence],
    leaked: np.ndarray,
) -> tuple[list[SourceQuality], SourceQuality]:
    """Return the quality of each source, and of all that have not seen the real rows as one."""
    n_classes = len(reference.geometry.shares)
    fair = np.flatnonzero(~leaked).tolist()
    chosen = [sources[k] for k in fair]
    measures = _measure(chosen, n_classes, reference.coef, unit)
    seen = dict(zip(fair, measures, strict=True))
    qualities = []
    for k, (source, found) in enumerate(zip(sources, evidence, strict=True)):
        quality = NO_SOURCE._replace(n_rows=len(source.codes), n_kept=int(source.kept.sum()))
        if k in seen:
            quality = _quality(source, seen[k], reference)
        qualities.append(quality._replace(leak_pvalue=found.pvalue, leaked=bool(leaked[k])))
    if len(chosen) == 1:
        return qualities, qualities[fair[0]]
    if not chosen:
        return qualities, NO_SOURCE
    return qualities, _quality(_pool(chosen), _joined(measures), reference)


def _measure(sources, n_classes, coef, unit):
    """Measure the rows of sources; Dask arrays are read together, once."""
    lazy = [source for source in sources if is_dask(source.X)]
    jobs = [RowJob(_measured, s.X, (_class_weights(s, n_classes),), (coef, unit)) for s in lazy]
    blocks = iter(block_values(jobs) if jobs else [])
    return [
        _joined(next(blocks))
        if is_dask(source.X)
        else _measured(_in_memory(source.X), _class_weights(source, n_classes), coef, unit)
        for source in sources
    ]


def _measured(rows, member, coef, unit):
    """Return the measures of some rows."""
    rows = in_units(rows, unit)
    sums, energy = class_sums(rows, member)
    return Measures(sums, energy, np.asarray(rows @ coef.T, dtype=float))


def _joined(parts):
    """Return the measures of rows that come one after the other."""
    sums, energy = sum(part.sums for part in parts), sum(part.energy for part in parts)
    return Measures(sums, energy, np.concatenate([part.scores for part in parts]))


def _class_weights(rows, n_classes):
    """Return the weight of each row in the column of its class, (n, K)."""
    return np.eye(n_classes)[rows.codes] * rows.weights[:, None]


def _in_memory(X: Any) -> Any:
    """Return data as an array or a sparse matrix."""
    return X if hasattr(X, "toarray") else to_numpy(X)


def _pool(sources):
    """Return the rows of all sources as one, without their data."""
    codes, weights, part, kept = (
        np.concatenate([getattr(source, name) for source in sources])
        for name in ("codes", "weights", "part", "kept")
    )
    return SourceRows(None, codes, weights, part, kept, None)


def _quality(source: SourceRows, measures: Measures, real: RealReference) -> SourceQuality:
    """Return the quality of a source."""
    if len(source.codes) == 0:
        return NO_SOURCE
    n_classes = len(real.geometry.shares)
    member = _class_weights(source, n_classes)
    moments = geometry_of_sums(measures.sums, measures.energy, member, source.part)
    scores = measures.scores + real.intercept
    ratio = moments.trace / max(real.geometry.trace, 1e-300)
    scale = separation_ratio(
        real.scores, real.rows.codes, real.rows.weights, scores, source.weights, ratio
    )
    logits = real.temperature * scale * scores
    before, keep = _labels(logits[:, 0] if scores.shape[1] == 1 else logits, source, real)
    contrast = 1.0 - before.rate * n_classes / (n_classes - 1)
    along, across = generator_shift(real.geometry, moments, contrast)
    variance = real.feature_variance
    return SourceQuality(
        n_rows=len(source.codes),
        n_kept=int(source.kept.sum()),
        noise_rate=before.shared,
        noise_rate_interval=np.array([before.low, before.high]),
        flip_rate=before.rate,
        flip_rate_std=before.std,
        keep_correct=keep[0],
        keep_incorrect=keep[1],
        mean_scale=along,
        mean_orthogonal=across / np.sqrt(variance) if variance > 0 else np.nan,
        variance_ratio=float(ratio),
        leak_pvalue=np.nan,
    )


def _labels(logits, source, real):
    """Return the share of wrong labels before pruning, and the rates at which they are kept."""
    kept = source.kept
    columns = logits, source.codes, source.weights, source.part
    before = label_noise(*columns, real.error_std)
    if kept.all():
        return before, (1.0, 1.0)
    share = float(source.weights @ kept / source.weights.sum())
    if share in (0.0, 1.0):
        return before, (share, share)
    left, gone = (label_noise(*(column[some] for column in columns)) for some in (kept, ~kept))
    noise = share * left.rate + (1.0 - share) * gone.rate
    spread = np.hypot(before.std, np.hypot(share * left.std, (1.0 - share) * gone.std))
    if abs(noise - before.rate) > _SPLIT + 2.0 * spread:
        # The verifier goes by what the scores show: labels it drops look wrong, right or not.
        return before, (np.nan, np.nan)
    correct = share * (1.0 - left.rate) / max(1.0 - noise, 1e-9)
    wrong = share * left.rate / noise if noise > 1e-9 else np.nan
    return before, (min(correct, 1.0), min(wrong, 1.0))


def second_trace(X, real, geometry):
    """Return an unbiased estimate of tr C^2, C the covariance within classes."""
    w = real.weights / real.weights.sum()
    means = geometry.means[real.codes]
    rows = X.toarray() if hasattr(X, "toarray") and X.shape[0] <= X.shape[1] else X
    centre = np.asarray(w @ rows).ravel()
    roots = np.sqrt(w)[:, None]
    if hasattr(rows, "toarray"):
        gram = np.asarray((rows.multiply(w[:, None]).T @ rows).todense(), dtype=float)
        between = (geometry.means.T * geometry.shares) @ geometry.means
        product = gram - np.outer(centre, centre) - between
    else:
        residual = (rows - centre - means) * roots
        wide = residual.shape[0] <= residual.shape[1]
        product = residual @ residual.T if wide else residual.T @ residual
    freedom = max(real.size - len(geometry.shares), 1.0)
    inflate = (real.size / freedom) ** 2
    squares = float((product.astype(float) ** 2).sum()) * inflate
    if freedom <= 2:
        return squares
    return freedom**2 / ((freedom - 1) * (freedom + 2)) * (squares - geometry.trace**2 / freedom)
