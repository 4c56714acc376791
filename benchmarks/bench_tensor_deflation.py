"""TensorDeflation against tensorly's parafac, with both of its starts, and its power iteration.

    python benchmarks/bench_tensor_deflation.py

Tensors of rank 1 to 4 with correlated components (cosines 0.3 in every mode) in noise of unknown
variance. Rivals run at their defaults and are given the rank. Methods take turns on the same
tensors; alignments, the mean absolute cosine of estimated and true factors, stand beside the times.
"""

import argparse
import time
import tracemalloc
import warnings

import numpy as np
from _table import machine, print_table
from sklearn.exceptions import ConvergenceWarning
from tensorly.decomposition import parafac, parafac_power_iteration
from threadpoolctl import threadpool_limits

from skrmt.datasets import make_spiked_tensor
from skrmt.decomposition import TensorDeflation, factor_alignments
from skrmt.exceptions import TheoryWarning
from skrmt.linalg import DenseTensor, no_components, power_sweeps
from skrmt.theory.spiked_tensor import thresholds

STRENGTHS = {"strong": (8.0, 6.0, 4.5, 3.5), "moderate": (4.0, 3.5, 3.0, 2.5)}
RANKED = (((), 0.0), ((3.0,), 0.0), ((6.0, 4.0), 0.5), ((4.0, 3.0, 2.6), 0.4))


def ours(X, rank):
    """Return the factors of TensorDeflation, all theory attributes computed."""
    return TensorDeflation(rank, random_state=0).fit(X).factors_


METHODS = {
    "TensorDeflation": ours,
    "TensorDeflation, rank unknown": lambda X, rank: ours(X, "auto"),
    "parafac, svd": lambda X, rank: parafac(X, rank, init="svd")[1],
    "parafac, random": lambda X, rank: parafac(X, rank, init="random", random_state=0)[1],
    "parafac_power_iteration": lambda X, rank: parafac_power_iteration(X, rank)[1],
}


def timed(method, X, rank):
    """Return seconds and factors."""
    start = time.perf_counter()
    factors = method(X, rank)
    return time.perf_counter() - start, factors


def compare(size, strength, rank, rounds):
    """Return times and alignments, one row a round, one column a method."""
    times, alignments = np.empty((rounds, len(METHODS))), np.empty((rounds, len(METHODS)))
    for seed in range(rounds):
        data = make_spiked_tensor(
            (size,) * 3, STRENGTHS[strength][:rank], grams=0.3, random_state=9000 + seed
        )
        for column, method in enumerate(METHODS.values()):
            times[seed, column], factors = timed(method, data.X, rank)
            alignments[seed, column] = factor_alignments(factors, data.factors).mean()
    return times, alignments


def speed_rows(sizes, rounds):
    """Yield one row a size, strength and rank: our time, ratios with their range, alignments."""
    for size in sizes:
        for strength in STRENGTHS:
            for rank in (1, 2, 3, 4):
                times, alignments = compare(size, strength, rank, rounds)
                ratios = times[:, 1:] / times[:, :1]
                cells = [
                    f"{np.median(ratio):.1f} ({ratio.min():.1f}-{ratio.max():.1f})"
                    for ratio in ratios.T
                ]
                yield (
                    f"{size}³, {strength}",
                    rank,
                    f"{1e3 * np.median(times[:, 0]):.0f} ms",
                    *cells,
                    " / ".join(f"{a:.3f}" for a in alignments.mean(axis=0)[[0, 2, 3, 4]]),
                )


def sweep_rows(sizes):
    """Yield the time of a rank-one sweep over that of two passes, and the peak memory."""
    for size in sizes:
        data = make_spiked_tensor((size,) * 3, [4.0, 3.5, 3.0], grams=0.3, random_state=0)
        tensor, starts = DenseTensor(data.X), [factor[:, :1] for factor in data.factors]
        flat, nothing = data.X.ravel(), no_components(data.X.shape)
        sweep = shortest(lambda t=tensor, s=starts, n=nothing: power_sweeps(t, s, n, 0.0, 10)) / 10
        reading = shortest(lambda f=flat: f.sum())
        product = shortest(lambda t=tensor, s=starts: s[0][:, 0] @ t.flat)
        yield (
            f"{size}³",
            f"{1e3 * sweep:.2f} ms",
            f"{sweep / 2 / product:.2f}",
            f"{sweep / 2 / reading:.2f}",
            *(f"{peak(method, data.X, 3):.2f}" for method in METHODS.values()),
        )


def shortest(function, repeats=15):
    """Return the shortest time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def peak(method, X, rank):
    """Return the peak memory, the tensor included, over that of the tensor."""
    tracemalloc.start()
    method(X, rank)
    allocated = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return 1 + allocated / X.nbytes


def rank_rows(draws):
    """Yield how often the number of components is right."""
    for betas, cosine in RANKED:
        found = [
            TensorDeflation(random_state=seed)
            .fit(make_spiked_tensor((60,) * 3, betas, grams=cosine, random_state=9000 + seed).X)
            .n_components_
            for seed in range(draws)
        ]
        right = sum(rank == len(betas) for rank in found)
        yield len(betas), betas or "-", cosine, f"{right} of {draws}"


def start_rows(draws):
    """Yield how often one weak component is found."""
    names = [name for name in METHODS if "unknown" not in name]
    for size, betas in ((60, (1.3, 1.4, 1.5, 1.7, 2.0)), (100, (1.5, 1.7, 1.9, 2.2))):
        threshold = thresholds((size,) * 3).computational
        for beta in betas:
            found = np.zeros(len(names))
            for seed in range(draws):
                data = make_spiked_tensor((size,) * 3, [beta], random_state=9000 + seed)
                for column, name in enumerate(names):
                    factors = METHODS[name](data.X, 1)
                    found[column] += factor_alignments(factors, data.factors).mean() > 0.4
            yield (
                f"{size}³",
                f"{beta} ({beta / threshold:.2f} of the spectral threshold)",
                *(f"{share:.0%}" for share in found / draws),
            )


def claim_rows(draws):
    """Yield predicted against realised alignments."""
    mixed = [[1, 0.5, 0.3], [0.5, 1, 0.4], [0.3, 0.4, 1]]
    settings = {
        "(8, 6, 4.5), cosines .5 .3 .4": ((8, 6, 4.5), mixed),
        "(5, 4, 3), cosines .4": ((5, 4, 3), 0.4),
        "(3.5, 3, 2.5), cosines .4": ((3.5, 3, 2.5), 0.4),
    }
    for name, (betas, grams) in settings.items():
        for method in ("joint", "hotelling", "orthogonalized"):
            gaps, errors = [], []
            for seed in range(draws):
                data = make_spiked_tensor(
                    (80,) * 3, betas, grams=grams, noise_std=2.0, random_state=9000 + seed
                )
                model = TensorDeflation(3, method=method, random_state=0).fit(data.X)
                realised = factor_alignments(data.factors, model.factors_)
                gaps.append(np.abs(model.theoretical_alignments_ - realised).mean())
                errors.extend((np.sort(model.snr_) - np.sort(betas)) / np.sort(model.snr_std_))
            predicted = np.isfinite(gaps)
            yield (
                name,
                method,
                f"{np.mean(np.array(gaps)[predicted]):.4f}" if predicted.any() else "-",
                f"{predicted.sum()} of {draws}",
                f"{np.nanstd(errors):.2f}",
            )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 200])
    parser.add_argument("--rounds", type=int, default=3, help="tensors of each kind")
    parser.add_argument("--draws", type=int, default=40, help="draws of the accuracy tables")
    options = parser.parse_args()
    print(machine())
    warnings.simplefilter("ignore", TheoryWarning)
    warnings.simplefilter("ignore", ConvergenceWarning)
    rivals = [f"{name} / ours" for name in list(METHODS)[1:]]
    header = ("tensor", "rank", "ours", *rivals, "alignment: ours / svd / random / power")
    with threadpool_limits(1):
        print_table("Tensor fits", header, speed_rows(options.sizes, options.rounds))
        header = (
            "tensor",
            "one sweep",
            "over two products with a vector",
            "over two sums of all entries",
            *(f"memory, {name}" for name in METHODS),
        )
        print_table("Tensor sweeps and memory", header, sweep_rows(options.sizes))
        header = ("components", "norms", "cosines", "right")
        print_table("Tensor rank", header, rank_rows(options.draws))
        names = [name for name in METHODS if "unknown" not in name]
        print_table("Weak tensor component found", ("tensor", "norm", *names), start_rows(20))
        header = ("norms", "method", "mean error of alignments", "predicted", "z of the norms")
        print_table("Tensor claims", header, claim_rows(max(2, options.draws // 4)))


if __name__ == "__main__":
    main()
