"""What a forecast needs of a corpus: its counts by context, sample sizes, and the scheme."""

from __future__ import annotations

import numbers
from typing import NamedTuple

import numpy as np

from ..theory import collapse as theory

REUSES_REAL = ("partial", "accumulate")
USES_REAL = ("partial", "fresh", "accumulate")
USES_WEIGHT = ("partial", "fresh")


class Corpus(NamedTuple):
    """Counts of all pairs of a context and a token that occur, and how many are drawn.

    Attributes
    ----------
    counts : ndarray of int64 of shape (n_pairs,)
        How often each pair occurs, context by context.
    starts : ndarray of shape (n_contexts + 1,)
        Where the pairs of each context start.
    totals : ndarray of int64 of shape (n_contexts,)
        Observations of each context.
    n_synthetic : ndarray of int64 of shape (n_contexts,)
        Tokens that every generation draws in each context.
    n_real : ndarray of int64 of shape (n_contexts,)
        Real tokens of each context, where the scheme has any.
    """

    counts: np.ndarray
    starts: np.ndarray
    totals: np.ndarray
    n_synthetic: np.ndarray
    n_real: np.ndarray

    @property
    def share(self):
        """Share of each context in the corpus."""
        return self.totals / self.totals.sum()

    @property
    def context(self):
        """Context of each pair."""
        return np.repeat(np.arange(len(self.totals)), np.diff(self.starts))

    @property
    def frequencies(self):
        """Frequency of each pair within its context."""
        return self.counts / self.totals[self.context]

    @property
    def diversity(self):
        """Diversity of each context."""
        return 1 - np.add.reduceat(self.frequencies**2, self.starts[:-1])


class Scheme(NamedTuple):
    """How generations are trained.

    Attributes
    ----------
    name : str
        Name of the scheme, see `skrmt.theory.collapse.diversity`.
    window : int or None
        Number of models in the window.
    real_weight : str, float or None
        Weight of the real tokens, None where the scheme has none.
    """

    name: str
    window: int | None
    real_weight: float | str | None

    def weights(self, corpus):
        """Return the weight of the real tokens in each context."""
        n, real = corpus.n_synthetic, corpus.n_real
        if self.real_weight == "pooled":
            return real / (real + n)
        if self.real_weight == "optimal":
            best = theory.optimal_real_weight(real, n) if self.name == "fresh" else 1.0
            return np.broadcast_to(best, n.shape)
        return np.full(n.shape, float(self.real_weight or 0.0))


def checked_scheme(model):
    """Return the scheme of a forecaster, after checking that its parameters fit together."""
    name = model.scheme
    if name == "window" and model.window is None:
        raise ValueError("window is needed by scheme='window', got None. Give a number of models.")
    for parameter, default, schemes in (
        ("window", None, ("window",)),
        ("n_real", None, USES_REAL),
        ("real_weight", "pooled", USES_WEIGHT),
    ):
        value = getattr(model, parameter)
        given = not (value is default or (isinstance(value, str) and value == default))
        if given and name not in schemes:
            raise ValueError(
                f"{parameter} is not used by scheme={name!r}, got {value!r}. Leave it at "
                f"{default!r}, or choose the scheme among {', '.join(map(repr, schemes))}."
            )
    return Scheme(name, model.window, model.real_weight if name in USES_WEIGHT else None)


def sized_corpus(counts, scheme, n_synthetic, n_real):
    """Return the corpus with the sample sizes of its contexts."""
    totals = np.asarray(counts.sum(axis=1)).ravel()
    own = totals if scheme.window is None else -(-totals // scheme.window) * scheme.window
    synthetic = _sizes("n_synthetic", n_synthetic, own)
    if scheme.window is not None and (synthetic % scheme.window).any():
        bad = synthetic[synthetic % scheme.window != 0][0]
        raise ValueError(
            f"window must divide n_synthetic, got window={scheme.window} and n_synthetic={bad}. "
            "Round n_synthetic to a multiple of the window."
        )
    real = _sizes("n_real", n_real, totals)
    return Corpus(counts.data, counts.indptr.astype(np.int64), totals, synthetic, real)


def _sizes(name, value, default):
    """Return one whole number of 1 or more for each context."""
    if value is None:
        return default
    sizes = np.asarray(value)
    good = sizes.dtype.kind in "iuf" and sizes.shape in ((), default.shape)
    if isinstance(value, numbers.Number) and isinstance(value, bool | np.bool_):
        good = False
    if not good:
        raise ValueError(
            f"{name} must be None, a whole number or {len(default)} of them, one a context, got "
            f"{value!r}."
        )
    if not (np.isfinite(sizes) & (sizes >= 1) & (sizes == np.floor(sizes))).all():
        raise ValueError(
            f"{name} must hold whole numbers of 1 or more, got {value!r}. Round it, or give the "
            "number of tokens."
        )
    return np.broadcast_to(sizes.astype(np.int64), default.shape)
