"""Expected curves of a corpus from the theory of single contexts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from ..theory import collapse as theory
from ._corpus import REUSES_REAL

_AT_RISK = 100


class Curves(NamedTuple):
    """Expected curves by generation, NaN where the scheme has no formula.

    Attributes
    ----------
    collapsed : ndarray of shape (n_generations + 1,)
        Share of the contexts with one token left.
    support : ndarray of shape (n_generations + 1,)
        Number of pairs of a context and a token left.
    entropy : ndarray of shape (n_generations + 1,)
        Entropy, contexts weighted by their share.
    lost : ndarray of shape (n_pairs,)
        Probability of each pair to be lost by the last generation.
    """

    collapsed: np.ndarray
    support: np.ndarray
    entropy: np.ndarray
    lost: np.ndarray


class AtRiskToken(NamedTuple):
    """A token that may be lost.

    Attributes
    ----------
    context : tuple
        Its context.
    token : object
        The token.
    count : int
        How often it follows the context in the corpus.
    probability : float
        Probability that it never follows the context again, by the last generation.
    """

    context: tuple
    token: object
    count: int
    probability: float


class Mixture(NamedTuple):
    """Diversity of contexts, grouped by their sample sizes.

    Attributes
    ----------
    n_synthetic, n_real, mass : ndarray of shape (k,)
        Sizes, and the diversity of the corpus that such contexts hold.
    """

    n_synthetic: np.ndarray
    n_real: np.ndarray
    mass: np.ndarray


def mixture(corpus, scheme):
    """Group the diversity of a corpus by the sizes that matter to a scheme."""
    real = corpus.n_real if _uses_real(scheme) else np.ones_like(corpus.n_real)
    sizes = np.stack([corpus.n_synthetic, real], axis=1)
    groups, where = np.unique(sizes, axis=0, return_inverse=True)
    mass = np.bincount(where.ravel(), corpus.share * corpus.diversity)
    return Mixture(groups[:, 0], groups[:, 1], mass)


def _uses_real(scheme):
    """Return whether a scheme has real tokens."""
    return scheme.name in (*REUSES_REAL, "fresh")


def _options(scheme, n_real):
    """Return the arguments by which the theory knows a scheme."""
    return {
        "n_real": n_real if _uses_real(scheme) else None,
        "window": scheme.window,
        "real_weight": scheme.real_weight,
        "observed": True,
    }


def expected_diversity(groups, scheme, generations):
    """Return the expected diversity of a corpus."""
    times = np.asarray(generations, dtype=np.float64)
    half = theory.diversity(
        scheme.name,
        times[..., None],
        0.5,
        groups.n_synthetic,
        **_options(scheme, groups.n_real),
    )
    return 2 * np.asarray(half) @ groups.mass


def half_life(groups, scheme):
    """Return when half the diversity of a corpus is gone."""
    if not groups.mass.any():
        return np.nan
    options = _options(scheme, groups.n_real)
    return theory.corpus_half_life(
        0.5, groups.n_synthetic, scheme=scheme.name, share=groups.mass, **options
    )


def expected_curves(corpus, scheme, n_generations, n_jobs):
    """Return the curves that need more than variances."""
    if scheme.name in REUSES_REAL:
        return _constant_support(corpus, scheme, n_generations)
    if scheme.name != "full":
        return _unknown(corpus, n_generations)
    times = np.arange(n_generations + 1)
    context = corpus.context
    drawn, frequencies = corpus.n_synthetic[context], corpus.frequencies
    sizes = np.unique(drawn)
    order = np.argsort(drawn, kind="stable")
    groups = np.split(order, np.searchsorted(drawn[order], sizes[1:]))
    found = Parallel(n_jobs=n_jobs)(
        delayed(_token_curves)(frequencies[pairs], corpus.share[context[pairs]], int(n), times)
        for n, pairs in zip(sizes, groups, strict=True)
    )
    lost = np.empty(len(drawn))
    for pairs, (*_, gone) in zip(groups, found, strict=True):
        lost[pairs] = gone
    fixed, support, entropy = (sum(parts) for parts in list(zip(*found, strict=True))[:3])
    return Curves(fixed / len(corpus.totals), support, entropy, lost)


def _token_curves(frequencies, share, n, times):
    """Return what the pairs of the contexts with n tokens per generation add to the curves."""
    x, where = np.unique(frequencies, return_inverse=True)
    number, weight = np.bincount(where), np.bincount(where, share)
    support = theory.token_expectation("support", x, n, times)
    fixed = 1 - theory.token_expectation("support", 1 - x, n, times)
    entropy = theory.token_expectation("entropy", x, n, times)
    return fixed @ number, support @ number, entropy @ weight, 1 - support[-1][where]


def _constant_support(corpus, scheme, n_generations):
    """Return the curves where real tokens are kept for ever: no token is lost."""
    ones = np.ones(n_generations + 1)
    collapsed = np.mean(np.diff(corpus.starts) == 1) * ones
    lost = np.zeros(len(corpus.counts))
    return Curves(collapsed, len(lost) * ones, _unknown_entropy(corpus, n_generations), lost)


def _unknown(corpus, n_generations):
    """Return curves of which only the start is known."""
    pairs = np.diff(corpus.starts)
    later = np.full(n_generations, np.nan)
    return Curves(
        np.append(np.mean(pairs == 1), later),
        np.append(float(pairs.sum()), later),
        _unknown_entropy(corpus, n_generations),
        np.full(len(corpus.counts), np.nan),
    )


def _unknown_entropy(corpus, n_generations):
    """Return the entropy of the corpus, unknown later."""
    q = corpus.frequencies
    start = -corpus.share[corpus.context] @ (q * np.log(q))
    return np.append(start, np.full(n_generations, np.nan))


def at_risk(lost, counts, contexts, tokens):
    """Return the tokens that are most likely lost."""
    totals = np.asarray(counts.sum(axis=1)).ravel()
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    order = np.lexsort((-totals[rows], -lost))
    chosen = [i for i in order[:_AT_RISK] if lost[i] > 0]
    return [
        AtRiskToken(
            contexts[rows[i]], tokens[counts.indices[i]], int(counts.data[i]), float(lost[i])
        )
        for i in chosen
    ]
