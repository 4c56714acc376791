"""Known pairs that "kernel_cca" leaves out: among one another, and planted among queries."""

from __future__ import annotations

import numpy as np

from ._left_out import cosines, left_out_cosines, one_out_cosines

_MOST_SCORES = 1 << 22
"""Scores of queries with candidates up to which they are computed anew for each fold's choice: with
more of them the choice by all known pairs stands for that without the fold."""


def left_out_ranks(ensemble):
    """Return how many partners of other pairs are ahead of each own one, and how many equal it."""
    m = len(ensemble.known[0])
    ahead, ties, scores = np.zeros(m), np.zeros(m), {}
    for fold, chosen in zip(ensemble.folds, ensemble.chosen_without, strict=True):
        if chosen not in scores:
            scores[chosen] = ensemble.left_out(chosen)
        rows = scores[chosen][fold]
        own = rows[np.arange(len(fold)), fold][:, None]
        ahead[fold] = (rows > own).sum(axis=1)
        ties[fold] = (rows == own).sum(axis=1) - 1
    return ahead, ties


class PlantedPairs:
    """Scores of known pairs that are left out, planted among queries, by closed forms."""

    def __init__(self, ensemble, queries):
        self.ensemble = ensemble
        self.choices = {
            fold.tobytes(): choice
            for fold, choice in zip(ensemble.folds, ensemble.chosen_without, strict=True)
        }
        self.queries = queries
        self.members = {}
        self.cross = {}

    def rows(self, fold):
        """Return scores of left-out pairs with candidates, and with their own partners."""
        chosen = self._choice(fold)
        among = np.diag(self._among(chosen, fold))
        return self._across(chosen, fold, 0), among

    def whole(self, fold):
        """Return scores of queries and left-out pairs with candidates and left-out partners."""
        size = int(self.queries[0].shape[0]) * int(self.queries[1].shape[0])
        chosen = self._choice(fold) if size <= _MOST_SCORES else self.ensemble.chosen
        if chosen not in self.cross:
            parts = (self._parts(k) for k in chosen)
            self.cross[chosen] = sum(w * cosines(*weights) for w, _, weights, _ in parts)
        across = self._across(chosen, fold, 0), self._across(chosen, fold, 1).T
        return np.block([[self.cross[chosen], across[1]], [across[0], self._among(chosen, fold)]])

    def _choice(self, fold):
        """Return the members chosen without a fold."""
        return self.choices[fold.tobytes()]

    def _parts(self, k):
        """Return weight, smoothers, smoothing weights of queries, and left-out scores of a member."""
        if k not in self.members:
            one = self.ensemble.members[k]
            smoothers = one.smoothers()
            weights = tuple(one.weights(side, self.queries[side]) for side in (0, 1))
            self.members[k] = one.weight, smoothers, weights, left_out_cosines(*smoothers)
        return self.members[k]

    def _across(self, chosen, fold, side):
        """Return scores of left-out rows of one side with the queries' rows of the other."""
        total = 0.0
        for weight, smoothers, queries, _ in map(self._parts, chosen):
            mine, theirs = smoothers if side == 0 else smoothers[::-1]
            total = total + weight * one_out_cosines(mine, theirs, queries[1 - side], fold)
        return total

    def _among(self, chosen, fold):
        """Return scores of left-out pairs among one another."""
        parts = map(self._parts, chosen)
        return sum(weight * scores[np.ix_(fold, fold)] for weight, _, _, scores in parts)
