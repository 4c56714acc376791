"""Comparisons that come part by part, of which sums are kept."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from ...theory.preference._names import canonical_loss
from ...utils._array_api import dispatched_fit
from ...utils._checks import check_sample_weight
from ...utils._dask import to_local
from ...utils._fit import restore_on_failure
from ...utils._sklearn_compat import _fit_context
from ...utils._warnings import warn
from ._candidate_fit import Drift
from ._claim import claim_of_moments
from ._input import (
    as_host,
    check_two_classes,
    in_unit,
    read_reference,
    signs_of,
    unit_of_rows,
    validated,
)
from ._items import UNKNOWN
from ._moments import Moments, moments_of, ridge_coefficients
from ._noise import noise_pvalue_of_moments
from ._outlook import Growth

_STREAM = (
    "partial_fit keeps sums, not comparisons, so that none can be left out: theoretical_accuracy_ "
    "is nan. Read model_accuracy_, which holds for white noise, or use fit."
)
_FORGOTTEN = " The fit before is forgotten, as it keeps no sums."


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
    weights = check_sample_weight(weights, len(X), additive=True)
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
        only = np.asarray(y).tolist()[0]
        raise ValueError(f"y has one class only, {only!r}: pass both as classes in the first call.")
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


class PolicyStream:
    """Fits of comparisons part by part; the attributes are those of `PreferencePolicy`."""

    alpha: float | str
    beta: float
    noise_rate: float | str | None
    reference: Any
    n_features_in_: int
    classes_: np.ndarray
    _growth: Growth | None
    _set_drift: Any
    _set_claim: Any

    @available_if(keeps_sums)
    @dispatched_fit
    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the policy to further differences, exactly as if all had come at once.

        Only for ``loss="ipo"`` with `alpha` and `noise_rate` given as numbers: the fit is then
        that of sums over the comparisons, of which no row is kept. Comparisons of the same pair
        count as independent in `signal_` and `model_accuracy_`, which `fit` merges.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features of the first response minus those of the second.
        y : array-like of shape (n,)
            One of two labels, the larger where the first response is preferred.
        classes : array-like of shape (2,), default=None
            Both labels; needed in the first call where y has one of them only.
        sample_weight : array-like of shape (n,), default=None
            Weights.

        Returns
        -------
        PreferencePolicy
            The fitted policy. `theoretical_accuracy_`, `observed_accuracy_` and their intervals are
            nan, as they take leave-one-out, `model_fit_` is False, and `model_accuracy_` is given.

        Raises
        ------
        ValueError
            If `classes` are missing, or have changed, or y has others.

        Warns
        -----
        TheoryWarning
            In the first call, of what is nan, and of the fit that it forgets.

        Examples
        --------
        >>> import numpy as np
        >>> from skrmt.exceptions import TheoryWarning
        >>> from skrmt.preference import PreferencePolicy
        >>> import warnings
        >>> rng = np.random.default_rng(0)
        >>> X, y = rng.standard_normal((400, 3)) + 0.5, np.ones(400)
        >>> policy = PreferencePolicy("ipo", alpha=0.1)
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", TheoryWarning)
        ...     for part in np.split(np.arange(400), 4):
        ...         policy = policy.partial_fit(X[part], y[part], classes=[0, 1])
        >>> X[::2], y[::2] = -X[::2], 0
        >>> whole = PreferencePolicy("ipo", alpha=0.1).fit(X, y)
        >>> bool(np.allclose(policy.coef_, whole.coef_, rtol=1e-10))
        True
        """
        moments = getattr(self, "_moments", None)
        first, forgets = moments is None, hasattr(self, "coef_")
        X, y = validated(self, X, y, reset=first)
        classes = both_classes(None if first else self.classes_, classes, y)
        read_reference(self.reference, self.n_features_in_)
        moments = add_comparisons(moments, X, signs_of(y, classes), sample_weight)
        alpha, beta = float(self.alpha), float(self.beta)
        penalty = in_unit(alpha, moments.unit)
        coef = ridge_coefficients(moments, penalty, beta)
        self._moments: Moments | None = moments
        self.classes_ = classes
        self.coef_ = coef / moments.unit
        self.alpha_, self.alphas_ = alpha, np.array([alpha])
        self._loss_noise = 0.0
        self.noise_rate_ = float(self.noise_rate or 0.0)
        self.noise_pvalue_ = noise_pvalue_of_moments(moments)
        self.margin_ = moments.mean_margin(coef)
        self.n_iter_ = 1
        self._growth = None
        self.held_out_scores_ = np.empty(0)
        self.scores_kind_: str | None = None
        self._set_drift(Drift(np.nan, np.nan, np.nan))
        self._set_claim(claim_of_moments(moments, penalty, self.noise_rate_))
        self.fresh_pairs_ = "new responses"
        self.new_items_accuracy_, self.new_items_accuracy_interval_ = UNKNOWN
        if first:
            warn(_STREAM + _FORGOTTEN if forgets else _STREAM)
        return self
