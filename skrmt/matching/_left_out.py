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


def left_out_cosines(first: Matrix, second: Matrix, *, lengths: bool = True) -> Matrix:
    r"""Return what `cosines` gives known pairs that are left out, two at a time.

    `first` and `second` are the smoothers of both sides, symmetric of shape (m, m) with rows that
    sum to 1. Entry (i, j) is the score of row i of one side with row j of the other once pairs i
    and j are out, at the same penalty. Without `lengths` rows of the second side keep
    theirs.
    """
    cross = first @ second
    own = (_SideOut(first), _SideOut(second, transposed=True))
    inner = np.diag(cross) - own[0].leverage * own[1].leverage
    A, B, C, D = own[0].same, own[0].other, own[1].same, own[1].other
    h, g, m = own[0].leverage, own[1].leverage, len(first)
    product = A * C * (cross - h[:, None] * second - first * g)
    product += B * D * (cross.T - first * g[:, None] - h * second)
    both = first * second
    product += A * D * (inner[:, None] - both)
    product += B * C * (inner - both)
    product -= 1.0 / (m - 2)
    every = np.arange(m)
    product[every, every] = inner / (own[0].room * own[1].room) - 1.0 / (m - 1)
    squares = own[0].squares * own[1].squares if lengths else own[0].squares
    return product / np.sqrt(squares)


class _SideOut:
    """What a smoother's rows i and j become once both are out: weights on them, squared lengths."""

    def __init__(self, H: Matrix, *, transposed: bool = False):
        m, every = len(H), np.arange(len(H))
        self.leverage = h = np.diag(H).copy()
        least = _ROOM if H.dtype == np.float64 else _SINGLE_ROOM
        self.room = room = np.maximum(1 - h, least)
        inverse = 1 / np.maximum(np.outer(room, room) - H * H, least**2)
        self.same, self.other = inverse * room, inverse * H
        gram = H @ H
        norms = np.diag(gram) - h * h
        squares = self.same**2 * (norms[:, None] - H * H)
        squares += self.other**2 * (norms - H * H)
        squares += 2 * self.same * self.other * (gram - H * h - h[:, None] * H)
        squares -= 1.0 / (m - 2)
        squares[every, every] = norms / room**2 - 1.0 / (m - 1)
        if transposed:
            self.same, self.other, squares = self.same.T, self.other.T, squares.T
        self.squares = np.maximum(squares, least / m)


def one_out_cosines(
    H: Matrix, G: Matrix, candidates: Matrix, rows: Any, *, lengths: bool = True
) -> Matrix:
    """Return scores of some known rows with candidates, each row's own pair left out.

    `H` and `G` are smoothers of the known rows of both sides (m, m), `candidates` the smoothing
    weights of rows of the second side (n, m). Without `lengths` candidates keep theirs.
    """
    m = len(H)
    h, g, mine, theirs = np.diag(H)[rows], np.diag(G)[rows], H[rows], G[rows]
    room = np.maximum(1 - h, _ROOM)[:, None], np.maximum(1 - g, _ROOM)[:, None]
    # Weights of a candidate without pair i: those with it, plus a multiple of row i of G.
    at = candidates.T[rows]
    shift = at / room[1]
    inner = np.einsum("ij,ij->i", mine, theirs) - h * g
    product = (mine @ candidates.T - h[:, None] * at + shift * inner[:, None]) / room[0]
    product -= 1.0 / (m - 1)
    squares = (np.einsum("ij,ij->i", mine, mine) - h * h) / room[0][:, 0] ** 2 - 1.0 / (m - 1)
    product /= np.sqrt(np.maximum(squares, _ROOM / m))[:, None]
    if not lengths:
        return product
    others = np.einsum("ij,ij->i", candidates, candidates) - at**2 - 1.0 / (m - 1)
    others += 2 * shift * (theirs @ candidates.T - g[:, None] * at)
    others += shift**2 * (np.einsum("ij,ij->i", theirs, theirs) - g * g)[:, None]
    return product / np.sqrt(np.maximum(others, _ROOM / m))
