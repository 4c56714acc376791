"""Comparisons that come part by part, of which sums are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...theory.preference._names import canonical_loss
from ...utils._checks import check_sample_weight
from ...utils._dask import to_local
from ._input import as_host, check_two_classes, unit_of_rows
from ._moments import Moments, moments_of


def keeps_sums(policy: Any) -> bool:
    """Raise where a fit needs more than sums over comparisons."""
    if canonical_loss(policy.loss) != "ipo":
        raise ValueError(
            f"loss={policy.loss!r} needs all comparisons at once: only loss='ipo' can be fitted "
            "part by part. Use it, or fit."
        )
    if isinstance(policy.alpha, str) or isinstance(policy.noise_rate, str):
        name = "alpha" if isinstance(policy.alpha, str) else "noise_rate"
        raise ValueError(
            f"{name}={getattr(policy, name)!r} takes all comparisons at once, of which "
            f"partial_fit keeps sums: give {name} as a number, from a fit to a part of them for "
            "instance."
        )
    return True


def add_comparisons(
    moments: Moments | None, X: Any, signs: np.ndarray, sample_weight: Any
) -> Moments:
    """Add comparisons to sums, or start sums with them."""
    weights = as_host(to_local(sample_weight))
    if moments is not None and weights is not None and not np.any(weights):
        return moments
    weights = check_sample_weight(weights, len(X))
    unit = unit_of_rows(X)
    more = moments_of(X if unit == 1 else X / unit, weights * signs, weights, unit)
    return more if moments is None else moments.plus(more)


def both_classes(known: np.ndarray | None, classes: Any, y: np.ndarray) -> np.ndarray:
    """Return the classes, which do not change after the first call."""
    if known is not None:
        found = known
        if classes is not None and not np.array_equal(np.unique(classes), found):
            raise ValueError(
                f"classes={classes!r} is not the same as in the call before, {found.tolist()}."
            )
    elif classes is None and len(y) and (y == y[0]).all():
        raise ValueError(f"y has one class only, {y[0]!r}: pass both as classes in the first call.")
    elif classes is None:
        found = check_two_classes("y", y)
    else:
        found = check_two_classes("classes", np.asarray(classes))
    if not np.isin(y, found).all():
        raise ValueError(
            f"y has labels {np.setdiff1d(y, found).tolist()[:5]}, which are not among the classes "
            f"{found.tolist()}: give both classes in the first call."
        )
    return found
