"""What a preference loss converges to at a preference probability."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, log_expit, logit

from .._checks import FloatArray, FloatOrArray, broadcast, in_range, unwrap
from ._names import canonical_loss, known_options


def population_margin(
    loss: str,
    p: ArrayLike,
    *,
    beta: ArrayLike,
    noise_rate: ArrayLike = 0.0,
    **loss_options: ArrayLike,
) -> FloatOrArray:
    r"""Return the limit of a preference loss at a preference probability.

    The numbers broadcast against one another.

    Parameters
    ----------
    loss : str
        Name of the loss, TRL's names included; all of `skrmt.preference.preference_loss` but aot
        and aot_unpaired, see Notes.
    p : array-like
        The *observed* probability, in [0, 1], that the first response is preferred to the second;
        for sppo, that the response is preferred to one of the reference; for bco, nca, kto and
        apo_zero, that the response is the chosen one of its pair.
    beta : array-like
        Strength :math:`\beta` of the pull to the reference, positive. Not used by sft, slic and
        orpo.
    noise_rate : array-like, default=0.0
        The loss's own :math:`\epsilon`, in [0, 1/2), for cdpo, robust and exo (there above 0);
        the other losses have none and ignore it.
    **loss_options : array-like
        Options of single losses with the defaults that `skrmt.preference.preference_loss` has:
        discopop `tau`, simpo `gamma`, cpo, orpo and slic `weight`, slic `delta`, kto
        `desirable_weight`, `undesirable_weight` and `k` (the last without effect on the limit).

    Returns
    -------
    float or ndarray
        For the losses of a margin, :math:`d = \log\frac{\pi(y)}{\pi_{ref}(y)} -
        \log\frac{\pi(y')}{\pi_{ref}(y')}` at the minimum of the expected loss (per token for
        sigmoid_norm); without a reference, :math:`d = \log\pi(y) - \log\pi(y')` (per token for
        simpo). For sppo, bco, nca, kto and apo_zero, the log-ratio of the response itself. Infinite
        where the minimum is approached at infinity.

    Raises
    ------
    ValueError
        If the loss is not one of these, a number is out of range or shapes do not broadcast.
    TypeError
        If an argument is of the wrong type, or an option not one of this loss.

    See Also
    --------
    kl_regularized_optimum : The policy that a reward converges to.

    Notes
    -----
    The minimum over d of :math:`p\,\ell(d) + (1-p)\,\ell(-d)`:

    - dpo, sigmoid_norm: :math:`\operatorname{logit}(p)/\beta`;
    - cdpo: :math:`\operatorname{logit}((1-\epsilon)p + \epsilon(1-p))/\beta`;
    - robust: :math:`\operatorname{logit}\bigl((p-\epsilon)/(1-2\epsilon)\bigr)/\beta`, the margin
      of the probability before a fraction :math:`\epsilon` of the preferences was turned over;
      infinite for p outside :math:`(\epsilon, 1-\epsilon)`;
    - ipo: :math:`(p-1/2)/\beta`;
    - exo: :math:`(2p-1)\log((1-\epsilon)/\epsilon)/\beta`;
    - hinge: :math:`\operatorname{sign}(p-1/2)/\beta` (every margin up to :math:`1/\beta` on both
      sides of 0 is as good at p = 1/2; 0 is returned);
    - simpo: :math:`\log(x)/\beta` with x the positive root of
      :math:`(1-p)e^{-\gamma}x^2 - (2p-1)x - pe^{-\gamma} = 0`;
    - discopop: the global minimum, found by a search, as the loss is not convex. With
      :math:`\tau\to0` it is :math:`-\log(u)/\beta`, :math:`u = \frac12(\sqrt{1+4(1-p)/p}-1)`, for
      p > 1/2. At p = 1/2 a margin and its negative are as good, and 0 is worse: nan;
    - apo_down: :math:`\pm\infty`, the sign that of p - 1/2, both log-ratios falling; 0 is returned
      at p = 1/2, where every margin is as good.

    Losses of single responses minimise over the log-ratio h, chosen and rejected responses having
    densities :math:`d_w, d_l` with :math:`p = d_w/(d_w+d_l)`: sppo gives :math:`(p-1/2)/\beta`, bco
    :math:`\operatorname{logit}(p)/\beta`, nca :math:`\log(2p)/\beta`, which is at most
    :math:`\log(2)/\beta`. The expected loss of kto and apo_zero is linear in
    :math:`\sigma(\beta(h-k))`: its minimum is at :math:`\pm\infty`, the sign that of
    :math:`w_Dp - w_U(1-p)`, for apo_zero of p - 1/2; 0 is returned where that is 0, and every
    log-ratio as good.

    Losses with a likelihood term read the probabilities themselves. Their limit is that of two
    responses that have all probability, :math:`\pi(y) = \sigma(d)`, of one token each for orpo:

    - sft: :math:`\operatorname{logit}(p)`;
    - cpo, weight w: the root of :math:`\beta(\sigma(\beta d)-p) + w(\sigma(d)-p) = 0`;
    - orpo: the root of :math:`\sigma(d)-p + 2w(\sigma(2d)-p) = 0`;
    - slic: for p > 1/2 the median of :math:`\delta`,
      :math:`\operatorname{logit}(p-(1-p)/w)` and :math:`\operatorname{logit}(p+(2p-1)/w)`, an
      argument below 0 counting as 0 and above 1 as 1; for p < 1/2 the negative of that at 1 - p.

    The limits of aot and aot_unpaired are no functions of p: they depend on the preferences and the
    reference of all pairs. Where the reference gives the responses of every pair equal
    probabilities, aot is cdpo.

    References
    ----------
    Direct Preference Optimization, arXiv:2305.18290. A General Theoretical Paradigm to Understand
    Learning from Human Preferences, arXiv:2310.12036. Provably Robust DPO, arXiv:2403.00409.
    Towards Efficient Exact Optimization of Language Model Alignment, arXiv:2402.00856. Noise
    Contrastive Alignment, arXiv:2402.05369. The other losses: see
    `skrmt.preference.preference_loss`.

    Examples
    --------
    >>> from skrmt.theory.preference import population_margin
    >>> round(population_margin("dpo", 0.8, beta=0.5), 6)
    2.772589
    >>> population_margin("robust", [0.05, 0.8], beta=0.5, noise_rate=0.1).round(6)
    array([   -inf, 3.89182])
    >>> population_margin("cpo", 0.8, beta=0.5, weight=[0.0, 1.0]).round(6)
    array([2.772589, 1.72299 ])
    """
    name = canonical_loss(loss, tuple(_MARGINS))
    known = known_options(name, loss_options)
    numbers = {
        "p": in_range("p", p, 0.0, 1.0, remedy="It is the probability of a preference."),
        "beta": in_range("beta", beta, 0.0, np.inf, "neither", "It weighs the reference."),
        "noise_rate": check_noise_rate(noise_rate, positive=name == "exo"),
    }
    for option, (default, low, high, closed) in known.items():
        numbers[option] = in_range(option, loss_options.get(option, default), low, high, closed)
    probability, scale, noise, *rest = broadcast(**numbers)
    case = _Case(probability, scale, noise, dict(zip(known, rest, strict=True)))
    with np.errstate(divide="ignore"):
        return unwrap(_MARGINS[name](case))


class _Case(NamedTuple):
    """Numbers of one shape from which a limit is computed."""

    p: FloatArray
    beta: FloatArray
    noise: FloatArray
    options: dict[str, FloatArray]


def check_noise_rate(noise_rate: Any, positive: bool = False) -> FloatArray:
    """Check a fraction of preferences turned over, below 1/2."""
    remedy = "At 1/2 the preferences carry no information; above it, swap them."
    if positive:
        remedy = "This loss needs it above 0: its target is log((1 - noise) / noise)."
    return in_range("noise_rate", noise_rate, 0.0, 0.5, "neither" if positive else "left", remedy)


def _log_odds(favour: FloatArray, against: FloatArray, difference: FloatArray) -> FloatArray:
    """Return log(favour / against), exact near even odds through the exact difference."""
    near = 2 * np.abs(difference) < against
    ratio = np.where(near, difference, 0.0) / np.where(near, against, 1.0)
    return np.where(near, np.log1p(ratio), np.log(favour) - np.log(against))


def _likelihood(case: _Case) -> FloatArray:
    """Return the log-odds of the probability."""
    return _log_odds(case.p, 1 - case.p, 2 * case.p - 1)


def _logistic(case: _Case) -> FloatArray:
    """Return the limit of the logistic loss."""
    return _likelihood(case) / case.beta


def _smoothed(case: _Case) -> FloatArray:
    """Return the log-odds of the probability blurred once more."""
    gap = 1 - 2 * case.noise
    favour, against = case.noise + gap * case.p, case.noise + gap * (1 - case.p)
    return _log_odds(favour, against, gap * (2 * case.p - 1)) / case.beta


def _cleaned(case: _Case) -> FloatArray:
    """Return the log-odds of the probability before the noise, infinite beyond its range."""
    favour = np.maximum(case.p - case.noise, 0.0)
    against = np.maximum(1 - case.noise - case.p, 0.0)
    return _log_odds(favour, against, favour - against) / case.beta


def _centred(case: _Case) -> FloatArray:
    """Return the excess of the probability over an even one."""
    return (case.p - 0.5) / case.beta


def _reverse(case: _Case) -> FloatArray:
    """Return the mean of the two log-odds that smoothed labels name."""
    return (2 * case.p - 1) * (np.log1p(-case.noise) - np.log(case.noise)) / case.beta


def _hinge(case: _Case) -> FloatArray:
    """Return the corner of the hinge that the majority takes."""
    return np.sign(case.p - 0.5) / case.beta


def _contrast(case: _Case) -> FloatArray:
    """Return the log-ratio of the chosen to all responses."""
    return np.log(2 * case.p) / case.beta


def _certain(excess: FloatArray) -> FloatArray:
    """Return infinity of the sign of the excess of one side, 0 where there is none."""
    return np.where(excess == 0, 0.0, np.copysign(np.inf, excess))


def _kto(case: _Case) -> FloatArray:
    """Return on which side the linear loss of kto is least."""
    gain, cost = case.options["desirable_weight"], case.options["undesirable_weight"]
    return _certain(gain * case.p - cost * (1 - case.p))


def _majority(case: _Case) -> FloatArray:
    """Return infinity on the side of the majority."""
    return _certain(2 * case.p - 1)


def _by_majority(p: FloatArray, limit: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Return a limit that is odd about p = 1/2, from a function of the smaller probability."""
    side = np.sign(0.5 - p)
    return np.where(side == 0, 0.0, limit(np.minimum(p, 1 - p))) * np.where(side < 0, -1.0, 1.0)


def _simpo(case: _Case) -> FloatArray:
    """Return the limit of a logistic loss with a target margin."""
    target = case.options["gamma"]
    fall = np.exp(-np.abs(target))
    ahead, even = np.where(target > 0, 1.0, fall), np.where(target > 0, fall, 1.0)

    def limit(p: FloatArray) -> FloatArray:
        # The root of the quadratic, over exp(max(target, 0)) and without cancellation.
        gap = ahead * (1 - 2 * p)
        root = np.hypot(gap, 2 * np.sqrt(p * (1 - p)) * even)
        return np.log(2 * p) - np.maximum(target, 0.0) - np.log(gap + root)

    return _by_majority(case.p, limit) / case.beta


def _cpo(case: _Case) -> FloatArray:
    """Return where the logistic loss of cpo balances the likelihood."""
    one = np.ones_like(case.p)
    return _balance(case.p, (case.beta, case.beta), (case.options["weight"], one))


def _orpo(case: _Case) -> FloatArray:
    """Return where the likelihood balances the odds of orpo, which are twice the margin."""
    one = np.ones_like(case.p)
    return _balance(case.p, (2 * case.options["weight"], 2 * one), (one, one))


_HALVINGS = 100
"""Halvings of a bracket: it ends at neighbouring floats, as 52 of them are the digits and the
others leave room for a root far nearer to 0 than the ends."""

Pull = tuple[FloatArray, FloatArray]
"""Strength a and scale b of a pull a (sigmoid(b d) - p)."""


def _balance(p: FloatArray, first: Pull, second: Pull) -> FloatArray:
    """Return the root d of the sum of two pulls."""

    def limit(less: FloatArray) -> FloatArray:
        odds = logit(less)
        ends = np.sort([odds / first[1], odds / second[1]], axis=0)
        known = np.isfinite(odds)
        low, high = np.where(known, ends, 0.0)
        for _ in range(_HALVINGS):
            middle = low + 0.5 * (high - low)
            total = sum(a * (expit(b * middle) - less) for a, b in (first, second))
            low, high = np.where(total < 0, middle, low), np.where(total < 0, high, middle)
        return np.where(known, high, odds)

    return _by_majority(p, limit)


def _slic(case: _Case) -> FloatArray:
    """Return the median of the corner and of the limits on both sides of it."""
    weight, corner = case.options["weight"], case.options["delta"]
    likely = weight > 0
    share = np.where(likely, weight, 1.0)

    def limit(p: FloatArray) -> FloatArray:
        beyond = np.where(likely, p + p / share, 1.0)
        within = np.where(likely, p - (1 - 2 * p) / share, 0.0)
        ends = logit(np.clip([beyond, within], 0.0, 1.0))
        return np.clip(-corner, ends[1], ends[0])

    return _by_majority(case.p, limit)


def _discopop(case: _Case) -> FloatArray:
    """Return the global minimum of the discopop loss."""
    scaled = np.vectorize(_discopop_minimum, otypes=[float])(case.p, case.options["tau"])
    return scaled / case.beta


_N_GRID = 500
"""Margins of each sign at which a loss that is not convex is tried: a factor of 1.05 or less apart
from a hundredth of the width of its gate on, which no minimum is narrower than."""


def _discopop_minimum(p: float, tau: float) -> float:
    """Return where the expected discopop loss is least, nan where two margins are as good."""
    if p in (0.0, 1.0):
        return float(np.copysign(np.inf, p - 0.5))

    def slope(z: Any) -> Any:
        return p * _discopop_slope(z, tau) - (1 - p) * _discopop_slope(-z, tau)

    # Beyond the log-odds the loss of the minority rises faster than that of the majority falls.
    far = np.geomspace(tau / 100, abs(logit(p)) + 5, _N_GRID)
    grid = np.concatenate([-far[::-1], [0.0], far])
    values = p * _discopop_loss(grid, tau) + (1 - p) * _discopop_loss(-grid, tau)
    best = int(np.argmin(values))
    found = grid[best]
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    if slope(low) < 0 < slope(high):
        found = brentq(slope, low, high, xtol=1e-14, rtol=1e-14)
    return float("nan") if p == 0.5 and found != 0 else float(found)


def _discopop_loss(z: FloatArray, tau: float) -> FloatArray:
    """Return the discopop loss of the scaled margin, exp(-z) times the gate without overflow."""
    return np.exp(log_expit(z / tau) - z) - log_expit(z) * expit(-z / tau)


def _discopop_slope(z: FloatArray, tau: float) -> FloatArray:
    """Return its derivative."""
    closed, gated = expit(-z / tau), np.exp(log_expit(z / tau) - z)
    inside = log_expit(z) * expit(z / tau) / tau - expit(-z)
    return inside * closed + gated * (closed / tau - 1)


_MARGINS: dict[str, Callable[[_Case], FloatArray]] = {
    "dpo": _logistic,
    "sigmoid_norm": _logistic,
    "cdpo": _smoothed,
    "robust": _cleaned,
    "ipo": _centred,
    "exo": _reverse,
    "hinge": _hinge,
    "sppo": _centred,
    "bco": _logistic,
    "nca": _contrast,
    "kto": _kto,
    "apo_zero": _majority,
    "apo_down": _majority,
    "discopop": _discopop,
    "simpo": _simpo,
    "sft": _likelihood,
    "cpo": _cpo,
    "orpo": _orpo,
    "slic": _slic,
}
"""The limit of each loss that is a function of the preference probability."""
