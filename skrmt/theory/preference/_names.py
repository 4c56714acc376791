"""The preference losses: what each is called, and what it takes besides log-probabilities."""

import math
from typing import Any, NamedTuple

from .._checks import Closed


class Option(NamedTuple):
    """A number that one loss alone takes: its default, and the interval it must lie in."""

    default: float
    low: float
    high: float
    closed: Closed


class LossArguments(NamedTuple):
    """Other names of a loss (TRL's among them), and what it takes."""

    aliases: tuple[str, ...] = ()
    smoothing: str = "unused"
    """Whether `label_smoothing` is "unused", "optional", or "required" to be above 0."""
    lengths: str = "unused"
    """Whether numbers of tokens are "unused", "optional", or "required"."""
    options: dict[str, Option] = {}


_WEIGHT = Option(1.0, 0.0, math.inf, "left")


def _real(default: float) -> Option:
    """Return an option that may be any real number."""
    return Option(default, -math.inf, math.inf, "neither")


LOSS_ARGUMENTS: dict[str, LossArguments] = {
    "dpo": LossArguments(("sigmoid",)),
    "cdpo": LossArguments(smoothing="optional"),
    "robust": LossArguments(("rdpo", "robust_dpo"), smoothing="optional"),
    "hinge": LossArguments(),
    "ipo": LossArguments(lengths="optional"),
    "exo": LossArguments(("exo_pair",), smoothing="required"),
    "nca": LossArguments(("nca_pair", "safe_nca")),
    "bco": LossArguments(("bco_pair",)),
    "sppo": LossArguments(("sppo_hard",)),
    "apo_zero": LossArguments(),
    "apo_down": LossArguments(),
    "aot": LossArguments(smoothing="optional"),
    "aot_unpaired": LossArguments(("aot_pair",), smoothing="optional"),
    "discopop": LossArguments(options={"tau": Option(0.05, 0.0, 1.0, "right")}),
    "sigmoid_norm": LossArguments(("dpo_norm", "length_normalized_dpo"), lengths="required"),
    "sft": LossArguments(lengths="optional"),
    "kto": LossArguments(
        options={
            "k": _real(0.0),
            "desirable_weight": _WEIGHT,
            "undesirable_weight": _WEIGHT,
        }
    ),
    "simpo": LossArguments(lengths="required", options={"gamma": _real(0.5)}),
    "cpo": LossArguments(lengths="optional", options={"weight": _WEIGHT}),
    "orpo": LossArguments(
        lengths="required", options={"weight": Option(0.1, 0.0, math.inf, "left")}
    ),
    "slic": LossArguments(
        ("slic_hf",), lengths="optional", options={"delta": _WEIGHT, "weight": _WEIGHT}
    ),
}
"""Every loss of a pair, by its canonical name."""

_CANONICAL = {name: name for name in LOSS_ARGUMENTS} | {
    alias: name for name, arguments in LOSS_ARGUMENTS.items() for alias in arguments.aliases
}


def canonical_loss(loss: Any, allowed: tuple[str, ...] = tuple(LOSS_ARGUMENTS)) -> str:
    """Return the canonical name of a loss."""
    if not isinstance(loss, str):
        raise TypeError(f"loss must be the name of a loss, got {loss!r}. Give a string.")
    name = _CANONICAL.get(loss.lower().replace("-", "_"))
    if name is None or name not in allowed:
        raise ValueError(
            f"loss={loss!r} is not known here. Use one of {', '.join(sorted(allowed))}, "
            "or the name TRL has for it."
        )
    return name


def known_options(name: str, given: dict[str, Any]) -> dict[str, Option]:
    """Return the options of a loss, after refusing any given that it has not."""
    known = LOSS_ARGUMENTS[name].options
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise TypeError(
            f"loss_options: {name} has no option {unknown[0]!r}; it has "
            f"{', '.join(known) or 'none'}. Leave it out."
        )
    return known
