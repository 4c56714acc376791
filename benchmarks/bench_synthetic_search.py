"""Search over the weights of several sources against the whole grid of weights.

    python benchmarks/bench_synthetic_search.py [--data FOLDER] [--draws 3] [--seed 0]
                                                [--rows 40 100 300] [--sources 2 3 4]

Sources are rows of a table with labels of different judges, most of them wrong in places. The grid
is that of the fit, 8 weights for each source, with all of its penalties; its scores of left-out
real rows come from a textbook ridge regression that is written out here. Given are, as means over
tables and draws with standard errors:

- by how much the criterion of the best point that the search tried exceeds that of the best point
  of the grid, and the share of searches in which it is the same;
- the accuracy on test rows of the best point of the grid less that of the best point tried, and
  less that of the fit, which takes weights inside only where they are surely better than 0 and 1.

Without a folder sets bundled with scikit-learn are used.
"""

import itertools
import warnings
from typing import NamedTuple
from zlib import crc32

import numpy as np
from _table import machine, print_table
from bench_synthetic_judge import JUDGES
from bench_synthetic_leaks import table_parser, tables, with_error

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import SyntheticMixClassifier

MOST_FEATURES, FEWEST = 40, 750
MOST_JUDGED, MOST_TEST, N_OTHERS = 200, 1500, 200
"""Rows of a source, test rows, and rows to which judges are fitted."""
SAME = 1e-9


class Moments(NamedTuple):
    """Sums over the rows of a source: number, rows, targets, and products of both."""

    size: float
    rows: np.ndarray
    targets: np.ndarray
    gram: np.ndarray
    cross: np.ndarray


def moments(X, targets):
    """Return the moments of rows."""
    return Moments(len(X), X.sum(0), targets.sum(0), X.T @ X, X.T @ targets)


def signed(y, n_classes):
    """Return targets -1/+1, one column for two classes."""
    return (2.0 * np.eye(n_classes)[y] - 1.0)[:, 1 if n_classes == 2 else 0 :]


class Grid(NamedTuple):
    """Real rows with their targets, moments of real rows and sources, and penalties."""

    X: np.ndarray
    targets: np.ndarray
    parts: list
    penalties: np.ndarray

    def spectrum(self, weights):
        """Return eigenvalues, eigenvectors, means, cross products and weight of all rows."""
        factors = [1.0, *weights]
        size, rows, targets, gram, cross = (
            sum(f * part[k] for f, part in zip(factors, self.parts, strict=True)) for k in range(5)
        )
        values, vectors = np.linalg.eigh(gram - np.outer(rows, rows) / size)
        inner = vectors.T @ (cross - np.outer(rows, targets) / size)
        return np.maximum(values, 0.0), vectors, rows / size, targets / size, inner, size

    def left_out(self, weights):
        """Return scores of left-out real rows, (n, q, k)."""
        values, vectors, mean, centre, inner, size = self.spectrum(weights)
        shrunk = 1.0 / (values[:, None] + self.penalties)
        left = (self.X - mean) @ vectors
        fit = np.einsum("ij,jq,jk->iqk", left, inner, shrunk, optimize=True) + centre[:, None]
        room = 1.0 - (left**2 @ shrunk + 1.0 / size)[:, None]
        targets = self.targets[:, :, None]
        return targets - (targets - fit) / np.maximum(room, 1e-10)

    def scores(self, weights, penalty, X):
        """Return scores of other rows."""
        values, vectors, mean, centre, inner, _ = self.spectrum(weights)
        return (X - mean) @ (vectors @ (inner / (values + penalty)[:, None])) + centre


def criterion(scores, targets):
    """Return 1 - sign(c) c^2 of each penalty, c the cosine of scores and targets."""
    targets = targets[:, :, None]
    if targets.shape[1] > 1:
        scores, targets = (a - a.mean(1, keepdims=True) for a in (scores, targets))
    scores = drawn_in(scores)
    cross, energy = (scores * targets).sum((0, 1)), (scores**2).sum((0, 1))
    cosine = cross / np.sqrt(energy * (targets**2).sum())
    return 1.0 - np.sign(cosine) * cosine**2


def drawn_in(scores):
    """Return scores, those beyond three times the length that a tenth exceeds drawn in to there."""
    lengths = np.sqrt((scores**2).sum(1))
    far = lengths.max(0) ** 2 > min(12.0, len(lengths) / 2.0) * (lengths**2).mean(0)
    limit = 3.0 * np.sort(lengths, axis=0)[int(0.9 * (len(lengths) - 1))]
    limit = np.where(far & (limit > 0), limit, np.inf)
    return scores * np.minimum(1.0, limit / np.maximum(lengths, 1e-300))[:, None]


def draw(name, table, judges, n, seed):
    """Return real rows, rows and labels of each judge, and test rows."""
    X, y = table
    rng = np.random.default_rng(crc32(f"{name} {len(judges)} {n} {seed}".encode()))
    for _ in range(50):
        order = rng.permutation(len(y))
        if np.bincount(y[order[:n]], minlength=y.max() + 1).min() >= 2:
            break
    real, others, rest = np.split(order, [n, n + N_OTHERS])
    most = min(MOST_JUDGED, len(rest) // (2 * len(judges)))
    made = [rest[k * most : (k + 1) * most] for k in range(len(judges))]
    labels = [
        JUDGES[judge](X[others], y[others], rng)(X[some], y[some])
        for judge, some in zip(judges, made, strict=True)
    ]
    test = rest[len(judges) * most :][:MOST_TEST]
    sources = [(X[some], own) for some, own in zip(made, labels, strict=True)]
    return (X[real], y[real]), sources, (X[test], y[test])


def run(name, table, judges, n, seed):
    """Return the excess of the criterion, whether the point is the same, and accuracies lost."""
    (X, y), sources, (X_test, y_test) = draw(name, table, judges, n, seed)
    stacked = np.concatenate([X, *(source[0] for source in sources)])
    labels = np.concatenate([y, *(source[1] for source in sources)])
    origin = np.repeat(np.arange(len(sources) + 1), [len(y), *(len(s[1]) for s in sources)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        model = SyntheticMixClassifier().fit(stacked, labels, sample_source=origin)
    if any(quality.leaked for quality in model.source_quality_):
        return None
    n_classes = table[1].max() + 1
    targets = signed(y, n_classes)
    parts = [moments(X, targets), *(moments(a, signed(b, n_classes)) for a, b in sources)]
    grid = Grid(X, targets, parts, model.alphas_ * len(labels))
    check(grid, model)
    points = list(itertools.product(np.unique(model.weight_grid_), repeat=len(sources)))
    values = np.array([criterion(grid.left_out(point), targets) for point in points])
    lowest = values.min(1)
    known = {tuple(np.round(point, 12)) for point in model.weight_grid_}
    tried = np.array([tuple(np.round(point, 12)) in known for point in points])
    ends = int(lowest.argmin()), int(np.flatnonzero(tried)[lowest[tried].argmin()])
    best, found = (
        accuracy(grid, points[k], grid.penalties[values[k].argmin()], X_test, y_test) for k in ends
    )
    excess = lowest[ends[1]] - lowest[ends[0]]
    return excess, excess < SAME, best - found, best - model.score(X_test, y_test), tried.sum()


def check(grid, model):
    """Raise if the scores here are not those of the fit."""
    scores = grid.left_out(model.synthetic_weight_)[..., np.argmax(model.alphas_ == model.alpha_)]
    np.testing.assert_allclose(
        model.held_out_scores_.reshape(scores.shape), scores, rtol=1e-6, atol=1e-6
    )


def accuracy(grid, weights, penalty, X, y):
    """Return the accuracy of a point of the grid."""
    scores = grid.scores(weights, penalty, X)
    codes = scores[:, 0] > 0 if scores.shape[1] == 1 else scores.argmax(1)
    return float(np.mean(codes == y))


def search_rows(known, numbers, sizes, seeds):
    """Yield a row for each number of sources and of real rows."""
    names = list(JUDGES)
    for n_sources, n in itertools.product(numbers, sizes):
        results = []
        for k, (name, table) in enumerate(sorted(known.items())):
            for seed in seeds:
                judges = [names[(k + seed + j) % len(names)] for j in range(n_sources)]
                results.append(run(name, table, judges, n, seed))
        excess, same, tried, lost, number = np.array([r for r in results if r], dtype=float).T
        cells = f"{number.mean():.0f}", with_error(excess, 5), f"{same.mean():.2f}"
        yield n_sources, n, len(excess), *cells, with_error(tried), with_error(lost)


def distinct(table):
    """Return a table without repeated rows: left-out rows are then single ones."""
    rows = np.sort(np.unique(table[0], axis=0, return_index=True)[1])
    return table[0][rows], table[1][rows]


HEADER = (
    "sources",
    "real rows",
    "searches",
    "points tried",
    "criterion above that of the grid",
    "share at its best point",
    "accuracy lost by the search",
    "accuracy lost by the fit",
)


def main():
    """Measure and print."""
    parser = table_parser(__doc__, draws=3, rows=[40, 100, 300])
    parser.add_argument("--sources", type=int, nargs="+", default=[2, 3, 4])
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.draws)
    known = {name: distinct(table) for name, table in tables(arguments.data).items()}
    known = {
        name: (X, y)
        for name, (X, y) in known.items()
        if len(y) >= FEWEST and X.shape[1] <= MOST_FEATURES
    }
    print(f"{machine()}; seeds from {arguments.seed}, {arguments.draws} draws")
    rows = search_rows(known, arguments.sources, arguments.rows, seeds)
    print_table("Search over several sources", HEADER, rows)


if __name__ == "__main__":
    main()
