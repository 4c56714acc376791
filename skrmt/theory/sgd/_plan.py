"""The best schedule of a sample budget: learning rate, batch doubling, decay."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from .._checks import FloatArray
from ._curve import _number, _vector, risk_curve
from ._stability import check_eigenvalues, critical_learning_rate
from ._stages import Stage, _check_count, schedule_factors

_GROUPS = 24
_PIECES = 24
"""Groups of eigenvalues and pieces of constant rate in the search; the risk of what it finds is
computed without them."""
_LARGEST_FRACTION = 0.98
"""Fraction of the critical rate up to which is searched: at the rate itself the risk diverges."""


class StagePlan(NamedTuple):
    """A schedule and its predicted result.

    Attributes
    ----------
    stages : list of Stage
        The schedule; it uses the budget but for less than a batch a stage.
    risk : float
        Mean risk at the end.
    learning_rate : float
        Rate before it decays.
    doubling_time : float
        Share of the budget after which the batch size doubles; 1 if it never does.
    decay_time : float
        Share of the budget after which the rate decays; 1 if it never does.
    decay : {"constant", "cosine", "linear"}
        How it decays.
    """

    stages: list[Stage]
    risk: float
    learning_rate: float
    doubling_time: float
    decay_time: float
    decay: str


class _Shape(NamedTuple):
    """A schedule in units of the budget and the critical rate."""

    fraction: float
    doubling: float
    decay_time: float
    decay: str


def plan_stages(
    eigenvalues: ArrayLike,
    noise_variance: float,
    budget: int,
    *,
    displacement: ArrayLike | None = None,
    batch_size: int = 1,
) -> StagePlan:
    r"""Return the schedule of lowest mean risk for a number of rows, each used once.

    Parameters
    ----------
    eigenvalues : array-like of shape (p,)
        Eigenvalues of the second moment of the features.
    noise_variance : float
        Variance of the noise of the targets.
    budget : int
        Number of rows, at least four batches.
    displacement : array-like of shape (p,), default=None
        Weights at the start less the best ones, in eigenvector coordinates;
        :math:`p^{-1/2}` each by default, a distance of 1 in no special direction.
    batch_size : int, default=1
        Rows a step at the start. Steps cost time: take the largest batch size that is fast.

    Returns
    -------
    stages : list of Stage
        One to three stages: a constant rate, the same with the doubled batch size, and a decay.
    risk : float
        Mean risk at the end.
    learning_rate : float
        Rate before it decays.
    doubling_time, decay_time : float
        Shares of the budget after which the batch size doubles and the rate decays; 1 for never.
    decay : {"constant", "cosine", "linear"}
        How it decays.

    Raises
    ------
    ValueError
        If a number is out of range, lengths differ, or the budget is below four batches.
    TypeError
        If an argument is not of the right kind.

    See Also
    --------
    risk_curve : The mean risk of any schedule.

    Notes
    -----
    With :math:`R_T` the last value of `risk_curve`, T steps at rates :math:`\eta_t` and batch sizes
    :math:`B_t`,

    .. math:: \min R_T(\eta, B) \quad\text{subject to}\quad \sum_{t=1}^T B_t \leq \text{budget}.

    The family holds constant rates, cosine and linear decay over the whole budget or over its
    end, each with the batch size doubled once or never; the decay begins with the doubling or
    later. Its parameters are optimised for a spectrum of at most 24 groups of eigenvalues with
    piecewise constant rates, and the best candidates are then compared with the exact recursion,
    beside the best constant rate, the best cosine and the best doubling at half the budget.

    References
    ----------
    Falcon2-11B Technical Report, arXiv:2407.14885, for batch sizes that double.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.sgd import plan_stages, risk_curve
    >>> lam = 1 / np.arange(1, 31)
    >>> plan = plan_stages(lam, 0.25, 2000, batch_size=4)
    >>> naive = risk_curve(lam, np.full(30, 30**-0.5), 0.25, [(500, 4, 0.5, "cosine", True)])
    >>> bool(plan.risk < naive[-1])
    True
    >>> sum(stage.n_steps * stage.batch_size for stage in plan.stages)
    2000
    """
    lam = check_eigenvalues(eigenvalues)
    variance = _number(noise_variance)
    _check_count("budget", budget)
    _check_count("batch_size", batch_size)
    if budget < 4 * batch_size:
        raise ValueError(
            f"budget={budget} is less than four batches of batch_size={batch_size}: raise the "
            "budget, or take smaller batches."
        )
    size = lam.size
    start = np.full(size, size**-0.5)
    if displacement is not None:
        start = _vector("displacement", displacement, size)
    critical = float(np.asarray(critical_learning_rate(lam, batch_size)))
    found = _candidates(lam, start**2, variance, budget, batch_size, critical)
    plans = [_stages(shape, budget, batch_size, critical) for shape in found]
    risks = [risk_curve(lam, start, variance, plan)[-1] for plan in plans]
    best = int(np.argmin(risks))
    shape = found[best]
    return StagePlan(
        plans[best],
        float(risks[best]),
        shape.fraction * critical,
        shape.doubling,
        shape.decay_time,
        shape.decay if shape.decay_time < 1 else "constant",
    )


def _candidates(
    lam: FloatArray,
    square: FloatArray,
    variance: float,
    budget: int,
    batch_size: int,
    critical: float,
) -> list[_Shape]:
    """Return the best schedule of each part of the family."""
    spectrum = _grouped(lam, square)

    def risk(shape: _Shape) -> float:
        return _fast_risk(_segments(shape, budget, batch_size, critical), *spectrum, variance)

    found = [_best(risk, _constant)]
    found += [_best(risk, _halfway)]
    for decay in ("cosine", "linear"):
        found.append(_best(risk, lambda z, decay=decay: _Shape(_fraction(z[0]), 1, 0, decay)))
        found.append(_best(risk, lambda z, decay=decay: _undoubled(z, decay), 2))
        found.append(_best(risk, lambda z, decay=decay: _doubled(z, decay), 3))
    return found


def _fraction(z: float) -> float:
    """Map a real number to a fraction of the critical rate."""
    return _LARGEST_FRACTION * _unit(z)


def _unit(z: float) -> float:
    """Map a real number to (0, 1)."""
    return float(1 / (1 + np.exp(-np.clip(z, -30, 30))))


def _constant(z: FloatArray) -> _Shape:
    return _Shape(_fraction(z[0]), 1.0, 1.0, "constant")


def _halfway(z: FloatArray) -> _Shape:
    return _Shape(_fraction(z[0]), 0.5, 1.0, "constant")


def _undoubled(z: FloatArray, decay: str) -> _Shape:
    return _Shape(_fraction(z[0]), 1.0, _unit(z[1]), decay)


def _doubled(z: FloatArray, decay: str) -> _Shape:
    doubling = _unit(z[2])
    return _Shape(_fraction(z[0]), doubling, doubling + (1 - doubling) * _unit(z[1]), decay)


def _best(risk: Any, shape: Any, size: int = 1) -> _Shape:
    """Return the best member of a part of the family: a coarse grid, then the simplex method."""

    def objective(z: FloatArray) -> float:
        return float(np.log(risk(shape(z))))

    rates = [np.r_[z, np.zeros(size - 1)] for z in (-5, -3.5, -2, -1, 0, 1, 2.5)]
    first = min(rates, key=objective)
    options = {"maxfev": 60 * size, "xatol": 1e-3, "fatol": 1e-9}
    found = minimize(objective, first, method="Nelder-Mead", options=options)
    return shape(found.x)


def _stages(shape: _Shape, budget: int, batch_size: int, critical: float) -> list[Stage]:
    """Return a shape as stages."""
    rate = shape.fraction * critical
    never = shape.doubling >= 1
    until = shape.decay_time if never else shape.doubling
    first = round(until * budget / batch_size)
    first = min(first, budget // batch_size)
    later = batch_size if never else 2 * batch_size
    left = (budget - first * batch_size) // later
    second = 0 if never else round((shape.decay_time - until) * budget / later)
    second = min(second, left)
    parts = [
        (first, batch_size, "constant"),
        (second, later, "constant"),
        (left - second, later, shape.decay),
    ]
    return [Stage(n, size, rate, schedule) for n, size, schedule in parts if n > 0]


def _segments(
    shape: _Shape, budget: int, batch_size: int, critical: float
) -> list[tuple[int, int, float]]:
    """Return steps, batch size and rate of stretches of about constant rate."""
    parts = []
    for stage in _stages(shape, budget, batch_size, critical):
        rate = float(stage.learning_rate)
        if stage.schedule == "constant":
            parts.append((stage.n_steps, stage.batch_size, rate))
            continue
        rates = rate * schedule_factors(stage.schedule, stage.n_steps)
        for piece in np.array_split(rates, min(_PIECES, stage.n_steps)):
            parts.append((piece.size, stage.batch_size, float(piece.mean())))
    return parts


def _grouped(lam: FloatArray, square: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return eigenvalues, numbers and summed squares of groups of close eigenvalues."""
    used = lam > 0
    lam, square = lam[used], square[used]
    order = np.argsort(lam)
    lam, square = lam[order], square[order]
    edges = np.linspace(np.log(lam[0]), np.log(lam[-1]), _GROUPS + 1)[1:-1]
    group = np.searchsorted(edges, np.log(lam))
    names, counts = np.unique(group, return_counts=True)
    means = np.array([lam[group == name].mean() for name in names])
    sums = np.array([square[group == name].sum() for name in names])
    return means, counts.astype(float), sums


def _fast_risk(
    segments: list[tuple[int, int, float]],
    lam: FloatArray,
    counts: FloatArray,
    sums: FloatArray,
    variance: float,
) -> float:
    """Return the risk at the end, powers of one matrix a stretch."""
    state = np.r_[sums, 1.0]
    for steps, batch_size, rate in segments:
        noise = rate**2 / batch_size * counts * lam
        step = np.zeros((lam.size + 1, lam.size + 1))
        step[:-1, :-1] = np.outer(noise, lam)
        step[range(lam.size), range(lam.size)] += (1 - rate * lam) ** 2
        step[range(lam.size), range(lam.size)] += (rate * lam) ** 2 / batch_size
        step[:-1, -1] = noise * variance
        step[-1, -1] = 1.0
        state = np.linalg.matrix_power(step, steps) @ state
    return float((lam @ state[:-1] + variance) / 2)
