"""Names of the preference losses: the canonical ones, and what else they are called."""

from typing import Any

ALIASES: dict[str, tuple[str, ...]] = {
    "dpo": ("sigmoid",),
    "cdpo": (),
    "robust": ("rdpo", "robust_dpo"),
    "hinge": (),
    "ipo": (),
    "exo": ("exo_pair",),
    "nca": ("nca_pair", "safe_nca"),
    "bco": ("bco_pair",),
    "sppo": ("sppo_hard",),
    "apo_zero": (),
    "apo_down": (),
    "discopop": (),
    "sigmoid_norm": ("dpo_norm", "length_normalized_dpo"),
    "sft": (),
    "kto": (),
    "simpo": (),
    "cpo": (),
    "orpo": (),
    "slic": ("slic_hf",),
}
"""Canonical name of each loss of a pair, with its other names (TRL's among them)."""

_CANONICAL = {name: name for name in ALIASES} | {
    alias: name for name, aliases in ALIASES.items() for alias in aliases
}


def canonical_loss(loss: Any, allowed: tuple[str, ...] = tuple(ALIASES)) -> str:
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
