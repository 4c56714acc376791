"""The law of an alignment of kernels under random pairing, from its first three moments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc
from scipy.stats import norm

from ..theory.representation import KernelInvariants, moments_of_invariants

Matrix = NDArray[Any]

_LEAST_SKEWNESS = 1e-4
"""Skewness below which the law is taken for normal: tails differ by less than 1 %. So it is where
it is negative: a bounded law would give the probability 0 to values just above its end."""


def upper_tail(z_score: float, skewness: float) -> float:
    """Return the tail of Pearson's law of type III: a gamma law of that skewness, standardised."""
    if skewness < _LEAST_SKEWNESS:
        return float(norm.sf(z_score))
    shape = 4.0 / skewness**2
    return float(gammaincc(shape, max(shape + z_score * np.sqrt(shape), 0.0)))


def permutation_skewness(K: Matrix, L: Matrix) -> float:
    """Return the skewness of <K, PLP'> over all permutations P, of two centred kernels, exactly."""
    n = len(K)
    first, second = _traceless(K), _traceless(L)
    squares = [KernelInvariants(0.0, 1.0, float((np.diag(M) ** 2).sum())) for M in (first, second)]
    std = moments_of_invariants(n, *squares).std
    if not std > 0:
        return 0.0
    sums = _sums(first), _sums(second)
    third = 0.0
    for (size, weights), count in _patterns().items():
        if size <= n:
            places = np.prod(np.arange(n, n - size, -1.0))
            third += count * float(sums[0] @ weights) * float(sums[1] @ weights) / places
    return float(third / std**3)


def _traceless(K: Matrix) -> Matrix:
    """Return a centred kernel less what no permutation changes, of norm 1."""
    n = len(K)
    rest = K - np.trace(K) / (n - 1) * (np.eye(n) - 1.0 / n)
    size = float(np.linalg.norm(rest))
    return rest / size if size > 0 else rest


def _sums(K: Matrix) -> Matrix:
    """Return the sums of products of three entries that are not 0 as rows sum to 0."""
    own, square = np.diag(K), K @ K
    products = [
        (own**3).sum(),
        own @ np.diag(square),
        own @ K @ own,
        (K * K * K).sum(),
        (K * square).sum(),
    ]
    return np.array(products)


_LOOPS, _LOOP_ON_TWO, _DUMBBELL, _THREEFOLD, _TRIANGLE = range(5)
"""Places in `_sums` of a_ii^3, a_ii a_ij^2, a_ii a_ij a_jj, a_ij^3 and a_ij a_jk a_ki."""


@lru_cache(maxsize=1)
def _patterns() -> Counter[tuple[int, tuple[int, ...]]]:
    """Return how sums over different indices are made of `_sums`, for the indices of three entries.

    Which of the six indices are equal is a partition of them. A sum over indices that are
    different in different classes is a sum over all coarser partitions, by Moebius inversion, of
    sums over free indices. Counted are pairs of the number of classes and the five weights.
    """
    found: Counter[tuple[int, tuple[int, ...]]] = Counter()
    for labels in _partitions(6):
        size = max(labels) + 1
        weights = np.zeros(5, dtype=int)
        for merged in _partitions(size):
            place = _place(tuple(merged[label] for label in labels))
            if place is not None:
                sizes = np.bincount(merged)
                weights[place] += np.prod([_moebius(int(count)) for count in sizes])
        if weights.any():
            found[size, tuple(weights.tolist())] += 1
    return found


def _moebius(count: int) -> int:
    """Return (-1)^(count - 1) (count - 1)!."""
    return int((-1) ** (count - 1) * np.prod(np.arange(1, count)))


def _partitions(n: int) -> Iterator[tuple[int, ...]]:
    """Yield the partitions of n things, each as a class for every thing."""
    if n == 0:
        yield ()
        return
    for rest in _partitions(n - 1):
        for label in range(max(rest, default=-1) + 2):
            yield (*rest, label)


def _place(labels: tuple[int, ...]) -> int | None:
    """Return which of `_sums` the product of three entries is, None for 0."""
    entries = [labels[:2], labels[2:4], labels[4:]]
    loops = [i for i, j in entries if i == j]
    if min(Counter(labels).values()) < 2 or (len(loops) == 3 and len(set(loops)) > 1):
        return None
    if len(loops) == 3:
        return _LOOPS
    if len(loops) == 2:
        return _DUMBBELL
    edges = {tuple(sorted(entry)) for entry in entries if len(set(entry)) == 2}
    if len(loops) == 1:
        return _LOOP_ON_TWO if loops[0] in next(iter(edges)) else None
    return _THREEFOLD if len(edges) == 1 else _TRIANGLE
