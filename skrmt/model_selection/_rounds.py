"""What fits without them make of training rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, softmax

from ._closed_forms import HeldOut, predicted_codes
from ._input import Given, Rows


class Round(NamedTuple):
    """What fits without them make of rows, each row by one fit.

    Attributes
    ----------
    fold : ndarray of int of shape (n,)
        By which fit, from 0; -1 for rows that were never left out.
    decided : ndarray of shape (n,)
        Codes of the classes predicted, or predictions.
    scores : ndarray of shape (n,) or (n, K)
        Scores whose sign or largest column is the class predicted, or predictions.
    ranks : ndarray of shape (n,) or (n, K), or None
        Scores as the estimator gives them.
    shares : ndarray of shape (n, K) or None
        Probabilities.
    values : tuple of float
        A scorer's value on the rows of each fit, if there is a scorer.
    smooth : bool
        Whether the scores of all folds can be calibrated together.
    area : float or None
        Area under the curve by fits without pairs of rows, if it is known.
    """

    fold: np.ndarray
    decided: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray | None
    shares: np.ndarray | None
    values: tuple = ()
    smooth: bool = True
    area: float | None = None

    @property
    def n_fits(self) -> int:
        """How many fits there were."""
        return len(self.values)


def one_round(
    decided: np.ndarray,
    scores: np.ndarray,
    *,
    ranks: np.ndarray | None = None,
    shares: np.ndarray | None = None,
    smooth: bool = False,
) -> Round:
    """Return a round in which every row is out, and scores have one unit."""
    return Round(np.zeros(len(scores), dtype=int), decided, scores, ranks, shares, smooth=smooth)


def closed_round(left: HeldOut, model: Any, rows: Rows, given: Given) -> Round:
    """Return held-out scores in closed form as a round."""
    scores = given.merged.spread(left.deciding)
    if not hasattr(model, "classes_"):
        return one_round(scores, scores)
    two = scores.ndim == 1
    ranks = given.merged.spread(_known_ranks(left, model, rows)) if two else scores
    shares = None
    if hasattr(model, "predict_proba"):
        shares = np.stack([expit(-scores), expit(scores)], axis=1) if two else softmax(scores, 1)
    found = one_round(predicted_codes(scores), scores, ranks=ranks, shares=shares, smooth=True)
    return found._replace(area=left.area if two and np.ptp(ranks) else None)


def _known_ranks(left: HeldOut, model: Any, rows: Rows) -> np.ndarray:
    """Return scores of two classes, all the same where rounding would decide their ranks."""
    scores = left.deciding if left.ranks is None else left.ranks
    codes = np.searchsorted(model.classes_, rows.y)
    spread = max(float(np.ptp(scores[codes == k])) for k in range(2))
    # What makes up for a row is known to one part in n: scores that differ by less say nothing.
    change = 0.0 if left.fair is None else np.abs(left.fair - left.scores).max()
    return scores if spread >= 2.0 * change / rows.size else np.zeros(len(scores))


def distinct_scores(some: Round, given: Given) -> np.ndarray:
    """Return the mean scores of rows that are identical."""
    origin = given.merged.origin
    if origin is None:
        return some.scores
    share = 1.0 / np.bincount(origin)
    columns = some.scores.reshape(len(origin), -1).T
    means = np.stack([np.bincount(origin, column) * share for column in columns], axis=1)
    return means.reshape(-1, *some.scores.shape[1:])


def deciding_scores(decided: np.ndarray, ranks: np.ndarray | None, n_classes: int) -> np.ndarray:
    """Return scores whose sign or largest column is the class decided for, near those given."""
    chosen, two = np.eye(n_classes)[decided], n_classes == 2
    if ranks is None:
        return chosen[:, 1] - chosen[:, 0] if two else chosen
    # A threshold of its own, or another rule, may decide otherwise than scores do.
    least = np.finfo(float).tiny + 1e-12 * np.abs(ranks).max(initial=0.0)
    if two:
        sign = chosen[:, 1] - chosen[:, 0]
        return np.where(sign * ranks > 0, ranks, sign * least)
    others = np.where(chosen > 0, -np.inf, ranks).max(1)
    own = (chosen * ranks).sum(1)
    return np.where((chosen > 0) & (own <= others)[:, None], (others + least)[:, None], ranks)
