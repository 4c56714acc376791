"""Expected curves of a corpus from the theory of single contexts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from ..theory import collapse as theory
from ._corpus import REUSES_REAL, USES_REAL
from ._next_token import NextTokenModel
from ._tokens import checked_counts

_AT_RISK = 100
"""Tokens listed as at risk: more than anyone reads."""


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
    count: int  # type: ignore[assignment]
    probability: float


class DiversityGroups(NamedTuple):
    """Diversity of contexts, grouped by their sample sizes.

    Attributes
    ----------
    n_synthetic, n_real, mass : ndarray of shape (k,)
        Sizes, and the diversity of the corpus that such contexts hold.
    """

    n_synthetic: np.ndarray
    n_real: np.ndarray
    mass: np.ndarray


def diversity_groups(corpus, scheme):
    """Group the diversity of a corpus by the sizes that matter to a scheme."""
    real = corpus.n_real if scheme.name in USES_REAL else np.ones_like(corpus.n_real)
    sizes = np.stack([corpus.n_synthetic, real], axis=1)
    groups, where = np.unique(sizes, axis=0, return_inverse=True)
    mass = np.bincount(where.ravel(), corpus.share * corpus.diversity)
    return DiversityGroups(groups[:, 0], groups[:, 1], mass)


def _options(scheme, n_real):
    """Return the arguments by which the theory knows a scheme."""
    return {
        "n_real": n_real if scheme.name in USES_REAL else None,
        "window": scheme.window,
        "real_weight": scheme.real_weight,
        "observed": True,
    }


def expected_diversity(groups, scheme, generations, n_synthetic=None, n_real=None):
    """Return the expected diversity of a corpus, with its own sizes where none are given."""

    def by_group(value):
        return np.asarray(value, dtype=np.float64)[..., None]

    synthetic = groups.n_synthetic if n_synthetic is None else by_group(n_synthetic)
    real = groups.n_real if n_real is None else by_group(n_real)
    half = theory.diversity(
        scheme.name, by_group(generations), 0.5, synthetic, **_options(scheme, real)
    )
    # Sizes given for all contexts make one group of them.
    return 2 * (np.asarray(half) * groups.mass).sum(axis=-1)


def agreement(corpus):
    """Estimate the probability that two real tokens after the same context agree, without bias."""
    counts, totals = corpus.counts.astype(float), corpus.totals.astype(float)
    twice = totals > 1
    if not twice.any():
        return np.nan
    pairs = np.add.reduceat(counts * (counts - 1), corpus.starts[:-1])[twice]
    weight = totals[twice]
    return float(weight @ (pairs / (weight * (weight - 1))) / weight.sum())


def observed_diversity(counts, corpus, contexts):
    """Return the diversity of an observed generation: counts, or a next-token model."""
    if isinstance(counts, NextTokenModel):
        check_is_fitted(counts)
        row_of = {context: i for i, context in enumerate(counts.contexts_)}
        missing = [context for context in contexts if context not in row_of]
        if missing:
            raise ValueError(
                f"the context {missing[0]!r} of the corpus is missing in a model of X. Fit models "
                "to data with all contexts."
            )
        matrix = counts.counts_[[row_of[context] for context in contexts]]
    else:
        matrix = checked_counts(counts)
        if matrix.shape[0] != len(corpus.totals):
            raise ValueError(
                f"counts of X must have {len(corpus.totals)} contexts as in fit, got "
                f"{matrix.shape[0]}."
            )
    totals = np.asarray(matrix.sum(axis=1)).ravel().astype(float)
    square = sparse.csr_array(matrix, dtype=np.float64).power(2).sum(axis=1)
    return float(corpus.share @ (1 - np.asarray(square).ravel() / totals**2))


def half_life(groups, scheme):
    """Return when half the diversity of a corpus is gone."""
    if not groups.mass.any():
        return np.nan
    options = _options(scheme, groups.n_real)
    return theory.corpus_half_life(
        0.5, groups.n_synthetic, scheme=scheme.name, share=groups.mass, **options
    )


def expected_curves(corpus, scheme, n_generations, n_jobs, verbose=0):
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
    found = Parallel(n_jobs=n_jobs, verbose=verbose)(
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
