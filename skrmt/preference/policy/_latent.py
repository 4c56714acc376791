"""Accuracy on right comparisons, where some are known or suspected to be wrong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...model_selection._clean_labels import find_clean_accuracy
from ._comparisons import Comparisons
from ._fit import Choice, Setting, fit_loss
from ._held_out import FEWEST, HeldOut, held_out
from ._input import Candidates


class Latent(NamedTuple):
    """What held-out margins show of comparisons that went the wrong way.

    Attributes
    ----------
    rate : float
        Their share.
    accuracy, interval : float and ndarray of shape (2,)
        Share of right comparisons that are ranked rightly.
    if_noisy : float
        The same if some are wrong, nan where that is excluded.
    probability : float
        Probability that some are wrong at all.
    is_ambiguous : bool
        Whether neither explanation has 95 % of the probability.
    """

    rate: float
    accuracy: float
    interval: np.ndarray
    if_noisy: float
    probability: float
    is_ambiguous: bool


def estimate_latent(
    held: HeldOut | None, pairs: Comparisons, sample_weight: np.ndarray
) -> Latent | None:
    """Estimate the share of wrong comparisons from held-out margins; None if they show nothing."""
    given = np.flatnonzero(pairs.row >= 0)
    if held is None or held.size < FEWEST or not held.scores[given].any():
        return None
    margins, row = held.scores[given], pairs.row[given]
    together = np.arange(len(given)) if pairs.kind == "discrete" else row
    if pairs.group is not None:
        together = pairs.group[row]
    # A comparison is the same whichever response comes first: each is counted both ways.
    found = find_clean_accuracy(
        np.concatenate([margins, -margins]),
        np.repeat([1, 0], len(margins)),
        sample_weight=np.tile(sample_weight[given], 2),
        groups=np.tile(together, 2),
    )
    return Latent(
        float(found.noise_rates.mean()),
        found.accuracy,
        found.accuracy_interval,
        found.accuracy_if_noisy,
        found.noise_probability,
        found.regime == "ambiguous",
    )


class Fitted(NamedTuple):
    """A fit, its held-out margins, and what they show of wrong comparisons.

    Attributes
    ----------
    choice : Choice
        The fit.
    held : HeldOut or None
        Its held-out margins; None where one fit does not determine them.
    noise : float
        Share of wrong comparisons that the loss has taken.
    rate : float
        Their share, given or estimated.
    latent : Latent or None
        What is estimated of them.
    """

    choice: Choice
    held: HeldOut | None
    noise: float
    rate: float
    latent: Latent | None = None


def fit_policy(
    setting: Setting,
    noise_rate: float | str | None,
    pairs: Comparisons,
    sets: Candidates | None,
    sample_weight: np.ndarray,
) -> Fitted:
    """Fit a loss, with the share of wrong comparisons given, or estimated from held-out margins."""
    if isinstance(noise_rate, str):
        return _fit_and_estimate(setting, pairs, sets, sample_weight)
    rate = float(noise_rate or 0.0)
    return _fitted(setting.with_noise(rate), rate, pairs, sets)


def _fitted(setting: Setting, rate: float, pairs: Comparisons, sets: Candidates | None) -> Fitted:
    """Return a fit with its held-out margins."""
    choice = fit_loss(setting, pairs, sets)
    held = None if choice.left_out is None else held_out(choice, pairs, sets)
    return Fitted(choice, held, setting.noise, rate)


def _fit_and_estimate(
    setting: Setting, pairs: Comparisons, sets: Candidates | None, sample_weight: np.ndarray
) -> Fitted:
    """Estimate the share of wrong comparisons, and let the loss take it if it ranks no worse."""
    known = setting.loss.convex and not setting.loss.needs_noise
    plain = setting if known else setting._replace(name="dpo", options={})
    fitted = _fitted(plain.with_noise(0.0), 0.0, pairs, sets)
    latent = estimate_latent(fitted.held, pairs, sample_weight)
    rate = 0.0 if latent is None else latent.rate
    fitted = fitted._replace(rate=rate, latent=latent)
    if known and not (setting.reads_noise and rate > 0):
        return fitted
    other = _fitted(setting.with_noise(rate), rate, pairs, sets)
    if other.held is None:
        return other
    assert fitted.held is not None and latent is not None
    if other.held.shares @ other.held.right < fitted.held.shares @ fitted.held.right:
        return fitted
    found = estimate_latent(other.held, pairs, sample_weight)
    return other._replace(latent=latent if found is None else found._replace(rate=rate))
