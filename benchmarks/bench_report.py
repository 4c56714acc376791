"""Scores that `GeneralizationReport` claims from training rows, against scores on fresh rows.

Four parts, chosen by ``--part``:

- ``metrics``: estimators that people use on sets with few and many columns, two and more classes,
  rare classes, and values. n rows train, drawn at random and stratified by class. The truth is the
  metric of the report's own fitted estimator on up to 2500 other rows; beside the claim stands
  that of five folds of cross-validation, shuffled, with a t interval over folds. A truth on m test
  rows has a sampling error of its own, which is added to the interval in squares: of the smallest
  set 59 rows are left. Metrics of ranks and probabilities are taken as they are. Squared and
  absolute errors are printed as shares of their truth.
- ``leaks``: thirty pipelines in which a step before the last one uses the targets, on noise of 500
  columns, where the truth is chance, and on a hundred columns of which eight matter; n = 100, and
  every pipeline has draws of its own.
- ``curves``: the score at two and four times the rows, and the rows that a score needs. The truth
  is the mean over three fits to the n rows and fresh ones, on rows that none of them saw.
  "No change" is the present claim. Where the truth rises by .02 or more from n to 4n, `required`
  is given the score halfway, and compared with the crossing of the true scores at n, 2n and 4n,
  linear in log n. Beside it stand what `required` says of the same rise above the present claim
  ("rise"), so that the error of the present score does not count; what the true curve would say
  if it went through the present claim ("true curve": no forecast of gains can do better); and the
  answer 2n to every question ("twice"), which shows how narrow these questions are.
- ``speed``: seconds of a report over seconds of five folds, taking turns.

Means and standard errors are over cells (a set and a number of rows, or a pipeline), not over
draws, which share rows. What a report refuses is counted by its message, and no run stops for it.
Slow estimators get two of every five draws. Sets are ``tables/*.npz`` of the folder that the
environment variable SKRMT_DATA names, and sets bundled with scikit-learn.

``python benchmarks/bench_report.py --part metrics --output report.csv`` measures what the file
does not hold yet, and prints all that it holds of the part; ``--show`` prints alone.
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import _report_leaks as leaks
import _report_subjects as subjects
import numpy as np
from _report_record import (
    KEYS,
    absolute,
    as_numbers,
    as_text,
    by_cell,
    compared,
    counted,
    covered,
    cross_validated,
    mean_se,
    new_report,
    quietly,
    ratio_se,
    read,
    shown,
    shown_se,
    truths,
    values,
    write,
)
from _table import machine, print_table
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier

PARTS = ("metrics", "leaks", "curves", "speed")
DRAWS = {"metrics": 5, "leaks": 5, "curves": 3, "speed": 5}
SIZES = {"metrics": (40, 100, 200), "leaks": (leaks.N_ROWS,), "curves": (100, 200)}
SIZES["speed"] = (200, 2000)
MAIN = ("accuracy", "r2")
LARGE_ERROR = 0.1
IN_UNITS = {"neg_mean_squared_error", "neg_mean_absolute_error"}  # printed as shares of the truth
FACTORS = (2, 4)
REFITS = 3
LEAST_RISE = 0.02
CLOSE = 1.5  # factor between rows required and measured
FEWEST_TEST = 150
SPEED_COLUMNS = {200: 30, 2000: 200}
SPEED = {
    "RidgeClassifier": RidgeClassifier(),
    "Ridge": Ridge(),
    "LDA svd": LinearDiscriminantAnalysis(),
    "LDA lsqr auto": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "LDA eigen auto": LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto"),
    "LogisticRegression": LogisticRegression(max_iter=1000),
    "RandomForest": RandomForestClassifier(20, random_state=0),
}
SPEED_OPTIONS = {"default": {}, "cv=5": {"cv": 5}}


class Job(NamedTuple):
    """What is measured at once: the keys of its rows."""

    part: str
    data: str
    n: int
    estimator: str
    draw: int


def n_draws(name, draws):
    """Return how many draws an estimator gets."""
    return max(1, round(0.4 * draws)) if name in subjects.SLOW else draws


def metrics_jobs(draws, sizes):
    """List every estimator of its kind on every set that is large enough."""
    for name, data in subjects.metric_sets().items():
        chosen = subjects.CLASSIFIERS if data.is_classes else subjects.REGRESSORS
        for n in sizes:
            for estimator in chosen if subjects.is_large_enough(data, n) else ():
                for index in range(n_draws(estimator, draws)):
                    yield Job("metrics", name, n, estimator, index)


def metrics_run(job):
    """Compare claims of all metrics."""
    data = subjects.metric_sets()[job.data]
    drawn = subjects.draw(job.data, data, job.n, job.draw)
    return compared(subjects.estimator(job.estimator), drawn, data.is_classes)


def leaks_jobs(draws, sizes):
    """List every pipeline on both kinds of data."""
    for kind in leaks.N_COLUMNS:
        for estimator in (name for group in leaks.pipelines() for name in group):
            for index in range(draws):
                yield Job("leaks", kind, leaks.N_ROWS, estimator, index)


def leaks_run(job):
    """Compare the claims for a pipeline."""
    found = leaks.pipelines()
    is_classes = job.estimator in found.classifiers
    model = (found.classifiers | found.regressors)[job.estimator]
    drawn = leaks.draw(job.data, job.estimator, is_classes, job.draw)
    return compared(model, drawn, is_classes, leaks.known_truth(job.data, is_classes))


def curves_jobs(draws, sizes):
    """List some estimators on the sets with enough rows for four times as many."""
    for name, data in subjects.curve_sets().items():
        chosen = subjects.CURVE_CLASSIFIERS if data.is_classes else subjects.CURVE_REGRESSORS
        for n in sizes:
            most = max(FACTORS) * n
            fits = subjects.is_large_enough(data, n) and len(data.y) >= most + FEWEST_TEST
            for estimator in chosen if fits else ():
                for index in range(n_draws(estimator, draws)):
                    yield Job("curves", name, n, estimator, index)


def curves_split(job, data):
    """Return n training rows, the pool that more are drawn from, and a test part."""
    most = max(FACTORS) * job.n
    n_test = min(subjects.MOST_TEST_ROWS, max(FEWEST_TEST, len(data.y) - 3 * most // 2))
    seed = subjects.seed_of("curves", job.data, job.n, job.draw)
    rest, test = subjects.split(data, len(data.y) - n_test, n_test, seed)
    inner = subjects.Data(data.X[rest], data.y[rest], data.is_classes)
    train, pool = subjects.split(inner, job.n, len(rest) - job.n, seed)
    return rest[train], rest[pool], test


def refits_score(model, data, split, n, seed, metric):
    """Return the mean score of fits to the training rows and fresh ones, n together."""
    train, pool, test = split
    scores = []
    for refit in range(REFITS):
        rng = np.random.RandomState(subjects.seed_of(seed, n, refit))
        rows = np.r_[train, rng.permutation(pool)[: n - len(train)]]
        fitted = clone(model).fit(data.X[rows], data.y[rows])
        scores.append(truths(fitted, data.X[test], data.y[test], [metric])[metric])
    return np.mean(scores)


def crossing(sizes, scores, target):
    """Return where scores first reach a target, linear in log n."""
    logs = np.log(sizes)
    for i in range(1, len(sizes)):
        if scores[i - 1] < target <= scores[i]:
            share = (target - scores[i - 1]) / (scores[i] - scores[i - 1])
            return np.exp(logs[i - 1] + share * (logs[i] - logs[i - 1]))
    return np.nan


def moved_crossing(sizes, scores, target):
    """Return where scores reach a target, linear in log n, which goes on beyond their ends."""
    found = crossing(sizes, scores, target)
    if np.isfinite(found):
        return found
    i = 1 if target <= scores[0] else len(sizes) - 1
    slope = (scores[i] - scores[i - 1]) / np.log(sizes[i] / sizes[i - 1])
    return sizes[i] * np.exp((target - scores[i]) / slope) if slope > 0 else np.inf


def asked(report, claim, sizes, scores):
    """Return the target halfway to the last score, where it is reached, and what reports say."""
    target = (scores[0] + scores[-1]) / 2
    needed, failed, _ = quietly(report.required, target)
    ends, _, _ = quietly(report.required_interval, target)
    rise, _, _ = quietly(report.required, claim + target - scores[0])
    found = {
        "target": target,
        "crossing": crossing(sizes, scores, target),
        "required": needed,
        "required_rise": rise,
        "required_level": moved_crossing(sizes, scores + claim - scores[0], target),
    }
    found["required_low"], found["required_high"] = (None, None) if ends is None else ends
    return {k: np.nan if x is None else float(x) for k, x in found.items()}, failed


def curves_run(job):
    """Compare forecasts at more rows with refits, and the rows required with the crossing."""
    data = subjects.curve_sets()[job.data]
    split = curves_split(job, data)
    train, _, test = split
    metric = "accuracy" if data.is_classes else "r2"
    model = subjects.estimator(job.estimator)
    report, error, seconds = quietly(new_report(model).fit, data.X[train], data.y[train])
    if error:
        return [{"kind": "refused", "error": error, "seconds": seconds}]
    sizes = job.n * np.array(FACTORS)
    forecast, error, seconds = quietly(report.forecast, n_samples=sizes)
    seed = f"{job.data} {job.draw}"
    present = truths(report.estimator_, data.X[test], data.y[test], [metric])[metric]
    later = [quietly(refits_score, model, data, split, n, seed, metric)[0] for n in sizes]
    shared = {
        "kind": report.scores_kind_,
        "regime": report.regime_,
        "present_claim": float(report.theoretical_score_),
        "present_truth": present,
        "seconds": seconds,
        "error": error or "",
    }
    if later[-1] is not None and later[-1] - present >= LEAST_RISE:
        curve = np.array([job.n, *sizes]), np.array([present, *later])
        answers, failed = asked(report, shared["present_claim"], *curve)
        shared |= answers | {"error": "; ".join(filter(None, (shared["error"], failed)))}
    rows = []
    for i, factor in enumerate(FACTORS):
        row = shared | {"metric": f"x{factor}", "truth": np.nan if later[i] is None else later[i]}
        if forecast is not None:
            three = forecast.score, forecast.lower, forecast.upper
            row |= dict(zip(("claim", "low", "high"), (float(s[i]) for s in three), strict=True))
        rows.append(row)
    return rows


def speed_jobs(draws, sizes):
    """List every estimator at every size."""
    for n in sizes:
        data = f"{n} x {SPEED_COLUMNS.get(n, n // 10)}"
        for estimator in SPEED:
            for index in range(draws if n < 1000 or estimator not in subjects.SLOW else 1):
                yield Job("speed", data, n, estimator, index)


def speed_run(job):
    """Time five folds, then reports and their first forecast, in one turn."""
    model, p = SPEED[job.estimator], int(job.data.split(" x ")[1])
    is_classes = job.estimator != "Ridge"
    if is_classes:
        X, y = make_classification(job.n, p, n_informative=p // 3, flip_y=0.2, random_state=0)
    else:
        X, y = make_regression(job.n, p, noise=100.0, random_state=0)
    metric = ["accuracy" if is_classes else "r2"]
    _, _, cv_seconds = quietly(cross_validated, model, X, y, metric, is_classes)
    rows = []
    for name, options in SPEED_OPTIONS.items():
        rows += timed(name, model, options, X, y)
    return [row | {"cv5_seconds": cv_seconds} for row in rows]


def timed(name, model, options, X, y):
    """Return the seconds of one report, and of its first forecast."""
    report, error, seconds = quietly(lambda: new_report(model, **options).fit(X, y))
    kind = "refused" if error else report.scores_kind_
    rows = [{"metric": name, "seconds": seconds, "kind": kind, "error": error or ""}]
    if not error:
        _, error, seconds = quietly(report.forecast, n_samples=2 * len(y))
        rows += [{"metric": f"{name}, forecast", "seconds": seconds, "kind": kind}]
        rows[-1]["error"] = error or ""
    return rows


RUN = {"metrics": metrics_run, "leaks": leaks_run, "curves": curves_run, "speed": speed_run}
JOBS = {"metrics": metrics_jobs, "leaks": leaks_jobs, "curves": curves_jobs, "speed": speed_jobs}


def run(job):
    """Return the rows of one job with their keys; its failure, if it fails."""
    found, error, _ = quietly(RUN[job.part], job)
    if error:
        found = [{"kind": "failed", "error": error}]
    return [as_text(job._asdict() | row) for row in found]


def wanted_jobs(part, arguments):
    """List the jobs of a part, first draws first."""
    jobs = JOBS[part](arguments.draws or DRAWS[part], arguments.sizes or SIZES[part])
    for name in ("data", "estimator"):
        chosen = getattr(arguments, name)
        jobs = [job for job in jobs if chosen is None or getattr(job, name) in chosen]
    return sorted(jobs, key=lambda job: job.draw)


def measure(part, rows, arguments):
    """Add what is missing to the rows, and save them after every set, size and draw."""
    done = {tuple(row[key] for key in KEYS) for row in rows}
    batches = {}
    for job in wanted_jobs(part, arguments):
        if tuple(map(str, job)) not in done:
            batches.setdefault((job.data, job.n, job.draw), []).append(job)
    start = perf_counter()
    for batch, jobs in batches.items():
        begun = perf_counter()
        if begun - start > 60 * arguments.minutes:
            print(f"{part}: stopped; run it again to go on.", file=sys.stderr)
            break
        for found in Parallel(n_jobs=arguments.jobs)(delayed(run)(job) for job in jobs):
            rows.extend(found)
        write(arguments.output, rows)
        batch_name = f"{part}, {batch[0]}, {batch[1]}, draw {batch[2]}"
        print(f"{batch_name}: {perf_counter() - begun:.1f} s", file=sys.stderr, flush=True)


def grouped(rows, *names):
    """Group rows by some of their columns, in order of appearance."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def unitless(row):
    """Divide scores that have the unit of the targets, or its square, by their truth."""
    if row["metric"] not in IN_UNITS:
        return row
    names = ("claim", "low", "high", "cv5", "cv5_low", "cv5_high", "truth", "truth_se")
    return row | {name: row[name] / abs(row["truth"]) for name in names}


def both_errors(rows):
    """Return the rows where both claims and the truth are numbers, and the two errors by cell."""
    found = absolute(rows, "claim") + absolute(rows, "cv5")
    paired = [row for row, error in zip(rows, found, strict=True) if np.isfinite(error)]
    pair = absolute(paired, "claim"), absolute(paired, "cv5")
    return paired, *(by_cell(paired, errors) for errors in pair)


METRIC_HEADER = ("metric", "n", "cells", "rows", "error", "error of 5 folds", "ratio", "bias")
METRIC_HEADER += ("bias of 5 folds", "coverage", "coverage of 5 folds", "width")
METRIC_HEADER += ("width of 5 folds", "no claim")


def metric_row(rows):
    """Return the printed numbers of a metric."""
    paired, ours, theirs = both_errors(rows)
    truth = values(paired, "truth")
    biases = [by_cell(paired, values(paired, name) - truth) for name in ("claim", "cv5")]
    ends = ("low", "high"), ("cv5_low", "cv5_high")
    inside = [by_cell(paired, covered(paired, *pair)) for pair in ends]
    widths = [by_cell(paired, values(paired, b) - values(paired, a)) for a, b in ends]
    return (
        *(len(ours), len(paired), shown(mean_se(ours)[0], 4), shown(mean_se(theirs)[0], 4)),
        shown_se(ratio_se(ours, theirs)),
        *(shown_se(mean_se(bias), sign=True) for bias in biases),
        *(shown_se(mean_se(found)) for found in inside),
        *(shown(mean_se(width)[0]) for width in widths),
        shown(np.mean(np.isnan(values(rows, "claim")))),
    )


ESTIMATOR_HEADER = ("estimator", "cells", "rows", "error", "error of 5 folds", "difference")
ESTIMATOR_HEADER += ("ratio", "bias", "coverage", "no claim", "time / 5 folds", "kinds", "regimes")


def estimator_row(rows):
    """Return the printed numbers of an estimator."""
    paired, ours, theirs = both_errors(rows)
    bias = by_cell(paired, values(paired, "claim") - values(paired, "truth"))
    times = values(rows, "seconds") / values(rows, "cv5_seconds")
    return (
        *(len(ours), len(paired), shown(mean_se(ours)[0], 4), shown(mean_se(theirs)[0], 4)),
        shown_se(mean_se(ours - theirs), 4, sign=True),
        shown_se(ratio_se(ours, theirs), 2),
        shown_se(mean_se(bias), sign=True),
        shown_se(mean_se(by_cell(paired, covered(paired, "low", "high")))),
        shown(np.mean(np.isnan(values(rows, "claim")))),
        shown(np.median(times), 2),
        *(counted(row[name] for row in rows) for name in ("kind", "regime")),
    )


def show_refusals(part, rows):
    """Print what was refused, or failed, by message."""
    groups = grouped([row for row in rows if row["error"]], "kind", "estimator", "error")
    printed = [(*key, len(found)) for key, found in groups.items()]
    if printed:
        print_table(
            f"Refused or failed ({part})", ("kind", "estimator", "message", "runs"), printed
        )


def show_metrics(rows):
    """Print every metric pooled over estimators, and every estimator."""
    parts = {"all": lambda n: True, "40": lambda n: n == 40, ">= 100": lambda n: n >= 100}
    measured = [unitless(row) for row in rows if row["metric"]]
    printed = []
    for (metric,), found in grouped(measured, "metric").items():
        for name, chosen in parts.items():
            kept = [row for row in found if chosen(int(row["n"]))]
            printed += [(metric, name, *metric_row(kept))] if kept else []
    print_table("Claims of metrics beside five folds", METRIC_HEADER, printed)
    main = [row for row in measured if row["metric"] in MAIN]
    groups = grouped(main, "metric", "estimator").items()
    for metric in MAIN:
        printed = [(key[1], *estimator_row(found)) for key, found in groups if key[0] == metric]
        print_table(f"Claims of {metric} by estimator", ESTIMATOR_HEADER, printed)


LEAK_HEADER = ("draws", "claim", "truth", "bias", "bias of 5 folds", "coverage", "error > .10")
LEAK_HEADER += ("error > .10, 5 folds", "time / 5 folds", "kinds")


def leak_row(rows, key):
    """Return the printed numbers of a pipeline; the errors are over its draws, or pipelines."""

    def mean(numbers):
        groups = grouped([row | {"_": x} for row, x in zip(rows, numbers, strict=True)], key)
        return mean_se([mean_se(values(found, "_"))[0] for found in groups.values()])

    truth = values(rows, "truth")
    errors = [values(rows, name) - truth for name in ("claim", "cv5")]
    large = [np.where(np.isfinite(e), abs(e) > LARGE_ERROR, np.nan) for e in errors]
    times = values(rows, "seconds") / values(rows, "cv5_seconds")
    return (
        *(len(rows), shown(mean_se(values(rows, "claim"))[0]), shown(mean_se(truth)[0])),
        *(shown_se(mean(error), sign=True) for error in errors),
        shown_se(mean(covered(rows, "low", "high")), 2),
        *(shown_se(mean(found), 2) for found in large),
        *(shown(np.median(times), 2), counted(row["kind"] for row in rows)),
    )


def show_leaks(rows):
    """Print every pipeline, and all of them."""
    main = [row for row in rows if row["metric"] in MAIN]
    for (data, metric), found in grouped(main, "data", "metric").items():
        groups = grouped(found, "estimator").items()
        printed = [(name, *leak_row(kept, "draw")) for (name,), kept in groups]
        printed.append(("all", *leak_row(found, "estimator")))
        title = f"Claims of {metric} where steps use the targets, {data}"
        print_table(title, ("pipeline", *LEAK_HEADER), printed)


CURVE_HEADER = ("estimator", "rows / n", "cells", "rows", "true gain", "error of gain")
CURVE_HEADER += ("gain, no change", "ratio of gains", "error of score", "score, no change")
CURVE_HEADER += ("ratio of scores", "coverage", "no forecast")
NEEDED_HEADER = ("estimator", "targets", "within 1.5", "inf", "nan", "rise: within 1.5")
NEEDED_HEADER += ("true curve: within 1.5", "twice: within 1.5", "interval: coverage")
NEEDED_HEADER += ("interval: from above n", "interval: to inf")


def curve_row(rows):
    """Return the printed numbers of forecasts; errors of gains are of later minus present."""
    forecast = [row for row in rows if np.isfinite(row["claim"] + row["truth"])]
    gain = values(forecast, "truth") - values(forecast, "present_truth")
    claimed = values(forecast, "claim") - values(forecast, "present_claim")
    pairs = (
        (abs(claimed - gain), abs(gain)),
        (
            absolute(forecast, "claim"),
            absolute(forecast, "present_claim"),
        ),
    )
    numbers = []
    for pair in pairs:
        ours, theirs = (by_cell(forecast, errors) for errors in pair)
        numbers += [shown(mean_se(ours)[0], 4), shown(mean_se(theirs)[0], 4)]
        numbers.append(shown_se(ratio_se(ours, theirs), 2))
    return (
        *(len(by_cell(forecast, gain)), len(forecast), shown_se(mean_se(by_cell(forecast, gain)))),
        *(*numbers, shown_se(mean_se(by_cell(forecast, covered(forecast, "low", "high"))), 2)),
        shown(np.mean(np.isnan(values(rows, "claim"))), 2),
    )


def needed_row(rows):
    """Return the printed numbers of `required`; shares are of targets."""
    rows = [row for row in rows if np.isfinite(row["target"])]
    if not rows:
        return (0,)
    found, n = values(rows, "crossing"), values(rows, "n")
    needed, low, high = (values(rows, f"required{end}") for end in ("", "_low", "_high"))

    def close(answers):
        return (abs(np.log(answers / found)) <= np.log(CLOSE)).mean()

    others = [values(rows, name) for name in ("required_rise", "required_level")]
    there = np.isfinite(low)
    inside = np.where(there, (low <= found) & (found <= high), np.nan)
    shares = (close(needed), np.isinf(needed).mean(), np.isnan(needed).mean())
    shares += (*map(close, others), close(2 * n))
    open_ended = (
        ((low > n)[there].mean(), np.isinf(high)[there].mean()) if there.any() else ("", "")
    )
    inside = shown_se(mean_se(by_cell(rows, inside)), 2) if there.any() else ""
    return len(rows), *(shown(x, 2) for x in shares), inside, *(shown(x, 2) for x in open_ended)


def show_curves(rows):
    """Print forecasts and rows required, by estimator and pooled by metric."""
    measured = [row for row in rows if row["metric"]]
    pooled = [row | {"estimator": f"all, {kind_of(row)}"} for row in measured]
    groups = grouped(measured, "estimator", "metric") | grouped(pooled, "estimator", "metric")
    printed = [(*key, *curve_row(found)) for key, found in groups.items()]
    print_table("Forecasts at more rows", CURVE_HEADER, printed)
    once = [(key[0], needed_row(found)) for key, found in groups.items() if key[1] == "x2"]
    print_table("Rows that a score needs", NEEDED_HEADER, [(name, *row) for name, row in once])


def kind_of(row):
    """Return the name of the score of a row of `curves`."""
    return "r2" if row["estimator"] in subjects.CURVE_REGRESSORS else "accuracy"


def show_speed(rows):
    """Print the median ratios of times."""
    printed = []
    for key, found in grouped(rows, "data", "estimator", "metric").items():
        seconds, folds = values(found, "seconds"), values(found, "cv5_seconds")
        refused = {row["kind"] for row in found} & {"refused", "failed"}
        times = [np.median(seconds), np.median(folds), np.median(seconds / folds)]
        in_words = [f"{time:.3g}" for time in times] if not refused else [""] * 3
        printed.append((*key, len(found), *in_words, counted(row["kind"] for row in found)))
    header = ("data", "estimator", "of what", "turns", "seconds", "5 folds", "ratio", "kinds")
    print_table("Time of reports over five folds", header, printed)


SHOW = {"metrics": show_metrics, "leaks": show_leaks, "curves": show_curves, "speed": show_speed}


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, help="default all")
    parser.add_argument("--output", type=Path, help="CSV file, resumed if it is there")
    parser.add_argument("--draws", type=int, help=f"default {DRAWS}")
    parser.add_argument("--sizes", type=int, nargs="+", help=f"training rows, default {SIZES}")
    parser.add_argument("--data", nargs="+", help="names of sets (default all)")
    parser.add_argument("--estimator", nargs="+", help="names of estimators (default all)")
    parser.add_argument("--minutes", type=float, default=np.inf, help="of a part, then it stops")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--show", action="store_true", help="measure nothing, print the file")
    return parser.parse_args()


def main():
    """Measure and print the chosen parts."""
    arguments = parse_arguments()
    rows = read(arguments.output)
    print(machine())
    for part in arguments.part:
        if not arguments.show:
            measure(part, rows, arguments)
        found = [as_numbers(row) for row in rows if row["part"] == part]
        SHOW[part](found)
        show_refusals(part, found)


if __name__ == "__main__":
    main()
