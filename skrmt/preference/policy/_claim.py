"""What a fit claims: accuracy on held-out and on fresh pairs, and whether the theory holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...utils._intervals import Z95, normal_interval, wilson_interval
from ...utils._merging import COPIES
from ...utils._regimes import regime
from ._accuracy import (
    PairSignal,
    accuracy_of_margins,
    estimate_signal,
    model_accuracy,
    noise_is_white,
    signal_of,
)
from ._comparisons import Comparisons
from ._fit import Choice
from ._input import Candidates
from ._moments import Moments
from ._noise import NoiseEstimate

FEWEST = 10
"""Effective comparisons below which nothing is predicted: an interval from two comparisons without
signal misses 1/2 in half of the draws (`test_a_handful_of_pairs_predicts_nothing`)."""

_AGREE = 2.5
"""Standard errors by which the model and leave-one-out may differ: about 1 in 80 does by chance."""

_CONTRADICTED = 4.0
"""Standard errors by which the share ranked as observed may exceed what the noise allows: one in
30 000 exceeds it by chance, so that a warning is a contradiction."""

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
    "More comparisons are ranked as observed by fits without them, `observed_accuracy_`, than "
    "`noise_rate_` leaves right: the share of wrong ones must be smaller, and "
    "theoretical_accuracy_ is too large."
)
EMPTY_PAIRS = (
    "Some pairs have responses of identical features: they only add a constant to the loss, and "
    "count as ranked half rightly. Leave out those whose `held_out_scores_` are 0."
)


class Claim(NamedTuple):
    """What is predicted of fresh pairs.

    Attributes
    ----------
    accuracy : float
        Share of fresh pairs ranked rightly, their order free of noise.
    interval : ndarray of shape (2,)
        95 % interval of it.
    observed, observed_interval : float and ndarray of shape (2,)
        Share of held-out comparisons ranked as they went, and its interval.
    model_accuracy : float
        The accuracy by theory alone.
    model_fit : bool
        Whether its assumption survives its test.
    signal : PairSignal
        Estimated signal.
    size : float
        Effective number of comparisons.
    regime : str
        Whether the theory holds.
    held_out : ndarray
        Score of each comparison given by the fit without it.
    messages : list of str
        Warnings, the most serious first.
    """

    accuracy: float
    interval: np.ndarray
    observed: float
    observed_interval: np.ndarray
    model_accuracy: float
    model_fit: bool
    signal: PairSignal
    size: float
    regime: str
    held_out: np.ndarray
    messages: list[str]


class HeldOut(NamedTuple):
    """Margins of comparisons by fits without them.

    Attributes
    ----------
    margins, weights : ndarray of shape (k,)
        Margins of the outcomes, positive if ranked as they went, and their weights.
    size : float
        Effective number of them.
    scores : ndarray of shape (n,)
        Margin of each comparison given, nan for those of weight 0.
    """

    margins: np.ndarray
    weights: np.ndarray
    size: float
    scores: np.ndarray


def claim_of(
    choice: Choice,
    pairs: Comparisons,
    sets: Candidates | None,
    noise: float,
    estimate: NoiseEstimate,
) -> Claim:
    """Predict the accuracy of a fit, given the noise of its loss, 0 if that is not known."""
    known = noise > 0 or np.isnan(estimate.rate)
    noise = noise if known else estimate.rate
    signal = _signal(pairs, choice.moments, noise)
    if choice.left_out is None:
        nowhere = np.full(len(pairs.row), _NAN)
        return unpredicted(signal, pairs.n_effective, nowhere, [NO_HELD_OUT, *_remarks(pairs)])
    held = _held_out(choice, pairs, sets)
    if held.size < FEWEST:
        return unpredicted(signal, held.size, held.scores, _remarks(pairs))
    found = accuracy_of_margins(held.margins, held.weights, held.size, noise)
    accuracy, std = found.accuracy, found.std
    model, model_std, holds = _NAN, _NAN, False
    # Theory is for comparisons that are independent of each other.
    if not np.isnan(choice.ridge_alpha) and pairs.group is None:
        n_features = pairs.differences.shape[1]
        model, model_std = model_accuracy(signal, held.size, n_features, choice.ridge_alpha, noise)
        total = None if choice.moments is None else choice.moments.cross
        holds = abs(model - accuracy) < _AGREE * std and noise_is_white(
            pairs.differences, pairs.won, pairs.lost, signal, noise, total
        )
    if holds:
        # What the model leaves out is taken as half of what the data leave open.
        accuracy, std = model, float(np.hypot(model_std, std / 2))
    doubt = 0.0 if known else found.noise_slope * estimate.std
    share = held.weights / held.weights.sum()
    observed = float(share @ np.where(held.margins == 0, 0.5, held.margins > 0))
    observed_interval = wilson_interval(observed, held.size)
    contradicted = _is_contradicted(float(share @ (held.margins > 0)), held.size, noise)
    return Claim(
        accuracy,
        normal_interval(accuracy, np.hypot(std, doubt)),
        observed,
        observed_interval,
        model,
        holds,
        signal,
        held.size,
        regime(
            undetected=bool(observed_interval[0] <= 0.5),
            misfit=contradicted or bool(np.isfinite(model) and not holds),
        ),
        held.scores,
        [TOO_MUCH_AGREEMENT] * contradicted + _remarks(pairs),
    )


def claim_of_moments(moments: Moments, alpha: float, noise: float) -> Claim:
    """Predict the accuracy of a ridge fit from sums over comparisons, by theory alone."""
    size = moments.n_effective
    signal = signal_of(moments.cross / moments.weight, moments.energy, size, noise)
    claim = unpredicted(signal, size, np.empty(0), [])
    if size < FEWEST:
        return claim
    model, _ = model_accuracy(signal, size, len(moments.cross), alpha, noise)
    return claim._replace(model_accuracy=model)


def unpredicted(
    signal: PairSignal, size: float, held_out: np.ndarray, messages: list[str]
) -> Claim:
    """Return a claim of nothing but the signal."""
    few = size < FEWEST
    nowhere = np.array([_NAN, _NAN])
    return Claim(
        _NAN,
        nowhere,
        _NAN,
        nowhere.copy(),
        _NAN,
        False,
        signal,
        size,
        regime(too_few_rows=few, undetected=not signal.value > Z95 * signal.std),
        held_out,
        [TOO_FEW] * few + messages,
    )


def _signal(pairs: Comparisons, moments: Moments | None, noise: float) -> PairSignal:
    """Return the estimated signal, from sums over the rows if they are known."""
    size = pairs.n_effective
    if moments is None:
        return estimate_signal(pairs.differences, pairs.won, pairs.lost, size, noise)
    return signal_of(moments.cross / moments.weight, moments.energy, size, noise)


def _held_out(choice: Choice, pairs: Comparisons, sets: Candidates | None) -> HeldOut:
    """Return the margins left out: of prompts for a loss of single responses, else of pairs."""
    assert choice.left_out is not None
    if choice.by_prompt:
        assert sets is not None
        weights = sets.weights
        together = weights if sets.group is None else np.bincount(sets.group, weights)
        size = float(weights.sum() ** 2 / (together**2).sum())
        return HeldOut(choice.left_out, weights, size, choice.left_out)
    scores = np.where(pairs.row >= 0, choice.left_out[pairs.row] * pairs.sign, _NAN)
    return HeldOut(*pairs.outcomes(choice.left_out), pairs.n_effective, scores)


def _is_contradicted(agree: float, size: float, noise: float) -> bool:
    """Return whether more comparisons are ranked as observed than the noise allows."""
    spread = np.sqrt(noise * (1 - noise) / size)
    return bool(noise > 0 and agree - 1 + noise >= _CONTRADICTED * spread)


def _remarks(pairs: Comparisons) -> list[str]:
    """Return warnings about the pairs as given."""
    remarks = [EMPTY_PAIRS] if len(pairs.empty) else []
    # Annotators who disagree on some pair made comparisons of their own.
    if pairs.kind == "copies" and not ((pairs.won > 0) & (pairs.lost > 0)).any():
        remarks.append(COPIES)
    return remarks
