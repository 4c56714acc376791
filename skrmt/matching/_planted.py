"""Known pairs that "kernel_cca" leaves out: among one another, and planted among queries."""

from __future__ import annotations

import numpy as np

from ._left_out import (
    centred_weights,
    cosines,
    left_out_cosines,
    unit_rows,
    without_fold,
)

_SEEN_SHARE = 50.0
"""Weight, times the number of known pairs, of right scores that have seen their rivals. Without
them the accuracy among 50, 100 and 250 pairs is .05, .03 and .015 too low on text and digits, and
right on encoders that are linear in few variables; with them all differ by less than .015."""
_LARGE = 1 << 22
"""Smoothing weights of one side that are kept in double precision, 32 MB; more are in single."""


def left_out_matches(ensemble):
    """Return how likely each known pair is right among all others' partners, and rivals ahead.

    A right score that has seen its rivals is too good, one that has lost its nearest neighbour to
    the comparison too bad: the accuracy lies between both, nearer to the latter the more pairs
    there are.
    """
    m, members = len(ensemble.known[0]), {}
    right, ahead = np.full(m, np.nan), np.full(m, np.nan)
    share = min(1.0, _SEEN_SHARE / m)
    for k in sorted({k for chosen in ensemble.chosen_without for k in chosen}):
        one = ensemble.members[k]
        found = one.left_out or left_out_cosines(*one.smoothers())
        members[k] = [one.weight * side for side in found]
    for fold, chosen in zip(ensemble.folds, ensemble.chosen_without, strict=True):
        scores, own = (sum(members[k][side][fold] for k in chosen) for side in (0, 1))
        seen = scores[np.arange(len(fold)), fold][:, None]
        right[fold] = (1 - share) * _first(scores, own) + share * _first(scores, seen)
        ahead[fold] = (scores > own).sum(axis=1)
    return right, ahead


def _first(scores, own):
    """Return how likely the right one is first, with ties broken at random."""
    ties = (scores == own).sum(axis=1) - 1
    return top_shares((scores > own).sum(axis=1), ties, 1)


def top_shares(ahead, ties, top_k):
    """Return how likely items are among the first k, from how many are ahead and how many equal."""
    return np.clip((top_k - ahead) / (1.0 + ties), 0.0, 1.0)


class PlantedPairs:
    """Scores of known pairs planted among queries, by the pairs outside their fold.

    Equal to refits at fixed penalties, without the cost: only smoothing weights change. Queries are
    scored without the fold as well: those near its pairs, which are their rivals, would be matched
    too well by the help of these (by .03 in the accuracy of one-to-one matches).
    """

    def __init__(self, ensemble, queries):
        self.ensemble = ensemble
        self.queries = queries
        self.choices = {
            fold.tobytes(): choice
            for fold, choice in zip(ensemble.folds, ensemble.chosen_without, strict=True)
        }
        self._parts = {}

    def scores(self):
        """Return scores of all queries with all candidates, no pair left out."""
        parts = map(self._part, self.ensemble.chosen)
        return sum(weight * cosines(*weights) for weight, _, weights in parts)

    def rows(self, fold):
        """Return scores of left-out pairs with candidates, and with their own partners."""
        n, size = int(self.queries[0].shape[0]), int(self.queries[1].shape[0])
        total = sum(left[n:] @ right.T for left, right in self.factors(fold))
        return total[:, :size], np.diag(total[:, size:])

    def factors(self, fold):
        """Yield rows of queries and left-out pairs, and of the other side, to be multiplied."""
        for k in self.choices[fold.tobytes()]:
            weight, smoothers, queries = self._part(k)
            left, right = (
                unit_rows(centred_weights(np.vstack(without_fold(H, rows, fold))))
                for H, rows in zip(smoothers, queries, strict=True)
            )
            yield weight * left, right

    def whole(self, fold):
        """Return scores of queries and left-out pairs with candidates and left-out partners."""
        return sum(left @ right.T for left, right in self.factors(fold))

    def _part(self, k):
        """Return a member's weight, smoothers, and smoothing weights of queries."""
        if k not in self._parts:
            one = self.ensemble.members[k]
            inverses = one.inverses()
            weights = tuple(
                one.weights(side, self.queries[side], inverses[side]) for side in (0, 1)
            )
            known = one.smoothers(inverses)
            if max(side.size for side in weights) > _LARGE:
                known, weights = (
                    tuple(side.astype(np.float32) for side in both) for both in (known, weights)
                )
            self._parts[k] = one.weight, known, weights
        return self._parts[k]
