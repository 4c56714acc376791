"""Known pairs that "kernel_cca" leaves out: among one another, and planted among queries."""

from __future__ import annotations

import numpy as np

from ._left_out import cosines, left_out_cosines, without_fold

_SEEN_SHARE = 50.0
"""Weight, times the number of known pairs, of right scores that have seen their rivals. Without
them the accuracy among 50, 100 and 250 pairs is .05, .03 and .015 too low on text and digits, and
right on encoders that are linear in few variables; with them all differ by less than .015."""


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
        members[k] = [one.weight * side for side in left_out_cosines(*one.smoothers())]
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

    Equal to refits at fixed penalties, without the cost: only smoothing weights change.
    """

    def __init__(self, ensemble, queries):
        self.choices = {
            fold.tobytes(): choice
            for fold, choice in zip(ensemble.folds, ensemble.chosen_without, strict=True)
        }
        self.ensemble = ensemble
        self.queries = queries
        self.parts = {}

    def scores(self):
        """Return scores of all queries with all candidates, no pair left out."""
        parts = map(self._parts, self.ensemble.chosen)
        return sum(weight * cosines(*weights) for weight, _, weights in parts)

    def rows(self, fold):
        """Return scores of left-out pairs with candidates, and with their own partners."""
        total = sum(
            weight * cosines(sides[0][1], np.vstack(sides[1]))
            for weight, sides in self._sides(fold)
        )
        n = int(self.queries[1].shape[0])
        return total[:, :n], np.diag(total[:, n:])

    def whole(self, fold):
        """Return scores of queries and left-out pairs with candidates and left-out partners."""
        return sum(
            weight * cosines(*(np.vstack(side) for side in sides))
            for weight, sides in self._sides(fold)
        )

    def _sides(self, fold):
        """Yield weights of members, and smoothing weights of queries and of left-out rows."""
        for k in self.choices[fold.tobytes()]:
            weight, smoothers, queries = self._parts(k)
            yield (
                weight,
                [without_fold(H, rows, fold) for H, rows in zip(smoothers, queries, strict=True)],
            )

    def _parts(self, k):
        """Return a member's weight, smoothers, and smoothing weights of queries."""
        if k not in self.parts:
            one = self.ensemble.members[k]
            weights = tuple(one.weights(side, self.queries[side]) for side in (0, 1))
            self.parts[k] = one.weight, one.smoothers(), weights
        return self.parts[k]
