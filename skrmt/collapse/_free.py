"""Text generated freely: contexts are drawn too, and those that do not come up are lost.

A token of a generation copies what followed its context once in the generation before, a parent
drawn uniformly. Occurrences of a context are therefore lost as tokens of one context of all n
tokens are, wherever they stand. Two things differ from a plain count: how often a context comes up
is the law of the chain, not its share of a corpus of several sequences, and occurrences that stand
together live or die together, so that their clumps count.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ..theory import collapse as theory

FREE = "lost_contexts"
_STEPS, _CHANGE = 1000, 1e-6
"""Steps of the chain at most, and the change of its law below which it is known: 1e-6 of the corpus
is far below the third digit, which is all that the forecast is good for."""
_GRID = 512
"""Chances at which the survival is computed where more are different: between them, at a distance
of some percent, the interpolation is right to 1e-4."""


class Chain(NamedTuple):
    """Contexts, and which of them follows a token.

    Attributes
    ----------
    codes : ndarray of int64 of shape (n_contexts, context_length)
        Number of each token of each context.
    tokens : ndarray of int64 of shape (n_pairs,)
        Number of the token of each pair of a context and a token.
    following : ndarray of int64 of shape (n_pairs,)
        Row of the context after it, -1 where the corpus does not have it.
    n_codes : int
        Number of different tokens.
    """

    codes: np.ndarray
    tokens: np.ndarray
    following: np.ndarray
    n_codes: int


def chain_of(model):
    """Return the chain of a next-token model."""
    number = {token: i for i, token in enumerate(model.tokens_)}
    length = len(model.contexts_[0])
    flat = [number.setdefault(token, len(number)) for c in model.contexts_ for token in c]
    codes = np.array(flat, dtype=np.int64).reshape(-1, length)
    counts = model.counts_
    tokens = counts.indices.astype(np.int64)
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    after = np.column_stack([codes[rows, 1:], tokens])
    numbers = window_numbers(np.concatenate([codes, after]), len(number))
    row_of = np.full(numbers.max() + 1, -1)
    row_of[numbers[: len(codes)]] = np.arange(len(codes))
    return Chain(codes, tokens, row_of[numbers[len(codes) :]], len(number))


def window_numbers(windows, n_codes):
    """Number windows so that equal ones have the same number."""
    number = np.zeros(len(windows), dtype=np.int64)
    for column in windows.T:
        _, number = np.unique(number * n_codes + column, return_inverse=True)
    return number


def lost_share(corpus, chain, times):
    """Return the expected share of the corpus of which the context is lost, by generation."""
    n, share = int(corpus.n_synthetic.sum()), corpus.share
    step, ends = _steps(corpus, chain)
    law = _law(step, ends, share, n)
    entered = _entered(step, ends, law)
    often = law @ step
    # The tokens of a context that was drawn anew are not in the text, but those after them.
    anew = (1 / n + (1 - 1 / n) * (law @ ends)) * share
    for _ in range(chain.codes.shape[1] - 1):
        anew = anew @ step
        often = often - anew
    chance = _clumps(step, np.maximum(often, 0.0)) / entered
    lost = np.zeros(len(times))
    for level, weight in _grouped(np.minimum(chance, 1.0), share * entered):
        lost += weight @ (1 - theory.token_expectation("support", level, n, times)).T
    lost += share @ (1 - entered)
    return np.where(np.asarray(times) == 0, 0.0, lost)


def _steps(corpus, chain):
    """Return the probabilities of each context after each, and of none that is known."""
    inside = chain.following >= 0
    size = len(corpus.totals)
    entries = corpus.frequencies[inside], (corpus.context[inside], chain.following[inside])
    step = sparse.coo_array(entries, shape=(size, size)).tocsr()
    return step, 1 - np.asarray(step.sum(axis=1)).ravel()


def _law(step, ends, share, n):
    """Return how often each context is drawn from, over n tokens.

    After a token whose context is unknown, as at the start, one is drawn by its share.
    """
    law = share
    for _ in range(_STEPS):
        # A start anew once in n tokens keeps what is left early from counting as left for ever.
        new = (1 - 1 / n) * (law @ step) + (1 / n + (1 - 1 / n) * (law @ ends)) * share
        change, law = abs(new - law).sum(), new
        if change < _CHANGE:
            break
    return law


def _entered(step, ends, law):
    """Return the probability that a generation enters the part that a context is in.

    Parts that no token leaves, such as sequences without a common token, hold the chain for ever.
    """
    size, hub = len(law), len(law)
    links = step.tocoo()
    leaves = np.flatnonzero(ends > 1e-12)
    rows = np.concatenate([links.row, leaves, np.full(size, hub)])
    columns = np.concatenate([links.col, np.full(len(leaves), hub), np.arange(size)])
    graph = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(size + 1, size + 1))
    n_parts, part = connected_components(graph, connection="strong")
    closed = np.ones(n_parts, dtype=bool)
    closed[part[rows[part[rows] != part[columns]]]] = False
    mass = np.bincount(part[:size], law, n_parts)
    return np.where(closed, np.minimum(mass, 1.0), 1.0)[part[:size]]


def _clumps(step, chance):
    """Return how often each context comes up, not counting returns within two tokens.

    Returns that are as frequent as the context itself are no clumps.
    """
    again = step.diagonal()
    twice = np.asarray(step.multiply(step.T).sum(axis=1)).ravel() - again**2
    return chance * (1 - np.clip(again + twice - 2 * chance, 0, 1))


def _grouped(chance, weight):
    """Yield chances and the weights of those with them, between grid points where they are many."""
    level, where = np.unique(chance, return_inverse=True)
    if len(level) <= _GRID:
        yield level, np.bincount(where, weight)
        return
    seen = chance > 0
    yield np.zeros(1), np.array([weight[~seen].sum()])
    logs = np.log(chance[seen])
    grid = np.linspace(logs.min(), logs.max(), _GRID)
    below = np.clip(np.searchsorted(grid, logs, side="right") - 1, 0, _GRID - 2)
    right = (logs - grid[below]) / (grid[1] - grid[0])
    total = np.bincount(below, weight[seen] * (1 - right), _GRID)
    total += np.bincount(below + 1, weight[seen] * right, _GRID)
    yield np.minimum(np.exp(grid), 1.0), total


def simulate_free(corpus, chain, n_generations, seed):
    """Return the share of the corpus of which the context is lost, of shape (1, generations)."""
    rng = np.random.default_rng(seed)
    n, length = int(corpus.n_synthetic.sum()), chain.codes.shape[1]
    before = np.repeat(corpus.context, corpus.counts)
    tokens = np.repeat(chain.tokens, corpus.counts)
    after = np.repeat(chain.following, corpus.counts)
    lost = np.zeros(n_generations + 1)
    for generation in range(1, n_generations + 1):
        text = _generated(before, tokens, after, n, rng)
        if len(text) <= length:
            # Nothing follows a context any more.
            lost[generation:] = 1.0
            break
        windows = np.lib.stride_tricks.sliding_window_view(text, length)
        number = window_numbers(np.concatenate([chain.codes, windows]), chain.n_codes)
        own, number = number[: len(chain.codes)], number[len(chain.codes) :]
        before, tokens, after = number[:-1], text[length:], number[1:]
        lost[generation] = corpus.share[~np.isin(own, before)].sum()
    return lost[None]


def _generated(before, tokens, after, n, rng):
    """Return the numbers of n tokens, each of which copies what followed its context once."""
    order = np.argsort(before, kind="stable")
    size = np.bincount(before, minlength=int(max(before.max(), after.max())) + 1)
    first = (np.cumsum(size) - size).tolist()
    counts, total = size.tolist(), len(order)
    following = after[order].tolist()
    copied, row = [], -1
    for place in rng.random(n).tolist():
        known = row >= 0 and counts[row] > 0
        pick = first[row] + int(place * counts[row]) if known else int(place * total)
        copied.append(pick)
        row = following[pick]
    return tokens[order][copied]
