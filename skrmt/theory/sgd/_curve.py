"""Mean risk of stochastic gradient descent, step by step, for Gaussian features."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg.blas import daxpy

from .._checks import FloatArray, finite_floats, in_range
from ._stability import (
    check_batch_size,
    check_eigenvalues,
    check_noise_variance,
    critical_learning_rate,
)
from ._stages import Stage, as_stages

_TINY = 1e-290
"""Squares below are set to 0: arithmetic with subnormal numbers is slow."""


class _State(NamedTuple):
    """Moments of the weights less the best ones, and of the velocity; the best weights.

    `mean` and `square` are those of the weights, `speed` and `push` those of the velocity, `cross`
    is their mean product.
    """

    mean: FloatArray
    square: FloatArray
    target: FloatArray
    speed: FloatArray
    cross: FloatArray
    push: FloatArray


def risk_curve(
    eigenvalues: ArrayLike, displacement: ArrayLike, noise_variance: float, stages: Any
) -> FloatArray:
    r"""Return the mean risk before the first step and after every step.

    Parameters
    ----------
    eigenvalues : array-like of shape (p,)
        Eigenvalues :math:`\lambda_j` of the second moment of the features.
    displacement : array-like of shape (p,)
        Weights at the start less the best ones, in eigenvector coordinates. The weights start at
        0 where a stage has weight decay.
    noise_variance : float
        Variance :math:`\sigma^2` of the noise of the targets.
    stages : Stage, or sequence of Stage, tuple or dict
        The schedule; tuples and dicts hold the arguments of `Stage`. A stage may change
        displacement, noise variance and eigenvalues. Relative rates are in units of the critical
        rate for Gaussian features.

    Returns
    -------
    ndarray of shape (T + 1,)
        Expected risk, half the mean squared residual of a fresh row, before the first of T steps
        and after each. The risk at a change of stage is that of the stage that ends. `inf` after
        numbers overflow.

    Raises
    ------
    ValueError
        If a number is out of range, lengths differ, there is no stage, or a stage has a mixture.
    TypeError
        If an argument is not of the right kind.

    See Also
    --------
    multi_pass_risk_curve : For a fixed set of rows that are drawn again and again.
    volterra_curve : The same numbers as the solution of an integral equation.
    noise_floor : Where a constant rate ends.

    Notes
    -----
    A step on B fresh rows :math:`x\sim N(0,H)`, :math:`y=x^\top w^*+\sigma\xi` is
    :math:`w\leftarrow w-\eta g` with g the gradient of half the mean squared residual. With
    :math:`m_j` the mean square of coordinate j of :math:`w-w^*`, exactly for every dimension,

    .. math::

        q &= \sum_k\lambda_km_k, \qquad R = (q+\sigma^2)/2, \\
        m_j &\leftarrow (1-\eta\lambda_j)^2m_j
            + \frac{\eta^2}{B}\bigl[\lambda_j^2m_j+\lambda_j(q+\sigma^2)\bigr].

    Weight decay :math:`\delta` is decoupled, :math:`w\leftarrow(1-\eta\delta)w-\eta g`: it pulls
    :math:`w` to 0 rather than to :math:`w^*`. With momentum :math:`\mu` the step is
    :math:`v\leftarrow\mu v+g`, :math:`w\leftarrow(1-\eta\delta)w-\eta v` (heavy ball). Writing
    :math:`c_j=E\,d_jv_j` and :math:`u_j=E\,v_j^2` for :math:`d=w-w^*`,
    :math:`n_j=[\lambda_j^2m_j+\lambda_j(q+\sigma^2)]/B` for the noise of the gradient,
    :math:`a=1-\eta\delta` and :math:`b_j=\eta\delta w^*_j`, exactly,

    .. math::

        h_j &= \mu c_j+\lambda_jm_j, \qquad
        u_j \leftarrow \mu^2u_j+2\mu\lambda_jc_j+\lambda_j^2m_j+n_j, \\
        \bar v_j &\leftarrow \mu\bar v_j+\lambda_j\bar d_j, \qquad
        c_j \leftarrow ah_j-b_j\bar v_j-\eta u_j, \\
        m_j &\leftarrow a^2m_j-2a\eta h_j+\eta^2u_j
            +b_j^2-2ab_j\bar d_j+2\eta b_j\bar v_j, \\
        \bar d_j &\leftarrow a\bar d_j-b_j-\eta\bar v_j,

    with the new :math:`u_j` and :math:`\bar v_j`, and the old :math:`\bar d_j` in
    :math:`m_j`. A step costs O(p).

    References
    ----------
    Falcon2-11B Technical Report, arXiv:2407.14885, for stages and batch sizes that double;
    High-dimensional limit of streaming SGD for generalized linear models, arXiv:2304.06847;
    Trajectory of Mini-Batch Momentum, arXiv:2206.01029.

    Examples
    --------
    >>> from skrmt.theory.sgd import Stage, risk_curve
    >>> second = Stage(3, 4, 0.05, displacement=[0.5, 0, 0], noise_variance=0.2)
    >>> risk_curve([2, 1, 0.5], [1, -1, 2], 0.5, [Stage(3, 2, 0.1), second]).round(4)
    array([2.75  , 2.2934, 1.9453, 1.6755, 2.0151, 1.7853, 1.5909])
    >>> ball = Stage(3, 2, 0.1, momentum=0.5, weight_decay=0.1)
    >>> risk_curve([2, 1, 0.5], [1, -1, 2], 0.5, ball).round(4)
    array([2.75  , 2.2934, 1.8479, 1.5171])
    """
    lam = check_eigenvalues(eigenvalues)
    start = _vector("displacement", displacement, lam.size)
    variance = _number(noise_variance)
    plan = as_stages(stages)
    rest = np.zeros_like(start)
    state = _State(start.copy(), start**2, -start, rest, rest, rest)
    risks = [np.array([(lam @ state.square + variance) / 2])]
    for k, stage in enumerate(plan):
        lam, variance, state = _enter(stage, lam, variance, state)
        later = any(_uses_mean(after) for after in plan[k + 1 :])
        state, curve = _run(stage, lam, variance, state, later)
        risks.append(curve)
    return np.concatenate(risks)


def _number(noise_variance: Any) -> float:
    """Return one variance."""
    variance = check_noise_variance(noise_variance)
    if variance.ndim:
        raise ValueError(f"noise_variance must be one number, got shape {variance.shape}.")
    return float(variance)


def _vector(name: str, values: Any, size: int) -> FloatArray:
    """Return a finite vector of the length of the eigenvalues."""
    array = finite_floats(name, values, "Give one coordinate an eigenvalue.")
    if array.shape != (size,):
        raise ValueError(
            f"{name} has shape {array.shape}, but there are {size} eigenvalues: give one number "
            "for each."
        )
    return array


def _uses_mean(stage: Stage) -> bool:
    """Return whether a stage needs to know the mean of the weights."""
    return stage.displacement is not None or stage.weight_decay > 0 or stage.momentum > 0


def _enter(
    stage: Stage, lam: FloatArray, variance: float, state: _State
) -> tuple[FloatArray, float, _State]:
    """Return the data of a stage, and the state seen from its best weights."""
    if stage.mixture is not None:
        raise ValueError(
            f"mixture={stage.mixture!r} names sources of rows, which the theory does not have: "
            "give the displacement, noise variance and eigenvalues of the mixture."
        )
    if stage.eigenvalues is not None:
        size, lam = lam.size, check_eigenvalues(stage.eigenvalues)
        _vector("eigenvalues", lam, size)
    if stage.noise_variance is not None:
        variance = _number(stage.noise_variance)
    if stage.displacement is not None:
        move = _vector("displacement", stage.displacement, lam.size)
        square = state.square + (2 * state.mean + move) * move
        state = state._replace(
            mean=state.mean + move,
            square=np.maximum(square, 0),
            target=state.target - move,
            cross=state.cross + move * state.speed,
        )
    return lam, variance, state


def _run(
    stage: Stage, lam: FloatArray, variance: float, state: _State, mean_needed: bool
) -> tuple[_State, FloatArray]:
    """Return the state after a stage and the risk after each of its steps."""
    critical = None
    if stage.needs_critical_rate:
        critical = float(
            np.asarray(critical_learning_rate(lam, stage.batch_size, momentum=stage.momentum))
        )
    rates = stage.learning_rates(critical)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if stage.momentum > 0:
            return _ball_steps(rates, stage, lam, variance, state)
        rest = np.zeros_like(lam)
        state = state._replace(speed=rest, cross=rest, push=rest)
        if stage.weight_decay > 0:
            return _decayed_steps(rates, stage, lam, variance, state)
        curve = _plain_steps(rates, stage.batch_size, lam, variance, state.square)
        if mean_needed:
            for rate, count in zip(*_runs(rates), strict=True):
                state.mean[:] *= (1 - rate * lam) ** count
    return state, curve


def _runs(rates: FloatArray) -> tuple[FloatArray, Any]:
    """Return the rates without repetition, and how many steps each lasts."""
    starts = np.flatnonzero(np.r_[True, rates[1:] != rates[:-1]])
    return rates[starts], np.diff(np.r_[starts, rates.size])


def _plain_steps(
    rates: FloatArray, batch_size: int, lam: FloatArray, variance: float, square: FloatArray
) -> FloatArray:
    """Take steps without weight decay in place, and return the risk after each."""
    risks = np.full(rates.size, np.inf)
    factor = np.empty_like(lam)
    previous = np.nan
    total = float(lam @ square)
    for t, rate in enumerate(rates):
        if rate != previous:
            np.multiply(lam, rate * rate * (1 + 1 / batch_size), out=factor)
            factor -= 2 * rate
            factor *= lam
            factor += 1
            previous = rate
        square *= factor
        daxpy(lam, square, a=rate * rate / batch_size * (total + variance))
        total = float(lam @ square)
        if not total < np.inf:
            square[:] = np.inf
            break
        if t % 1024 == 1023:
            square[square < _TINY] = 0
        risks[t] = (total + variance) / 2
    return risks


def _decayed_steps(
    rates: FloatArray, stage: Stage, lam: FloatArray, variance: float, state: _State
) -> tuple[_State, FloatArray]:
    """Take steps with weight decay."""
    mean, square, target = state[:3]
    risks = np.full(rates.size, np.inf)
    total = float(lam @ square)
    for t, rate in enumerate(rates):
        keep = 1 - rate * (lam + stage.weight_decay)
        pull = rate * stage.weight_decay * target
        noise = lam * lam * square + lam * (total + variance)
        square = keep**2 * square - 2 * keep * pull * mean + pull**2
        square = square + rate**2 / stage.batch_size * noise
        mean = keep * mean - pull
        total = float(lam @ square)
        if not total < np.inf:
            square = np.full_like(square, np.inf)
            break
        risks[t] = (total + variance) / 2
    return state._replace(mean=mean, square=square), risks


def _ball_steps(
    rates: FloatArray, stage: Stage, lam: FloatArray, variance: float, state: _State
) -> tuple[_State, FloatArray]:
    """Take steps with momentum, with weight decay or without."""
    mean, square, target, speed, cross, push = state
    mu, risks = stage.momentum, np.full(rates.size, np.inf)
    total = float(lam @ square)
    for t, rate in enumerate(rates):
        keep = 1 - rate * stage.weight_decay
        pull = rate * stage.weight_decay * target
        curved = lam * lam * square
        noise = (curved + lam * (total + variance)) / stage.batch_size
        both = mu * cross + lam * square
        push = mu * mu * push + 2 * mu * lam * cross + curved + noise
        speed = mu * speed + lam * mean
        square = keep**2 * square - 2 * keep * rate * both + rate**2 * push
        square = square + pull**2 - 2 * keep * pull * mean + 2 * rate * pull * speed
        cross = keep * both - pull * speed - rate * push
        mean = keep * mean - pull - rate * speed
        total = float(lam @ square)
        if not total < np.inf:
            square = np.full_like(square, np.inf)
            break
        risks[t] = (total + variance) / 2
    return _State(mean, square, target, speed, cross, push), risks


def multi_pass_risk_curve(eigenvalues: ArrayLike, residual: ArrayLike, stages: Any) -> FloatArray:
    r"""Return the mean training risk when rows of a fixed set are drawn with replacement.

    Parameters
    ----------
    eigenvalues : array-like of shape (n,)
        Eigenvalues :math:`s_j` of :math:`AA^\top/n` for the n rows A, zeros included.
    residual : array-like of shape (n,)
        Residuals :math:`Aw-b` at the start, in the coordinates of its eigenvectors.
    stages : Stage, or sequence of Stage, tuple or dict
        The schedule, as in `risk_curve`, without weight decay, momentum and changes of the data.
        Relative rates are in units of the critical rate of this recursion.

    Returns
    -------
    ndarray of shape (T + 1,)
        Expected :math:`|Aw-b|^2/(2n)` before the first step and after each.

    Raises
    ------
    ValueError
        If a number is out of range, lengths differ, or a stage changes the data.
    TypeError
        If an argument is not of the right kind.

    See Also
    --------
    risk_curve : For rows that are fresh in every step.

    Notes
    -----
    If no few rows have much of the leverage, with :math:`m_j` the mean square of coordinate j of
    the residual,

    .. math:: m_j \leftarrow (1-\eta s_j)^2m_j + \frac{\eta^2}{B}s_j^2\Bigl(\sum_km_k-m_j\Bigr),

    with an error of order :math:`n^{-1/2}`. It converges if and only if
    :math:`\frac{\eta}{B}\sum_j\frac{s_j}{2-\eta s_j(1-1/B)}<1`.

    References
    ----------
    SGD in the Large: Average-case Analysis, Asymptotics, and Stepsize Criticality,
    arXiv:2102.04396.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.sgd import multi_pass_risk_curve
    >>> curve = multi_pass_risk_curve([2, 1, 0.5, 0], np.sqrt([1, 1, 1, 2]), [(10, 2, 0.3)])
    >>> curve[[1, 5, 10]].round(8)
    array([0.5396875 , 0.39828256, 0.36373888])
    """
    spectrum = check_eigenvalues(eigenvalues)
    square = _vector("residual", residual, spectrum.size) ** 2
    risks = [np.array([square.sum()])]
    for stage in as_stages(stages):
        if _changes_data(stage):
            raise ValueError(
                f"{stage!r} changes the data or has weight decay or momentum, which several passes "
                "over one set do not allow: leave mixture, displacement, noise_variance, "
                "eigenvalues, weight_decay and momentum as they are."
            )
        critical = None
        if stage.needs_critical_rate:
            critical = _multi_pass_critical(spectrum, stage.batch_size)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            curve = _multi_pass_steps(
                stage.learning_rates(critical), stage.batch_size, spectrum, square
            )
        risks.append(curve)
    return np.concatenate(risks) / (2 * spectrum.size)


def _changes_data(stage: Stage) -> bool:
    """Return whether a stage is more than a schedule."""
    given = (stage.mixture, stage.displacement, stage.noise_variance, stage.eigenvalues)
    return stage.weight_decay > 0 or stage.momentum > 0 or any(value is not None for value in given)


def _multi_pass_steps(
    rates: FloatArray, batch_size: int, spectrum: FloatArray, square: FloatArray
) -> FloatArray:
    """Take steps in place, and return the sum of squares after each."""
    sums = np.full(rates.size, np.inf)
    total = float(square.sum())
    for t, rate in enumerate(rates):
        gain = (rate * spectrum) ** 2 / batch_size
        square *= (1 - rate * spectrum) ** 2 - gain
        square += gain * total
        total = float(square.sum())
        if not total < np.inf:
            square[:] = np.inf
            break
        sums[t] = total
    return sums


def _multi_pass_critical(spectrum: FloatArray, batch_size: int) -> float:
    """Return the rate at which the recursion of several passes stops converging."""
    inner = 1 - 1 / batch_size
    top = float(spectrum.max())

    def amplification(rate: float) -> float:
        room = 2 - rate * spectrum * inner
        return float((rate * spectrum / room).sum() / batch_size)

    low = 0.0
    # With one row a step there is no pole: the condition is linear.
    high = 2 / (top * inner) if inner > 0 else 2 * batch_size / float(spectrum.sum())
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if amplification(middle) < 1 else (low, middle)
    return low


def volterra_curve(
    eigenvalues: ArrayLike,
    displacement: ArrayLike,
    noise_variance: float,
    learning_rate: float,
    batch_size: float,
    n_steps: int,
) -> FloatArray:
    r"""Return the mean risk at a constant rate, as the solution of a Volterra equation.

    Parameters
    ----------
    eigenvalues : array-like of shape (p,)
        Eigenvalues :math:`\lambda_j` of the second moment of the features.
    displacement : array-like of shape (p,)
        Weights at the start less the best ones, in eigenvector coordinates.
    noise_variance : float
        Variance :math:`\sigma^2` of the noise of the targets.
    learning_rate : float
        Learning rate :math:`\eta`, 0 or more.
    batch_size : float
        Rows B a step.
    n_steps : int
        Number T of steps, 1 or more.

    Returns
    -------
    ndarray of shape (T + 1,)
        The numbers of `risk_curve`.

    Raises
    ------
    ValueError
        If a number is out of range, or lengths differ.
    TypeError
        If an argument is not of the right kind.

    See Also
    --------
    risk_curve : Faster, and for any schedule.

    Notes
    -----
    With :math:`q_j = (1-\eta\lambda_j)^2+\eta^2\lambda_j^2/B` and the kernel
    :math:`K_s = \frac{\eta^2}{B}\sum_j\lambda_j^2q_j^s`, whose sum is :math:`\kappa`,

    .. math:: 2R_t-\sigma^2 = \sum_j\lambda_jq_j^td_j^2 + \sum_{s<t}K_{t-1-s}\,2R_s.

    The first term is how the start is forgotten; the second, how noise of earlier steps, which
    grows with their risk, is forgotten. It costs O(pT + T^2).

    References
    ----------
    SGD in the Large: Average-case Analysis, Asymptotics, and Stepsize Criticality,
    arXiv:2102.04396.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.sgd import risk_curve, volterra_curve
    >>> curve = volterra_curve([2, 1, 0.5], [1, -1, 2], 0.5, 0.1, 2, 3)
    >>> bool(np.allclose(curve, risk_curve([2, 1, 0.5], [1, -1, 2], 0.5, [(3, 2, 0.1)])))
    True
    """
    lam = check_eigenvalues(eigenvalues)
    start = _vector("displacement", displacement, lam.size) ** 2
    variance = _number(noise_variance)
    rate = float(in_range("learning_rate", learning_rate, 0, np.inf, "left"))
    size = float(check_batch_size(batch_size))
    steps = Stage(n_steps, 1, rate).n_steps
    factor = (1 - rate * lam) ** 2 + (rate * lam) ** 2 / size
    forgotten, kernel = np.empty(steps + 1), np.empty(steps)
    power = np.ones_like(lam)
    for t in range(steps):
        forgotten[t] = (lam * power) @ start
        kernel[t] = rate**2 / size * (lam**2 @ power)
        power *= factor
    forgotten[steps] = (lam * power) @ start
    doubled = np.empty(steps + 1)
    for t in range(steps + 1):
        doubled[t] = variance + forgotten[t] + kernel[:t][::-1] @ doubled[:t]
    return doubled / 2
