"""Chains of models trained on their own output, many at a time.

A context whose pairs are few beside the tokens it draws is kept as probabilities and drawn with a
multinomial, all chains and all contexts with as many pairs in one call. The others are kept as
tokens, and every new token copies one of the old ones, all contexts and chains in one look-up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

_CELL_COST = 45.0
_TOKEN_COST = 15.0
"""Nanoseconds that a pair costs in a multinomial, and a token in a look-up: the cheaper is used."""
_BLOCK = 2**19
"""Numbers of a block of chains: what stays in the cache."""
CURVES = ("diversity", "collapsed_fraction", "support", "entropy")


class Part(NamedTuple):
    """Some contexts of a corpus, to be drawn in the same way.

    Attributes
    ----------
    contexts : ndarray of shape (n_contexts,)
        Which ones.
    counts : ndarray of shape (n_pairs,)
        Counts of their pairs.
    starts : ndarray of shape (n_contexts,)
        Where the pairs of each start.
    totals, n_synthetic, n_real, weight : ndarray of shape (n_contexts,)
        Sizes, and weight of the real tokens.
    """

    contexts: np.ndarray
    counts: np.ndarray
    starts: np.ndarray
    totals: np.ndarray
    n_synthetic: np.ndarray
    n_real: np.ndarray
    weight: np.ndarray

    @property
    def sizes(self):
        """Number of pairs of each context."""
        return np.diff(np.append(self.starts, len(self.counts)))

    @property
    def frequencies(self):
        """Frequency of each pair within its context."""
        return self.counts / np.repeat(self.totals, self.sizes)


def _take(corpus, weight, contexts):
    """Return the part of a corpus with some contexts."""
    sizes = np.diff(corpus.starts)[contexts]
    starts = np.cumsum(sizes) - sizes
    pairs = np.repeat(corpus.starts[contexts] - starts, sizes) + np.arange(sizes.sum())
    arrays = (corpus.totals, corpus.n_synthetic, corpus.n_real, weight)
    return Part(contexts, corpus.counts[pairs], starts, *(array[contexts] for array in arrays))


def split(corpus, scheme):
    """Split the contexts with more than one token by how they are drawn."""
    pairs = np.diff(corpus.starts)
    weight = np.zeros(len(pairs)) if scheme.real_weight is None else scheme.weights(corpus)
    by_token = np.zeros(len(pairs), dtype=bool)
    if scheme.name == "full":
        by_token = _CELL_COST * pairs > _TOKEN_COST * corpus.n_synthetic
    dense = [
        _take(corpus, weight, np.flatnonzero(~by_token & (pairs == size)))
        for size in np.unique(pairs[~by_token & (pairs > 1)])
    ]
    chosen = np.flatnonzero(by_token & (pairs > 1))
    return dense, _take(corpus, weight, chosen) if chosen.size else None


class Tokens:
    """Chains of tokens, each of which copies one of the last model; collapsed contexts drop out.

    Parameters
    ----------
    part : Part
        Contexts.
    share : ndarray of shape (n_contexts,)
        Share of each in the corpus.
    n_chains : int
        Number of chains.
    rng : Generator
        Where the first generation comes from.
    """

    def __init__(self, part, share, n_chains, rng):
        self.n_chains, width = n_chains, len(part.contexts)
        self.size = np.tile(part.n_synthetic, n_chains)
        self.share = np.tile(share[part.contexts], n_chains)
        self.chain = np.repeat(np.arange(n_chains), width)
        self.collapsed = np.zeros(n_chains)
        place = rng.random(int(self.size.sum()))
        place *= np.repeat(np.tile(part.totals, n_chains), self.size)
        last = np.cumsum(part.counts)
        place += np.repeat(
            np.tile(last[part.starts] - part.counts[part.starts], n_chains), self.size
        )
        pair = np.minimum(np.searchsorted(last, place, side="right"), len(last) - 1)
        pair += np.repeat(self.chain * len(last), self.size)
        known, self.tokens = np.unique(pair, return_inverse=True)
        context = np.repeat(np.arange(width), part.sizes)
        self.segment = known // len(last) * width + context[known % len(last)]
        self._place()
        self._count()

    def _place(self):
        """Set where each token finds those it may copy."""
        self.first = np.repeat(np.cumsum(self.size) - self.size, self.size)
        self.repeat = np.repeat(self.size.astype(float), self.size)

    def step(self, rng):
        """Draw the next generation."""
        place = rng.random(len(self.tokens))
        place *= self.repeat
        place = place.astype(np.int64)
        place += self.first
        self.tokens = self.tokens[place]
        self._count()

    def _count(self):
        """Count the tokens, and forget those that are lost and contexts that have collapsed."""
        self.counts = np.bincount(self.tokens, minlength=len(self.segment))
        alive = self.counts > 0
        single = np.bincount(self.segment[alive], minlength=len(self.size)) == 1
        if single.sum() * 8 > len(single) or np.count_nonzero(alive) * 2 < len(alive):
            self._forget(alive & ~single[self.segment], single)

    def _forget(self, kept, single):
        """Number the tokens anew without some, and the contexts without the collapsed ones."""
        self.collapsed += np.bincount(self.chain[single], minlength=self.n_chains)
        still = np.repeat(~single, self.size)
        self.tokens = (np.cumsum(kept) - 1)[self.tokens[still]]
        self.segment = (np.cumsum(~single) - 1)[self.segment[kept]]
        self.counts = self.counts[kept]
        self.size, self.share, self.chain = (
            array[~single] for array in (self.size, self.share, self.chain)
        )
        self._place()

    def measured(self, curve):
        """Return what the contexts add to a curve, chain by chain."""
        segment, size = self.segment, self.size
        if curve in ("diversity", "entropy"):
            p = self.counts / size[segment]
            each = np.bincount(segment, p * p if curve == "diversity" else xlogy(p, p), len(size))
            each = self.share * ((1 - each) if curve == "diversity" else -each)
            return np.bincount(self.chain, each, self.n_chains)
        support = np.bincount(segment[self.counts > 0], minlength=len(size))
        each = support if curve == "support" else support == 1
        return np.bincount(self.chain, each, self.n_chains) + self.collapsed


class Cells:
    """Chains of probabilities of contexts with equally many tokens, drawn by multinomials.

    Parameters
    ----------
    part : Part
        Contexts, with s tokens each.
    scheme : Scheme
        The scheme.
    share : ndarray of shape (n_contexts,)
        Share of each context of the corpus.
    n_chains : int
        Number of chains.
    """

    def __init__(self, part, scheme, share, n_chains):
        self.part, self.scheme, self.share = part, scheme, share
        truth = part.frequencies.reshape(len(part.contexts), -1)
        self.truth = np.broadcast_to(truth, (n_chains, *truth.shape))
        self.model = self.truth
        self.sum = self.truth.copy()
        self.generation = 0
        self.window = [self.truth]

    def step(self, rng):
        """Draw the next generation."""
        self.generation += 1
        getattr(self, f"_{self.scheme.name}")(rng)

    def measured(self, curve):
        """Return what the contexts add to a curve, chain by chain."""
        return _measured(self.model.reshape(len(self.model), -1), self.part, self.share, curve)

    def _drawn(self, rng, model, sizes=None):
        """Return the frequencies of tokens drawn from a model."""
        sizes = self.part.n_synthetic if sizes is None else sizes
        return rng.multinomial(sizes, model) / sizes[:, None]

    def _full(self, rng):
        self.model = self._drawn(rng, self.model)

    def _partial(self, rng):
        weight = self.part.weight[:, None]
        self.model = weight * self.truth + (1 - weight) * self._drawn(rng, self.model)

    def _fresh(self, rng):
        weight = self.part.weight[:, None]
        real = self._drawn(rng, self.truth, self.part.n_real)
        self.model = weight * real + (1 - weight) * self._drawn(rng, self.model)

    def _accumulate(self, rng):
        n, real = self.part.n_synthetic[:, None], self.part.n_real[:, None]
        total = real + self.generation * n
        drawn = self._drawn(rng, self.model)
        self.model = self.model + (drawn - self.model) * (n / total)

    def _random(self, rng):
        self.model = self._drawn(rng, self.sum / self.generation)
        self.sum += self.model

    def _window(self, rng):
        sizes = self.part.n_synthetic // self.scheme.window
        self.model = np.mean([self._drawn(rng, model, sizes) for model in self.window], axis=0)
        self.window = [*self.window, self.model][-self.scheme.window :]


def block_size(corpus, scheme):
    """Return how many chains are simulated at once."""
    dense, sparse = split(corpus, scheme)
    width = sum(len(part.counts) for part in dense) * (scheme.window or 1)
    width += 0 if sparse is None else int(sparse.n_synthetic.sum())
    return max(1, _BLOCK // max(width, 1))


def simulate_block(corpus, scheme, n_generations, n_chains, seed, curve):
    """Return one curve of some chains."""
    rng = np.random.default_rng(seed)
    dense, sparse = split(corpus, scheme)
    share = corpus.share
    result = np.zeros((n_chains, n_generations + 1))
    for part in [*dense, *([] if sparse is None else [sparse])]:
        result[:, 0] += _measured(part.frequencies[None], part, share, curve)
        engine: Tokens | Cells
        if part is sparse:
            engine = Tokens(part, share, n_chains, rng)
        else:
            engine = Cells(part, scheme, share, n_chains)
            engine.step(rng)
        result[:, 1] += engine.measured(curve)
        for generation in range(2, n_generations + 1):
            engine.step(rng)
            result[:, generation] += engine.measured(curve)
    if curve in ("collapsed_fraction", "support"):
        result += np.count_nonzero(np.diff(corpus.starts) == 1)
    return result / len(share) if curve == "collapsed_fraction" else result


def _measured(probabilities, part, share, curve):
    """Return what some contexts add to a curve, chain by chain."""
    if curve == "diversity":
        each = 1 - np.add.reduceat(probabilities**2, part.starts, axis=1)
        return each @ share[part.contexts]
    if curve == "entropy":
        each = -np.add.reduceat(xlogy(probabilities, probabilities), part.starts, axis=1)
        return each @ share[part.contexts]
    support = np.add.reduceat((probabilities > 0).astype(np.int64), part.starts, axis=1)
    return (support if curve == "support" else support == 1).sum(axis=1)
