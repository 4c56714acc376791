"""Scores of pairs of rows by smoothers that have seen neither row, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[Any]

_ROOM, _SINGLE_ROOM = 1e-10, 1e-5
"""Least 1 - h in double and in single precision: below, rounding has taken all digits."""


def cosines(left: Matrix, right: Matrix) -> Matrix:
    """Return the cosines of the smoothing weights of queries (n, m) and candidates (n', m)."""
    return unit_rows(centred_weights(left)) @ unit_rows(centred_weights(right)).T


def centred_weights(weights: Matrix) -> Matrix:
    """Return smoothing weights, which sum to 1, less their mean."""
    return weights - 1.0 / weights.shape[1]


def unit_rows(rows: Matrix) -> Matrix:
    """Return rows of length 1, or 0."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows / np.where(lengths > 0, lengths, 1.0)


def left_out_cosines(
    first: Matrix, second: Matrix, *, lengths: bool = True
) -> tuple[Matrix, Matrix]:
    r"""Return what `cosines` gives known pairs that are left out, two at a time.

    `first` and `second` are the smoothers of both sides, symmetric of shape (m, m) with rows that
    sum to 1. Entry (i, j) of the first matrix is the score of row i of one side with row j of the
    other, that of the second the score of pair i, both by the other m - 2 pairs at the same
    penalty. (A rival that stays for the right score but not for its own would help.) Without
    `lengths` rows of the second side keep theirs.
    """
    m, h, g = len(first), np.diag(first), np.diag(second)
    x, y = _SideOut(first), _SideOut(second)
    cross = first @ second
    inner = np.diag(cross) - h * g
    apart = cross - h[:, None] * second
    apart -= first * g
    back = apart.T
    mine = inner[:, None] - first * second
    theirs = mine.T
    scores = x.same * (y.same.T * apart + y.other.T * mine)
    scores += x.other * (y.other.T * back + y.same.T * theirs)
    own = x.same * (y.same * mine + y.other * apart)
    own += x.other * (y.same * back + y.other * theirs)
    for found, squares in ((scores, y.squares.T), (own, y.squares)):
        found -= 1.0 / (m - 2)
        found /= np.sqrt(x.squares * squares if lengths else x.squares)
    every = np.arange(m)
    scores[every, every] = own[every, every] = one_out_own(first, second, lengths=lengths)
    return scores, own


class _SideOut:
    """What a smoother's row i becomes once i and j are out: weights on both, squared length."""

    def __init__(self, H: Matrix):
        m, h = len(H), np.diag(H)
        least = _least_room(H)
        room = np.maximum(1 - h, least)
        inverse = 1 / np.maximum(np.outer(room, room) - H * H, least**2)
        self.same, self.other = inverse * room, inverse * H
        gram = H @ H
        norms = np.diag(gram) - h * h
        rest = norms - H * H
        squares = self.same**2 * rest.T
        squares += self.other**2 * rest
        squares += 2 * self.same * self.other * (gram - H * h - h[:, None] * H)
        squares -= 1.0 / (m - 2)
        self.squares = np.maximum(squares, least / m)


def _least_room(H: Matrix) -> float:
    """Return the least 1 - h of a precision."""
    return _ROOM if H.dtype == np.float64 else _SINGLE_ROOM


def one_out_own(H: Matrix, G: Matrix, *, lengths: bool = True) -> Matrix:
    """Return the scores of known pairs, each left out by itself."""
    m, product = len(H), np.einsum("ij,ij->i", H, G)
    rooms, squares = [], []
    for side in (H, G):
        own = np.diag(side)
        room = np.maximum(1 - own, _least_room(H))
        rooms.append(room)
        norms = (np.einsum("ij,ij->i", side, side) - own**2) / room**2 - 1.0 / (m - 1)
        squares.append(np.maximum(norms, _least_room(H) / m))
    found = (product - np.diag(H) * np.diag(G)) / (rooms[0] * rooms[1]) - 1.0 / (m - 1)
    return found / np.sqrt(squares[0] * squares[1] if lengths else squares[0])


def without_fold(H: Matrix, weights: Matrix, fold: Matrix) -> tuple[Matrix, Matrix]:
    """Return smoothing weights without a fold: of queries (n, m), and of the fold's own rows.

    `H` is the smoother of all known rows (m, m), `weights` those of the queries with all of them.
    """
    rest = np.setdiff1d(np.arange(len(H)), fold)
    room = -H[np.ix_(fold, fold)]
    room[np.arange(len(fold)), np.arange(len(fold))] += 1.0
    own = np.linalg.solve(room, H[np.ix_(fold, rest)])
    return weights[:, rest] + weights[:, fold] @ own, own


def one_out_products(H: Matrix, G: Matrix, candidates: Matrix) -> Matrix:
    """Return scores of left-out known rows with candidates whose rows keep their lengths.

    `H` and `G` are smoothers of the known rows of both sides (m, m), `candidates` the smoothing
    weights of rows of the second side (n, m); row i is scored without pair i.
    """
    m, h, g = len(H), np.diag(H), np.diag(G)
    room = np.maximum(1 - h, _ROOM), np.maximum(1 - g, _ROOM)
    inner = np.einsum("ij,ij->i", H, G) - h * g
    # Weights of a candidate without pair i: those with it, plus a multiple of row i of G.
    product = H @ candidates.T
    product += (inner / room[1] - h)[:, None] * candidates.T
    product /= room[0][:, None]
    product -= 1.0 / (m - 1)
    squares = (np.einsum("ij,ij->i", H, H) - h * h) / room[0] ** 2 - 1.0 / (m - 1)
    return product / np.sqrt(np.maximum(squares, _ROOM / m))[:, None]
