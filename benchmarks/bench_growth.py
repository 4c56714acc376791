"""How time and memory of every estimator grow when its data double, beside a rival.

Run it as ``python benchmarks/bench_growth.py``; ``--help`` lists the options. Each fit runs in a
process of its own, after a small fit that loads what it needs: processor time on one thread, the
least of some rounds, and the growth of the peak of the resident memory over what the process held
before the fit.
"""

import argparse
import multiprocessing
import resource
import statistics
import time
import warnings
from functools import partial
from itertools import pairwise

import numpy as np
from _table import machine, print_table
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDRegressor
from sklearn.model_selection import cross_val_score
from tensorly.decomposition import parafac
from threadpoolctl import threadpool_limits

from skrmt.cluster import NestedTensorClustering
from skrmt.collapse import CollapseForecaster
from skrmt.datasets import make_nested_views, make_noisy_mixture, make_spiked_tensor
from skrmt.decomposition import TensorDeflation
from skrmt.linear_model import (
    NoiseAwareLinearClassifier,
    StagedSGDRegressor,
    SyntheticMixClassifier,
)
from skrmt.matching import EncoderMatcher
from skrmt.model_selection import GeneralizationReport
from skrmt.preference import PreferencePolicy, SelfPlayPolicy


def rows(n, p):
    """Draw a mixture of two classes with a fifth of the labels wrong."""
    return make_noisy_mixture(n, p, noise_rates=0.2, random_state=0)[:2]


def words(n, p, per_row=30):
    """Draw counts of words of unequal frequency, and labels that depend on them."""
    rng = np.random.default_rng(0)
    columns = np.minimum((p * rng.uniform(size=n * per_row) ** 2).astype(int), p - 1)
    counts = (np.ones(len(columns)), (np.repeat(np.arange(n), per_row), columns))
    X = sparse.csr_array(counts, (n, p))
    scores = X @ rng.standard_normal(p)
    return X, (scores > np.median(scores)) * 1


def numbers(n, p):
    """Draw rows of a linear regression."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    return X, X @ rng.standard_normal(p) / np.sqrt(p) + rng.standard_normal(n)


def mixed(n, p):
    """Draw real rows, and four times as many synthetic ones."""
    X, y = rows(5 * n, p)
    return X[:n], y[:n], X[n:], y[n:]


def encoders(n, p):
    """Draw two embeddings of the same items."""
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((n, 20))
    spaces = [factors @ rng.standard_normal((20, p)) for _ in range(2)]
    return [space + rng.standard_normal(space.shape) for space in spaces]


def prompts(n, p):
    """Draw candidate sets, six responses a prompt, with the chosen ones."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 6, p))
    return X, (X @ rng.standard_normal(p)).argmax(1)


JOBS = {
    "NoiseAwareLinearClassifier, tall": (
        [(n, 50) for n in (50_000, 100_000, 200_000)],
        rows,
        lambda X, y: NoiseAwareLinearClassifier().fit(X, y),
        ("RidgeClassifier", lambda X, y: RidgeClassifier().fit(X, y)),
    ),
    "NoiseAwareLinearClassifier, wide": (
        [(200, p) for p in (10_000, 20_000, 40_000)],
        rows,
        lambda X, y: NoiseAwareLinearClassifier().fit(X, y),
        ("RidgeClassifier", lambda X, y: RidgeClassifier().fit(X, y)),
    ),
    "NoiseAwareLinearClassifier, sparse": (
        [(n, 20_000) for n in (5000, 10_000, 20_000)],
        words,
        lambda X, y: NoiseAwareLinearClassifier().fit(X, y),
        ("RidgeClassifier", lambda X, y: RidgeClassifier().fit(X, y)),
    ),
    "SyntheticMixClassifier": (
        [(n, 50) for n in (500, 1000, 2000)],
        mixed,
        lambda X, y, Z, z: SyntheticMixClassifier().fit(X, y, X_synthetic=Z, y_synthetic=z),
        ("RidgeClassifier", lambda X, y, Z, z: RidgeClassifier().fit(np.r_[X, Z], np.r_[y, z])),
    ),
    "StagedSGDRegressor": (
        [(n, 50) for n in (5000, 10_000, 20_000)],
        numbers,
        lambda X, y: StagedSGDRegressor(random_state=0).fit(X, y),
        ("SGDRegressor, one pass", lambda X, y: SGDRegressor(max_iter=1, tol=None).fit(X, y)),
    ),
    "GeneralizationReport, dense": (
        [(n, 50) for n in (2000, 4000, 8000)],
        rows,
        lambda X, y: GeneralizationReport(RidgeClassifier()).fit(X, y),
        ("cross_val_score", lambda X, y: cross_val_score(RidgeClassifier(), X, y)),
    ),
    "GeneralizationReport, sparse": (
        [(n, 20_000) for n in (2500, 5000, 10_000)],
        words,
        lambda X, y: GeneralizationReport(RidgeClassifier()).fit(X, y),
        ("cross_val_score", lambda X, y: cross_val_score(RidgeClassifier(), X, y)),
    ),
    "PreferencePolicy, dpo": (
        [(n, 50) for n in (5000, 10_000, 20_000)],
        rows,
        lambda X, y: PreferencePolicy().fit(X, y),
        ("LogisticRegression", lambda X, y: LogisticRegression().fit(X, y)),
    ),
    "SelfPlayPolicy": (
        [(n, 20) for n in (250, 500, 1000)],
        prompts,
        lambda X, y: SelfPlayPolicy(random_state=0).fit(X, y),
        None,
    ),
    "NestedTensorClustering": (
        [(n, 200) for n in (500, 1000, 2000)],
        lambda n, p: (make_nested_views(n, p, random_state=0)[0],),
        lambda X: NestedTensorClustering(random_state=0).fit(X),
        ("KMeans, joined views", lambda X: KMeans(2, n_init=10).fit(X.reshape(len(X), -1))),
    ),
    "TensorDeflation": (
        [(n, 60) for n in (60, 120, 240)],
        lambda n, p: (make_spiked_tensor((n, p, p), (8.0, 6.0), random_state=0)[0],),
        lambda T: TensorDeflation(2, random_state=0).fit(T),
        ("parafac", lambda T: parafac(T, 2, random_state=0)),
    ),
    "EncoderMatcher": (
        [(n, 60) for n in (150, 300, 600)],
        encoders,
        lambda X, Y: EncoderMatcher(random_state=0).fit(X, Y),
        ("CCA, 10 components", lambda X, Y: CCA(10).fit(X, Y)),
    ),
    "CollapseForecaster": (
        [(n, 0) for n in (50_000, 100_000, 200_000)],
        lambda n, _: (np.random.default_rng(0).zipf(1.5, n).clip(max=5000),),
        lambda tokens: CollapseForecaster(random_state=0).fit(tokens),
        ("numpy.unique", lambda tokens: np.unique(tokens, return_counts=True)),
    ),
}


def measured(connection, make, action, small, size):
    """Fit in a process of its own; send the seconds and the megabytes, or the error."""
    warnings.simplefilter("ignore")
    try:
        with threadpool_limits(1):
            action(*make(*small))
            data = make(*size)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            start = time.process_time()
            action(*data)
            seconds = time.process_time() - start
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        connection.send((seconds, (after - before) / 1024.0))
    except Exception as error:
        connection.send(repr(error)[:200])


def in_child(make, action, small, size):
    """Return the seconds and the megabytes of a fit."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=measured, args=(there, make, action, small, size))
    child.start()
    there.close()
    try:
        result = here.recv()
    except EOFError:
        result = "ended without a result"
    child.join()
    if isinstance(result, str):
        raise RuntimeError(result)
    return result


def grown(make, action, sizes, rounds):
    """Return the least seconds and the median megabytes at each size."""
    small = (max(sizes[0][0] // 8, 40), min(sizes[0][1], 100))
    run = partial(in_child, make, action, small)
    found = [[run(size) for size in sizes] for _ in range(rounds)]
    seconds = [min(one[i][0] for one in found) for i in range(len(sizes))]
    megabytes = [statistics.median(one[i][1] for one in found) for i in range(len(sizes))]
    return seconds, megabytes


def cells(name, seconds, megabytes):
    """Return the cells of a table for one method."""
    ratios = [late / early for early, late in pairwise(seconds)]
    times = ", ".join(f"{value:.3g}" for value in seconds)
    growth = ", ".join(f"{value:.1f}" for value in ratios)
    return name, times, growth, ", ".join(f"{value:.0f}" for value in megabytes)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--jobs", nargs="*", default=list(JOBS), choices=list(JOBS))
    options = parser.parse_args()
    print(machine())
    table = []
    for name in options.jobs:
        sizes, make, ours, rival = JOBS[name]
        shapes = ", ".join(f"{n}" + (f" x {p}" if p else "") for n, p in sizes)
        methods = [(name, ours)] + ([rival] if rival else [])
        for label, action in methods:
            try:
                row = cells(label, *grown(make, action, sizes, options.rounds))
            except RuntimeError as error:
                row = label, str(error), "", ""
            table.append((*row[:1], shapes, *row[1:]))
            print(table[-1], flush=True)
    header = ("fit", "sizes", "seconds", "ratio a doubling", "extra MB")
    print_table("Growth", header, table)


if __name__ == "__main__":
    main()
