"""What the rows of a synthetic source show beside the real ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._blocks import class_weights
from ._input import RealRows, SourceRows
from ._source_labels import (
    flip_rate,
    generator_shift,
    geometry_of_sums,
    leak_pvalue,
    separation_ratio,
)


class SourceQuality(NamedTuple):
    """What the rows of a source show.

    Attributes
    ----------
    n_rows, n_kept : int
        Rows given, and left by pruning.
    noise_rate, noise_rate_std : float
        Share of wrong labels before pruning, and its standard error.
    keep_correct, keep_incorrect : float
        Probability that pruning leaves a right label, a wrong one.
    mean_scale, mean_orthogonal : float
        Component of the class means along the real ones (1: right), and norm of the rest in
        standard deviations of a real feature.
    variance_ratio : float
        Variance within classes over that of the real rows.
    leak_pvalue : float
        Small where class means are too near to those of the real rows at hand.
    """

    n_rows: int
    n_kept: int
    noise_rate: float
    noise_rate_std: float
    keep_correct: float
    keep_incorrect: float
    mean_scale: float
    mean_orthogonal: float
    variance_ratio: float
    leak_pvalue: float


NO_SOURCE = SourceQuality(0, 0, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)


class Judge(NamedTuple):
    """The real rows as a measure of the synthetic ones.

    Attributes
    ----------
    geometry : ClassGeometry
        Moments of the real rows.
    n_features : float
        Effective number of features.
    feature : float
        Variance of a feature within classes.
    real : RealRows
        The real rows.
    scores : ndarray of shape (n, q)
        Their left-out scores by a fit to real rows alone.
    intercept : ndarray of shape (q,)
        Intercept of that fit.
    factor : float
        What makes its scores log-odds.
    """

    geometry: NamedTuple
    n_features: float
    feature: float
    real: RealRows
    scores: np.ndarray
    intercept: np.ndarray
    factor: float

    def quality(self, source, measures, n_classes):
        """Return the quality of a source, measured by the coefficients of that fit."""
        if len(source.observed) == 0:
            return NO_SOURCE
        member = class_weights(source, n_classes)
        moments = geometry_of_sums(measures.sums, measures.energy, member)
        scores = measures.scores + self.intercept
        ratio = moments.trace / max(self.geometry.trace, 1e-300)
        scale = separation_ratio(
            self.scores,
            self.real.observed,
            self.real.weights,
            scores,
            source.weights,
            ratio,
        )
        logits = self.factor * scale * scores
        logits = logits[:, 0] if scores.shape[1] == 1 else logits
        before, keep = _flips(logits, source)
        contrast = 1.0 - before.rate * n_classes / (n_classes - 1)
        shift = generator_shift(self.geometry, moments, contrast)
        leak = leak_pvalue(self.geometry, moments, self.n_features)
        return SourceQuality(
            len(source.observed),
            int(source.kept.sum()),
            before.rate,
            before.std,
            *keep,
            shift[0],
            shift[1] / np.sqrt(self.feature) if self.feature > 0 else np.nan,
            float(ratio),
            leak,
        )


def _flips(logits, source):
    """Return the share of wrong labels before pruning, and the rates at which they are kept."""
    kept = source.kept
    if kept.all():
        return flip_rate(logits, source.observed, source.weights), (1.0, 1.0)
    share = float(source.weights @ kept / source.weights.sum())
    left = flip_rate(logits[kept], source.observed[kept], source.weights[kept])
    gone = flip_rate(logits[~kept], source.observed[~kept], source.weights[~kept])
    if share == 0:
        return gone, (0.0, 0.0)
    noise = share * left.rate + (1.0 - share) * gone.rate
    std = float(np.hypot(share * left.std, (1.0 - share) * gone.std))
    correct = share * (1.0 - left.rate) / max(1.0 - noise, 1e-9)
    wrong = share * left.rate / noise if noise > 1e-9 else np.nan
    return left._replace(rate=noise, std=std), (min(correct, 1.0), min(wrong, 1.0))


def second_trace(X, real, geometry):
    """Return an unbiased estimate of tr C^2, C the covariance within classes."""
    w = real.weights / real.weights.sum()
    means = geometry.means[real.observed]
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


def pool(sources):
    """Return the rows of all sources as one."""
    return SourceRows(
        None,
        np.concatenate([source.observed for source in sources]),
        np.concatenate([source.weights for source in sources]),
        np.concatenate([source.kept for source in sources]),
        None,
    )
