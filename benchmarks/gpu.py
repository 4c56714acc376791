"""Public kernels and estimators on NumPy and on a torch device: time, and share of the ceiling.

    python benchmarks/gpu.py [--device cuda] [--dtype both] [--scale 1] [--quick]

The ceilings are measured in the same run: a large product of two matrices for arithmetic, a large
copy for memory. Each job states the operations and the numbers it cannot do without; its time on
the device over the longer of the two times that these would take at the ceilings is the share.
Jobs that iterate make a fixed number of passes, or none is counted that depends on the data.
Where there is no CUDA device, torch runs on the processor.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from _table import machine, print_table

from skrmt.cluster import NestedTensorClustering
from skrmt.datasets import make_spiked_tensor
from skrmt.decomposition import TensorDeflation
from skrmt.linalg import (
    DenseTensor,
    as_device,
    best_rank_one,
    coefficients,
    deflate_mode,
    get_backend,
    loo_path,
    no_components,
    power_sweeps,
    ridge_basis,
    to_numpy,
)
from skrmt.linear_model import NoiseAwareLinearClassifier
from skrmt.matching import cka, local_cka_scores, quadratic_assignment
from skrmt.preference import preference_loss

ALPHAS = np.logspace(-3, 3, 29)
AGREEMENT = {"float32": 1e-3, "float64": 1e-8}


class Kernel(NamedTuple):
    """A public function, its arrays, and what it cannot do without."""

    name: str
    call: Callable[..., Any]
    arrays: tuple
    flops: float
    numbers: float


def source(dtype):
    """Return a function that draws arrays."""
    rng = np.random.default_rng(0)
    return lambda *shape: rng.standard_normal(shape).astype(dtype)


def kernels(scale, dtype):
    """Yield every kernel with sizes multiplied by a scale."""
    for group in (ridge_kernels, tensor_kernels, view_kernels, matching_kernels):
        yield from group(scale, dtype, source(dtype))


def ridge_kernels(scale, dtype, draw):
    """Yield the kernels of linear models and of losses."""
    n, p = int(8000 * scale), int(2000 * scale)
    X, y = draw(n, p), np.sign(draw(n))
    yield Kernel(
        f"ridge_basis, {n} x {p}",
        lambda X: ridge_basis(X).scale,
        (X,),
        4.0 * n * p**2 + 9.0 * p**3,
        3.0 * n * p,
    )
    yield Kernel(
        f"ridge_basis + loo_path, {n} x {p}, 29 penalties",
        lambda X, y: loo_path(ridge_basis(X), y, ALPHAS)[0],
        (X, y),
        4.0 * n * p**2 + 9.0 * p**3,
        4.0 * n * p,
    )
    yield Kernel(
        f"ridge_basis + coefficients, {n} x {p}",
        lambda X, y: coefficients(ridge_basis(X), y, 0.1)[0],
        (X, y),
        4.0 * n * p**2 + 9.0 * p**3,
        4.0 * n * p,
    )
    yield Kernel(
        f"NoiseAwareLinearClassifier, one penalty, {n} x {p}",
        _scores_of_rows,
        (X, y),
        4.0 * n * p**2 + 9.0 * p**3,
        4.0 * n * p,
    )
    pairs = int(2e6 * scale)
    logps = [draw(pairs) for _ in range(4)]
    for name in ("dpo", "ipo"):
        yield Kernel(
            f"{name} loss, {pairs} pairs",
            partial(_loss, name),
            tuple(logps),
            10.0 * pairs,
            5.0 * pairs,
        )


def _scores_of_rows(X, y):
    """Return the scores of the rows after one pass over their labels."""
    model = NoiseAwareLinearClassifier(alpha=0.5, noise_rates=0.1)
    return model.fit(X, y).decision_function(X)


def _loss(name, *logps):
    """Return a preference loss of every pair."""
    return preference_loss(name, *logps, beta=0.1)


def tensor_kernels(scale, dtype, draw):
    """Yield the kernels of tensors; sweeps are fixed in number."""
    side, r, sweeps = int(300 * scale), 4, 10
    spikes = make_spiked_tensor((side,) * 3, (9.0, 8.0, 7.0, 6.0), grams=0.2, random_state=0)
    T = spikes.X.astype(dtype)
    start = [factor[:, :r] for factor in spikes.factors]
    size = float(side) ** 3
    yield Kernel(
        f"Gram matrix of a mode, {side}³",
        lambda T: DenseTensor(T).gram(1),
        (T,),
        2.0 * size * side,
        size,
    )
    yield Kernel(
        f"power_sweeps, {side}³, {r} starts, {sweeps} sweeps",
        lambda T: power_sweeps(DenseTensor(T), start, no_components(T.shape), 0.0, sweeps).values,
        (T,),
        sweeps * 4.0 * r * size,
        sweeps * 2.0 * size,
    )
    yield Kernel(
        f"best_rank_one, {side}³ (one Gram matrix, 10 passes counted)",
        lambda T: best_rank_one(DenseTensor(T), enough=4.0, seed=0).values,
        (T,),
        2.0 * size * side + 10 * 2.0 * size,
        11.0 * size,
    )
    yield Kernel(
        f"deflate_mode, {side}³",
        lambda T: deflate_mode(DenseTensor(T), start[0][:, 0], 0, 0.5).tensor,
        (T,),
        4.0 * size,
        3.0 * size,
    )
    yield Kernel(
        f"TensorDeflation of rank {r}, {side}³ (one Gram matrix, 20 passes counted)",
        lambda T: TensorDeflation(r, random_state=0).fit(T).factors_[0],
        (T,),
        2.0 * size * side + 20 * 2.0 * r * size,
        21.0 * size,
    )


def view_kernels(scale, dtype, draw):
    """Yield the clustering of several views."""
    views = draw(int(4000 * scale), int(500 * scale), 4)
    views += np.sign(draw(len(views)))[:, None, None] * 4.0 / np.sqrt(views.shape[1], dtype=dtype)
    a, b, c = views.shape
    for method, passes in (("two_step", 3.0), ("tensor", 5.0)):
        yield Kernel(
            f"NestedTensorClustering, {method}, {a} x {b} x {c}",
            partial(_labels, method),
            (views,),
            2.0 * a * b * (c * c + c) + 2.0 * a * b**2,
            passes * a * b * c,
        )


def _labels(method, views):
    """Return the labels of the samples."""
    return NestedTensorClustering(method=method, random_state=0).fit(views).labels_


def matching_kernels(scale, dtype, draw):
    """Yield the functions that compare two sets of features."""
    n, p, q = int(3000 * scale), 256, 128
    F, G = draw(n, p), draw(n, q)
    G[:, :64] += F[:, :64]
    for kernel in ("linear", "rbf"):
        yield Kernel(
            f"CKA of {kernel} kernels, {n} items",
            partial(cka, kernel=kernel, bandwidth=20.0),
            (F, G),
            1.0 * n**2 * (p + q),
            1.0 * n**2,
        )
    rows = 20 * n
    for batch_size in (None, 512):
        yield Kernel(
            f"CKA of features, {rows} items"
            + (f" in batches of {batch_size}" if batch_size else ""),
            partial(cka, batch_size=batch_size),
            (np.tile(F, (20, 1)), np.tile(G, (20, 1))),
            2.0 * rows * (p * q + p * p + q * q),
            1.0 * rows * (p + q),
        )
    known, queries = int(320 * scale), int(1500 * scale)
    yield Kernel(
        f"local CKA, {known} pairs, {queries} queries",
        partial(local_cka_scores, bandwidth=10.0),
        (draw(known, 64), draw(known, 48), draw(queries, 64), draw(queries, 48)),
        2.0 * known * queries**2 + 2.0 * known * (known + queries) * 112,
        1.0 * queries**2,
    )
    size = int(1000 * scale)
    W = draw(size, size)
    W = W + W.T
    order = np.random.default_rng(1).permutation(size)
    for rank, flops in ((None, 10 * 2.0 * size**3), (20, 18.0 * size**3 + 400.0 * size**2)):
        yield Kernel(
            f"quadratic_assignment, {size} items, low_rank={rank} (assignments on the processor)",
            partial(_objective, rank),
            (W, W[order][:, order].copy()),
            flops,
            10 * 4.0 * size**2,
        )


def _objective(rank, A, B):
    """Return the objective after ten steps."""
    found = quadratic_assignment(A, B, low_rank=rank, max_iter=10, tol=1e-9, random_state=0)
    return found.objective


def timed(call, arrays, wait, repeats):
    """Return the shortest time of a call, after one that warms up, and its result."""
    result, times = call(*arrays), []
    wait()
    for _ in range(repeats):
        start = time.perf_counter()
        result = call(*arrays)
        wait()
        times.append(time.perf_counter() - start)
    return min(times), result


def waiter(device):
    """Return what waits for a device."""
    if not device.startswith("cuda"):
        return lambda: None
    import torch

    return torch.cuda.synchronize


def ceilings(device, dtype, scale, wait):
    """Return operations and numbers a second: a product of matrices, and a copy."""
    size, length = int(4000 * scale), int(1e8 * scale)
    A = as_device(np.ones((size, size), dtype), device)
    x = as_device(np.ones(length, dtype), device)
    product, _ = timed(lambda M: M @ M, (A,), wait, 5)
    copy, _ = timed(lambda v: get_backend(v).copy(v), (x,), wait, 5)
    return 2.0 * size**3 / product, 2.0 * length / copy


def choose(device):
    """Return the device, the processor where CUDA is wanted and absent."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no CUDA device: torch runs on the processor.")
        return "cpu"
    if device.startswith("cuda"):
        print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}")
    return device


def rows(device, dtype, scale, repeats, limits, differing):
    """Yield one row a kernel, and list those whose results differ."""
    wait, (arithmetic, memory) = waiter(device), limits
    for kernel in kernels(scale, dtype):
        host, expected = timed(kernel.call, kernel.arrays, lambda: None, repeats)
        moved = tuple(as_device(array, device) for array in kernel.arrays)
        wait()
        taken, found = timed(kernel.call, moved, wait, repeats)
        least = max(kernel.flops / arithmetic, kernel.numbers / memory)
        expected, found = (np.asarray(to_numpy(part), float) for part in (expected, found))
        largest = np.abs(expected).max() or 1.0
        apart = float(np.abs(np.abs(found) - np.abs(expected)).max() / largest)
        if not apart <= AGREEMENT[dtype]:
            differing.append(kernel.name)
        yield (
            kernel.name,
            f"{1e3 * host:.3g} ms",
            f"{1e3 * taken:.3g} ms",
            f"{host / taken:.2g}",
            f"{least / taken:.0%}",
            "arithmetic" if kernel.flops / arithmetic > kernel.numbers / memory else "memory",
            f"{apart:.0e}",
        )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", help="torch device (%(default)s)")
    parser.add_argument("--dtype", choices=["float32", "float64", "both"], default="both")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all sizes")
    parser.add_argument("--repeats", type=int, default=5, help="calls that are timed (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="small sizes, one call")
    arguments = parser.parse_args()
    scale, repeats = (0.05, 1) if arguments.quick else (arguments.scale, arguments.repeats)
    device = choose(arguments.device)
    print(machine())
    header = ["kernel", "NumPy", device, "ratio", "share of ceiling", "ceiling", "difference"]
    for dtype in ("float32", "float64") if arguments.dtype == "both" else (arguments.dtype,):
        arithmetic, memory = ceilings(device, dtype, scale, waiter(device))
        title = (
            f"Public functions on {device}, {dtype}: ceilings {arithmetic / 1e9:.3g} Gflop/s, "
            f"{memory * np.dtype(dtype).itemsize / 1e9:.3g} GB/s"
        )
        apart = []
        print_table(title, header, rows(device, dtype, scale, repeats, (arithmetic, memory), apart))
        limit = f"to {AGREEMENT[dtype]:.0e} of the largest number"
        print(f"\nDiffer: {'; '.join(apart)}." if apart else f"\nAll results agree {limit}.")


if __name__ == "__main__":
    main()
