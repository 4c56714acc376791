"""Known pairs that "kernel_cca" leaves out: among one another, and planted among queries."""

from __future__ import annotations

import numpy as np

from ._left_out import cosines, left_out_cosines, one_out_products

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
    """Scores of known pairs planted among queries, each without the pairs that it is of.

    Equal to refits at fixed penalties, without the cost: only smoothing weights change. Rows and
    columns of a pair take the choice that was made without its fold.
    """

    def __init__(self, ensemble, queries):
        self.ensemble = ensemble
        self.queries = queries
        self.choices = {
            fold.tobytes(): choice
            for fold, choice in zip(ensemble.folds, ensemble.chosen_without, strict=True)
        }
        self._smoothers, self._weights, self._blocks = {}, {}, {}

    def scores(self):
        """Return scores of all queries with all candidates, no pair left out."""
        return self._total("queries", self.ensemble.chosen)

    def rows(self, fold):
        """Return scores of left-out pairs with candidates, and with their own partners."""
        choice = self.choices[fold.tobytes()]
        own = np.diag(self._total("known", choice))
        return self._total("rows", choice)[fold], own[fold]

    def columns(self, fold):
        """Return scores of queries with the partners of left-out pairs."""
        return self._total("columns", self.choices[fold.tobytes()])[fold].T

    def among(self, fold):
        """Return scores of left-out pairs with one another's partners."""
        return self.known_rows(fold)[:, fold]

    def known_rows(self, fold):
        """Return scores of left-out pairs with all others' partners."""
        return self._total("known", self.choices[fold.tobytes()])[fold]

    def beside(self, queries):
        """Return the same pairs beside other queries, sharing what depends on the pairs alone."""
        other = PlantedPairs(self.ensemble, queries)
        other._smoothers = self._smoothers
        other._blocks = {key: one for key, one in self._blocks.items() if key[0] == "known"}
        return other

    def whole(self, fold):
        """Return scores of queries and left-out pairs with candidates and left-out partners."""
        queries = self._total("queries", self.choices[fold.tobytes()])
        rows, _ = self.rows(fold)
        return np.block([[queries, self.columns(fold)], [rows, self.among(fold)]])

    def _total(self, kind, choice):
        """Return the sum of the scores of some members."""
        if (kind, choice) not in self._blocks:
            self._blocks[kind, choice] = sum(self._block(kind, k) for k in choice)
        return self._blocks[kind, choice]

    def _block(self, kind, k):
        """Return the scores of one kind by one member."""
        if (kind, k) not in self._blocks:
            weight = self.ensemble.members[k].weight
            self._blocks[kind, k] = weight * self._scored(kind, k)
        return self._blocks[kind, k]

    def _scored(self, kind, k):
        """Return the cosines of one kind by one member."""
        if kind == "queries":
            return cosines(self._asked(k, 0), self._asked(k, 1))
        first, second = self._known(k)
        if kind == "known":
            return left_out_cosines(first, second)[0]
        if kind == "rows":
            return one_out_products(first, second, self._asked(k, 1), lengths=True)
        return one_out_products(second, first, self._asked(k, 0), lengths=True)

    def _known(self, k):
        """Return the smoothers of a member."""
        if k not in self._smoothers:
            self._smoothers[k] = self.ensemble.members[k].smoothers()
        return self._smoothers[k]

    def _asked(self, k, side):
        """Return the smoothing weights of the queries of one side."""
        if (k, side) not in self._weights:
            one = self.ensemble.members[k]
            self._weights[k, side] = one.weights(side, self.queries[side])
        return self._weights[k, side]
