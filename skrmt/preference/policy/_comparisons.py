"""Comparisons of the same pair, merged: a pair is the same whichever response comes first."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...utils._checks import check_sample_weight
from ...utils._dask import is_dask, to_local
from ...utils._merging import MergedRows, group_codes, merge_rows
from ...utils._rows import content_keys
from ...utils._scaling import unit_of
from ._blocks import Outline, Reading, outline, read_once
from ._input import as_host

_FIRST = 256
"""Rows read first: few columns that vary are 0 in all of them, so that the others need no more."""


class Comparisons(NamedTuple):
    """Distinct differences of features, each with the weights of both outcomes.

    Attributes
    ----------
    differences : ndarray or dask array of shape (m, p)
        Features of one response minus those of the other, divided by `unit`, in the columns that
        are not 0 in all rows. A Dask array has more rows than columns.
    won, lost : ndarray of shape (m,)
        Weight of the comparisons that the first response won, and lost.
    part : ndarray of shape (m,)
        Part of the weight of a row that is left out at a time.
    n_effective : float
        Effective number of comparisons that are left out one by one.
    kind : {"distinct", "copies", "discrete"}
        Whether pairs repeat, and as what.
    unit : float
        Power of two; 1 unless the data are tiny or huge.
    row : ndarray of int of shape (n,)
        Row of `differences` of each comparison given; -1 for those of weight 0.
    sign : ndarray of shape (n,)
        1 where the first response of that row won, -1 where it lost.
    empty : ndarray of int of shape (z,)
        Rows of `differences` that are 0.
    columns : ndarray of int of shape (p,)
        The features that differences have.
    n_features : int
        Number of features given.
    facing : ndarray of shape (m,)
        Sign of the first entry of each row that is not 0.
    group : ndarray of int of shape (m,) or None
        Which rows are left out together, if groups of several are given.
    contents : ndarray of shape (m,) or None
        What `key` returns, where the reading of blocks gave it.
    """

    differences: Any
    won: np.ndarray
    lost: np.ndarray
    part: np.ndarray
    n_effective: float
    kind: str
    unit: float
    row: np.ndarray
    sign: np.ndarray
    empty: np.ndarray
    columns: np.ndarray
    n_features: int
    facing: np.ndarray
    group: np.ndarray | None = None
    contents: np.ndarray | None = None

    @property
    def weights(self) -> np.ndarray:
        """Weights of the rows."""
        return self.won + self.lost

    @property
    def balance(self) -> np.ndarray:
        """Weight won less weight lost of the rows."""
        return self.won - self.lost

    @property
    def count_once(self) -> bool:
        """Whether every row is one comparison, left out on its own: sums need no weights."""
        once = (self.weights == 1).all() and (self.part == 1).all()
        return bool(once and self.group is None)

    @property
    def key(self) -> np.ndarray:
        """A number that follows from the content of each row, whichever response comes first."""
        if self.contents is not None:
            return self.contents
        varying = np.ones(len(self.columns), bool)
        return content_keys(self.differences, varying) * self.facing

    @property
    def outcome_rows(self) -> np.ndarray:
        """Rows of the outcomes that `outcomes` returns."""
        mixed = np.flatnonzero((self.won > 0) & (self.lost > 0))
        return np.concatenate([np.arange(len(self.won)), mixed])

    def all_features(self, coef: np.ndarray) -> np.ndarray:
        """Return coefficients of all features given, 0 where no difference has any."""
        found = np.zeros(self.n_features)
        found[self.columns] = coef / self.unit
        return found

    def outcomes(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the margins of all outcomes, and their weights; scores of any further axes."""
        mixed = (self.won > 0) & (self.lost > 0)
        turned = (self.won == 0).reshape(-1, *[1] * (scores.ndim - 1))
        margins = np.where(turned, -scores, scores)
        weights = np.where(self.won > 0, self.won, self.lost)
        if not mixed.any():
            return margins, weights
        margins = np.concatenate([margins, -scores[mixed]])
        return margins, np.concatenate([weights, self.lost[mixed]])


def merge_pairs(
    differences: Any,
    signs: np.ndarray,
    sample_weight: Any,
    groups: Any = None,
    columns: np.ndarray | None = None,
    reading: Reading | None = None,
) -> Comparisons:
    """Gather the comparisons of each pair, in each group, in one row, whichever way they went.

    `reading` is that of the blocks of a Dask array where they have been read.
    """
    n_features = differences.shape[1]
    weights = check_sample_weight(as_host(to_local(sample_weight)), len(differences))
    groups = None if groups is None else _memory_groups(differences, groups)
    given = np.flatnonzero(weights > 0)
    row, sign = np.full(len(weights), -1), np.zeros(len(weights))
    if is_dask(differences) and reading is None:
        reading = read_once(differences, weights > 0)
    if len(given) < len(weights):
        differences, weights = differences[given], weights[given]
        groups = None if groups is None else groups[given]
    if columns is None:
        columns = varying_columns(differences) if reading is None else _not_zero(reading.sizes)
    if len(columns) < n_features:
        differences = differences[:, columns]
    seen = outline(differences) if reading is None else reading.outline
    twins = None if reading is None else reading.twin
    merged = _merged(differences, seen, weights, groups, twins)
    first = merged.first
    origin = np.arange(len(first)) if merged.origin is None else merged.origin
    row[given] = origin
    sign[given] = signs[given] * seen.sign * seen.sign[first][origin]
    won = np.bincount(origin, weights * (sign[given] > 0))
    unit = unit_of(float(seen.largest.max()))
    contents = None
    if reading is not None and len(columns) == n_features:
        contents = reading.key[first] / unit * seen.sign[first]
    if len(first) < len(differences):
        differences = differences[first]
    differences = differences if unit == 1 else differences / unit
    if differences.shape[0] <= differences.shape[1]:
        differences = to_local(differences)
    return Comparisons(
        differences,
        won,
        np.bincount(origin, weights * (sign[given] < 0)),
        merged.part,
        # Where no two responses differ nothing was compared.
        merged.n_effective if seen.largest.any() else 0.0,
        merged.kind,
        unit,
        row,
        sign,
        np.flatnonzero(seen.largest[first] == 0),
        columns,
        n_features,
        seen.sign[first],
        # Groups of one row each are what is left out anyway.
        None if merged.group is None or merged.group.max() + 1 == len(first) else merged.group,
        contents,
    )


def varying_columns(differences: Any) -> np.ndarray:
    """Return the columns that are not 0 in all rows; all of them where every one is."""
    return _not_zero(_column_sizes(differences))


def _not_zero(sizes: np.ndarray) -> np.ndarray:
    """Return the numbers of columns of a size, all of them where none has any."""
    return np.flatnonzero(sizes) if sizes.any() else np.arange(len(sizes))


def _column_sizes(rows: np.ndarray) -> np.ndarray:
    """Return how many entries of each column are not 0, of the first rows if that is not 0."""
    sizes = (rows[:_FIRST] != 0).sum(axis=0)
    unseen = np.flatnonzero(sizes == 0)
    if len(unseen) and len(rows) > _FIRST:
        sizes[unseen] = (rows[:, unseen] != 0).sum(axis=0)
    return sizes


def _memory_groups(differences: Any, groups: Any) -> np.ndarray:
    """Return the groups of differences in memory."""
    if is_dask(differences):
        raise ValueError(
            "groups are left out with their rows in memory, but the differences are a dask array: "
            "pass X.compute(), or leave groups out."
        )
    return group_codes(as_host(groups), len(differences))


def prompt_groups(groups: Any, weights: np.ndarray) -> np.ndarray | None:
    """Return the groups of prompts, those of no weight last; None where none has several."""
    if groups is None:
        return None
    n = len(weights)
    codes = group_codes(as_host(groups), n)
    idle = np.bincount(codes, weights) == 0
    codes = group_codes(codes + n * idle[codes], n)
    return None if codes.max() + 1 == n else codes


def _merged(
    differences: Any, seen: Outline, weights: np.ndarray, groups: Any, twins: np.ndarray | None
) -> MergedRows:
    """Merge differences of a group that are equal up to their sign."""
    n = len(weights)
    if groups is None and len(np.unique(seen.first)) == n:
        # No two first entries are of one magnitude: nothing repeats, and no copy is made.
        size = float(weights.sum() ** 2 / (weights**2).sum())
        return MergedRows(np.arange(n), None, weights, np.ones(n), size, "distinct")
    # How a pair went does not make it another one: annotators who disagree compared the same pair.
    return merge_rows(differences * seen.sign[:, None], np.zeros(n), weights, groups, twins)


def by_outcome(pairs: Comparisons) -> Comparisons:
    """Give both outcomes of a pair a row of their own, to leave out one comparison at a time."""
    both = (pairs.won > 0) & (pairs.lost > 0)
    source = np.repeat(np.arange(len(both)), 1 + both)
    second = np.append(False, source[1:] == source[:-1])
    won = np.where(second, 0.0, pairs.won[source])
    lost = np.where(both[source] & ~second, 0.0, pairs.lost[source])
    single = (pairs.part * pairs.weights)[source]
    row = np.flatnonzero(~second)[pairs.row] + (both[pairs.row] & (pairs.sign < 0))
    return pairs._replace(
        differences=pairs.differences[source],
        won=won,
        lost=lost,
        part=np.minimum(single / (won + lost), 1.0),
        row=np.where(pairs.row < 0, -1, row),
        empty=np.flatnonzero(np.isin(source, pairs.empty)),
        facing=pairs.facing[source],
        contents=None if pairs.contents is None else pairs.contents[source],
    )
