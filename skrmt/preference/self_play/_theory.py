"""What theory predicts of rounds of self-play before they are played."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...theory.preference import (
    self_play_fixed_point,
    self_play_min_beta,
    self_play_rate,
    self_play_stable,
)


class Rules(NamedTuple):
    """Settings of the rounds."""

    beta: float
    mixture_weight: float
    sampler: str
    history: int | str
    alpha: float
    n_rounds: int
    n_draws: int | None
    tol: float

    @property
    def scheme(self) -> str:
        """Name of the scheme in the theory."""
        return scheme_name(self.sampler, self.history)


def scheme_name(sampler: str, history: int | str) -> str:
    """Return the name that theory has for a sampler and a history."""
    names = {1: sampler, 2: "last_two", "all": "all"}
    return names[history] + ("_both" if history != 1 and sampler == "reference" else "")


DIVERGES = (
    "Self-play diverges at these settings: `beta` is not above `min_beta_`, and each round "
    "multiplies the error by `rate_`. Raise beta (1 is the fastest), or use one of "
    "`stable_settings_`."
)


class RoundsTheory(NamedTuple):
    """What theory predicts of rounds before they are played.

    Attributes
    ----------
    rate : float
        Factor by which a round multiplies the error.
    is_stable : bool
        Whether the rounds converge.
    min_beta : float
        The `beta` above which they do.
    stationary_weight : float
        Weight of the reference policy where they rest.
    stable_settings : list of dict
        Other settings with which they converge at this `beta`.
    """

    rate: float
    is_stable: bool
    min_beta: float
    stationary_weight: float
    stable_settings: list[dict[str, Any]]


def predict_rounds(
    rules: Rules, samplers: tuple[str, ...] = ("reference", "previous")
) -> RoundsTheory:
    """Predict the rounds, and which settings of some samplers would be stable."""
    scheme, beta, weight = rules.scheme, rules.beta, rules.mixture_weight
    anywhere = np.zeros(2)
    rest = self_play_fixed_point(scheme, anywhere, anywhere, beta=beta, mixture_weight=weight)
    return RoundsTheory(
        float(self_play_rate(scheme, beta, weight)),
        bool(self_play_stable(scheme, beta, weight)),
        float(self_play_min_beta(scheme, weight)),
        float(rest.reference_weight),
        _stable_settings(rules, samplers),
    )


def _stable_settings(rules: Rules, samplers: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return other settings at which self-play with this beta converges."""
    settings: list[dict[str, Any]] = [
        {"sampler": sampler, "history": history}
        for sampler, history in (("reference", 1), ("reference", 2), ("previous", 2))
        if sampler in samplers
        and (sampler, history) != (rules.sampler, rules.history)
        and self_play_stable(scheme_name(sampler, history), rules.beta, rules.mixture_weight)
    ]
    wanted = _stable_weight(rules.beta)
    if "reference" in samplers and wanted is not None and wanted > rules.mixture_weight:
        settings.append({"sampler": "reference", "mixture_weight": wanted})
    if rules.history != "all":
        settings.append({"history": "all"})
    return settings


def _stable_weight(beta: float) -> float | None:
    """Return a weight of the reference, in hundredths, at which sampling from it is stable."""
    if beta >= 0.5:
        return None
    edge = (1 - 2 * beta) / (1 - beta)
    weight = np.floor(100 * edge + 1.5) / 100
    return float(weight) if weight < 1 else None
