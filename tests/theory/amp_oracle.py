"""Signal, prior and noise rates of two Gaussian classes whose centre is known to be 0."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logit
from sklearn.utils.validation import check_X_y

from skrmt.exceptions import TheoryWarning
from skrmt.model_selection._clean_labels._label_evidence import label_likelihood
from skrmt.model_selection._clean_labels._noise_rates import prior_from_rates

_LARGEST_SUM = 0.98
_START_RATES = (0.2, 0.2)
_FIRST_UPDATE = 3


class SignalEstimate(NamedTuple):
    """Parameters of two Gaussian classes of means +-mu and of their labels.

    Attributes
    ----------
    mean_norm : float
        Norm of mu in standard deviations of the noise; nan where the data do not show it.
    prior : float
        Probability of the positive class.
    noise_rates : ndarray of shape (2,)
        ``P(observed label wrong | class)`` of the negative and of the positive class.
    """

    mean_norm: float
    prior: float
    noise_rates: np.ndarray


class AMPEstimate(NamedTuple):
    """Parameters, classifier and posteriors by approximate message passing.

    Attributes
    ----------
    mean_norm : float
        Norm of mu in standard deviations of the noise.
    prior : float
        Probability of the positive class.
    noise_rates : ndarray of shape (2,)
        ``P(observed label wrong | class)`` of the negative and of the positive class.
    coef : ndarray of shape (p,)
        ``x @ coef + intercept`` is the log-odds of the positive class at a fresh point; without
        the intercept it is the balanced rule.
    intercept : float
        Log-odds of the prior.
    label_posterior : ndarray of shape (n, 2)
        Probability of each true class of the rows, given data and observed labels.
    """

    mean_norm: float
    prior: float
    noise_rates: np.ndarray
    coef: np.ndarray
    intercept: float
    label_posterior: np.ndarray


def u_statistics(X, y, sample_weight=None, *, noise_variance=1.0):
    r"""Estimate signal, prior and noise rates from second moments.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Data of two Gaussian classes of means +-mu and of covariance `noise_variance` times the
        identity: their centre is 0.
    y : array-like of shape (n,)
        Observed labels of two classes; the larger is the positive one.
    sample_weight : array-like of shape (n,), optional
        Weights of independent rows: merge duplicates first.
    noise_variance : float, default=1.0
        Variance of a feature within classes.

    Returns
    -------
    SignalEstimate
        The estimates; nan, with a `TheoryWarning`, where no eigenvalue of the data stands out of
        the noise.

    Raises
    ------
    ValueError
        If there are not two classes, or an argument is out of its domain.

    See Also
    --------
    amp_em : More precise, at a few times the cost.
    skrmt.theory.noisy_labels.signal_from_eigenvalue : The signal, for equal weights.

    Notes
    -----
    The norm of mu follows from the top eigenvalue :math:`\lambda` of :math:`X^\top W X/n`, the
    weights being of mean 1. With

    .. math:: \lambda = D(\delta) - \eta/\delta, \qquad
              D(\delta) = \frac1n \sum_i \frac{w_i}{1 + w_i\delta},

    solved for the :math:`\delta < 0` nearest 0, it is :math:`\|\mu\|^2 = \lambda/D - 1`. Averages
    over pairs of different rows of :math:`\tilde y_i x_i \cdot x_j` and
    :math:`\tilde y_i\tilde y_j x_i \cdot x_j` have the means :math:`ab\|\mu\|^2` and
    :math:`a^2\|\mu\|^2`, with :math:`b = 2\pi_+ - 1` and :math:`a = E[y\tilde y]`, of which
    the sign is taken positive: labels are better than chance. With :math:`m_0 = E[\tilde y]`,

    .. math:: \epsilon_\pm = \tfrac12 - \frac{a \pm m_0}{4\pi_\pm}.

    References
    ----------
    .. [1] "High-dimensional Learning with Noisy Labels", arXiv:2405.14088, for equal weights and
       other moments.

    Examples
    --------
    >>> from skrmt.datasets import make_noisy_mixture
    >>> from tests.theory.amp_oracle import u_statistics
    >>> X, y, _ = make_noisy_mixture(4000, 100, noise_rates=(0.2, 0.4), random_state=0)
    >>> estimate = u_statistics(X, y)
    >>> round(estimate.mean_norm, 1)
    2.0
    >>> estimate.noise_rates.round(1)
    array([0.2, 0.4])
    """
    X, signs = _checked(X, y, noise_variance)
    weights = _mean_one(sample_weight, len(signs))
    squared = _squared_norm(X, weights)
    if np.isnan(squared):
        warnings.warn(
            "No eigenvalue of X stands out of the noise: the signal, the prior and the noise "
            "rates are nan. Give more rows, or use amp_em, which starts from the labels.",
            TheoryWarning,
            stacklevel=2,
        )
        return SignalEstimate(np.nan, np.nan, np.full(2, np.nan))
    cross, own = _pair_means(X, signs, weights)
    agreement = min(np.sqrt(max(own, 0.0) / squared), 1.0)
    scale = max(agreement * squared, 1e-12)
    balance = float(np.clip(cross / scale, -_LARGEST_SUM, _LARGEST_SUM))
    prior = 0.5 * (1.0 + balance)
    rates = _rates(agreement, float(weights @ signs) / len(signs), prior)
    return SignalEstimate(float(np.sqrt(squared)), prior, rates)


def amp_em(X, y, *, n_iter=15, mean_norm=None, prior=None, noise_rates=None, noise_variance=1.0):
    r"""Fit by approximate message passing, learning the parameters on the way.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Data of two Gaussian classes of means +-mu and of covariance `noise_variance` times the
        identity: their centre is 0.
    y : array-like of shape (n,)
        Observed labels of two classes; the larger is the positive one.
    n_iter : int, default=15
        Iterations, O(n p) each.
    mean_norm : float, optional
        Norm of mu in standard deviations of the noise, if it is known.
    prior : float, optional
        Probability of the positive class, if it is known.
    noise_rates : pair of float, optional
        Rates of wrong labels of the negative and of the positive class, if they are known.
    noise_variance : float, default=1.0
        Variance of a feature within classes.

    Returns
    -------
    AMPEstimate
        Parameters, classifier and posteriors of the rows.

    Raises
    ------
    ValueError
        If there are not two classes, or an argument is out of its domain.

    See Also
    --------
    u_statistics : Where the iteration starts.
    skrmt.theory.noisy_labels.amp_path : Its accuracy, iteration by iteration.
    skrmt.theory.noisy_labels.bayes_accuracy : Its limit, which no method exceeds.

    Notes
    -----
    With :math:`L_i` half the log-odds of the class given the label, from :math:`t = \tanh L` and
    :math:`w = 0`,

    .. math::

        f = X^\top t/n - \overline{(1-t^2)}\,w, \qquad
        w = f \big/ \bigl(\overline{t^2} + \eta/\|\mu\|^2\bigr), \qquad
        t = \tanh\bigl(L + Xw - \eta t\,/\,(\overline{t^2} + \eta/\|\mu\|^2)\bigr),

    where the mean of :math:`1-t^2` counts as 0 at first. From the fourth iteration on, with
    :math:`r = (1+t)/2`, expectation-maximisation sets :math:`\pi_+ = \bar r`, the rates to the
    shares of r and 1 - r in rows of the other label, and
    :math:`\|\mu\|^2 = (\|f\|^2 - \eta\overline{t^2})/\overline{t^2}^2`. Where the top eigenvalue
    does not show the signal, it starts at :math:`\|\mu\|^4 = \eta` and rates of 0.2.

    References
    ----------
    .. [1] arXiv:1907.03792 and arXiv:2403.17767, for labels without noise on part of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.datasets import make_noisy_mixture
    >>> from tests.theory.amp_oracle import amp_em
    >>> X, y, clean = make_noisy_mixture(1000, 200, noise_rates=(0.2, 0.4), random_state=0)
    >>> estimate = amp_em(X, y)
    >>> bool(np.mean((estimate.label_posterior[:, 1] > 0.5) == clean) > 0.95)
    True
    """
    X, signs = _checked(X, y, noise_variance)
    if n_iter < 1 or n_iter != int(n_iter):
        raise ValueError(f"n_iter={n_iter!r} must be a positive integer: give a count.")
    known = _known(mean_norm, prior, noise_rates)
    law = _start(X, signs)._replace(**known)
    ratio = X.shape[1] / len(signs)
    half = _half_odds(law, signs)
    t, w = np.tanh(half), np.zeros(X.shape[1])
    for iteration in range(int(n_iter)):
        power = np.mean(t**2)
        memory = 1.0 - power if iteration else 0.0
        f = X.T @ t / len(signs) - memory * w
        if iteration >= _FIRST_UPDATE:
            law = _maximise(law, t, signs, f @ f, ratio)._replace(**known)
            half = _half_odds(law, signs)
        gain = 1.0 / (power + ratio / law.mean_norm**2)
        w = gain * f
        t = np.tanh(half + X @ w - ratio * gain * t)
    share = 0.5 * (1.0 + t)
    return AMPEstimate(
        *law,
        2.0 * w / np.sqrt(noise_variance),
        float(logit(law.prior)),
        np.stack([1.0 - share, share], axis=1),
    )


def _checked(X, y, noise_variance):
    """Return the data in units of the noise, and labels -1 and +1."""
    X, y = check_X_y(X, y, dtype=np.float64, ensure_min_samples=2)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) != 2:
        raise ValueError(f"y has {len(classes)} classes, {classes[:5]}: give labels of two.")
    if not 0 < noise_variance < np.inf:
        raise ValueError(f"noise_variance={noise_variance!r} must be positive and finite.")
    return X / np.sqrt(noise_variance), 2.0 * codes - 1.0


def _mean_one(sample_weight, n_samples):
    """Return checked weights of mean 1."""
    if sample_weight is None:
        return np.ones(n_samples)
    weights = np.asarray(sample_weight, dtype=float)
    if weights.shape != (n_samples,) or not (weights >= 0).all() or not weights.sum() > 0:
        raise ValueError(
            f"sample_weight={sample_weight!r} must be {n_samples} non-negative numbers, not all 0."
        )
    return weights / weights.mean()


def _squared_norm(X, weights):
    """Return the squared norm of mu from the top eigenvalue, nan if it is within the noise."""
    n, p = X.shape
    scaled = np.sqrt(weights)[:, None] * X
    gram = scaled @ scaled.T if n < p else scaled.T @ scaled
    last = len(gram) - 1
    value = float(eigh(gram, eigvals_only=True, subset_by_index=[last, last])[0]) / n
    end = -1.0 / weights.max()

    def mass(delta):
        return np.mean(weights / (1.0 + weights * delta))

    def eigenvalue(delta):
        return mass(delta) - p / n / delta

    inner = 1e-12
    bounds = (end * (1.0 - inner), end * inner)
    edge = minimize_scalar(eigenvalue, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    if value <= edge.fun:
        return np.nan
    delta = brentq(lambda d: eigenvalue(d) - value, edge.x, -p / n / value, xtol=1e-15)
    return value / mass(delta) - 1.0


def _pair_means(X, signs, weights):
    """Return the means over pairs of rows of y x.x' and y y' x.x'."""
    squares = weights**2 * np.einsum("ij,ij->i", X, X)
    plain, signed = X.T @ weights, X.T @ (weights * signs)
    pairs = weights.sum() ** 2 - (weights**2).sum()
    cross = (plain @ signed - signs @ squares) / pairs
    return cross, (signed @ signed - squares.sum()) / pairs


def _rates(agreement, mean_label, prior):
    """Return noise rates in [0, 1), with a sum below 1."""
    negative = 0.5 - (agreement - mean_label) / (4.0 * (1.0 - prior))
    positive = 0.5 - (agreement + mean_label) / (4.0 * prior)
    return _feasible(np.array([negative, positive]))


def _feasible(rates):
    """Return rates clipped to [0, 1) and scaled to a sum of 0.98 at most."""
    rates = np.maximum(rates, 0.0)
    return rates * min(1.0, _LARGEST_SUM / max(rates.sum(), 1e-300))


def _known(mean_norm, prior, noise_rates):
    """Return the parameters that are given, checked."""
    known = {}
    if mean_norm is not None:
        if not 0 < mean_norm < np.inf:
            raise ValueError(f"mean_norm={mean_norm!r} must be positive and finite.")
        known["mean_norm"] = float(mean_norm)
    if prior is not None:
        if not 0 < prior < 1:
            raise ValueError(f"prior={prior!r} must be a probability, between 0 and 1.")
        known["prior"] = float(prior)
    if noise_rates is not None:
        rates = np.asarray(noise_rates, dtype=float)
        if rates.shape != (2,) or not (rates >= 0).all() or not rates.sum() < 1:
            raise ValueError(
                f"noise_rates={noise_rates!r} must be two rates (negative, positive), not "
                "negative and with a sum below 1."
            )
        known["noise_rates"] = rates
    return known


def _start(X, signs):
    """Return the estimates of the U-statistics, or those of the edge where they are undefined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        start = u_statistics(X, signs)
    if np.isnan(start.mean_norm):
        rates = np.array(_START_RATES)
        prior = np.clip(prior_from_rates(np.mean(signs > 0), rates), 0.02, 0.98)
        return SignalEstimate(float((X.shape[1] / len(X)) ** 0.25), float(prior), rates)
    return start


def _half_odds(law, signs):
    """Return half the log-odds of the positive class given each label."""
    negative, positive = np.clip(law.noise_rates, 1e-12, 1.0)
    noise = np.array([[1.0 - negative, negative], [positive, 1.0 - positive]])
    likelihood = label_likelihood((signs > 0).astype(int), noise)
    return 0.5 * (np.log(likelihood[:, 1] / likelihood[:, 0]) + logit(law.prior))


def _maximise(law, t, signs, energy, ratio):
    """Return the parameters that the posterior means t ask for."""
    share, power = 0.5 * (1.0 + t), np.mean(t**2)
    total = share.sum()
    positive = share[signs < 0].sum() / max(total, 1e-12)
    negative = (1.0 - share)[signs > 0].sum() / max(len(t) - total, 1e-12)
    edge = 1.0 / len(t)
    return SignalEstimate(
        float(np.sqrt(max((energy - ratio * power) / power**2, 0.01))),
        float(np.clip(total / len(t), edge, 1.0 - edge)),
        _feasible(np.array([negative, positive])),
    )
