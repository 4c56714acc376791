"""What a fit claims: how fresh pairs will be ranked, as they go and as they should."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...utils._intervals import Z95, held_out_interval, normal_interval, not_below_guess
from ...utils._merging import COPIES
from ...utils._regimes import regime
from ._accuracy import (
    PairAccuracy,
    PairSignal,
    accuracy_of_margins,
    estimate_signal,
    model_accuracy,
    noise_is_white,
    signal_of,
)
from ._comparisons import Comparisons
from ._fit import Choice
from ._held_out import FEWEST, HeldOut
from ._latent import Latent
from ._moments import Moments

_AGREE = 2.5
"""Standard errors by which the model and leave-one-out may differ: about 1 in 80 does by chance."""

_CONTRADICTED = 4.0
"""Standard errors by which the share ranked as observed may exceed what the noise allows: one in
30 000 exceeds it by chance, so that a warning is a contradiction."""

_NOISE = 0.05
"""P-value of noise above which the interval contains 1/2: without it, that of pairs without signal
misses 1/2 in up to 7 % of the draws (`test_noise_is_called_noise`)."""

_NAN = float("nan")

TOO_FEW = (
    "Too few comparisons to predict anything: theoretical_accuracy_ is nan below 10 effective ones "
    "(`n_effective_samples_`). Give more pairs."
)
NO_HELD_OUT = (
    "The loss is not convex, or has corners where the fit lies: one fit does not determine what it "
    "would be without a pair, and theoretical_accuracy_ is nan. With alpha='auto' the penalty is "
    "that of ipo. Use a convex loss for a prediction."
)
TOO_MUCH_AGREEMENT = (
    "The held-out fits agree with more comparisons (`observed_accuracy_`) than `noise_rate_` "
    "leaves right: the share of wrong ones must be smaller, and theoretical_accuracy_ is too large."
)
AMBIGUOUS = (
    "Wrong comparisons and close preferences explain the margins equally (`noise_probability_`): "
    "the interval of theoretical_accuracy_ contains both. Give noise_rate if it is known."
)
EMPTY_PAIRS = (
    "Some pairs have two responses with identical features: they add a constant to the loss and "
    "count as half right. Leave out those whose `held_out_scores_` are 0."
)


class Claim(NamedTuple):
    """What is predicted of fresh pairs.

    Attributes
    ----------
    observed, observed_interval : float and ndarray of shape (2,)
        Share of fresh pairs that are ranked as they go, and its 95 % interval.
    accuracy, interval : float and ndarray of shape (2,)
        The same of comparisons that go the right way.
    if_noisy : float
        The latter if some comparisons are wrong, nan where that is excluded.
    noise_probability : float
        Probability that some are.
    model_accuracy : float
        The accuracy by theory alone.
    model_fit : bool
        Whether its assumption survives its test.
    signal : PairSignal
        Estimated signal.
    size : float
        Effective number of comparisons, or groups.
    regime : str
        Whether the theory holds.
    messages : list of str
        Warnings, the most serious first.
    """

    observed: float
    observed_interval: np.ndarray
    accuracy: float
    interval: np.ndarray
    if_noisy: float
    noise_probability: float
    model_accuracy: float
    model_fit: bool
    signal: PairSignal
    size: float
    regime: str
    messages: list[str]


def claim_of(
    choice: Choice,
    pairs: Comparisons,
    held: HeldOut | None,
    rate: float,
    latent: Latent | None,
    pvalue: float,
    worth: float,
    moments: Moments | None = None,
) -> Claim:
    """Predict the accuracy of a fit, given or estimated the share of wrong comparisons."""
    signal = _signal(pairs, moments, rate)
    if held is None or held.size < FEWEST:
        size = pairs.n_effective if held is None else held.size
        messages = [NO_HELD_OUT] * (held is None) + _remarks(pairs)
        return unpredicted(signal, size, messages)
    observed, interval = _observed(held, pvalue, worth)
    counted = accuracy_of_margins(held.margins, held.weights, held.size, rate)
    model, model_std, holds = _model(choice, pairs, signal, held.size, rate, counted, moments)
    contradicted = latent is None and _is_contradicted(held, rate)
    misfit = contradicted or (latent is None and bool(np.isfinite(model)) and not holds)
    if latent is None:
        latent = _known(rate, observed, interval, counted)
        if holds and rate > 0:
            # What the model leaves out is taken as half of what the data leave open.
            std = float(np.hypot(model_std, counted.std / 2))
            latent = latent._replace(accuracy=model, interval=normal_interval(model, std))
    messages = [TOO_MUCH_AGREEMENT] * contradicted + [AMBIGUOUS] * latent.is_ambiguous
    return Claim(
        observed,
        interval,
        latent.accuracy,
        latent.interval,
        latent.if_noisy,
        latent.probability,
        model,
        holds,
        signal,
        held.size,
        regime(
            undetected=bool(interval[0] <= 0.5),
            misfit=misfit,
            ambiguous=latent.is_ambiguous,
        ),
        messages + _remarks(pairs),
    )


def claim_of_moments(moments: Moments, alpha: float, noise: float) -> Claim:
    """Predict the accuracy of a ridge fit from sums over comparisons, by theory alone."""
    size = moments.n_effective
    signal = signal_of(moments.cross / moments.weight, moments.energy, size, noise)
    claim = unpredicted(signal, size, [])
    if size < FEWEST:
        return claim
    model, _ = model_accuracy(signal, size, len(moments.cross), alpha, noise)
    return claim._replace(model_accuracy=model)


def unpredicted(signal: PairSignal, size: float, messages: list[str]) -> Claim:
    """Return a claim of nothing but the signal."""
    few = size < FEWEST
    nowhere = np.array([_NAN, _NAN])
    return Claim(
        _NAN,
        nowhere,
        _NAN,
        nowhere.copy(),
        _NAN,
        _NAN,
        _NAN,
        False,
        signal,
        size,
        regime(too_few_rows=few, undetected=not signal.value > Z95 * signal.std),
        [TOO_FEW] * few + messages,
    )


def _signal(pairs: Comparisons, moments: Moments | None, noise: float) -> PairSignal:
    """Return the estimated signal, from sums over the rows if they are known."""
    size = pairs.n_effective
    if moments is None:
        return estimate_signal(pairs.differences, pairs.won, pairs.lost, size, noise)
    return signal_of(moments.cross / moments.weight, moments.energy, size, noise)


def _observed(held: HeldOut, pvalue: float, worth: float) -> tuple[float, np.ndarray]:
    """Return the share of fresh pairs that are ranked as they go, and its interval."""
    # Without its pair what prefers one side is rarer, which alone makes a fit to nothing wrong.
    share = not_below_guess(float(held.shares @ held.right), held.size, 0.5)
    low, high = held_out_interval(share, worth)
    if pvalue > _NOISE:
        low, high = min(low, 0.5), max(high, 0.5)
    return share, np.array([low, high])


def _known(rate: float, observed: float, interval: np.ndarray, counted: PairAccuracy) -> Latent:
    """Return the accuracy on right comparisons where the share of wrong ones is known."""
    if rate == 0:
        return Latent(0.0, observed, interval.copy(), _NAN, 0.0, False)
    found = normal_interval(counted.accuracy, counted.std)
    return Latent(rate, counted.accuracy, found, counted.accuracy, 1.0, False)


def _model(
    choice: Choice,
    pairs: Comparisons,
    signal: PairSignal,
    size: float,
    rate: float,
    counted: PairAccuracy,
    moments: Moments | None,
) -> tuple[float, float, bool]:
    """Return the accuracy by theory, its standard error, and whether its assumption survives."""
    # Theory is for comparisons that are independent of each other.
    if np.isnan(choice.ridge_alpha) or pairs.group is not None:
        return _NAN, _NAN, False
    n_features = pairs.differences.shape[1]
    model, std = model_accuracy(signal, size, n_features, choice.ridge_alpha, rate)
    agrees = abs(model - counted.accuracy) < _AGREE * counted.std
    known = () if moments is None else (moments.cross, moments.gram, moments.sample)
    white = agrees and noise_is_white(
        pairs.differences, pairs.won, pairs.lost, signal, rate, *known
    )
    return model, std, bool(white)


def _is_contradicted(held: HeldOut, rate: float) -> bool:
    """Return whether more comparisons are ranked as observed than the noise allows."""
    agree = float(held.shares @ (held.margins > 0))
    spread = np.sqrt(rate * (1 - rate) / held.size)
    return bool(rate > 0 and agree - 1 + rate >= _CONTRADICTED * spread)


def _remarks(pairs: Comparisons) -> list[str]:
    """Return warnings about the pairs as given."""
    remarks = [EMPTY_PAIRS] if len(pairs.empty) else []
    # Annotators who disagree on some pair made comparisons of their own.
    if pairs.kind == "copies" and not ((pairs.won > 0) & (pairs.lost > 0)).any():
        remarks.append(COPIES)
    return remarks
