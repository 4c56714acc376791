"""Claims of reports and of cross-validation beside the truth: rows of a file, and their means."""

import csv
import inspect
import os
import warnings
from time import perf_counter

import numpy as np
from _report_subjects import FOLDS
from scipy.stats import t as student
from sklearn.metrics import check_scoring, recall_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_validate

from skrmt.model_selection import GeneralizationReport

Z = 1.96
KEYS = ("part", "data", "n", "estimator", "draw")
FIELDS = (
    *KEYS,
    *("metric", "claim", "low", "high", "truth", "truth_se", "cv5", "cv5_low", "cv5_high"),
    *("present_claim", "present_truth", "target", "crossing"),
    *("required", "required_low", "required_high", "required_rise", "required_level"),
    *("kind", "regime", "seconds", "cv5_seconds", "error"),
)
TEXTS = (*KEYS, "metric", "kind", "regime", "error")


def new_report(estimator, **options):
    """Return a report with a seed, where reports take one."""
    taken = inspect.signature(GeneralizationReport).parameters
    seed = {"random_state": 0} if "random_state" in taken else {}
    return GeneralizationReport(estimator, **seed, **options)


def claims(report, is_classes):
    """Return score, low and high by metric; of a report of one score, that one."""
    if hasattr(report, "theoretical_scores_"):
        return {name: tuple(claim) for name, claim in report.theoretical_scores_.items()}
    claim = report.theoretical_score_, *report.theoretical_score_interval_
    return {"accuracy" if is_classes else "r2": claim}


def failure(error):
    """Describe what was raised, on one line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:100]}"


def quietly(call, *args, **options):
    """Return what a call returns, or its failure, and its seconds; warnings are not shown."""
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(*args, **options), None, perf_counter() - start
        except Exception as error:  # what may be raised is a result here
            return None, failure(error), perf_counter() - start


def folds_of(is_classes):
    """Return five folds at random."""
    kind = StratifiedKFold if is_classes else KFold
    return kind(FOLDS, shuffle=True, random_state=0)


def cross_validated(estimator, X, y, metrics, is_classes):
    """Return mean, low and high of each metric over folds, with a t interval."""
    folds = folds_of(is_classes)
    found = cross_validate(estimator, X, y, cv=folds, scoring=list(metrics))
    return {name: _mean_of_folds(found[f"test_{name}"]) for name in metrics}


def _mean_of_folds(scores):
    """Return the mean of the folds where a score is defined, and its t interval."""
    scores = scores[np.isfinite(scores)]
    if len(scores) < 2:
        return (np.nan,) * 3
    half = student.ppf(0.975, len(scores) - 1) * scores.std(ddof=1) / np.sqrt(len(scores))
    return scores.mean(), scores.mean() - half, scores.mean() + half


def truths(estimator, X, y, metrics):
    """Return each metric on test rows; nan where it cannot be computed."""
    found = check_scoring(estimator, scoring=list(metrics), raise_exc=False)(estimator, X, y)
    return {name: np.nan if isinstance(s, str) else float(s) for name, s in found.items()}


def truth_errors(estimator, X, y, metrics):
    """Return the sampling errors of metrics on test rows; those of ranks are not known."""
    predicted = estimator.predict(X)
    if "r2" in metrics:
        return _value_errors(predicted, y)
    wanted = {"accuracy", "balanced_accuracy"} & set(metrics)
    if not wanted:
        return {}
    a, counts = np.mean(predicted == y), np.unique(y, return_counts=True)[1]
    recalls = recall_score(y, predicted, labels=np.unique(y), average=None, zero_division=0)
    found = {
        "accuracy": np.sqrt(a * (1 - a) / len(y)),
        "balanced_accuracy": np.sqrt(np.sum(recalls * (1 - recalls) / counts)) / len(counts),
    }
    return {name: found[name] for name in wanted}


def _value_errors(predicted, y):
    """Return the sampling errors of R^2 and of mean errors on test rows, by the delta method."""
    squares, spread = (y - predicted) ** 2, (y - y.mean()) ** 2
    mse, share = squares.mean(), squares.mean() / spread.mean()
    each = {
        "r2": (squares - share * spread) / spread.mean(),
        "neg_mean_squared_error": squares,
        "neg_root_mean_squared_error": squares / (2.0 * np.sqrt(mse)),
        "neg_mean_absolute_error": abs(y - predicted),
    }
    return {name: losses.std(ddof=1) / np.sqrt(len(y)) for name, losses in each.items()}


def compared(estimator, drawn, is_classes, known=None):
    """Return one row per metric: the report's claim, that of five folds, and the truth."""
    report, error, seconds = quietly(new_report(estimator).fit, drawn.X, drawn.y)
    if error:
        return [{"kind": "refused", "error": error, "seconds": seconds}]
    claimed = claims(report, is_classes)
    folded, cv_error, cv_seconds = quietly(
        cross_validated, estimator, drawn.X, drawn.y, claimed, is_classes
    )
    test = report.estimator_, drawn.X_test, drawn.y_test, claimed
    truth, truth_error, _ = quietly(truths, *test)
    spread, _, _ = quietly(truth_errors, *test)
    shared = {
        "kind": report.scores_kind_,
        "regime": report.regime_,
        "seconds": seconds,
        "cv5_seconds": cv_seconds,
        "error": "; ".join(filter(None, (cv_error, truth_error))),
    }
    rows = []
    for name, claim in claimed.items():
        row = shared | {"metric": name, "truth": (truth or {}).get(name, np.nan)}
        row |= dict(zip(("claim", "low", "high"), claim, strict=True))
        three = (folded or {}).get(name, (np.nan,) * 3)
        row |= dict(zip(("cv5", "cv5_low", "cv5_high"), three, strict=True))
        row["truth_se"] = (spread or {}).get(name, 0.0)
        if known and name in known:
            row |= {"truth": known[name], "truth_se": 0.0}
        rows.append(row)
    return rows


def read(path):
    """Return the rows that earlier runs wrote."""
    if path is None or not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: row.get(name, "") for name in FIELDS} for row in csv.DictReader(file)]


def write(path, rows):
    """Write all rows, so that an interruption leaves the old file or the new one."""
    if path is None:
        return
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(part, path)


def as_text(row):
    """Format a row for the file; what is not there is empty."""
    return {name: _short(row.get(name, "")) for name in FIELDS}


def _short(value):
    """Format one value."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.5g}"
    return str(value)


def as_numbers(row):
    """Parse a row of the file; what is not there is nan."""
    return {name: value if name in TEXTS else float(value or "nan") for name, value in row.items()}


def values(rows, name):
    """Return a column."""
    return np.array([row[name] for row in rows], float)


def absolute(rows, name, truth="truth"):
    """Return the absolute errors of a column."""
    return abs(values(rows, name) - values(rows, truth))


def covered(rows, low, high):
    """Return 1 where the truth is in the interval, whose ends have its sampling error too."""
    claim = "cv5" if low.startswith("cv5") else "claim"
    centre, truth = values(rows, claim), values(rows, "truth")
    bottom, top = values(rows, low), values(rows, high)
    error = Z * np.nan_to_num(values(rows, "truth_se"))
    # Both errors are random: their squares add, not they, which would count too many as inside.
    below, above = np.hypot(centre - bottom, error), np.hypot(top - centre, error)
    inside = (centre - below <= truth) & (truth <= centre + above)
    return np.where(np.isnan([bottom, top, truth]).any(axis=0), np.nan, inside)


def by_cell(rows, numbers):
    """Return the means of numbers over rows of one set and size, leaving out what is nan."""
    cells = np.array([f"{row['data']} {row['n']}" for row in rows])
    means = [numbers[(cells == cell) & np.isfinite(numbers)] for cell in np.unique(cells)]
    return np.array([found.mean() for found in means if len(found)])


def mean_se(numbers):
    """Return a mean and its standard error."""
    numbers = np.asarray(numbers, float)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return np.nan, np.nan
    error = numbers.std(ddof=1) / np.sqrt(len(numbers)) if len(numbers) > 1 else np.nan
    return numbers.mean(), error


def ratio_se(above, below):
    """Return the ratio of the means of two aligned columns, with its error by the delta method."""
    if not len(above) or not np.mean(below) > 0:
        return np.nan, np.nan
    ratio = np.mean(above) / np.mean(below)
    return ratio, mean_se(above - ratio * below)[1] / np.mean(below)


def shown(number, digits=3, *, sign=False):
    """Format a number; nan is empty."""
    return "" if not np.isfinite(number) else f"{number:{'+' if sign else ''}.{digits}f}"


def shown_se(pair, digits=3, *, sign=False):
    """Format a number and its standard error."""
    number, error = pair
    if not np.isfinite(error):
        return shown(number, digits, sign=sign)
    return f"{shown(number, digits, sign=sign)} ± {error:.{digits}f}"


def counted(names):
    """Count names, most frequent first."""
    unique, counts = np.unique([name for name in names if name], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return "; ".join(f"{unique[i]} ({counts[i]})" for i in order)
