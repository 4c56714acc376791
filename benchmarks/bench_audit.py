"""What skrmt.audit expects of the first rows of its list, and its balanced accuracy, on tables.

``python benchmarks/bench_audit.py`` reads the tables of the folder `SKRMT_DATA`, or breast cancer
and wine of scikit-learn without it. 300 rows of each are audited, with labels as published and with
some made wrong; the share mislabelled of the first rows and the accuracies on the other rows are
measured.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _table import machine, pm, print_table
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.metrics import balanced_accuracy_score

import skrmt
from skrmt.datasets import flip_labels

TABLES = ("banana", "chess", "phishing", "pima", "saheart", "splice", "texture", "mushroom")
N_ROWS, MOST_COLUMNS, DRAWS = 300, 60, 3
RATES = {"as published": 0.0, "0.1 of each class": 0.1, "0.3 of each class": 0.3}


def sources():
    """Yield names, features and classes."""
    folder = os.environ.get("SKRMT_DATA")
    if folder is None:
        for load in (load_breast_cancer, load_wine):
            yield load.__name__, *load(return_X_y=True)
        return
    for name in TABLES:
        data = np.load(Path(folder) / "tables" / f"{name}.npz", allow_pickle=True)
        yield name, data["X"].astype(float), np.unique(data["y"], return_inverse=True)[1]


def run(X, y, rate, seed):
    """Audit some rows; return what is expected and measured."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    train, test = order[:N_ROWS], order[N_ROWS:]
    X = X[:, rng.permutation(X.shape[1])[:MOST_COLUMNS]]
    given = flip_labels(y[train], rate, random_state=seed)
    frame = pd.DataFrame(X[train]).assign(label=given)
    found = skrmt.audit(frame, target="label", threshold=0.0)
    # Features are made for the audit only: accuracies are compared where they are the columns.
    wrong = (given != y[train])[found.rows.index]
    nothing = {"expected": np.nan, "if_labels_are_wrong": np.nan}
    expected = found.precision.to_dict("index")
    rows = [
        (first, *expected.get(first, nothing).values(), wrong[:first].mean())
        for first in (10, 50, 100)
    ]
    claim = found.accuracy.loc["balanced, on labels as given"]
    centre, scale = X[train].mean(0), X[train].std(0)
    kept = scale > 0
    measured = np.nan
    if found.model.n_features_in_ == kept.sum() and len(test):
        fresh = flip_labels(y[test], rate, random_state=seed + 1)
        predicted = found.model.predict((X[test][:, kept] - centre[kept]) / scale[kept])
        measured = balanced_accuracy_score(fresh, predicted)
        # What is measured has a sampling error of its own, which the interval need not hold.
        sizes = np.unique(fresh, return_counts=True)[1]
        own = 1.96 * np.sqrt((0.25 / sizes).sum()) / len(sizes)
    if not np.isfinite(measured):
        return rows, (np.nan,) * 4
    low = claim.score - np.hypot(claim.score - claim.lower, own)
    high = claim.score + np.hypot(claim.upper - claim.score, own)
    return rows, (claim.score, low, high, measured)


def main():
    """Print both tables."""
    warnings.simplefilter("ignore")
    print(machine())
    precision, balanced = {}, {}
    for (name, X, y), (kind, rate) in ((s, r) for s in sources() for r in RATES.items()):
        for seed in range(DRAWS):
            rows, accuracy = run(X, y, rate, seed)
            for first, *shares in rows:
                if np.isfinite(shares[0]):
                    precision.setdefault((kind, first), []).append((name, *shares))
            if np.isfinite(accuracy).all():
                balanced.setdefault(kind, []).append((name, *accuracy))
    lines = []
    for (kind, first), found in precision.items():
        shares = [f"{share:.3f}" for share in np.mean([row[1:] for row in found], axis=0)]
        average, wrong = (by_table(found, lambda row, k=k: row[k] - row[3]) for k in (1, 2))
        lines.append([kind, first, len(found), *shares, pm(average), pm(wrong)])
    header = ["wrong labels", "first rows", "audits", "expected", "if labels are wrong"]
    header += ["measured", "expected less measured", "if wrong, less measured"]
    print_table("Audit precision of the first rows", header, lines)
    lines = []
    for kind, found in balanced.items():
        differences = by_table(found, lambda row: row[1] - row[4])
        covered = [row[2] <= row[4] <= row[3] for row in found]
        claim, measured = np.mean([(row[1], row[4]) for row in found], axis=0)
        lines.append(
            [kind, len(found), f"{claim:.3f}", f"{measured:.3f}", pm(differences)]
            + [f"{np.mean(covered):.3f}"]
        )
    header = ["wrong labels", "audits", "predicted", "measured", "difference", "coverage"]
    print_table("Audit balanced accuracy on labels as given", header, lines)


def by_table(found, value):
    """Return the mean of a value over the draws of each table."""
    names = dict.fromkeys(row[0] for row in found)
    return [np.mean([value(row) for row in found if row[0] == name]) for name in names]


if __name__ == "__main__":
    main()
