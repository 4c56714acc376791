"""SyntheticMixClassifier with gold labels of a few rows and those of a judge of many.

    python benchmarks/bench_synthetic_judge.py [--data FOLDER] [--part fit] [--draws 3] [--seed 0]
                                               [--rows 40 100 300] [--judges NAME]

Judges are wrong at random, by class, or wherever another classifier is: fitted to few rows, to a
part of the features, or to another domain. Parts:

- `fit`: accuracy of RidgeClassifierCV on gold rows, on all, and on the judge's alone, and of the
  fit without and with the judge's labels of gold rows; the best of the three means over draws of a
  case less its own; claim and gain less the truth, and how often the error of the gain is below two
  of its standard deviations.
- `noise`: the share of wrong labels, without and with the judge's labels of gold rows.

Without a folder sets bundled with scikit-learn are used.
"""

import itertools
import warnings
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
from _table import machine, print_table
from bench_synthetic_leaks import holds, table_parser, tables, with_error
from scipy.io import loadmat
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import RidgeClassifierCV
from sklearn.neighbors import KNeighborsClassifier

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import SyntheticMixClassifier

PENALTIES = np.logspace(-3, 5, 25)
MOST_JUDGED, MOST_TEST, MOST_OTHERS, FEWEST = 2000, 1500, 300, 750
JUDGES_OF_A_TABLE = 3
"""Judges of each table, in turn: about forty cases with the tables of the folder."""


class Draw(NamedTuple):
    """Gold rows with both labels, judged rows with both, and test rows."""

    X: np.ndarray
    y: np.ndarray
    y_judge: np.ndarray
    X_judged: np.ndarray
    y_judged: np.ndarray
    right: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def ridge(X, y):
    """Return a ridge classifier tuned by leave-one-out."""
    return RidgeClassifierCV(PENALTIES).fit(X, y)


def flips(*rates):
    """Return a judge that is wrong at random, at a rate of the right class."""

    def make(X, y, rng):
        return lambda X, y: flipped(y, np.resize(rates, y.max() + 1), rng)

    return make


def flipped(y, rates, rng):
    """Return labels of which some are others."""
    n_classes = len(rates)
    other = (y + rng.integers(1, n_classes, len(y))) % n_classes
    return np.where(rng.random(len(y)) < rates[y], other, y)


def classifier(make_model, n, share=1.0):
    """Return a judge that is a classifier fitted to n other rows, and a share of the features."""

    def make(X, y, rng):
        columns = rng.permutation(X.shape[1])[: max(1, int(share * X.shape[1]))]
        rows = rng.permutation(len(y))[:n]
        rows = rows if len(np.unique(y[rows])) > 1 else np.arange(len(y))
        model = make_model().fit(X[rows][:, columns], y[rows])
        return labels_of(model, columns)

    return make


def labels_of(model, columns=slice(None)):
    """Return the judge that labels rows as a fitted model does, by some of the features."""
    return lambda X, y: model.predict(X[:, columns])


def linear():
    """Return a linear judge."""
    return RidgeClassifierCV(PENALTIES)


JUDGES = {
    "wrong at random, .3": flips(0.3),
    "by class, .05 and .35": flips(0.05, 0.35),
    "nearest of 40 rows": classifier(lambda: KNeighborsClassifier(1), 40),
    "linear, of 60 rows": classifier(linear, 60),
    "linear, a third of features": classifier(linear, 300, 0.34),
    "trees, of 300 rows": classifier(lambda: ExtraTreesClassifier(50, random_state=0), 300),
}


def reviews(folder):
    """Return the review tables with columns of unit variance, where they are there."""
    found = {}
    for name in ("books", "dvd"):
        path = Path(folder or "") / "amazon_reviews" / f"{name}_400.mat"
        if path.is_file():
            stored = loadmat(path)
            X, scale = stored["fts"].astype(float), stored["fts"].astype(float).std(0)
            y = np.unique(stored["labels"].ravel(), return_inverse=True)[1]
            found[name] = (X - X.mean(0)) / np.where(scale > 1e-9, scale, 1.0), y
    return found


def cases(folder):
    """Return (table, judge, rows, maker of the judge or the other domain, whether rows too)."""
    known = {name: t for name, t in tables(folder).items() if len(t[1]) >= FEWEST}
    turn = itertools.cycle(JUDGES)
    found = []
    for k, (name, table) in enumerate(sorted(known.items())):
        judges = itertools.islice(turn, JUDGES_OF_A_TABLE)
        found += [(name, judge, table, JUDGES[judge], False) for judge in judges]
        if k % 2:
            next(turn)
    domains = reviews(folder)
    for name, other in (("dvd", "books"), ("books", "dvd")) if domains else ():
        found.append((name, f"linear, of {other}", domains[name], domains[other], False))
        found.append((name, f"rows of {other}", domains[name], domains[other], True))
    return found


def draw(case, n, seed):
    """Draw gold, judged and test rows of a case."""
    name, judge_name, (X, y), source, with_rows = case
    rng = np.random.default_rng(crc32(f"{name} {judge_name} {n} {seed}".encode()))
    for _ in range(50):
        order = rng.permutation(len(y))
        if np.bincount(y[order[:n]], minlength=y.max() + 1).min() >= 2:
            break
    gold, rest = order[:n], order[n:]
    if callable(source):
        n_others = min(MOST_OTHERS, len(rest) // 4)
        others, rest = rest[:n_others], rest[n_others:]
        judge = source(X[others], y[others], rng)
    else:
        judge = labels_of(ridge(*source))
    n_test = min(MOST_TEST, len(rest) // 2)
    test, judged = rest[:n_test], rest[n_test:][:MOST_JUDGED]
    rows = (X[judged], judge(X[judged], y[judged]), y[judged])
    if with_rows:
        rows = (*source, source[1])
    return Draw(X[gold], y[gold], judge(X[gold], y[gold]), *rows, X[test], y[test])


def fit(data, judge=False, **options):
    """Fit to gold rows and to those of the judge."""
    made = {"X_synthetic": data.X_judged, "y_synthetic": data.y_judged}
    if judge:
        made["y_judge"] = data.y_judge
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        return SyntheticMixClassifier(**options).fit(data.X, data.y, **made)


def fit_results(data):
    """Return accuracies of the three rivals and of the fit, and errors of its claims."""
    both = np.concatenate([data.X, data.X_judged]), np.concatenate([data.y, data.y_judged])
    rivals = [ridge(data.X, data.y), ridge(*both), ridge(data.X_judged, data.y_judged)]
    alone = fit(data, synthetic_weight=0.0)
    scores = [rival.score(data.X_test, data.y_test) for rival in rivals]
    models = fit(data), fit(data, judge=True)
    return [scores, *(claim_results(model, alone, data) for model in models)]


def claim_results(model, alone, data):
    """Return accuracy, errors of claim and gain, and whether their intervals hold."""
    wrong = [fitted.predict(data.X_test) != data.y_test for fitted in (model, alone)]
    truth, plain = (1.0 - w.mean() for w in wrong)
    size, claim = len(data.y_test), model.theoretical_accuracy_
    # Test rows are not infinitely many: their own error is added.
    noise = (wrong[0].astype(float) - wrong[1]).std() / np.sqrt(size)
    off = model.gain_ - (truth - plain)
    sure = abs(off) <= 2 * np.hypot(model.gain_std_, noise)
    return [truth, claim - truth, holds(model, truth, size), off, sure]


def fit_rows(known, sizes, seeds):
    """Yield the rows of the table of regrets, and of claims."""
    for n in sizes:
        cells = {}
        for case in known:
            runs = [fit_results(draw(case, n, seed)) for seed in seeds]
            cells[case[:2]] = [np.array(part, dtype=float) for part in zip(*runs, strict=True)]
        groups = {"all": list(cells)}
        groups |= {f"{b} on {a}": [(a, b)] for a, b in cells if a in ("dvd", "books")}
        for label, chosen in groups.items():
            rivals = np.array([cells[key][0].mean(0) for key in chosen])
            row = [label, n, len(chosen), len(seeds), *three(rivals.mean(0))]
            for part in (1, 2):
                own = [cells[key][part] for key in chosen]
                regret = rivals.max(1) - [runs[:, 0].mean() for runs in own]
                if len(chosen) == 1:
                    regret = cells[chosen[0]][0][:, rivals[0].argmax()] - own[0][:, 0]
                runs = np.concatenate(own)
                row += f"{runs[:, 0].mean():.3f}", with_error(regret)
                row += with_error(runs[:, 1]), f"{np.nanmean(runs[:, 2]):.3f}"
                row += with_error(runs[:, 3]), f"{np.nanmean(runs[:, 4]):.3f}"
            yield row


def three(values):
    """Return numbers of three digits as text."""
    return [f"{value:.3f}" for value in values]


_CLAIMS = (
    "best of the three less that",
    "claim less truth",
    "coverage",
    "gain less truth",
    "within 2 deviations",
)
FIT_HEADER = (
    "judge",
    "gold rows",
    "cases",
    "draws",
    "gold only",
    "all",
    "judge's only",
    "SyntheticMixClassifier",
    *_CLAIMS,
    "with y_judge",
    *_CLAIMS,
)


def noise_results(data):
    """Return the truth, the estimate without and with the judge, and whether intervals hold."""
    truth = float(np.mean(data.y_judged != data.right))
    options = {"alpha": [0.01, 0.1, 1.0], "synthetic_weight": 0.0}
    models = [fit(data, judge, **options) for judge in (False, True)]
    rates = [model.source_quality_[0].noise_rate for model in models]
    flat = models[0].source_quality_[0].flip_rate
    spans = [model.noise_rate_interval_ for model in models]
    held = [low <= truth <= high for low, high in spans]
    width = [high - low for low, high in spans]
    return [truth, flat, *rates, *held, *width]


def noise_rows(known, sizes, seeds):
    """Return the table of shares of wrong labels."""
    result = []
    judges = JUDGES | {"right": flips(0.0)}
    for n in sizes:
        for judge, make in judges.items():
            runs = []
            for name, table in known.items():
                for seed in seeds:
                    data = draw((name, judge, table, make, False), n, seed)
                    if len(np.unique(data.y)) == table[1].max() + 1:
                        runs.append(noise_results(data))
            truth, flat, rate, counted, *rest = np.array(runs, dtype=float).T
            given = np.isfinite(rate)
            off = np.abs(rate - truth)[given]
            cells = f"{truth.mean():.3f}", with_error(np.abs(flat - truth), 3)
            worst = f"{off.max():.3f}" if given.any() else "-"
            cells += f"{given.mean():.2f}", with_error(off, 3), worst
            cells += f"{rest[0].mean():.3f}", f"{rest[2].mean():.2f}"
            cells += with_error(np.abs(counted - truth), 3), f"{rest[1].mean():.3f}"
            result.append((judge, n, len(runs), *cells, f"{rest[3].mean():.2f}"))
    return result


NOISE_HEADER = (
    "judge",
    "gold rows",
    "fits",
    "share wrong",
    "error if uniform",
    "share given",
    "error of those",
    "largest",
    "range holds",
    "its width",
    "error with y_judge",
    "interval holds",
    "width",
)


def main():
    """Measure and print."""
    parser = table_parser(__doc__, draws=3, rows=[40, 100, 300])
    parser.add_argument("--judges", default="", help="what names of judges of `fit` hold")
    parser.add_argument("--part", choices=("fit", "noise"), default="fit")
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.draws)
    print(f"{machine()}; seeds from {arguments.seed}, {arguments.draws} draws")
    if arguments.part == "fit":
        known = [case for case in cases(arguments.data) if arguments.judges in case[1]]
        rows = fit_rows(known, arguments.rows, seeds)
        print_table("Gold labels and those of a judge", FIT_HEADER, rows)
        return
    known = {n: t for n, t in tables(arguments.data).items() if len(t[1]) >= FEWEST}
    known = {n: t for n, t in known.items() if t[0].shape[1] <= 400}
    rows = noise_rows(known, arguments.rows, seeds)
    print_table("Share of wrong labels", NOISE_HEADER, rows)


if __name__ == "__main__":
    main()
