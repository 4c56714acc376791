"""EncoderMatcher and its kernels: accuracy, claims, time and memory against what users write."""

import argparse
import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
from _table import machine, print_table
from scipy.optimize import quadratic_assignment as scipy_assignment
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from skrmt.datasets import make_correlated_graphs
from skrmt.matching import (
    EncoderMatcher,
    cka_test,
    local_cka_scores,
    quadratic_assignment,
)


def seconds(call, repeats=3):
    """Return the shortest of some times, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return min(times), result


@cache
def feature_sets():
    """Return feature sets of the same handwritten digits, and the pairs of them to match."""
    file = Path(os.environ.get("SKRMT_DATA", "")) / "mfeat" / "mfeat.npz"
    if "SKRMT_DATA" in os.environ and file.exists():
        pairs = (("kar", "pix"), ("fou", "pix"), ("fou", "zer"))
        return dict(np.load(file)), pairs
    X = load_digits().data
    return {"left": X[:, :40], "right": X[:, 24:]}, (("left", "right"),)


def views(first, second, n_queries, seed=0):
    """Return known pairs and queries of two feature sets of handwritten digits."""
    data, _ = feature_sets()
    order = np.random.default_rng(seed).permutation(len(data[first]))
    known, query = order[:320], order[320 : 320 + n_queries]
    X, Y = data[first].astype(float), data[second].astype(float)
    return X[known], Y[known], X[query], Y[query]


def claim_rows():
    """Yield accuracies predicted and measured."""
    for first, second in feature_sets()[1]:
        for n_queries in (64, 200, 500, 1500):
            for assignment in ("hungarian", "argmax"):
                X, Y, X_query, Y_query = views(first, second, n_queries)
                model = EncoderMatcher("local_cka", assignment=assignment, random_state=0)
                model.fit(X, Y)
                predicted = model.predict_accuracy(X_query, Y_query)
                real = model.score(X_query, Y_query)
                error = np.sqrt(max(real * (1 - real), 1 / n_queries) / n_queries)
                gap = (predicted.accuracy - real) / np.hypot(predicted.standard_error, error)
                yield [
                    f"{first} / {second}",
                    n_queries,
                    assignment,
                    f"{predicted.accuracy:.3f} ± {predicted.standard_error:.3f}",
                    f"{real:.3f}",
                    f"{gap:+.1f}",
                ]


def method_rows():
    """Yield the accuracy of every method."""
    for first, second in feature_sets()[1]:
        X, Y, X_query, Y_query = views(first, second, 500)
        for method in ("local_cka", "qap", "procrustes", "relative", "cca", "ridge"):
            row = [f"{first} / {second}", method]
            for assignment in ("argmax", "hungarian"):
                model = EncoderMatcher(method, assignment=assignment, random_state=0).fit(X, Y)
                row.append(f"{model.score(X_query, Y_query):.3f}")
            yield [*row, f"{model.theoretical_accuracy_:.3f}"]


def brute_force(X, Y, X_query, Y_query, pairs, widths):
    """Return debiased CKAs of known pairs with single candidates, one after the other."""
    found = []
    for i, j in pairs:
        sides = np.vstack([X, X_query[i]]), np.vstack([Y, Y_query[j]])
        kernels = []
        for Z, width in zip(sides, widths, strict=True):
            squares = (Z * Z).sum(1)
            gaps = np.clip(squares[:, None] + squares - 2 * Z @ Z.T, 0, None)
            K = np.exp(-gaps / (2 * width**2))
            np.fill_diagonal(K, 0)
            n = len(K)
            sums = K.sum(0) / (n - 2)
            K = K - sums - sums[:, None] + sums.sum() / (n - 1)
            np.fill_diagonal(K, 0)
            kernels.append(K)
        K, L = kernels
        found.append((K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum()))
    return np.array(found)


def local_rows():
    """Yield the time of local CKA against brute force on 1 % of the pairs, scaled."""
    X, Y, X_query, Y_query = views(*feature_sets()[1][0], 500)
    widths = (10.0, 30.0)
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 500, (2500, 2))
    slow, wanted = seconds(lambda: brute_force(X, Y, X_query, Y_query, pairs, widths), 1)
    fast, scores = seconds(lambda: local_cka_scores(X, Y, X_query, Y_query, bandwidth=widths), 5)
    error = abs(scores[pairs[:, 0], pairs[:, 1]] - wanted).max()
    yield [
        "320",
        "500 x 500",
        f"{100 * slow:.0f}",
        f"{1e3 * fast:.1f}",
        f"{100 * slow / fast:.0f}",
        f"{error:.0e}",
    ]


def faq_rows():
    """Yield times of FAQ against SciPy's on matrices, and on features where there are some."""
    for n, kind in ((500, "Wigner"), (1000, "Wigner"), (2000, "Wigner"), (2000, "32 features")):
        rng = np.random.default_rng(0)
        if kind == "Wigner":
            data = make_correlated_graphs(n, 0.8, random_state=0)
            A, B, truth = data
            sides, low_rank = (A, B), None
        else:
            F = rng.standard_normal((n, 32))
            order = rng.permutation(n)
            G = (F + 0.3 * rng.standard_normal((n, 32)))[order]
            sides, low_rank, truth = (F - F.mean(0), G - G.mean(0)), "features", np.argsort(order)
            A, B = (side @ side.T for side in sides)
        m = n // 20
        pairs = np.column_stack([np.arange(m), truth[:m]])
        options = {"maximize": True, "partial_match": pairs, "rng": rng}
        repeats = 5 if n < 2000 else 2
        theirs, found = seconds(
            lambda a=A, b=B, o=options: scipy_assignment(a, b, options=o), repeats
        )
        row = [n, kind, f"{theirs:.2f}"]
        for dtype in (np.float64, np.float32):
            a, b = (side.astype(dtype) for side in sides)
            ours, result = seconds(
                lambda a=a, b=b, p=pairs, r=low_rank: quadratic_assignment(
                    a, b, known_pairs=p, low_rank=r, random_state=0
                ),
                repeats,
            )
            row += [f"{ours:.2f}", f"{theirs / ours:.1f}"]
        shares = [np.mean(match == truth) for match in (result.indices, found.col_ind)]
        yield [*row, f"{result.objective / found.fun:.5f}", "{:.3f} / {:.3f}".format(*shares)]


def graph_rows():
    """Yield matched shares of correlated Wigner matrices of 200 items."""
    for rho in (0.5, 0.7, 0.9):
        row = [rho]
        for m in (0, 5, 10, 20):
            rates = []
            for seed in range(10):
                data = make_correlated_graphs(200 + m, rho, random_state=seed)
                pairs = np.column_stack([np.arange(m), data.indices[:m]])
                found = quadratic_assignment(
                    data.A, data.B, known_pairs=pairs, n_init=10, random_state=seed
                )
                rates.append(np.mean(found.indices[m:] == data.indices[m:]))
            row.append(f"{np.mean(rates):.2f}")
        yield row


def null_rows():
    """Yield mean and variance of z-scores of unrelated data."""
    rng = np.random.default_rng(0)
    for kernel in ("linear", "rbf"):
        for debiased in (True, False):
            X, Y = rng.standard_normal((60, 200)) ** 3, rng.standard_exponential((60, 10))
            z = [
                cka_test(X, Y[rng.permutation(60)], kernel=kernel, debiased=debiased).z_score
                for _ in range(1000)
            ]
            kind = "debiased" if debiased else "biased"
            yield [kernel, kind, f"{np.mean(z):+.3f} ± 0.032", f"{np.var(z):.3f} ± 0.045"]


MEMORY = {
    "CKA, n = 50 000, d = 256, float32": (
        "from skrmt.matching import cka\n"
        "X = rng.standard_normal((50_000, 256), dtype='f')\n"
        "Y = rng.standard_normal((50_000, 256), dtype='f')\n",
        "cka(X, Y)",
    ),
    "FAQ, n = 5000, float32": (
        "from skrmt.matching import quadratic_assignment\n"
        "A = rng.standard_normal((5000, 5000), dtype='f'); A += A.T\n"
        "B = A.copy()\n",
        "quadratic_assignment(A, B, known_pairs=[[k, k] for k in range(100)], max_iter=3)",
    ),
}


def memory_rows():
    """Yield the largest memory of processes of their own."""
    for name, (make, call) in MEMORY.items():
        code = (
            "import resource, time\nimport numpy as np\nrng = np.random.default_rng(0)\n"
            f"{make}\nstart = time.perf_counter()\n{call}\n"
            "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2\n"
            "print(f'{time.perf_counter() - start:.1f} {peak:.2f}')"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        yield [name, *(done.stdout.split() or ["-", "-"])]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without memory and the graphs")
    arguments = parser.parse_args()
    print(machine())
    with threadpool_limits(1):
        header = ["views", "queries", "assignment", "predicted", "measured", "difference, s.e."]
        print_table("Accuracy predicted without labels", header, claim_rows())
        header = ["views", "method", "nearest neighbour", "one to one", "predicted, 320 candidates"]
        print_table("Methods, 500 queries", header, method_rows())
        header = ["known pairs", "candidates", "brute force, s", "ours, ms", "ratio", "difference"]
        print_table("Local CKA", header, local_rows())
        header = [
            "n",
            "matrices",
            "SciPy, s",
            "float64, s",
            "ratio",
            "float32, s",
            "ratio",
            "objective / SciPy's",
            "matched, ours / SciPy's",
        ]
        print_table("Quadratic assignment, n / 20 known pairs", header, faq_rows())
        print_table(
            "z-scores of unrelated data", ["kernel", "CKA", "mean", "variance"], null_rows()
        )
        if not arguments.quick:
            header = ["correlation", "0 known pairs", "5", "10", "20"]
            print_table("Correlated matrices of 200 items, ten starts", header, graph_rows())
            print_table("Memory", ["", "time, s", "peak of the process, GiB"], memory_rows())
