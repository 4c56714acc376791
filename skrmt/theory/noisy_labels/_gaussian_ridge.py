"""Ridge on noisy labels of a Gaussian mixture: any means, covariances and number of classes."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from .._checks import FloatArray, FloatOrArray, as_floats, finite_floats, in_range
from .._covariances import Covariances, as_covariances
from .._fixed_point import resolvent_traces
from ._decision import argmax_accuracy, best_threshold, binary_accuracy


class GaussianRidgeResult(NamedTuple):
    """What a ridge does on a fresh point of each class.

    The shapes are those of one-dimensional targets, one number per observed label; targets with q
    columns append an axis of length q to the means and the intercept, two to the covariances.

    Attributes
    ----------
    score_means : ndarray of shape (K,) or (K, q)
        Mean score in each class.
    score_covariances : ndarray of shape (K,) or (K, q, q)
        Variance, or covariance, of the score in each class.
    intercept : float or ndarray of shape (q,)
        The intercept; 0 without one.
    accuracy : float
        Clean accuracy of the sign (two classes) or of the largest score.
    """

    score_means: FloatArray
    score_covariances: FloatArray
    intercept: FloatOrArray
    accuracy: float


class RidgeProblem(NamedTuple):
    """A checked problem: everything but the penalty.

    Attributes
    ----------
    means : ndarray of shape (K, p)
        Class means in the basis of the covariances.
    covariances : Covariances
        Class covariances.
    priors : ndarray of shape (K,)
        Class probabilities.
    n_samples : float
        Number of samples.
    target_means : ndarray of shape (K, q)
        E[t | class].
    target_moments : ndarray of shape (K, q, q)
        E[t t^T | class].
    fit_intercept : bool
        Whether there is an intercept.
    flat : bool
        Whether the targets were one-dimensional.
    """

    means: FloatArray
    covariances: Covariances
    priors: FloatArray
    n_samples: float
    target_means: FloatArray
    target_moments: FloatArray
    fit_intercept: bool
    flat: bool


def gaussian_mixture_ridge(
    means: ArrayLike,
    covariances: ArrayLike,
    priors: ArrayLike,
    noise_matrix: ArrayLike,
    alpha: float,
    n_samples: float,
    *,
    targets: ArrayLike | None = None,
    fit_intercept: bool = True,
) -> GaussianRidgeResult:
    r"""Return the score distribution and the accuracy of a ridge on noisy labels.

    Parameters
    ----------
    means : array-like of shape (K, p)
        Class means; for two classes, the negative one first.
    covariances : float or array-like of shape (K,), (p,), (K, p), (p, p) or (K, p, p)
        Class covariances: a variance common to all, one per class, common diagonal, diagonal per
        class, common, or one matrix per class. All but the last cost one eigendecomposition at
        most.
    priors : array-like of shape (K,)
        Class probabilities, positive with sum 1.
    noise_matrix : array-like of shape (K, L)
        `noise_matrix[k, l]` = P(observed label l | true class k). Rows sum to 1. Usually L = K.
    alpha : float
        Penalty :math:`\gamma` per sample (scikit-learn's `Ridge(alpha=n * alpha)`), positive. 0
        is accepted where p < n. At `inf` the score is the mean target plus the limit of `alpha`
        times (score - mean target) with an intercept, and the limit of `alpha` times the score
        without.
    n_samples : float
        Number of training samples n, or its effective value under weights.
    targets : array-like of shape (L,) or (L, q), optional
        Regression target of each observed label. By default -1, +1 for K = L = 2, one-hot
        otherwise.
    fit_intercept : bool, default=True
        Whether an intercept is fitted, without penalty.

    Returns
    -------
    score_means : ndarray of shape (K,) or (K, q)
        Mean score of a fresh point of each class; the second form for 2-D targets.
    score_covariances : ndarray of shape (K,) or (K, q, q)
        Its variance, or covariance. The score is Gaussian in each class.
    intercept : float or ndarray of shape (q,)
        The intercept; 0 without one.
    accuracy : float
        Clean accuracy: of the sign of the score for K = 2 and q = 1 (positive: second class), of
        the largest score for q = K; NaN otherwise, no rule being implied.

    Raises
    ------
    ValueError
        If a shape, a range or a sum is wrong, or the fixed point does not converge.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    binary_accuracy : The accuracy at another threshold.
    best_threshold : The best threshold.
    lpc : Closed form for two isotropic classes without intercept.

    Notes
    -----
    With :math:`Q_0 = (\sum_a \pi_a C_a/(1+\delta_a)+\gamma I)^{-1}`,
    :math:`\delta_a = \mathrm{tr}(C_a Q_0)/n`, :math:`D_a = \pi_a/(1+\delta_a)`,
    :math:`S_{ab} = \mu_a^\top Q_0 \mu_b`, the means :math:`M_a = b_0 + \bar m_a` solve

    .. math::

        (I + SD)\bar m + S D 1 b_0^\top = S D \bar t, \qquad
        \sum_a D_a (\bar t_a - b_0 - \bar m_a) = 0.

    With :math:`V = \sum_a D_a\mu_a(\bar t_a-M_a)^\top`,
    :math:`T_{ab} = \mathrm{tr}(C_aQ_0C_bQ_0)/n` and
    :math:`N_a = E[(t-M_a)(t-M_a)^\top|a]`, the covariances solve

    .. math::

        \Sigma_a = V^\top Q_0C_aQ_0V + \sum_b T_{ab}\frac{\pi_b}{(1+\delta_b)^2}(N_b+\Sigma_b).

    The probability of the largest score is computed by a deterministic lattice rule.

    References
    ----------
    High-dimensional Learning with Noisy Labels, arXiv:2405.14088 (two classes, isotropic).

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.noisy_labels import gaussian_mixture_ridge
    >>> mean = np.full(200, 1.5 / np.sqrt(200))
    >>> noise = [[0.7, 0.3], [0.4, 0.6]]
    >>> result = gaussian_mixture_ridge(
    ...     [-mean, mean], 1.0, [0.3, 0.7], noise, 1.0, 1000, fit_intercept=False)
    >>> result.score_means.round(6)
    array([-0.134329,  0.134329])
    >>> round(result.accuracy, 6)
    0.71981
    """
    problem = ridge_problem(
        means, covariances, priors, noise_matrix, n_samples, targets, fit_intercept
    )
    return solve_ridge(problem, _check_penalty(problem, alpha))


def ridge_problem(
    means: Any,
    covariances: Any,
    priors: Any,
    noise_matrix: Any,
    n_samples: Any,
    targets: Any,
    fit_intercept: bool,
) -> RidgeProblem:
    """Check the arguments of `gaussian_mixture_ridge`, the penalty excepted."""
    mu = finite_floats("means", means, "Give one mean per class.")
    if mu.ndim != 2 or len(mu) < 2 or mu.shape[1] == 0:
        raise ValueError(
            f"means must have shape (n_classes, n_features) with two classes or more, got shape "
            f"{mu.shape}. Stack one row per class."
        )
    pi = _check_distribution("priors", priors, (len(mu),), positive=True)
    noise = as_floats("noise_matrix", noise_matrix)
    if noise.ndim != 2 or len(noise) != len(mu):
        raise ValueError(
            f"noise_matrix must have one row per class, ({len(mu)}, n_labels), got shape "
            f"{noise.shape}. Row k holds P(observed label | true class k)."
        )
    noise = _check_distribution("noise_matrix", noise, noise.shape)
    codes = _check_targets(targets, len(mu), noise.shape[1])
    columns = codes.reshape(len(codes), -1)
    family, mu = as_covariances(covariances, mu)
    size = in_range("n_samples", n_samples, 0.0, np.inf, "neither", "It is a number of rows.")
    if size.ndim:
        raise ValueError(f"n_samples must be one number, got shape {size.shape}. Loop over it.")
    moments = np.einsum("kl,lq,lr->kqr", noise, columns, columns)
    return RidgeProblem(
        mu, family, pi, float(size), noise @ columns, moments, bool(fit_intercept), codes.ndim == 1
    )


def _check_distribution(
    name: str, value: Any, shape: tuple[int, ...], positive: bool = False
) -> FloatArray:
    """Check probabilities that sum to 1 along the last axis."""
    closed: Literal["right", "both"] = "right" if positive else "both"
    array = in_range(name, value, 0.0, 1.0, closed, "Give probabilities.")
    if array.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape}, got {array.shape}. Give one value per class."
        )
    totals = array.sum(axis=-1)
    if (np.abs(totals - 1) > 1e-6).any():
        worst = np.atleast_1d(totals)[np.argmax(np.abs(totals - 1))]
        raise ValueError(
            f"{name} must sum to 1{' in each row' if array.ndim > 1 else ''}, got {worst:g}. "
            "Divide by the sum."
        )
    return array / totals[..., None]


def _check_targets(targets: Any, n_classes: int, n_labels: int) -> FloatArray:
    """Return the code of each observed label, the default one where none is given."""
    if targets is None:
        return np.array([-1.0, 1.0]) if n_classes == n_labels == 2 else np.eye(n_labels)
    codes = finite_floats("targets", targets, "Give one code per observed label.")
    if codes.ndim not in (1, 2) or len(codes) != n_labels or codes.size == 0:
        raise ValueError(
            f"targets must have shape ({n_labels},) or ({n_labels}, q), got {codes.shape}. "
            "Give one code per observed label (column of noise_matrix)."
        )
    return codes


def _check_penalty(problem: RidgeProblem, alpha: Any) -> float:
    gamma = in_range("alpha", alpha, 0.0, np.inf, "both", "It is a ridge penalty.")
    if gamma.ndim:
        raise ValueError(f"alpha must be one number, got shape {gamma.shape}. Loop over it.")
    n_features = problem.covariances.n_features
    if gamma == 0 and n_features >= problem.n_samples:
        raise ValueError(
            f"alpha must be positive where n_features >= n_samples, got 0 with {n_features} "
            f"features and {problem.n_samples:g} samples. Take a small alpha."
        )
    return float(gamma)


def solve_ridge(problem: RidgeProblem, alpha: float) -> GaussianRidgeResult:
    """Solve a checked problem for one penalty."""
    mu, family, pi, n, target_means, moments, _, flat = problem
    # Scores less the mean target are in units of 1 / alpha where alpha is large: neither they nor
    # their variances are lost in rounding, and at infinity these units are the limit.
    unit = 1.0 / max(alpha, 1.0)
    if np.isfinite(alpha):
        delta = resolvent_traces(family, pi, alpha, n)
        slack = delta / unit
        resolvent = family.resolvent(unit * pi / (1 + delta), alpha * unit)
    else:
        delta, slack = np.zeros(len(pi)), family.traces() / n
        resolvent = family.resolvent(delta, 1.0)
    weights = pi / (1 + delta)
    base = _mean_targets(problem)
    gram = mu @ family.apply(resolvent, mu.T)
    tilt = weights * slack / weights.sum() @ (target_means - base)
    centred, shift = _score_means(problem, gram * weights, weights, target_means - base, tilt, unit)
    score = base + unit * (shift + centred)
    direction = family.apply(resolvent, mu.T @ (weights[:, None] * (target_means - score)))
    cross = np.einsum("kq,kr->kqr", target_means, score)
    residuals = moments - cross - cross.transpose(0, 2, 1) + np.einsum("kq,kr->kqr", score, score)
    mixing = family.second_traces(resolvent) / n * (weights / (1 + delta))
    signal = family.quadratic(direction) + np.tensordot(mixing, residuals, axes=1)
    system = np.eye(len(pi)) - unit**2 * mixing
    spread = _solve(system, signal.reshape(len(pi), -1)).reshape(signal.shape)
    scale = unit if np.isfinite(alpha) else 1.0
    accuracy = _accuracy(base / scale + shift + centred, spread, pi)
    means, intercept, spread = (
        base + scale * (shift + centred),
        base + scale * shift,
        scale**2 * spread,
    )
    if flat:
        return GaussianRidgeResult(means[:, 0], spread[:, 0, 0], float(intercept[0]), accuracy)
    return GaussianRidgeResult(means, spread, intercept, accuracy)


def _mean_targets(problem: RidgeProblem) -> FloatArray:
    """Return the mean target of all rows, (q,), 0 where it is but rounding, or no intercept."""
    parts = problem.priors[:, None] * problem.target_means
    mean = parts.sum(axis=0)
    rounding = 8 * np.finfo(float).eps * np.abs(parts).sum(axis=0)
    return np.where(np.abs(mean) > rounding, mean, 0.0) * float(problem.fit_intercept)


def _score_means(
    problem: RidgeProblem,
    weighted_gram: FloatArray,
    weights: FloatArray,
    targets: FloatArray,
    tilt: FloatArray,
    unit: float,
) -> tuple[FloatArray, FloatArray]:
    """Return mean scores less the intercept, (K, q), and the intercept less the mean target."""
    size = len(weights)
    system = np.eye(size + 1)
    system[:size, :size] += unit * weighted_gram
    right = np.vstack([weighted_gram @ targets, np.zeros((1, targets.shape[1]))])
    if problem.fit_intercept:
        system[:size, size] = unit * weighted_gram.sum(axis=1)
        system[size, :size] = weights / weights.sum()
        right[size] = -tilt
    solution = _solve(system, right)
    return solution[:size], solution[size]


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)


def _accuracy(means: FloatArray, covariances: FloatArray, priors: FloatArray) -> float:
    n_classes, n_scores = means.shape
    if n_classes == 2 and n_scores == 1:
        return float(binary_accuracy(means[:, 0], covariances[:, 0, 0], priors[1]))
    if n_scores == n_classes:
        return argmax_accuracy(means, covariances, priors)
    return float("nan")


def optimal_alpha(
    means: ArrayLike | None = None,
    covariances: ArrayLike = 1.0,
    priors: ArrayLike | None = None,
    noise_matrix: ArrayLike | None = None,
    n_samples: float | None = None,
    *,
    alphas: ArrayLike | None = None,
    targets: ArrayLike | None = None,
    fit_intercept: bool = True,
    threshold: float | Literal["best"] = "best",
) -> float:
    r"""Return the penalty that gives the largest clean accuracy.

    Parameters
    ----------
    means : array-like of shape (K, p), optional
        Class means. Without them: two isotropic classes about a known centre, whose optimum is
        `inf` whatever the rest.
    covariances : float or array-like, default=1.0
        Class covariances, in a shape of `gaussian_mixture_ridge`.
    priors : array-like of shape (K,), optional
        Class probabilities; equal by default.
    noise_matrix : array-like of shape (K, L), optional
        P(observed label | true class); the identity (clean labels) by default.
    n_samples : float, optional
        Number of training samples, required with `means`.
    alphas : array-like, optional
        Candidates; the best of them is returned. By default 29 penalties from 1e-4 to 1e3 times
        the mean eigenvalue of the covariances, and `inf`; the best of these is then refined to
        1 %.
    targets : array-like of shape (L,) or (L, q), optional
        Regression target of each observed label, as in `gaussian_mixture_ridge`.
    fit_intercept : bool, default=True
        Whether an intercept is fitted.
    threshold : float or "best", default="best"
        For one score and two classes: where the score is cut.

    Returns
    -------
    float
        The penalty per sample, possibly `inf`; the larger one among equals.

    Raises
    ------
    ValueError
        If an argument is missing, out of range or of the wrong shape.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    gaussian_mixture_ridge : The accuracy at a penalty.

    Notes
    -----
    For classes :math:`\pm\mu` with identity covariance and the optimal shift, the accuracy is
    strictly increasing in the penalty: the ridge is best replaced by the mean of
    :math:`t_i x_i`. Strongly correlated features make a finite penalty win.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.noisy_labels import optimal_alpha
    >>> optimal_alpha()
    inf
    >>> spectrum = np.repeat([4.0, 0.25], 50)
    >>> mean = np.full(100, 0.1)
    >>> noise = [[0.7, 0.3], [0.3, 0.7]]
    >>> round(optimal_alpha([-mean, mean], spectrum, noise_matrix=noise, n_samples=200), 2)
    0.16
    """
    if isinstance(threshold, str) and threshold != "best":
        raise ValueError(f"threshold must be a number or 'best', got {threshold!r}. Give one.")
    if means is None:
        return float("inf")
    if n_samples is None:
        raise ValueError("n_samples must be given with means, got None. It is a number of rows.")
    n_classes = len(as_floats("means", means))
    problem = ridge_problem(
        means,
        covariances,
        np.full(n_classes, 1 / n_classes) if priors is None else priors,
        np.eye(n_classes) if noise_matrix is None else noise_matrix,
        n_samples,
        targets,
        fit_intercept,
    )
    if alphas is not None:
        candidates = np.atleast_1d(as_floats("alphas", alphas)).ravel()
        return _best_penalty(problem, candidates, threshold)[0]
    unit = float(problem.priors @ problem.covariances.traces()) / problem.covariances.n_features
    grid = unit * np.append(np.logspace(-4, 3, 29), np.inf)
    best, accuracy = _best_penalty(problem, grid, threshold)
    if np.isinf(best):
        return best
    search = minimize_scalar(
        lambda exponent: -_cut_accuracy(problem, best * 10.0**exponent, threshold),
        bounds=(-0.25, 0.25),
        method="bounded",
        options={"xatol": 0.004},
    )
    return best * 10.0 ** float(search.x) if -search.fun > accuracy else best


def _best_penalty(
    problem: RidgeProblem, alphas: FloatArray, threshold: float | str
) -> tuple[float, float]:
    """Return the best of some penalties and its accuracy, the largest one among equals."""
    if alphas.size == 0:
        raise ValueError("alphas must hold one penalty or more, got none. Give candidates.")
    order = np.sort([_check_penalty(problem, alpha) for alpha in alphas])[::-1]
    accuracies = [_cut_accuracy(problem, alpha, threshold) for alpha in order]
    if np.isnan(accuracies[0]):
        raise ValueError(
            f"targets with {problem.target_means.shape[1]} columns for {len(problem.priors)} "
            "classes imply no decision rule. Give one column for two classes, or one per class."
        )
    best = int(np.argmax(accuracies))
    return float(order[best]), accuracies[best]


def _cut_accuracy(problem: RidgeProblem, alpha: float, threshold: float | str) -> float:
    result = solve_ridge(problem, alpha)
    if not problem.flat or len(problem.priors) > 2:
        return result.accuracy
    scores = result.score_means, result.score_covariances, problem.priors[1]
    cut = best_threshold(*scores) if isinstance(threshold, str) else threshold
    return float(binary_accuracy(*scores, cut))
