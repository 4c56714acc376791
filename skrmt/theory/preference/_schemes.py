"""Schemes of self-play: whose responses are rejected, and how much history counts."""

from typing import Any, NamedTuple

import numpy as np

from .._checks import FloatArray, broadcast, in_range


class Scheme(NamedTuple):
    """How a round makes its opponent, and the policy r to which the loss compares."""

    sampler: str
    """Whose responses are rejected: those of the "previous" policies, or of r, the "reference"."""
    history: int | None
    """Over how many iterates the opponent is averaged; None for all."""


_SCHEMES: dict[str, Scheme] = {
    "spin": Scheme("previous", 1),
    "previous": Scheme("previous", 1),
    "reference": Scheme("reference", 1),
    "last_two": Scheme("previous", 2),
    "last_two_both": Scheme("reference", 2),
    "all": Scheme("previous", None),
    "all_both": Scheme("reference", None),
}


def _scheme(scheme: Any) -> Scheme:
    """Return the scheme of that name."""
    if not isinstance(scheme, str):
        raise TypeError(f"scheme must be the name of a scheme, got {scheme!r}. Give a string.")
    name = scheme.lower().replace("-", "_").removeprefix("alpha_spin_")
    if name not in _SCHEMES:
        raise ValueError(f"scheme={scheme!r} is not known. Use one of {', '.join(_SCHEMES)}.")
    return _SCHEMES[name]


def check_settings(
    scheme: Any, beta: Any, mixture_weight: Any
) -> tuple[Scheme, FloatArray, FloatArray]:
    """Check what every function of self-play is given."""
    found = _scheme(scheme)
    scale = in_range("beta", beta, 0.0, np.inf, "neither", "It multiplies the log-ratios.")
    weight = in_range("mixture_weight", mixture_weight, 0.0, 1.0, remedy="It weighs the reference.")
    if scheme.lower() == "spin" and (weight != 0).any():
        raise ValueError(
            f"mixture_weight={mixture_weight!r} with scheme='spin', which has no reference. Use "
            "scheme='previous' or 'reference'."
        )
    scale, weight = broadcast(beta=scale, mixture_weight=weight)
    return found, scale, weight
