"""The area under the curve, from fits without both rows of each pair of two classes.

Scores of rows left out one by one come from fits that differ: what a row adds to its own fit it
also takes from the ranks of the others. Within one fit without both rows of a pair, the pair is
ranked as two fresh rows would be, and what shifts all scores alike does not count.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_MOST_PAIRS = 250_000
"""Pairs up to which each is left out: of more rows, single ones move the area by less than .001."""
_ROUNDING = 1e-12
"""Gap between scores over the largest up to which a pair is even."""
_LEAST_ROOM = 1e-8
"""Floor of what the leverages of a pair leave: below, the scores without it are rounding."""


def pair_area(
    scores: np.ndarray,
    energy: np.ndarray,
    pull: np.ndarray,
    curvature: np.ndarray,
    kernel: Callable[[np.ndarray, np.ndarray], np.ndarray],
    positive: np.ndarray,
    weights: np.ndarray,
) -> float | None:
    r"""Return the share of pairs that are ranked right by fits without them, None of too many.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Scores by the fit to all rows.
    energy : ndarray of shape (n,)
        Products of rows with themselves by the inverse Hessian.
    pull, curvature : ndarray of shape (n,)
        Gradient of what is left out of each row, its sign reversed, and its second derivative.
    kernel : callable
        Products by the inverse Hessian of some rows with others.
    positive : ndarray of bool of shape (n,)
        Rows of the class of larger scores.
    weights : ndarray of shape (n,)
        What rows count.

    Notes
    -----
    With the products E of two rows and their curvatures C, their scores move by
    ``-E (I - C E)^-1 pull``: one step of Newton's method, exact for least squares.
    """
    up, down = np.flatnonzero(positive), np.flatnonzero(~positive)
    if len(up) * len(down) > _MOST_PAIRS:
        return None
    k = kernel(up, down)
    (e, q, c), (f, r, d) = ((energy[rows], pull[rows], curvature[rows]) for rows in (up, down))
    e, q, c = e[:, None], q[:, None], c[:, None]
    room, other = 1.0 - c * e, 1.0 - d * f
    there, back = c * k, d * k
    det = room * other
    det -= there * back
    # The gap between scores times the determinant, which is positive, needs no division.
    gap = scores[up][:, None] - scores[down]
    gap *= np.maximum(det, _LEAST_ROOM, out=det)
    there *= r
    there += other * q
    there *= e - k
    back *= q
    back += room * r
    back *= k - f
    gap -= there
    gap -= back
    # Equal rows of both classes are apart by rounding alone: half of them are ranked right.
    apart = _ROUNDING * float(np.abs(scores).max(initial=0.0))
    halves = np.add(gap > apart, gap >= -apart, dtype=float)
    w, v = weights[up], weights[down]
    return float(0.5 * (w @ halves @ v) / w.sum() / v.sum())
