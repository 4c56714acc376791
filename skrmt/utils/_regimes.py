"""Whether the theory behind a claim holds, in the one set of words that every estimator uses."""

from __future__ import annotations

REGIMES = ("too_few_rows", "undetected", "misfit", "ambiguous", "detected")
"""Every value of `regime_`; the first that applies is reported."""


def regime(
    *,
    too_few_rows: bool = False,
    undetected: bool = False,
    misfit: bool = False,
    ambiguous: bool = False,
) -> str:
    """Return the first regime that applies, "detected" if none does; see the glossary."""
    applies = (too_few_rows, undetected, misfit, ambiguous, True)
    return REGIMES[applies.index(True)]
