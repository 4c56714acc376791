"""Ridge on real rows and those of a generator that is fitted to rows of its own."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from .._checks import FloatArray, in_range
from ._isotropic import RATE, ROWS, pruning
from ._proportional import MixResult


def estimated_generator(
    n_real: float,
    n_generator: float,
    n_synthetic: float,
    n_features: float,
    mean_norm: float,
    *,
    alpha: float,
    noise_rate: float = 0.0,
    keep_correct: float = 1.0,
    keep_incorrect: float = 1.0,
    weight: float = 1.0,
    estimated_mean: bool = False,
) -> MixResult:
    r"""Return the law of a mix whose generator was fitted to rows of its own.

    Parameters
    ----------
    n_real : float
        Real rows.
    n_generator : float
        Other real rows to which the generator's covariance was fitted.
    n_synthetic : float
        Synthetic rows before pruning.
    n_features : float
        Number of features, p.
    mean_norm : float
        Norm of the mean; real classes have the covariance I.
    alpha : float
        Penalty per row of ``n_real + n_synthetic``, positive.
    noise_rate : float, default=0.0
        As in `isotropic_mix`, like the next three.
    keep_correct, keep_incorrect : float, default=1.0
        Probability that the verifier keeps a right label, and a wrong one.
    weight : float, default=1.0
        Loss weight of a synthetic row.
    estimated_mean : bool, default=False
        Whether the generator's mean was estimated from its rows too, or is right.

    Returns
    -------
    MixResult
        Mean, variance and accuracy, averaged over the generator.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    The generator draws from the sample covariance :math:`\hat C` of `n_generator` rows, whose
    resolvent traces follow from the Marchenko-Pastur equation: with y = p / n_generator,
    :math:`t = \frac1p\mathrm{tr}(x_0I+x_1\hat C)^{-1}` is the positive root of

    .. math:: x_0x_1y\,t^2 + (x_0+x_1-x_1y)\,t = 1,

    and the others are its derivatives. They enter the equations of `mixture_ridge`, averaged. With
    a generator in hand use `mixture_ridge` with its covariance.

    References
    ----------
    "Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory",
    arXiv:2410.08942.

    Examples
    --------
    >>> from skrmt.theory.synthetic_mix import estimated_generator
    >>> law = estimated_generator(400, 400, 800, 200, 0.7, alpha=1.0, noise_rate=0.2,
    ...                           keep_incorrect=0.0)
    >>> round(law.accuracy, 5)
    0.72122
    """
    size = float(in_range("n_real", n_real, 0.0, np.inf, "left", ROWS))
    fitted = float(in_range("n_generator", n_generator, 0.0, np.inf, "neither", ROWS))
    made = float(in_range("n_synthetic", n_synthetic, 0.0, np.inf, "left", ROWS))
    p = float(in_range("n_features", n_features, 0.0, np.inf, "neither", "A number."))
    norm = float(in_range("mean_norm", mean_norm, 0.0, np.inf, "left", "It is a norm."))
    gamma = float(in_range("alpha", alpha, 0.0, np.inf, "neither", "It is a ridge penalty."))
    noise = in_range("noise_rate", noise_rate, 0.0, 1.0, "both", RATE)
    correct = in_range("keep_correct", keep_correct, 0.0, 1.0, "both", RATE)
    wrong = in_range("keep_incorrect", keep_incorrect, 0.0, 1.0, "both", RATE)
    omega = float(in_range("weight", weight, 0.0, np.inf, "left", "It is a loss weight."))
    kept, theta = pruning(np.asarray(noise), np.asarray(correct), np.asarray(wrong))
    total = size + made
    if total == 0:
        raise ValueError("n_real and n_synthetic are both 0: give some rows.")
    share = np.array([size, float(kept) * made * (omega > 0)]) / total
    loads = _generator_fixed_point(share, omega, gamma, p / total, p / fitted)
    traces = _resolvent_traces(gamma + loads[0], loads[1], p / fitted)
    offset = p / fitted if estimated_mean else 0.0
    return _generator_law(share, loads, traces, norm**2, offset, float(theta), p / total)


def _generator_fixed_point(
    share: FloatArray, omega: float, gamma: float, per_row: float, y: float
) -> FloatArray:
    """Return kappa of real and synthetic rows, by a root in log b."""

    def loads(b: float) -> FloatArray:
        real = share[0] / (1.0 + per_row / b)
        inner = y / b

        def synthetic(k: float) -> float:
            delta = per_row / b / (1.0 + k * inner)
            return share[1] * omega / (1.0 + omega * delta)

        top = share[1] * omega
        k = brentq(lambda k: k - synthetic(k), 0.0, top, xtol=1e-16) if top > 0 else 0.0
        return np.array([real, k])

    def residual(log_b: float) -> float:
        b = float(np.exp(log_b))
        real, k = loads(b)
        return float(b - (gamma + real + k / (1.0 + k * y / b)))

    high = gamma + share[0] + share[1] * omega
    root = brentq(residual, np.log(gamma) - 1e-9, np.log(high) + 1e-9, xtol=1e-15, rtol=1e-14)
    return loads(float(np.exp(root)))


def _resolvent_traces(x0: float, x1: float, y: float) -> tuple[float, float, float, float]:
    """Return tr R, tr R^2, tr(C R^2), tr((C R)^2) over p, C a sample covariance."""
    b = x0 + x1 - x1 * y
    c = x0 * x1 * y
    t0 = 2.0 / (b + np.sqrt(b**2 + 4.0 * c))
    d = 2.0 * c * t0 + b
    t2 = (x1 * y * t0**2 + t0) / d
    tc = (x0 * y * t0**2 + (1.0 - y) * t0) / d
    if x1 <= 1e-12 * x0:
        return t0, t2, tc, (1.0 + y) / x0**2
    return t0, t2, tc, ((1.0 - x0 * t0) / x1 - x0 * tc) / x1


def _generator_law(
    share: FloatArray,
    loads: FloatArray,
    traces: tuple[float, float, float, float],
    energy: float,
    offset: float,
    theta: float,
    per_row: float,
) -> MixResult:
    """Return mean, variance and accuracy from the traces."""
    t0, t2, tc, tcc = traces
    target = np.array([1.0, theta])
    basis = np.array([[1.0, 0.0], [1.0, 1.0]])
    weights = np.array([energy, offset])
    first = basis @ np.diag(weights * t0) @ basis.T
    z = np.linalg.solve(np.eye(2) + loads[:, None] * first, loads * target)
    fitted = first @ z
    direction = basis.T @ z
    plain, coloured = (float(direction**2 @ weights) * t for t in (t2, tc))
    loss = 1.0 - 2.0 * target * fitted + fitted**2 + np.array([plain, coloured])
    second = np.divide(loads**2, share, out=np.zeros(2), where=share > 0)
    mixing = per_row * np.array([[t2, tc], [tc, tcc]])
    factor = np.linalg.solve(np.eye(2) - mixing * second, mixing[:, 0])
    mean = float(fitted[0])
    variance = plain + float(second * factor @ loss)
    accuracy = float(ndtr(mean / np.sqrt(variance))) if variance > 0 else 0.5
    return MixResult(mean, variance, accuracy)
