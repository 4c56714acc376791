"""Time of the whole grid of SyntheticMixClassifier against single fits and against searches.

    python benchmarks/bench_synthetic_mix_speed.py

200 pairs, 8 weights and 25 penalties, each scored by exact leave-one-out on the real rows, against
one Ridge fit to the stacked rows, RidgeClassifierCV on them, the least that a decomposition a
weight costs, and GridSearchCV over the same pairs. For few rows, processor time over that of
RidgeClassifierCV, both taking turns: medians of rounds, with the first and the last quartile.
"""

import time
import warnings

import numpy as np
import scipy.linalg
import sklearn
from _table import machine, print_table
from sklearn.linear_model import Ridge, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from threadpoolctl import threadpool_limits

from skrmt.datasets import make_synthetic_mix
from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import SyntheticMixClassifier

SIZES = (
    (60, 500, 64),
    (200, 5000, 1000),
    (300, 2000, 400),
    (200, 200, 1000),
    (1000, 5000, 400),
    (2000, 5000, 400),
    (4000, 5000, 400),
)
FEW_ROWS = ((60, 500, 64), (60, 500, 20), (200, 1000, 64))
ROUNDS = 60
SEARCHED = ((300, 2000, 400), (1000, 5000, 400))


def seconds(function, repeats=3):
    """Return the shortest time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def floor(data):
    """Return the time of one Gram matrix per source and eight eigendecompositions."""
    real = data.sample_source == 0
    groups = [data.X[real], data.X[~real]]
    gram = sum(part.T @ part for part in groups)
    grams = seconds(lambda: [part.T @ part for part in groups])
    return grams + 8 * seconds(lambda: scipy.linalg.eigh(gram, driver="evd"))


def search(data, model):
    """Return the time of GridSearchCV over the pairs of a fitted model, folds of one in five."""
    alphas, weights = model.alphas_, model.weight_grid_[:, 0]
    grid = {"alpha": alphas, "synthetic_weight": weights}
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    start = time.perf_counter()
    with sklearn.config_context(enable_metadata_routing=True):
        fixed = SyntheticMixClassifier().set_fit_request(sample_source=True)
        fixed.set_score_request(sample_source=True)
        GridSearchCV(fixed, grid, cv=folds, refit=False).fit(
            data.X, data.y, sample_source=data.sample_source
        )
    return time.perf_counter() - start


def ridge_search(data, model):
    """Return the time of the same search over Ridge itself, with weights as sample_weight."""
    real = data.sample_source == 0
    targets = data.y.astype(float)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(data.X, data.y))
    start = time.perf_counter()
    for weight in model.weight_grid_[:, 0]:
        sample_weight = np.where(real, 1.0, weight)
        for train, _ in folds:
            rows = train[sample_weight[train] > 0]
            for alpha in model.alphas_:
                Ridge(alpha=alpha * len(rows), solver="cholesky").fit(
                    data.X[rows], targets[rows], sample_weight=sample_weight[rows]
                )
    return time.perf_counter() - start


def measure(size):
    """Return a row of the table of times."""
    n, m, p = size
    data = make_synthetic_mix(n, m, p, mean_norm=2.0, random_state=0)
    model = SyntheticMixClassifier()
    ours = seconds(lambda: model.fit(data.X, data.y, sample_source=data.sample_source))
    one = seconds(lambda: Ridge(alpha=100.0, solver="cholesky").fit(data.X, data.y))
    path = seconds(lambda: RidgeClassifierCV(model.alphas_ * (n + m)).fit(data.X, data.y), 1)
    least = floor(data)
    searched = search(data, model) if size in SEARCHED else np.nan
    plain = ridge_search(data, model) if size in SEARCHED else np.nan
    cells = (ours / one, ours / least, path / ours, searched / ours, plain / ours)
    return [
        f"{n} + {m} x {p}",
        f"{ours:.3f}",
        *("not run" if np.isnan(c) else f"{c:.3g}" for c in cells),
    ]


def measure_few(size):
    """Return a row of the table of processor times of few rows."""
    n, m, p = size
    data = make_synthetic_mix(n, m, p, mean_norm=2.0, random_state=0)
    model = SyntheticMixClassifier().fit(data.X, data.y, sample_source=data.sample_source)
    jobs = (
        lambda: model.fit(data.X, data.y, sample_source=data.sample_source),
        lambda: RidgeClassifierCV(model.alphas_ * (n + m)).fit(data.X, data.y),
    )
    times = np.array([[processor_time(job) for job in jobs] for _ in range(ROUNDS)])
    low, ratio, high = np.quantile(times[:, 0] / times[:, 1], [0.25, 0.5, 0.75])
    own, other = 1e3 * np.median(times, axis=0)
    spread = f"{ratio:.2f} ({low:.2f} to {high:.2f})"
    return f"{n} + {m} x {p}", f"{own:.1f}", f"{other:.1f}", spread


def processor_time(job):
    """Return the processor time of a call."""
    start = time.process_time()
    job()
    return time.process_time() - start


def main():
    """Measure and print."""
    print(machine())
    warnings.simplefilter("ignore", TheoryWarning)
    header = (
        "real + synthetic x features",
        "seconds",
        "ours / one Ridge fit",
        "ours / Grams and 8 eigendecompositions",
        "RidgeClassifierCV on all / ours",
        "GridSearchCV of ours / ours",
        "search over Ridge / ours",
    )
    few = ("real + synthetic x features", "milliseconds", "RidgeClassifierCV on all", "ratio")
    with threadpool_limits(1):
        print_table("Processor time for few rows", few, (measure_few(size) for size in FEW_ROWS))
        print_table("Time of 200 pairs", header, (measure(size) for size in SIZES))


if __name__ == "__main__":
    main()
