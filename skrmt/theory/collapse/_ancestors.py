r"""Law of the number of ancestors of the tokens of a generation, exact or nearly, for any n.

Each of the n tokens of a generation copies one of the last, drawn uniformly. The number of
different ancestors is a Markov chain: a balls fall into n cells, b cells are hit. Up to
`EXACT_SIZE` tokens its matrix is used as it is. Beyond, mean and variance of the number are carried
along until it is about 200, generation by generation and then by the flow of the coalescent; from
there the exact chain for n cells, cut at 300 ancestors, goes on.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._checks import FloatArray

EXACT_SIZE = 1000
"""Tokens up to which the matrix of the chain fits in memory and is exact."""
_FLOW_UNTIL = 200.0
"""Mean number of ancestors at which the exact chain takes over from mean and variance."""
_MOST_ANCESTORS = 300
"""Ancestors at which that chain is cut: twelve standard deviations above its start."""
_NEGLIGIBLE = 1e-25
"""Probabilities that change no sum of doubles."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)


class AncestorLaw(NamedTuple):
    """Distribution of the number of ancestors in generation 1.

    Attributes
    ----------
    ancestors : ndarray of shape (k,)
        Numbers; nodes of a quadrature where the law is not exact.
    weights : ndarray of shape (k,)
        Their probabilities.
    """

    ancestors: FloatArray
    weights: FloatArray


class Path(NamedTuple):
    """Mean and variance of the number of ancestors while it is large.

    Attributes
    ----------
    means, variances : ndarray of shape (k,)
        In generations 1, 2, ..., k, one by one.
    crossing : int
        First generation, maybe after k, with a mean of about 200 or less.
    """

    means: FloatArray
    variances: FloatArray
    crossing: int


@lru_cache(maxsize=8)
def occupancy(n: int, cap: int) -> FloatArray:
    """Return the probabilities that a balls in n cells hit b cells, for a and b up to `cap`."""
    hit = np.arange(cap + 1) / n
    free = 1 - np.arange(cap) / n
    matrix = np.zeros((cap + 1, cap + 1))
    matrix[0, 0] = 1.0
    for a in range(cap):
        matrix[a + 1] = matrix[a] * hit
        matrix[a + 1, 1:] += matrix[a, :-1] * free
    matrix.setflags(write=False)
    return matrix


def leaving(n: int, cap: int) -> FloatArray:
    """Return the probabilities that b balls do not hit b different cells."""
    logs = np.log1p(-np.arange(cap) / n)
    return np.asarray(np.concatenate([[0.0], -np.expm1(np.cumsum(logs))]), dtype=np.float64)


@lru_cache(maxsize=64)
def path(n: int) -> Path:
    """Return mean and variance of the number of ancestors of n tokens while it is large."""
    mean, spread, log_q = float(n), 0.0, float(np.log1p(-1 / n))
    double = float(np.log1p(-1 / (n - 1) ** 2))
    means, spreads = [mean], [spread]
    while mean > max(_FLOW_UNTIL, n / 1000):
        missed = np.exp(mean * log_q)
        own = n * missed * (1 - missed) + n * (n - 1) * missed**2 * np.expm1(mean * double)
        slope, bend = -n * log_q * missed, -n * log_q**2 * missed
        mean = float(-n * np.expm1(mean * log_q) + 0.5 * bend * spread)
        spread = float(max(own, 0.0) + slope**2 * spread)
        means.append(mean)
        spreads.append(spread)
    crossing = len(means)
    if mean > _FLOW_UNTIL:
        span = 3 * np.log((1 - 2 / (3 * mean)) / (1 - 2 / (3 * _FLOW_UNTIL)))
        crossing = int(np.ceil(crossing + n * span - np.log(mean / _FLOW_UNTIL) / 3))
    return Path(np.array(means), np.array(spreads), crossing)


def flow(n: int, start: Path, generation: FloatArray) -> FloatArray:
    r"""Return the mean number of ancestors past the generations of a path."""
    first = float(start.means[-1])
    passed = np.asarray(generation - len(start.means), dtype=np.float64)
    mean, steps = np.full_like(passed, first), passed
    for _ in range(4):
        ratio = (1 - 2 / (3 * first)) * np.exp(-steps / (3 * n))
        mean = (2 / 3) / (1 - ratio)
        steps = passed + np.log(first / mean) / 3
    return np.asarray(mean, dtype=np.float64)


def _moments(n: int, generation: int) -> tuple[float, float]:
    """Return mean and variance of the number of ancestors, up to the crossing."""
    large = path(n)
    if generation <= len(large.means):
        return float(large.means[generation - 1]), float(large.variances[generation - 1])
    mean = float(flow(n, large, np.array([generation]))[0])
    return mean, mean / 3


def crossing_law(n: int) -> tuple[int, FloatArray]:
    """Return the generation from which the exact chain goes on, and the law in it."""
    generation = path(n).crossing
    mean, spread = _moments(n, generation)
    numbers = np.arange(_MOST_ANCESTORS + 1)
    law = np.exp(-0.5 * (numbers - mean) ** 2 / spread)
    law[0] = 0.0
    return generation, law / law.sum()


def _start(n: int) -> tuple[int, FloatArray]:
    """Return the generation and the law from which the exact chain starts."""
    if n > EXACT_SIZE:
        return crossing_law(n)
    law = np.zeros(n + 1)
    law[n] = 1.0
    return 1, law


def _walk(law: FloatArray, matrix: FloatArray, powers: list[FloatArray], steps: int) -> FloatArray:
    """Advance a law by some generations, dropping what is negligible above."""
    while steps:
        top = int(np.flatnonzero(law > _NEGLIGIBLE)[-1])
        law = law[: top + 1]
        if top <= 1:
            break
        if steps > 64 and top <= _MOST_ANCESTORS:
            return _leap(law, matrix, powers, steps)
        law = law @ matrix[: top + 1, : top + 1]
        steps -= 1
    return law


def _leap(law: FloatArray, matrix: FloatArray, powers: list[FloatArray], steps: int) -> FloatArray:
    """Advance a law by many generations with squared matrices, kept in `powers`."""
    size = min(len(matrix), _MOST_ANCESTORS + 1)
    if not powers:
        powers.append(matrix[:size, :size])
    law = np.pad(law, (0, size - len(law)))
    for bit in range(steps.bit_length()):
        if bit == len(powers):
            powers.append(powers[-1] @ powers[-1])
        if steps >> bit & 1:
            law = law @ powers[bit]
    return law / law.sum()


@lru_cache(maxsize=128)
def _laws(n: int, generations: tuple[int, ...]) -> tuple[AncestorLaw, ...]:
    """Return the laws in increasing generations of 1 or more."""
    begin, law = _start(n)
    found = []
    for early in (m for m in generations if m < begin):
        mean, spread = _moments(n, early)
        nodes = mean + np.sqrt(spread) * _NODES
        found.append(AncestorLaw(nodes, _WEIGHTS / _WEIGHTS.sum()))
    late = [m for m in generations if m >= begin]
    matrix = occupancy(n, len(law) - 1) if late else law[:0]
    powers: list[FloatArray] = []
    for before, after in pairwise([begin, *late]):
        law = _walk(law, matrix, powers, after - before)
        kept = law > _NEGLIGIBLE
        found.append(AncestorLaw(np.flatnonzero(kept).astype(np.float64), law[kept]))
    return tuple(found)


def ancestor_laws(n: int, generations: Sequence[int]) -> tuple[AncestorLaw, ...]:
    """Return the law of the number of generation-1 tokens from which a generation descends."""
    wanted = tuple(sorted({int(m) for m in generations}))
    known = dict(zip(wanted, _laws(n, wanted), strict=True))
    return tuple(known[int(m)] for m in generations)


def visits(n: int, law: FloatArray) -> FloatArray:
    r"""Return how many generations are spent with b ancestors, from a law on."""
    matrix, left = occupancy(n, len(law) - 1), leaving(n, len(law) - 1)
    total = np.zeros_like(law)
    for b in range(len(law) - 1, 1, -1):
        total[b] = (law[b] + total[b + 1 :] @ matrix[b + 1 :, b]) / left[b]
    return total
