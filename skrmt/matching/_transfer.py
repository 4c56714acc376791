"""Vectors of one space that find the partners of rows of the other in an index by cosine."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._kernel_cca import Member, log_likelihoods
from ._left_out import left_out_cosines, one_out_own, one_out_products, unit_rows
from ._smoothers import Representation, Smoother, smoother

Matrix = NDArray[Any]

_ALPHAS = (0.1, 0.4, 1.6, 6.4, 25.6, 1000.0)
"""Penalties of the space that is indexed, in mean eigenvalues; the last one leaves it as it is."""
_MEMBERS = 3
"""Maps whose vectors are added, as in "kernel_cca"."""
_BLOCK = 1 << 21
"""Scores held at a time, 16 MB."""
_ROUNDING = 1e-9
"""A gallery row that is the right partner itself scores no more than this share above it."""


class Part(NamedTuple):
    """One map: how rows are smoothed, the gallery's side, its penalty, and a weight."""

    member: Member
    side: int
    gallery: Smoother
    alpha: float
    weight: float

    def smoothers(self) -> tuple[Matrix, Matrix]:
        """Return the smoothers of the known rows that are mapped, and of their partners."""
        one = self.member
        mapped = one.sides[self.side].matrix(one.configuration.alpha)
        return mapped, self.gallery.matrix(self.alpha)

    def vectors(self, rows: Matrix) -> Matrix:
        """Return the vectors that rows become."""
        directions = self.member.directions(self.side, rows)
        return self.weight * directions @ self.gallery.dual_directions(self.alpha)


class Transfer(NamedTuple):
    """Maps from one side to the other whose vectors are added."""

    parts: tuple

    def vectors(self, rows: Matrix) -> Matrix:
        """Return one vector of length 1 for each row."""
        return unit_rows(sum(part.vectors(rows) for part in self.parts))

    def left_out_ahead(self, gallery: Matrix) -> Matrix:
        """Return how many gallery rows are ahead of each known partner that is left out."""
        smoothers = [part.smoothers() for part in self.parts]
        m = len(smoothers[0][0])
        own = sum(
            part.weight * one_out_own(*both, lengths=False)
            for part, both in zip(self.parts, smoothers, strict=True)
        )
        own = own + _ROUNDING * np.abs(own)
        ahead = np.zeros(m)
        step = max(_BLOCK // m, 1)
        for start in range(0, len(gallery), step):
            rows, scores = gallery[start : start + step], 0.0
            for part, both in zip(self.parts, smoothers, strict=True):
                weights = part.gallery.weights(rows, part.alpha)
                scores = scores + part.weight * one_out_products(both[0], both[1], weights)
            ahead += (scores > own[:, None]).sum(axis=1)
        return ahead


def fit_transfer(members, known, side: int) -> Transfer:
    """Choose maps from one side to the other by the likelihood of left-out pairs."""
    target = smoother(known[1 - side], Representation("linear", False, "length"), "median")
    if target is None:
        raise ValueError("All rows of one side have the same direction: no index can be searched.")
    found = []
    for member in members:
        mapped = member.sides[side].matrix(member.configuration.alpha)
        for alpha in _ALPHAS:
            scores, own = left_out_cosines(mapped, target.matrix(alpha), lengths=False)
            spread = float(scores.std()) or 1.0
            value = float(log_likelihoods(scores / spread, own / spread, columns=False).mean())
            found.append((value, Part(member, side, target, alpha, 1.0 / spread)))
    found.sort(key=lambda one: -one[0])
    return Transfer(tuple(part for _, part in found[:_MEMBERS]))


def ranks(vectors: Matrix, gallery: Matrix, truth: Matrix) -> Matrix:
    """Return how many gallery rows have a larger cosine with each vector than the right one."""
    right = unit_rows(gallery[truth])
    own = np.einsum("ij,ij->i", vectors, right)
    own = own + _ROUNDING * np.abs(own)
    ahead = np.zeros(len(vectors))
    step = max(_BLOCK // max(len(vectors), 1), 1)
    for start in range(0, len(gallery), step):
        ahead += (vectors @ unit_rows(gallery[start : start + step]).T > own[:, None]).sum(axis=1)
    return ahead
