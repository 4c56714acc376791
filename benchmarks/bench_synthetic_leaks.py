"""Claims of SyntheticMixClassifier where the generator has seen the real rows, and where not.

    python benchmarks/bench_synthetic_leaks.py [--data FOLDER] [--draws 2] [--seed 0]
                                               [--rows 60 100 200] [--synthetic 500]

Six generators are fitted to the real rows themselves, or to other rows of the table, and their rows
given as those of an external generator. Per generator: the share of fits in which a leak was found,
and of claims withheld; claim less truth on the rows of the table that are left, mean with its
standard error over table and draw; the share of intervals that hold it, the error of the test rows
allowed for; and the accuracy of the fit less that of a fit to the real rows alone. `--part choice`
measures claims where labels are noise, which choosing among weights raises, and on tables with one
row 100 times as long. Without a folder sets bundled with scikit-learn are used.
"""

import argparse
import os
import warnings
from pathlib import Path
from zlib import crc32

import numpy as np
from _generators import GENERATORS
from _table import machine, print_table
from bench_claims import bundled, stored

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import SyntheticMixClassifier

FEWEST_TEST, FEWEST_PER_CLASS, MOST_CLASSES = 60, 4, 10
MOST_OTHERS, WIDE = 400, 200
"""Rows that another generator is fitted to at most, and columns beyond which the dear ones rest."""


def table_parser(description, draws, rows):
    """Return a parser of what benchmarks of tables take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", default=os.environ.get("SKRMT_DATA"), help="folder of tables")
    parser.add_argument("--draws", type=int, default=draws)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, nargs="+", default=rows)
    return parser


def tables(folder):
    """Return tables with columns of unit variance, and classes of 5 % of the rows or more."""
    kept = {}
    for name, (X, y) in (stored(Path(folder)) if folder else bundled()).items():
        classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
        if y.dtype.kind == "f" and len(classes) > 2 * MOST_CLASSES:
            continue
        frequent = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
        rows = np.isin(codes, frequent[counts[frequent] >= 0.05 * len(y)])
        X, y = X[rows].astype(float), np.unique(codes[rows], return_inverse=True)[1]
        scale = X.std(0)
        if len(np.unique(y)) > 1:
            kept[name] = (X - X.mean(0)) / np.where(scale > 1e-9, scale, 1.0), y
    return kept


def draw(name, X, y, n, seed):
    """Return positions of real rows, of others and of test rows, or None where there are few."""
    rng = np.random.default_rng(crc32(f"{name} {n} {seed}".encode()))
    order = rng.permutation(len(y))
    n_others = min(MOST_OTHERS, len(y) - n - FEWEST_TEST)
    if n_others < n:
        return None
    real, others, test = np.split(order, [n, n + n_others])
    sizes = [np.bincount(y[part], minlength=y.max() + 1).min() for part in (real, others)]
    return (real, others, test, rng) if min(sizes) >= FEWEST_PER_CLASS else None


def fit(X, y, made=None):
    """Fit to real rows, and to synthetic ones as those of an external generator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        if made is None:
            return SyntheticMixClassifier().fit(X, y)
        return SyntheticMixClassifier().fit(X, y, X_synthetic=made[0], y_synthetic=made[1])


def holds(model, truth, n_test):
    """Return whether the interval, widened by the error of the test rows, holds the accuracy."""
    claim, error = model.theoretical_accuracy_, truth * (1.0 - truth) / n_test
    sides = np.abs(model.theoretical_accuracy_interval_ - claim)
    below, above = np.hypot(sides, 1.96 * np.sqrt(error))
    return -above <= claim - truth <= below


def run(name, table, n, seed, n_made):
    """Return results of one draw: generator, same rows, n, and the numbers of the summary."""
    X, y = table
    parts = draw(name, X, y, n, seed)
    if parts is None:
        return []
    real, others, test, rng = parts
    alone = fit(X[real], y[real]).score(X[test], y[test])
    results = []
    for generator, make in GENERATORS.items():
        if X.shape[1] > WIDE and generator in ("Gaussian mixture", "copula"):
            continue
        for same, source in ((True, real), (False, others)):
            model = fit(X[real], y[real], make(X[source], y[source], n_made, rng))
            truth = model.score(X[test], y[test])
            found = getattr(model.source_quality_[0], "leaked", model.regime_ == "misfit")
            claim = model.theoretical_accuracy_
            covered = holds(model, truth, len(test))
            results.append((generator, same, n, found, claim, covered, truth, alone))
    return results


def noise_claims(n_draws, first, n=24, p=10, n_made=200):
    """Return claims and gains of fits to labels that are noise, of which 1/2 and 0 are true."""
    rows = []
    for seed in range(first, first + n_draws):
        rng = np.random.default_rng(seed)
        X, made = rng.standard_normal((n, p)), rng.standard_normal((n_made, p))
        model = fit(X, np.arange(n) % 2, (made, rng.integers(2, size=n_made)))
        rows.append((model.theoretical_accuracy_, model.gain_))
    return np.array(rows)


def outlier_claims(name, table, n, seed):
    """Return claim, truth and whether the interval holds, one row being 100 times as long."""
    X, y = table
    parts = draw(name, X, y, n, seed)
    if parts is None:
        return None
    real, others, test, rng = parts
    long = X[real].copy()
    long[rng.integers(n)] *= 100.0
    model = fit(long, y[real], GENERATORS["Gaussian"](X[others], y[others], 300, rng))
    truth = model.score(X[test], y[test])
    return model.theoretical_accuracy_, truth, holds(model, truth, len(test))


def choice_rows(arguments):
    """Return the table of what choosing does to claims."""
    noise = noise_claims(60 * arguments.draws, arguments.seed)
    rows = [("labels are noise, 24 rows: claim less 1/2", with_error(noise[:, 0] - 0.5), "")]
    rows += [("labels are noise, 24 rows: gain claimed", with_error(noise[:, 1]), "")]
    known = tables(arguments.data)
    for n in arguments.rows:
        found = [
            outlier_claims(name, table, n, seed)
            for name, table in known.items()
            for seed in range(arguments.seed, arguments.seed + arguments.draws)
        ]
        claim, truth, covered = np.array([f for f in found if f is not None], float).T
        label = f"one row 100 times as long, {n} real rows: claim less truth"
        rows.append((label, with_error(claim - truth), f"{covered.mean():.3f}"))
    return rows


def with_error(values, digits=4):
    """Return a mean with its standard error."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return "-"
    return f"{values.mean():+.{digits}f} +- {values.std(ddof=1) / np.sqrt(len(values)):.{digits}f}"


def summary(results):
    """Return one row per kind of leak and generator, and per number of rows."""
    rows = []
    for same in (True, False):
        part = [r for r in results if r[1] == same]
        groups = [(g, [r for r in part if r[0] == g]) for g in GENERATORS]
        sizes = sorted({r[2] for r in part})
        groups += [(f"all, {n} real rows", [r for r in part if r[2] == n]) for n in sizes]
        for label, chosen in (*groups, ("all", part)):
            if not chosen:
                continue
            found, claim, covered, truth, alone = np.array([r[3:] for r in chosen], float).T
            claimed = np.isfinite(claim)
            rows.append(
                (
                    "the real rows" if same else "others",
                    label,
                    len(chosen),
                    f"{found.mean():.3f}",
                    f"{1 - claimed.mean():.3f}",
                    with_error((claim - truth)[claimed]),
                    f"{covered[claimed].mean():.3f}" if claimed.any() else "-",
                    with_error(truth - alone),
                )
            )
    return rows


HEADER = (
    "generator fitted to",
    "generator",
    "fits",
    "leak found",
    "claim nan",
    "claim less truth",
    "coverage",
    "accuracy less that of real rows alone",
)


def main():
    """Measure and print."""
    parser = table_parser(__doc__, draws=2, rows=[60, 100, 200])
    parser.add_argument("--synthetic", type=int, default=500)
    parser.add_argument("--part", choices=("leaks", "choice"), default="leaks")
    arguments = parser.parse_args()
    if arguments.part == "choice":
        print(f"{machine()}; seeds from {arguments.seed}")
        head = ("what is claimed", "difference", "coverage")
        print_table("Choices and outliers", head, choice_rows(arguments))
        return
    results = []
    for name, table in tables(arguments.data).items():
        for n in arguments.rows:
            for seed in range(arguments.seed, arguments.seed + arguments.draws):
                results += run(name, table, n, seed, arguments.synthetic)
    print(f"{machine()}; seeds from {arguments.seed}")
    print_table("Generators that have seen the real rows", HEADER, summary(results))


if __name__ == "__main__":
    main()
