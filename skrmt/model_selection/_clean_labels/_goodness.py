"""Whether leave-one-out scores follow the law that was fitted to them."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, ndtr, ndtri
from scipy.stats import chi2


def mixture_fit_test(scores, label_odds, means, variance, sample_weight, *, size=None):
    r"""Test whether scores follow two Gaussians in known proportions.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Leave-one-out scores.
    label_odds : ndarray of shape (n,)
        Log-odds of the positive class given the label alone.
    means : ndarray of shape (2,)
        Fitted means of the negative and of the positive class.
    variance : float
        Fitted common variance.
    sample_weight : ndarray of shape (n,)
        Weights of the rows.
    size : float, optional
        Effective number of rows; ``(sum w)^2 / sum w^2`` by default.

    Returns
    -------
    float
        p-value; small where the law does not hold.

    Notes
    -----
    The scores are mapped to normal deviates by the fitted distribution function of their own
    mixture. Skewness S and kurtosis K of these give ``(n/6)(S^2 + (K - 3)^2/4)``, compared with
    chi-square of 2 degrees of freedom (Jarque and Bera); n is the effective number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.model_selection._clean_labels import mixture_fit_test
    >>> y = np.repeat([-1.0, 1.0], 500)
    >>> scores = y + np.random.default_rng(0).standard_normal(1000)
    >>> bool(mixture_fit_test(scores, 30.0 * y, np.array([-1, 1]), 1.0, np.ones(1000)) > 0.01)
    True
    """
    sd = np.sqrt(variance)
    share = expit(label_odds)
    level = share * ndtr((scores - means[1]) / sd) + (1.0 - share) * ndtr((scores - means[0]) / sd)
    return normality_test(ndtri(np.clip(level, 1e-12, 1.0 - 1e-12)), sample_weight, size=size)


def normality_test(deviates, sample_weight, *, size=None):
    """Return the p-value of the weighted Jarque-Bera test, with the effective number of rows.

    Parameters
    ----------
    deviates : ndarray of shape (n,)
        Values that should be normal.
    sample_weight : ndarray of shape (n,)
        Weights of the rows.
    size : float, optional
        Effective number of rows; ``(sum w)^2 / sum w^2`` by default.

    Returns
    -------
    float
        p-value; 1 where all values are equal.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.model_selection._clean_labels import normality_test
    >>> normality_test(np.zeros(5), np.ones(5))
    1.0
    """
    weights = sample_weight / sample_weight.sum()
    centred = deviates - weights @ deviates
    second = weights @ centred**2
    if not second > 0:
        return 1.0
    skewness = weights @ centred**3 / second**1.5
    excess = weights @ centred**4 / second**2 - 3.0
    size = 1.0 / (weights**2).sum() if size is None else size
    return float(chi2.sf(size / 6.0 * (skewness**2 + excess**2 / 4.0), 2))
