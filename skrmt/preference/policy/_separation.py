"""Whether a loss without a penalty has a minimum at all."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from ..losses._table import LOSSES
from ._comparisons import Comparisons
from ._solver import Fit

_LARGE = 12.0
"""Score above which even a settled fit is checked for pairs that can be separated: at beta=1 the
slope of a logistic loss is then 6e-6, which may pass for a gradient of 0."""


def check_finite_optimum(name: str, pairs: Comparisons, fit: Fit) -> None:
    """Refuse a fit without penalty whose optimum is at infinity."""
    if LOSSES[name].finite:
        return
    margins, _ = pairs.outcomes(fit.scores)
    empty, _ = pairs.outcomes(~pairs.differences.any(axis=1) * 1.0)
    scale = float(np.abs(fit.scores).max())
    separated = bool((margins[empty == 0] > 0).all())
    if not separated and (not fit.converged or scale > _LARGE):
        separated = _separable(pairs)
    if separated or not fit.converged:
        what = "rank every pair rightly" if separated else "make the loss fall without end"
        raise ValueError(
            f"alpha=0 with loss={name!r}: some coefficients {what}, so that the optimum is "
            "infinite. Give a positive alpha, or 'auto', or use loss='ipo' or 'cdpo', whose "
            "optimum is finite."
        )


def _separable(pairs: Comparisons) -> bool:
    """Return whether some direction ranks a pair rightly and none wrongly."""
    D = np.concatenate([pairs.differences[pairs.won > 0], -pairs.differences[pairs.lost > 0]])
    D = D / max(float(np.abs(D).max()), 1e-300)
    total = D.sum(axis=0)
    found = linprog(
        -total, A_ub=-D, b_ub=np.zeros(len(D)), bounds=[(-1.0, 1.0)] * D.shape[1], method="highs"
    )
    return bool(found.status == 0 and -found.fun > 1e-9 * len(D))
