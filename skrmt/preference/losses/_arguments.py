"""What a preference loss is computed from, read from the arguments of its functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...linalg import to_numpy
from ...theory.preference._names import canonical_loss, known_options
from ...utils._checks import is_torch
from ._formulas import Array, Pair
from ._inputs import Operands, read_arrays, read_beta, read_lengths, read_number
from ._table import LOSSES, Loss

_ABOVE_ONE = 1e-3
"""Mean log-probability per token from which numbers are scores: half precision rounds a
log-probability of 0 by less."""


def read_loss(
    name: str,
    chosen_logps: Any,
    rejected_logps: Any,
    ref_chosen_logps: Any,
    ref_rejected_logps: Any,
    *,
    beta: float,
    label_smoothing: float,
    chosen_lengths: Any,
    rejected_lengths: Any,
    **loss_options: Any,
) -> tuple[Loss, Pair, Operands]:
    """Return the loss, what it is computed from, and the library, all checked."""
    loss = LOSSES[canonical_loss(name)]
    options = read_options(loss.name, loss_options)
    logps = {"chosen": chosen_logps, "rejected": rejected_logps}
    references = {"chosen": ref_chosen_logps, "rejected": ref_rejected_logps}
    sides = _sides(loss, logps)
    wanted = {f"{side}_logps": logps[side] for side in sides}
    if loss.reference:
        wanted |= {f"ref_{side}_logps": references[side] for side in sides}
    _check_given(loss.name, wanted)
    operands = read_arrays(**wanted)
    ratios = _log_ratios(operands.arrays, sides)
    lengths = {"chosen": chosen_lengths, "rejected": rejected_lengths}
    tokens = {
        side: _read_tokens(loss, side, lengths[side], ratios[side], operands.backend)
        for side in sides
    }
    _check_tokens(loss, tokens)
    if loss.odds:
        options["epsilon"] = _check_mean_logps(loss.name, ratios, tokens)
    return loss, _pair(loss, operands, ratios, tokens, beta, label_smoothing, options), operands


def _pair(
    loss: Loss,
    operands: Operands,
    ratios: dict[str, Array],
    tokens: dict[str, Array | None],
    beta: Any,
    label_smoothing: Any,
    options: dict[str, Any],
) -> Pair:
    """Return what a loss is computed from."""
    given = operands.arrays
    return Pair(
        ratios.get("chosen"),
        ratios.get("rejected"),
        read_beta(beta),
        read_smoothing(loss, label_smoothing),
        tokens.get("chosen"),
        tokens.get("rejected"),
        options,
        given["ref_chosen_logps"] - given["ref_rejected_logps"] if loss.batch else None,
    )


def read_options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a loss with their defaults."""
    return {
        option: read_number(option, _as_number(given.get(option, default)), low, high, closed)
        for option, (default, low, high, closed) in known_options(name, given).items()
    }


def _as_number(value: Any) -> Any:
    """Return a one-element array or tensor as a float, without its gradient."""
    if isinstance(value, (int, float)) or not hasattr(value, "dtype"):
        return value
    size = value.numel() if is_torch(value) else np.size(value)
    return to_numpy(value).item() if size == 1 else value


def read_smoothing(loss: Loss, label_smoothing: Any) -> float:
    """Return the noise of a loss: positive for one that needs it, 0 for one that has none."""
    name = loss.name
    if loss.needs_noise:
        remedy = f"{name} needs it above 0, 1e-3 for instance: its target is log((1 - eps) / eps)."
        return read_number("label_smoothing", label_smoothing, 0.0, 0.5, remedy=remedy)
    remedy = "It is the fraction of pairs in the wrong order."
    smoothing = read_number("label_smoothing", label_smoothing, 0.0, 0.5, "left", remedy)
    if smoothing != loss.smoothing(smoothing):
        smoothed = [other for other in LOSSES if LOSSES[other].smoothing(1.0)]
        raise ValueError(
            f"label_smoothing={label_smoothing!r} with {name}, which does not read it. Use one of "
            f"{', '.join(smoothed)}; cdpo is dpo, TRL's sigmoid, with smoothed labels."
        )
    return smoothing


def _sides(loss: Loss, logps: dict[str, Any]) -> list[str]:
    """Return which of the two responses the loss reads."""
    if loss.sides == "chosen":
        return ["chosen"]
    if loss.sides == "both":
        return ["chosen", "rejected"]
    given = [side for side, value in logps.items() if value is not None]
    if not given:
        raise ValueError(f"{loss.name} needs chosen_logps or rejected_logps, got None for both.")
    return given


def _check_given(name: str, wanted: dict[str, Any]) -> None:
    """Refuse what is missing."""
    for parameter, value in wanted.items():
        if value is None:
            remedy = (
                "Give the log-probabilities of the reference policy, or zeros where the others "
                "are log-ratios to it already."
                if parameter.startswith("ref_")
                else "Give log-probabilities."
            )
            raise ValueError(f"{name} needs {parameter}, got None. {remedy}")


def _log_ratios(arrays: dict[str, Array], sides: list[str]) -> dict[str, Array]:
    """Return the log-ratios, or the log-probabilities where there is no reference."""
    values = {}
    for side in sides:
        reference = arrays.get(f"ref_{side}_logps")
        value = arrays[f"{side}_logps"]
        values[side] = value if reference is None else value - reference
    return values


def _read_tokens(loss: Loss, side: str, lengths: Any, like: Array, backend: Any) -> Array | None:
    """Return the lengths of a side where the loss uses them."""
    parameter = f"{side}_lengths"
    if loss.lengths == "unused":
        return None
    if lengths is None and loss.lengths == "required":
        raise ValueError(
            f"{loss.name} needs {parameter}, got None. Give the numbers of tokens, or 1 where the "
            "log-probabilities are means over tokens."
        )
    return read_lengths(parameter, lengths, like, backend)


def _check_tokens(loss: Loss, tokens: dict[str, Array | None]) -> None:
    """Refuse the lengths of one response where the loss divides both by theirs."""
    if loss.margin is not None and len({value is None for value in tokens.values()}) == 2:
        raise ValueError(
            f"{loss.name} needs both chosen_lengths and rejected_lengths, or neither; got one of "
            "them. Give the other one."
        )


def _check_mean_logps(name: str, values: dict[str, Array], tokens: dict[str, Any]) -> float:
    """Refuse log-probabilities above 0 and return the rounding unit that keeps them below."""
    for side, value in values.items():
        largest = float(to_numpy(value / tokens[side]).max())
        if largest > _ABOVE_ONE:
            raise ValueError(
                f"{side}_logps must be logarithms of probabilities for {name}, got a mean of "
                f"{largest:.3g} per token, above 0. Give log-probabilities, not scores."
            )
    single = any(value.dtype.itemsize == 4 for value in values.values())
    return float(np.finfo(np.float32 if single else np.float64).eps)
