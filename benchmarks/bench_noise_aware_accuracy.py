"""NoiseAwareLinearClassifier against its rivals on clean test rows after noisy training.

Run it as ``python benchmarks/bench_noise_aware_accuracy.py``; ``--help`` lists the options.
"""

import argparse
import warnings
from collections import defaultdict

import numpy as np
from _data import (
    BINARY_NOISE,
    MULTICLASS_SETS,
    SETS,
    binary_matrix,
    draw,
    extra_sets,
    pair_flips,
    symmetric,
)
from _rivals import fit, label_quality, logistic, logistic_cv, pruned, ridge
from _table import machine, pm, print_table
from joblib import Parallel, delayed
from sklearn.metrics import average_precision_score

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import NoiseAwareLinearClassifier

FIXED_C = (0.1, 0.01, 0.001)
OURS = "skrmt, noise unknown"
KNOWN = "skrmt, noise known"
RIDGE = "RidgeClassifierCV"
CLEANLAB = "cleanlab, LogisticRegression"
CLEANLAB_CV = "cleanlab, LogisticRegressionCV"
CEILING = "RidgeClassifierCV, clean labels"
CLAIMS = ("theoretical_accuracy_", "model_accuracy_")


def noise_aware(task, noise_rates="estimate"):
    """Fit the classifier; its warnings are in its attributes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        return NoiseAwareLinearClassifier(noise_rates=noise_rates).fit(task.X, task.noisy)


def brier(probabilities, y):
    """Return the mean squared error of class probabilities, halved for K = 2 as usual."""
    return np.mean(np.sum((probabilities - np.eye(probabilities.shape[1])[y]) ** 2, axis=1)) / 2


def precision(task, quality):
    """Return the average precision of a ranking of wrong labels."""
    return average_precision_score(task.noisy != task.clean, -np.asarray(quality))


def measure_ours(task):
    """Return accuracies and claims of the noise-aware classifier, with ridge beside it."""
    known = noise_aware(task, task.noise_matrix)
    model = noise_aware(task)
    actual = model.score(task.X_test, task.y_test)
    low, high = model.theoretical_accuracy_interval_
    rival = fit(ridge(len(task.noisy)), task.X, task.noisy)
    truth = 1 - np.diag(task.noise_matrix)
    return {
        "accuracy": {
            OURS: actual,
            KNOWN: known.score(task.X_test, task.y_test),
            RIDGE: rival.score(task.X_test, task.y_test),
        },
        "error": {name: getattr(model, name) - actual for name in CLAIMS},
        "covered": low <= actual <= high,
        "width": high - low,
        "brier": brier(model.predict_proba(task.X_test), task.y_test),
        "precision": precision(task, model.label_quality_),
        "rate error": np.abs(model.noise_rates_ - truth).mean(),
        "regime": model.regime_,
    }


def measure_rivals(task):
    """Return what the rivals reach on a task."""
    X, y = task.X, task.noisy
    noisy, tuned = fit(logistic(), X, y), fit(logistic_cv(), X, y)
    models = {
        CEILING: fit(ridge(len(y)), X, task.clean),
        "LogisticRegression": noisy,
        "LogisticRegressionCV": tuned,
        CLEANLAB: pruned(logistic(), X, y),
        CLEANLAB_CV: pruned(logistic_cv(), X, y),
    } | {f"cleanlab, LogisticRegression(C={C})": pruned(logistic(C), X, y) for C in FIXED_C}
    measured = {name: model.score(task.X_test, task.y_test) for name, model in models.items()}
    qualities = {
        "out-of-fold LogisticRegression": label_quality(logistic(), X, y),
        "out-of-fold LogisticRegressionCV": label_quality(logistic_cv(), X, y),
        "CleanLearning, LogisticRegression": _issues(models[CLEANLAB]),
        "CleanLearning, LogisticRegressionCV": _issues(models[CLEANLAB_CV]),
    } | {
        f"out-of-fold LogisticRegression(C={C})": label_quality(logistic(C), X, y) for C in FIXED_C
    }
    return {
        "rival accuracy": measured,
        "rival precision": {name: precision(task, quality) for name, quality in qualities.items()},
        "rival brier": {
            name: brier(model.predict_proba(task.X_test), task.y_test)
            for name, model in models.items()
            if name != CEILING
        },
    }


def _issues(model):
    """Return the label quality that CleanLearning found while fitting."""
    return model.get_label_issues()["label_quality"].to_numpy()


def run_one(name, noise_matrix, seed, with_rivals):
    """Measure one task."""
    task = draw(name, noise_matrix, seed)
    return measure_ours(task) | (measure_rivals(task) if with_rivals else {})


def run(sets, noises, arguments, splits, rival_splits):
    """Measure all tasks; the rivals on the first splits only."""
    keys = [(name, label, seed) for name in sets for label in noises for seed in range(splits)]
    jobs = (
        delayed(run_one)(name, noises[label], arguments.seed + seed, seed < rival_splits)
        for name, label, seed in keys
    )
    return dict(zip(keys, Parallel(n_jobs=arguments.jobs)(jobs), strict=True))


def accuracy_rows(runs):
    """Return a row for each method: mean accuracy, and what the default gains over it."""
    each = [measured["accuracy"] | measured["rival accuracy"] for measured in runs]
    accuracies = {name: np.array([one[name] for one in each]) for name in each[0]}
    ordered = sorted(accuracies.items(), key=lambda item: -item[1].mean())
    return [
        (name, f"{values.mean():.3f}", "" if name == OURS else pm(accuracies[OURS] - values))
        for name, values in ordered
    ]


def claim_rows(runs):
    """Return a row for each claimed accuracy: mean absolute error and bias."""
    rows = []
    for name in CLAIMS:
        errors = np.array([measured["error"][name] for measured in runs])
        known = errors[np.isfinite(errors)]
        rows.append((name, f"{np.abs(known).mean():.3f}", pm(known), len(known)))
    return rows


def comparison_rows(runs, ours, rivals):
    """Return a row for each rival score beside ours."""
    own = np.array([measured[ours] for measured in runs])
    rows = [("skrmt, noise unknown", f"{own.mean():.3f}", "", "")]
    for name in runs[0][rivals]:
        values = np.array([measured[rivals][name] for measured in runs])
        ratio = own.mean() / values.mean()
        rows.append((name, f"{values.mean():.3f}", pm(own - values), f"{ratio:.2f}"))
    return rows


def report(title, measured):
    """Print the tables of the tasks on which all methods ran."""
    runs = [values for values in measured.values() if "rival accuracy" in values]
    covered = np.array([values["covered"] for values in runs])
    width = np.mean([values["width"] for values in runs])
    print_table(
        f"{title}: accuracy on clean test rows ({len(runs)} paired runs)",
        ("method", "mean accuracy", "skrmt minus it"),
        accuracy_rows(runs),
    )
    print_table(
        f"{title}: accuracy claimed minus actual",
        ("attribute", "mean absolute error", "bias", "runs"),
        claim_rows(runs),
    )
    print_table(
        f"{title}: 95 % interval of theoretical_accuracy_",
        ("runs", "actual accuracy inside", "share", "mean width"),
        [(len(runs), covered.sum(), f"{covered.mean():.3f}", f"{width:.3f}")],
    )
    print_table(
        f"{title}: Brier score against clean labels (smaller is better)",
        ("method", "Brier score", "skrmt minus it", "ratio"),
        comparison_rows(runs, "brier", "rival brier"),
    )
    print_table(
        f"{title}: average precision of the ranking of wrong labels (larger is better)",
        ("label quality", "average precision", "skrmt minus it", "ratio"),
        comparison_rows(runs, "precision", "rival precision"),
    )


def report_cells(title, measured):
    """Print accuracy against ridge for every set and noise."""
    cells = defaultdict(list)
    for (name, label, _), values in measured.items():
        cells[name, label].append(values)
    rows, gains = [], []
    for (name, label), runs in cells.items():
        gain = np.array([run["accuracy"][OURS] - run["accuracy"][RIDGE] for run in runs])
        gains.append(gain.mean())
        means = (np.mean([run["accuracy"][key] for run in runs]) for key in (OURS, KNOWN, RIDGE))
        claim = np.array([run["error"]["theoretical_accuracy_"] for run in runs])
        rows.append(
            (name, label, *(f"{mean:.3f}" for mean in means), pm(gain))
            + (f"{np.abs(claim).mean():.3f}", f"{np.mean([run['covered'] for run in runs]):.2f}")
            + (f"{np.mean([run['rate error'] for run in runs]):.3f}", regimes(runs))
        )
    print_table(
        f"{title}: cells",
        ("set", "noise", OURS, KNOWN, RIDGE, "unknown minus ridge", "claim error", "coverage")
        + ("rate error", "regimes"),
        rows,
    )
    print(f"\nWorst cell against RidgeClassifierCV: {min(gains):+.3f}.")


def regimes(runs):
    """Count the regimes of some runs."""
    found = [values["regime"] for values in runs]
    return ", ".join(f"{name} {found.count(name)}" for name in sorted(set(found)))


def binary_noises():
    """Return the noise matrices of the binary tasks, by label."""
    return {
        f"{negative}, {positive}": binary_matrix((negative, positive))
        for negative, positive in BINARY_NOISE
    }


def multiclass_noises(name):
    """Return the noise matrices of a set of many classes, by label."""
    if name == "wine":
        return {"symmetric 0.3": symmetric(3, 0.3), "pair flips 0.3": pair_flips(3, 0.3)}
    return {"symmetric 0.4": symmetric(10, 0.4), "pair flips 0.3": pair_flips(10, 0.3)}


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=10, help="splits per cell (default 10)")
    parser.add_argument("--rival-splits", type=int, default=3, help="of which with all rivals")
    parser.add_argument("--seed", type=int, default=9000, help="seed of the first split")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    return parser.parse_args()


def main():
    """Measure and print everything."""
    arguments = parse_arguments()
    counts = arguments.splits, arguments.rival_splits
    print(f"{machine()}; seeds from {arguments.seed}")
    for title, sets in (("Seven sets", SETS), ("Reviews and MNIST", extra_sets())):
        if sets:
            measured = run(sets, binary_noises(), arguments, *counts)
            report(title, measured)
            report_cells(title, measured)
    for name in MULTICLASS_SETS:
        measured = run([name], multiclass_noises(name), arguments, *counts)
        title = f"{name}, n = {MULTICLASS_SETS[name]}".capitalize()
        report(title, measured)
        report_cells(title, measured)


if __name__ == "__main__":
    main()
