"""Accuracies that estimators claim from training data alone, against accuracies on test rows.

Every table is split many times into n training rows and a test part, stratified by class; features
are standardised on the training part. Training labels are made wrong at rates that each cell
fixes. A claimant is fitted to them and claims an accuracy, with a 95 % interval:

- kind "clean": on right labels of fresh rows, compared with the right labels of the test part;
- kind "observed": on labels as noisy as those of training, compared with test labels made wrong at
  the same rates;
- kind "rival": no claim, an accuracy to beat on right labels.

Measured per table, number of rows, cell and claimant: bias (claim minus accuracy), its mean
absolute value, coverage and width of the interval, accuracy, accuracy minus that of each rival on
the same labels, the rate of wrong labels that the fit infers (which is invented where labels are
clean), share of fits without claim, failed fits, regimes, seconds. An accuracy `a` on m test rows
counts as covered where it is within 1.96 sqrt(a (1 - a) / m) of the interval. Standard errors are
over splits of one table, whose rows overlap; those of the printed means are over tables.

Tables are the files ``tables/*.npz``, or ``*.npz``, with arrays X and y, of the folder that the
environment variable SKRMT_DATA names; where it is not set, sets bundled with scikit-learn. At size
300 every table has 300 training rows, or 60 % of its rows if that is fewer; at other sizes only
tables with enough rows are measured. Classes that would have fewer than ten training rows are left
out, and named. Run it as
``python benchmarks/bench_claims.py --output claims.csv``: what the file already holds, from as
many splits or more, is not measured again.
"""

import argparse
import csv
import os
import sys
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from time import perf_counter
from typing import NamedTuple
from zlib import crc32

import numpy as np
from _data import binary_matrix, extra_folder, pair_flips, symmetric
from _table import machine, pm, print_table
from joblib import Parallel, delayed
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier, RidgeClassifierCV
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_predict
from sklearn.preprocessing import StandardScaler

from skrmt.datasets import flip_labels
from skrmt.linear_model import NoiseAwareLinearClassifier
from skrmt.model_selection import GeneralizationReport

SIZES = (300, 100, 1000)
SHARE = 0.6  # of the rows of a table, at most, train
LEAST_ROWS = {300: 0, 1000: 1400}  # of a table; for other sizes, as many as the share needs
FEWEST_PER_CLASS = 10
MANY_VALUES = 20
Z = 1.96
PENALTIES = np.logspace(-4, 3, 29)
TWO_CLASSES = {"0.1, 0.1": (0.1, 0.1), "0.1, 0.4": (0.1, 0.4), "0.3, 0.3": (0.3, 0.3)}
RIVALS = ("ridge_cv", "lda", "logistic", "cleanlab")
MEASURED = ("claim", "accuracy", "bias", "mae", "coverage", "width")
MEASURED += tuple(f"minus_{rival}" for rival in RIVALS) + ("inferred_rate",)
KEYS = ("table", "size", "cell", "claimant")
DATA = ("kind", "n", "n_test", "n_features", "n_classes")
COUNTS = ("splits", "failed", "no_claim", "seconds")
FIELDS = (
    KEYS
    + DATA
    + COUNTS
    + tuple(part for name in MEASURED for part in (name, f"{name}_se"))
    + ("regimes", "errors", "classes_left_out")
)


class Table(NamedTuple):
    """Rows of the classes that are kept, their labels 0 to K - 1, and n training rows."""

    X: np.ndarray
    y: np.ndarray
    n: int
    left_out: tuple


class Claim(NamedTuple):
    """A fitted model, the accuracy claimed for it, and whether its theory holds."""

    model: object
    accuracy: float = np.nan
    interval: tuple = (np.nan, np.nan)
    regime: str = ""


class Task(NamedTuple):
    """Training rows with their labels as given, and test rows with right and noisy labels."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    clean: np.ndarray
    observed: np.ndarray
    noise: np.ndarray | None


def bundled():
    """Return the sets bundled with scikit-learn, by name."""
    loaders = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer}
    sets = {name: load(return_X_y=True) for name, load in loaders.items()}
    X, y = load_digits(return_X_y=True)
    sets |= {"digits": (X, y), "digits_even_v_odd": (X, y % 2)}
    for a, b in ((3, 8), (4, 9)):
        kept = (y == a) | (y == b)
        sets[f"digits_{a}_v_{b}"] = X[kept], y[kept]
    return sets


def stored(folder):
    """Return the tables of a folder, by name."""
    inner = folder / "tables"
    files = sorted((inner if inner.is_dir() else folder).glob("*.npz"))
    arrays = {file.stem: np.load(file) for file in files}
    return {name: (a["X"], a["y"]) for name, a in arrays.items() if {"X", "y"} <= set(a.files)}


def load_tables():
    """Return all tables, and the names of those that are for regression."""
    folder = extra_folder()
    tables = stored(folder) if folder else bundled()
    regression = [name for name, (_, y) in tables.items() if _is_regression(y)]
    return {name: tables[name] for name in tables if name not in regression}, regression


def _is_regression(y):
    """Return whether labels are floats of many values."""
    return y.dtype.kind == "f" and len(np.unique(y)) > MANY_VALUES


def prepare(X, y, size, left_out=()):
    """Choose n, and leave out classes that would have too few training rows."""
    n = min(size, int(SHARE * len(y)))
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    rare = counts * n < FEWEST_PER_CLASS * len(y)
    if rare.any() and not rare.all():
        kept = ~rare[codes]
        return prepare(X[kept], y[kept], size, (*left_out, *classes[rare].tolist()))
    if rare.all() or len(classes) < 2:
        return None
    return Table(np.asarray(X, float), codes, n, left_out)


def cells(n_classes):
    """Return the noise matrices, by the name of their cell."""
    if n_classes == 2:
        return {"clean": None} | {name: binary_matrix(r) for name, r in TWO_CLASSES.items()}
    noisy = {"uniform 0.2": symmetric(n_classes, 0.2), "pairs 0.3": pair_flips(n_classes, 0.3)}
    return {"clean": None} | noisy


def draw(name, table, size, noise, split):
    """Draw a task: a split that is the same in all cells, and wrong labels."""
    seed = crc32(f"{name} {size} {split}".encode())
    splitter = StratifiedShuffleSplit(1, train_size=table.n, random_state=seed)
    train, test = next(splitter.split(table.X, table.y))
    # A seed of its own: what is wrong must not depend on what trains.
    wrong = crc32(f"{name} {size} {split} labels".encode())
    noisy = table.y if noise is None else flip_labels(table.y, noise, random_state=wrong)
    scaler = StandardScaler().fit(table.X[train])
    X, X_test = scaler.transform(table.X[train]), scaler.transform(table.X[test])
    return Task(X, noisy[train], X_test, table.y[test], noisy[test], noise)


def ridge_cv(task):
    """Return a ridge classifier whose penalty leave-one-out chooses."""
    return RidgeClassifierCV(alphas=PENALTIES * len(task.y))


def noise_aware(task, rates="estimate"):
    """Estimate how noisy the labels are, or be given it."""
    model = NoiseAwareLinearClassifier(noise_rates=rates).fit(task.X, task.y)
    interval = model.theoretical_accuracy_interval_
    return Claim(model, model.theoretical_accuracy_, interval, model.regime_)


def noise_known(task):
    """Be given how noisy the labels are: a rate per class for two, the noise matrix for more."""
    is_pair = task.noise is not None and len(task.noise) == 2
    return noise_aware(task, 1 - np.diag(task.noise) if is_pair else task.noise)


def report(task):
    """Report on a ridge classifier of fixed penalty."""
    found = GeneralizationReport(RidgeClassifier()).fit(task.X, task.y)
    claimed = found.theoretical_score_, found.theoretical_score_interval_
    return Claim(found.estimator_, *claimed, found.regime_)


def cross_validated(model, task):
    """Claim the accuracy of five folds, with Wilson's interval."""
    a, n = np.mean(cross_val_predict(model, task.X, task.y, cv=5) == task.y), len(task.y)
    centre, half = a + Z**2 / (2 * n), Z * np.sqrt(a * (1 - a) / n + Z**2 / (4 * n**2))
    interval = np.array([centre - half, centre + half]) / (1 + Z**2 / n)
    return Claim(model.fit(task.X, task.y), a, interval)


def silent(model, task):
    """Fit a model that claims nothing."""
    return Claim(model.fit(task.X, task.y))


def cleanlab(task):
    """Prune the rows whose label cleanlab doubts, and fit the rest; it need not be installed."""
    from _rivals import logistic, pruned

    return Claim(pruned(logistic(), task.X, task.y))


CLAIMANTS = {
    "noise_aware": ("clean", noise_aware),
    "noise_known": ("clean", noise_known),
    "report": ("observed", report),
    "cv_ridge": ("observed", lambda task: cross_validated(RidgeClassifier(), task)),
    "cv_ridge_cv": ("observed", lambda task: cross_validated(ridge_cv(task), task)),
    "ridge_cv": ("rival", lambda task: silent(ridge_cv(task), task)),
    "lda": (
        "rival",
        lambda task: silent(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), task),
    ),
    "logistic": ("rival", lambda task: silent(LogisticRegression(max_iter=1000), task)),
    "cleanlab": ("rival", cleanlab),
}


def attempt(claimant, task):
    """Fit a claimant, and return what it claims beside what it reaches; or its error."""
    kind, fit = CLAIMANTS[claimant]
    start = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            claim = fit(task)
            seconds = perf_counter() - start
            predicted = claim.model.predict(task.X_test)
            result = {
                "kind": kind,
                "seconds": seconds,
                "clean": np.mean(predicted == task.clean),
                "observed": np.mean(predicted == task.observed),
                "inferred_rate": inferred_rate(claim.model),
                "regime": claim.regime,
                "model": claim.model,
            }
    except Exception as error:  # what a fit may raise is a result here
        lines = str(error).splitlines() or [""]
        return {"kind": kind, "error": f"{type(error).__name__}: {lines[0][:80]}"}
    return judged(result, claim.accuracy, claim.interval, len(task.clean))


def judged(result, claim, interval, n_test):
    """Compare a claim with the accuracy on labels of its kind."""
    accuracy = result["observed" if result["kind"] == "observed" else "clean"]
    low, high = interval
    error = Z * np.sqrt(accuracy * (1 - accuracy) / n_test)
    covered = float(low - error <= accuracy <= high + error)
    return result | {
        "accuracy": accuracy,
        "claim": claim,
        "bias": claim - accuracy,
        "mae": abs(claim - accuracy),
        "coverage": covered if np.isfinite([low, high]).all() else np.nan,
        "width": high - low,
    }


def inferred_rate(model):
    """Return the share of wrong labels that a fit infers, or was given."""
    if not hasattr(model, "noise_rates_"):
        return np.nan
    return np.average(model.noise_rates_, weights=model.class_prior_)


def run_one(name, table, size, noise, split, chosen):
    """Fit the chosen claimants to one task, and compare each with the rivals."""
    task = draw(name, table, size, noise, split)
    found = {claimant: attempt(claimant, task) for claimant in dict.fromkeys((*chosen, *RIVALS))}
    for claimant in chosen:
        result = found[claimant]
        model = result.pop("model", None)
        if hasattr(model, "observed_accuracy_"):
            observed = result | {"kind": "observed", "inferred_rate": np.nan}
            claim = model.observed_accuracy_, model.observed_accuracy_interval_
            found[f"{claimant}_observed"] = judged(observed, *claim, len(task.clean))
    for result in found.values():
        result.pop("model", None)
        labels = "observed" if result["kind"] == "observed" else "clean"
        for rival in RIVALS:
            reached = found[rival].get(labels, np.nan)
            result[f"minus_{rival}"] = result.get("accuracy", np.nan) - reached
    return {name: found[name] for name in found if name in chosen or name not in CLAIMANTS}


def mean_and_error(values):
    """Return the mean of what is finite, and its standard error."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return (values.mean() if len(values) else np.nan), error


def counted(values):
    """Count the names in a list, most frequent first."""
    return "; ".join(f"{name} ({n})" for name, n in Counter(filter(None, values)).most_common())


def summarise(results):
    """Return one row from the splits of a cell and a claimant."""
    fitted = [result for result in results if "error" not in result]
    row = {"kind": results[0]["kind"], "splits": len(results)}
    row["failed"] = len(results) - len(fitted)
    no_claim = [not np.isfinite(result["claim"]) for result in fitted]
    row["no_claim"] = "" if row["kind"] == "rival" or not fitted else np.mean(no_claim)
    row["seconds"] = np.median([result["seconds"] for result in fitted]) if fitted else ""
    for name in MEASURED:
        row[name], row[f"{name}_se"] = mean_and_error([result[name] for result in fitted])
    row["regimes"] = counted(result["regime"] for result in fitted)
    row["errors"] = counted(result.get("error") for result in results)
    return {field: _short(value) for field, value in row.items()}


def _short(value):
    """Format a number for the file; what is not there is empty."""
    if isinstance(value, float | np.floating):
        return f"{value:.6g}" if np.isfinite(value) else ""
    return str(value)


def measure(name, table, size, wanted, arguments):
    """Return the rows of one table and size; `wanted` lists claimants by cell."""
    noises = cells(int(table.y.max()) + 1)
    keys = [(cell, split) for cell in wanted for split in range(arguments.splits)]
    jobs = (
        delayed(run_one)(name, table, size, noises[cell], split, wanted[cell])
        for cell, split in keys
    )
    groups = defaultdict(list)
    for (cell, _), found in zip(keys, Parallel(n_jobs=arguments.jobs)(jobs), strict=True):
        for claimant, result in found.items():
            groups[cell, claimant].append(result)
    shared = {
        "table": name,
        "size": str(size),
        "n": str(table.n),
        "n_test": str(len(table.y) - table.n),
        "n_features": str(table.X.shape[1]),
        "n_classes": str(table.y.max() + 1),
        "classes_left_out": " ".join(map(str, table.left_out)),
    }
    return [
        shared | {"cell": cell, "claimant": claimant} | summarise(results)
        for (cell, claimant), results in groups.items()
    ]


def read(path):
    """Return the rows of a file that earlier runs wrote, by key."""
    if path is None or not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {tuple(row[key] for key in KEYS): row for row in csv.DictReader(file)}


def write(path, rows):
    """Write all rows, so that an interruption leaves the old file or the new one."""
    if path is None:
        return
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
    os.replace(part, path)


def missing(name, table, size, rows, arguments):
    """Return the claimants that are still to be measured, by cell."""

    def is_done(cell, claimant):
        row = rows.get((name, str(size), cell, claimant))
        return row is not None and int(row["splits"]) >= arguments.splits

    found = {
        cell: [claimant for claimant in arguments.only if not is_done(cell, claimant)]
        for cell in cells(int(table.y.max()) + 1)
    }
    return {cell: claimants for cell, claimants in found.items() if claimants}


def run(tables, rows, arguments):
    """Measure what is missing, one size after the other, and return what was left out."""
    notes = []
    for size in arguments.sizes:
        for name, (X, y) in tables.items():
            if len(y) < LEAST_ROWS.get(size, size / SHARE):
                continue
            table = prepare(X, y, size)
            if table is None:
                notes.append(f"{name} at {size}: no two classes have enough training rows.")
                continue
            if table.left_out:
                notes.append(f"{name} at {size}: without classes {table.left_out}.")
            wanted = missing(name, table, size, rows, arguments)
            start = perf_counter()
            for row in measure(name, table, size, wanted, arguments) if wanted else ():
                rows[tuple(row[key] for key in KEYS)] = row
            write(arguments.output, rows)
            print(f"{name}, {size}: {perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return notes


def column(rows, name):
    """Return the finite numbers of a column."""
    return np.array([float(row[name]) for row in rows if row.get(name, "") != ""])


def mean_of(rows, name):
    """Format the mean of a column over tables."""
    values = column(rows, name)
    return f"{values.mean():.3f}" if len(values) else ""


def with_error(rows, name):
    """Format the mean of a column over tables with its standard error."""
    values = column(rows, name)
    return pm(values).removeprefix("+") if len(values) else ""


def signed(rows, name):
    """Format the mean of a column over tables with its sign and standard error."""
    values = column(rows, name)
    return pm(values) if len(values) else ""


HEADER = ("classes", "noise", "claimant", "tables", "splits", "bias", "mean absolute error")
HEADER += ("coverage", "width", "accuracy", *(f"minus {rival}" for rival in RIVALS))
HEADER += ("rate inferred", "no claim", "failed", "seconds")


def print_means(rows, notes):
    """Print the means over tables, one table per number of training rows."""
    groups = defaultdict(lambda: defaultdict(list))
    for row in rows.values():
        classes = "two" if row["n_classes"] == "2" else "more"
        groups[row["size"]][classes, row["cell"], row["claimant"]].append(row)
    for size, claims in sorted(groups.items(), key=lambda item: int(item[0])):
        ordered = sorted(claims.items(), key=lambda item: _clean_first(*item[0]))
        printed = [(*key, *means_row(found)) for key, found in ordered]
        print_table(f"Claims with {size} rows", HEADER, printed)
    for note in notes:
        print(f"\n{note}")


def _clean_first(classes, cell, claimant):
    """Return the place of a claim: two classes before more, right labels before wrong ones."""
    place = list(CLAIMANTS).index(claimant.removesuffix("_observed"))
    return classes != "two", cell != "clean", cell, place, claimant


def means_row(rows):
    """Return the printed numbers of a claimant."""
    numbers = [with_error(rows, field) for field in ("mae", "coverage", "width")]
    numbers.append(mean_of(rows, "accuracy"))
    gains = (signed(rows, f"minus_{rival}") for rival in RIVALS)
    splits = "/".join(sorted({row["splits"] for row in rows}, key=int))
    return (
        (len(rows), splits, signed(rows, "bias"), *numbers, *gains)
        + (mean_of(rows, "inferred_rate"), mean_of(rows, "no_claim"))
        + (int(column(rows, "failed").sum()), mean_of(rows, "seconds"))
    )


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="CSV file, resumed if it is there")
    parser.add_argument("--splits", type=int, default=20, help="splits per table (default 20)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="training rows")
    parser.add_argument("--tables", nargs="+", help="names of tables (default all)")
    parser.add_argument("--only", nargs="+", choices=CLAIMANTS, default=list(CLAIMANTS))
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    return parser.parse_args()


def main():
    """Measure and print everything."""
    arguments = parse_arguments()
    tables, regression = load_tables()
    unknown = set(arguments.tables or ()) - set(tables)
    if unknown:
        sys.exit(f"No such tables: {', '.join(sorted(unknown))}. There are {', '.join(tables)}.")
    chosen = {name: tables[name] for name in arguments.tables or tables}
    rows = read(arguments.output)
    notes = [f"{name}: skipped, for regression." for name in regression]
    notes += run(chosen, rows, arguments)
    print(machine())
    print_means(rows, notes)


if __name__ == "__main__":
    main()
