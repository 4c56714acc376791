"""State of the process that no call may change."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np


def global_state() -> dict[str, Any]:
    """Return the state of the process that skrmt promises to leave alone."""
    seed: Any = np.random.get_state()
    kind, keys, position, *gauss = seed
    state = {
        "np.random": (kind, keys.tobytes(), position, *gauss),
        "np.errstate": np.geterr(),
        "warnings.filters": list(warnings.filters),
    }
    if "tensorly" in sys.modules:
        state["tensorly backend"] = sys.modules["tensorly"].get_backend()
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "get_default_dtype"):
        state["torch dtype"] = torch.get_default_dtype()
        state["torch seed"] = torch.random.get_rng_state().numpy().tobytes()
    return state


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names of the entries of two states that differ."""
    return [name for name in before if before[name] != after[name]]
