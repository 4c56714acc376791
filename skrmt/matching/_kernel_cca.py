"""Regularised kernel CCA: how rows are compared is chosen on known pairs that are left out."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._kernels import Kernel
from ._left_out import centred_weights, left_out_cosines, unit_rows
from ._smoothers import Representation, Smoother, smoother, smoothers

Matrix = NDArray[Any]

_ALPHAS = (0.1, 0.4, 1.6, 6.4, 25.6)
"""Penalties that are tried, in mean eigenvalues of the kernel: on text and digits those that match
best lie between .3 and 10; smaller and larger ones were never among the best three."""
_FIRST_ALPHA = 1.6
"""Penalty at which representations are compared first: near the best one of most data."""
_REPRESENTATIONS = 2
"""Representations whose other penalties are tried: a third one changed nothing measurable."""
_MEMBERS = 3
"""Configurations whose scores are added: the choice of a single one is noisier (see the benchmark
`bench_encoder_matching.py`)."""
_SHARPNESS = (1.0, 2.0, 4.0)
"""Factors by which standardised scores are multiplied before they become probabilities, each twice
the one before."""
_FEWEST = 6
"""Known pairs from which a choice is made: with fewer it would be one of noise."""
_MOST = 400
"""Known pairs the choice is made on: with more, the choice changes nothing that can be seen."""
_SMOOTHED = 2000
"""Known pairs that are used at most, a random choice of more: kernels of them take 32 MB each."""


class KernelConfiguration(NamedTuple):
    """How "kernel_cca" compares rows.

    Attributes
    ----------
    kernel : {"linear", "rbf"}
        Kernel of both sides.
    standardize : bool
        Whether features are divided by their standard deviations.
    unit_rows : bool
        Whether centred rows are divided by their lengths.
    alpha : float
        Penalty, in mean eigenvalues of the kernel of the known pairs.
    """

    kernel: Kernel
    standardize: bool
    unit_rows: bool
    alpha: float

    @property
    def representation(self) -> Representation:
        """All but the penalty."""
        return Representation(self.kernel, self.standardize, self.unit_rows)


class Member(NamedTuple):
    """A configuration, its smoothers of both sides, and the weight of its scores.

    `left_out` holds what `left_out_cosines` returns, in single precision, until it has been used;
    None where the penalty is too small for that.
    """

    configuration: KernelConfiguration
    sides: tuple[Smoother, Smoother]
    weight: float
    left_out: tuple[Matrix, Matrix] | None = None

    def inverses(self, *, single: bool = False) -> tuple[Matrix, Matrix]:
        """Return the inverses of the penalised kernels of both sides."""
        first, second = self.sides
        alpha = self.configuration.alpha
        return first.inverse(alpha, single=single), second.inverse(alpha, single=single)

    def smoothers(self, inverses: Any = None) -> tuple[Matrix, Matrix]:
        """Return the smoothers of the known rows of both sides."""
        inverses = self.inverses() if inverses is None else inverses
        first, second = (
            side.matrix(self.configuration.alpha, inverse=inverse)
            for side, inverse in zip(self.sides, inverses, strict=True)
        )
        return first, second

    def weights(self, side: int, queries: Matrix, inverse: Matrix | None = None) -> Matrix:
        """Return the smoothing weights of queries of one side."""
        return self.sides[side].weights(queries, self.configuration.alpha, inverse)

    def directions(self, side: int, queries: Matrix) -> Matrix:
        """Return the same less their mean, of length 1."""
        return unit_rows(centred_weights(self.weights(side, queries)))


class Ensemble(NamedTuple):
    """Configurations that were chosen on known pairs, by all of them and without each fold.

    Attributes
    ----------
    known : tuple of ndarray
        Known pairs that smoothing weights refer to.
    members : tuple of Member
        Every configuration that some choice takes.
    chosen : tuple of int
        Members whose scores are added.
    folds : tuple of ndarray of int
        Folds of the known pairs.
    chosen_without : tuple of tuple of int
        Members chosen without each fold.
    """

    known: tuple
    members: tuple
    chosen: tuple
    folds: tuple
    chosen_without: tuple

    @property
    def configurations(self):
        """The configurations whose scores are added."""
        return [self.members[k].configuration for k in self.chosen]

    def factors(self, queries) -> tuple[Matrix, Matrix]:
        """Return rows of queries and of candidates whose scalar products are their scores."""
        members = [self.members[k] for k in self.chosen]
        left, right = (
            np.hstack([one.weight**0.5 * one.directions(side, rows) for one in members])
            for side, rows in enumerate(queries)
        )
        return left, right

    def released(self) -> Ensemble:
        """Return the same without scores of left-out pairs."""
        return self._replace(members=tuple(one._replace(left_out=None) for one in self.members))

    def refit(self, known) -> Ensemble:
        """Return the same choice with other known pairs."""
        members = tuple(_member(self.members[k], known) for k in self.chosen)
        return Ensemble(known, members, tuple(range(len(members))), (), ())


def _member(member: Member, known) -> Member:
    """Return a member with other known pairs, the old ones if these are all the same."""
    widths = [side.bandwidth for side in member.sides]
    kind = member.configuration.representation
    first, second = (smoother(side, kind, width) for side, width in zip(known, widths, strict=True))
    if first is None or second is None:
        return member
    return member._replace(sides=(first, second), left_out=None)


def fit_ensemble(known, options, bandwidths, folds) -> Ensemble:
    """Choose configurations by the likelihood of known pairs that are left out."""
    if len(known[0]) > _MOST:
        return _fit_large(known, options, bandwidths, folds)
    tried, likelihoods = _tried(known, options, bandwidths)
    folds = tuple(folds) if len(known[0]) >= _FEWEST else ()
    best = _best(likelihoods, np.arange(len(known[0])))
    every = np.arange(len(known[0]))
    without = [_best(likelihoods, np.setdiff1d(every, fold)) for fold in folds]
    used = sorted({k for choice in (best, *without) for k in choice})
    place = {k: at for at, k in enumerate(used)}
    return Ensemble(
        known,
        tuple(tried[k] for k in used),
        tuple(place[k] for k in best),
        folds,
        tuple(tuple(place[k] for k in choice) for choice in without),
    )


def _fit_large(known, options, bandwidths, folds) -> Ensemble:
    """Choose on some of many known pairs, and smooth with all."""
    m = len(known[0])
    rows = np.random.default_rng(0).choice(m, _MOST, replace=False)
    some = fit_ensemble(tuple(side[rows] for side in known), options, bandwidths, ())
    if m > _SMOOTHED:
        rows = np.sort(np.random.default_rng(0).choice(m, _SMOOTHED, replace=False))
        known = tuple(side[rows] for side in known)
        folds = np.array_split(np.random.default_rng(0).permutation(_SMOOTHED), len(folds) or 1)
    return some.refit(known)._replace(
        folds=tuple(folds), chosen_without=(tuple(range(len(some.chosen))),) * len(folds)
    )


def _tried(known, options, bandwidths):
    """Return the members that are tried, and the log-likelihoods of the known pairs by each."""
    kinds = [Representation(*kind) for kind in product(*options[:3])]
    each = zip(
        *(smoothers(side, kinds, width) for side, width in zip(known, bandwidths, strict=True)),
        strict=True,
    )
    sides = {
        kind: both
        for kind, both in zip(kinds, each, strict=True)
        if all(side is not None for side in both)
    }
    first = _FIRST_ALPHA if options[3] == "auto" else options[3]
    found = [_evaluated(kind, first, both) for kind, both in sides.items()]
    if options[3] == "auto" and len(known[0]) >= _FEWEST:
        ranked = sorted(found, key=lambda one: -one[1].mean())[:_REPRESENTATIONS]
        for one, values in ranked:
            found += _other_penalties(one, values.mean())
    return [member for member, _ in found], np.array([values for _, values in found])


def _other_penalties(member, value):
    """Return the same member with other penalties, those that lie beyond worse ones left out."""
    at, found = _ALPHAS.index(_FIRST_ALPHA), []
    kind = member.configuration.representation
    for path in (_ALPHAS[:at][::-1], _ALPHAS[at + 1 :]):
        last = value
        for alpha in path:
            found.append(_evaluated(kind, alpha, member.sides))
            if found[-1][1].mean() < last:
                break
            last = found[-1][1].mean()
    return found


def _evaluated(kind, alpha, sides):
    """Return a member, and the log-likelihood of each known pair that is left out."""
    member = Member(
        KernelConfiguration(kind.kernel, kind.standardize, bool(kind.unit_rows), alpha), sides, 1.0
    )
    # Single precision is enough to choose by, and half the time.
    scores, own = left_out_cosines(*member.smoothers(member.inverses(single=True)))
    spread = float(scores.std()) or 1.0
    kept = (scores, own) if alpha >= _ALPHAS[0] else None
    member = member._replace(weight=1.0 / spread, left_out=kept)
    return member, log_likelihoods(scores / spread, own / spread)


def log_likelihoods(scores: Matrix, own: Matrix, *, columns: bool = True) -> Matrix:
    """Return log-probabilities of the right partners, by softmax over rows and columns.

    Entry (i, j) of `own` is the score of pair i that is compared with that of i and j.
    """
    gaps = [scores - own, scores.T - own] if columns else [scores - own]
    best = np.full(len(scores), -np.inf)
    # Each sharpness is twice the one before: exponentials are squared.
    powers = [np.exp(_SHARPNESS[0] * gap) for gap in gaps]
    for k in range(len(_SHARPNESS)):
        if k:
            powers = [np.square(power, out=power) for power in powers]
        odds = sum(-np.log(power.sum(axis=1)) for power in powers)
        best = odds if odds.mean() > best.mean() else best
    return best


def _best(likelihoods, rows):
    """Return the members of the largest likelihood of some known pairs."""
    order = np.argsort(-likelihoods[:, rows].mean(axis=1), kind="stable")
    return tuple(int(k) for k in order[:_MEMBERS])
