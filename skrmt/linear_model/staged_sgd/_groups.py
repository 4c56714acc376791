"""Scores of rows by fits that have not seen their group."""

from __future__ import annotations

import numpy as np

from ...utils._merging import group_folds
from ._input import StagedRows
from ._moments import RowMoments, row_moments
from ._theory import StageSteps

_FOLDS = 20
"""Fits without a twentieth of the groups are nearly those without one, at a bounded cost."""


def scores_of_groups(
    stages: list[StageSteps], X: np.ndarray, rows: StagedRows, centred: bool
) -> tuple[np.ndarray, float]:
    """Return the mean score of each row of the last stage without its group, and their number."""
    last = stages[-1].moments
    group = np.asarray(rows.group)
    labels = np.unique(rows.targets, axis=0, return_inverse=True)[1].ravel()
    folds = group_folds(group, labels, _FOLDS)
    scores = np.empty((len(rows.targets), rows.targets.shape[1]))
    for fold in range(folds.max() + 1):
        parts = [_without(stage, folds == fold, X, rows, centred) for stage in stages]
        weights = velocity = np.zeros((X.shape[1], scores.shape[1]))
        for stage, moments in zip(stages, parts, strict=True):
            weights, velocity = _mean_weights(weights, velocity, stage, moments)
        out = folds == fold
        scores[out] = parts[-1].target_mean - parts[-1].mean @ weights + X[out] @ weights
    together = np.bincount(group[last.rows], last.shares)
    return scores[last.rows], 1 / float(together @ together)


def _without(
    stage: StageSteps, out: np.ndarray, X: np.ndarray, rows: StagedRows, centred: bool
) -> RowMoments:
    """Return the moments of a stage without some rows of the fit."""
    shares = np.zeros(len(out))
    shares[stage.moments.rows] = stage.moments.shares
    shares[out] = 0
    if not shares.any():
        raise ValueError(
            "A stage draws rows of so few groups that leaving some out leaves none: give its "
            "mixture sources of more groups."
        )
    return row_moments(X, rows.targets, shares / shares.sum(), rows.together, centred)


def _mean_weights(
    weights: np.ndarray, velocity: np.ndarray, stage: StageSteps, moments: RowMoments
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean weights and velocity after a stage that starts from others."""
    lam, vectors, mu = moments.eigenvalues[:, None], moments.vectors, stage.momentum
    if not mu:
        velocity = np.zeros_like(velocity)
    inside, speed = vectors.T @ weights, vectors.T @ velocity
    outside, drift = weights - vectors @ inside, velocity - vectors @ speed
    for rate in stage.rates.tolist():
        speed = mu * speed + lam * inside - moments.moment
        inside = (1 - rate * stage.weight_decay) * inside - rate * speed
        drift = mu * drift
        outside = (1 - rate * stage.weight_decay) * outside - rate * drift
    return outside + vectors @ inside, drift + vectors @ speed
