"""Every kernel on NumPy and on a torch device: time, and the share of the machine's ceiling.

    python benchmarks/gpu.py [--device cuda] [--dtype float32] [--quick]

The ceilings are measured in the same run: a large product of two matrices for arithmetic, a large
copy for memory. Each kernel states the operations and the numbers it cannot do without; its time on
the device over the longer of the two times that these would take at the ceilings is the share.
Where there is no CUDA device, torch runs on the processor.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from _table import machine, print_table

from skrmt.datasets import make_spiked_tensor
from skrmt.decomposition import TensorDeflation
from skrmt.linalg import (
    DenseTensor,
    MixSource,
    as_device,
    best_rank_one,
    combine_views,
    faq,
    get_backend,
    kernel_alignment,
    leading_components,
    local_cka_scores,
    local_kernels,
    loo_path,
    mix_basis,
    mix_loo,
    rank_one_cells,
    ridge_basis,
    ridge_cells,
    sgd_cells,
    spiked_matrix_cells,
    to_numpy,
    view_gram,
    view_means,
)
from skrmt.preference import preference_loss

ALPHAS = np.logspace(-3, 3, 29)
WEIGHTS = np.array([[0.1], [0.3], [1.0], [3.0]])


class Kernel(NamedTuple):
    """A kernel, its arrays, and what it cannot do without."""

    name: str
    call: Callable[..., Any]
    arrays: tuple
    flops: float
    numbers: float


def kernels(scale, dtype):
    """Yield every kernel with sizes multiplied by a scale."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    n, p = int(8000 * scale), int(2000 * scale)
    X, y = draw(n, p), np.sign(draw(n))
    yield Kernel(
        f"ridge_basis + loo_path, {n} x {p}, 29 penalties",
        lambda X, y: loo_path(ridge_basis(X), y, ALPHAS)[0],
        (X, y),
        4.0 * n * p**2 + 9.0 * p**3,
        3.0 * n * p,
    )
    m = n // 4
    yield Kernel(
        f"mix_basis + mix_loo, {m} + {n} x {p // 2}, 4 weights",
        lambda X, y, Z, t: next(
            iter(
                mix_loo(
                    mix_basis(X, y, [MixSource(Z, t)]),
                    np.array([[0.1], [0.3], [1.0], [3.0]]),
                    ALPHAS,
                )
            )
        )[1],
        (X[:m, : p // 2], y[:m], X[:, : p // 2], y),
        2.0 * (n + m) * (p / 2) ** 2 + 4 * (9.0 * (p / 2) ** 3 + 2.0 * m * (p / 2) ** 2),
        (n + m) * p / 2.0,
    )
    side = int(300 * scale)
    T = draw(side, side, side)
    yield Kernel(
        f"best_rank_one, {side}^3",
        lambda T: best_rank_one(DenseTensor(T), seed=0).factors[0],
        (T,),
        10 * 2.0 * side**3,
        10.0 * side**3,
    )
    spikes = make_spiked_tensor((side,) * 3, (6.0, 5.0, 4.0), grams=0.3, random_state=0)
    yield Kernel(
        f"TensorDeflation of rank 3, {side}^3",
        lambda T: TensorDeflation(3, random_state=0).fit(T).factors_[0],
        (spikes.X.astype(dtype),),
        30 * 2.0 * side**3,
        30.0 * side**3,
    )
    views = draw(int(4000 * scale), int(500 * scale), 4)
    a, b, c = views.shape

    def two_step(V):
        mean = view_means(V)
        view_gram(V, mean)
        return leading_components(combine_views(V, mean, np.ones(4)), 10).left

    yield Kernel(
        f"two-step of views, {a} x {b} x {c}",
        two_step,
        (views,),
        2.0 * a * b * (c * c + c) + 2.0 * a * b**2,
        3.0 * a * b * c,
    )
    items = int(3000 * scale)
    F, G = draw(items, 256), draw(items, 128)
    yield Kernel(
        f"CKA of kernels, {items} items",
        lambda F, G: kernel_alignment(F, G, kernel="rbf").cka,
        (F, G),
        2.0 * items**2 * 384,
        2.0 * items**2,
    )
    base, queries = int(320 * scale), int(1500 * scale)
    sides = [draw(base, 64), draw(queries, 64), draw(base, 48), draw(queries, 48)]
    yield Kernel(
        f"local CKA, {base} pairs, {queries} queries",
        lambda B, Q, C, R: local_cka_scores(local_kernels(B, Q), local_kernels(C, R)),
        tuple(sides),
        2.0 * base * queries**2,
        3.0 * queries**2,
    )
    size = int(1000 * scale)
    W = draw(size, size)
    W = W + W.T
    order = rng.permutation(size)
    yield Kernel(
        f"quadratic assignment, {size} items",
        lambda A, B: faq(A, B, max_iter=30, tol=0.0).objective,
        (W, W[order][:, order]),
        30 * 4.0 * size**3,
        30 * 4.0 * size**2,
    )
    pairs = int(2e6 * scale)
    logps = [draw(pairs) for _ in range(4)]
    yield Kernel(
        f"dpo loss, {pairs} pairs",
        lambda *given: preference_loss("dpo", *given, beta=0.1),
        tuple(logps),
        10.0 * pairs,
        5.0 * pairs,
    )
    cells, rows, features = int(2000 * scale), 120, 60
    yield Kernel(
        f"ridge_cells, {cells} x {rows} x {features}",
        ridge_cells,
        (draw(cells, rows, features), draw(cells, rows), np.ones(cells, dtype)),
        cells * (2.0 * rows * features**2 + 2.0 * features**3 / 3),
        cells * rows * features,
    )
    yield Kernel(
        f"spiked_matrix_cells, {cells // 2} x {rows} x {features}",
        lambda Y: spiked_matrix_cells(Y)[0].__abs__(),
        (draw(cells // 2, rows, features),),
        cells / 2 * (2.0 * rows * features**2 + 9.0 * features**3),
        cells / 2 * rows * features,
    )
    few = max(4, int(400 * scale))
    spiked = draw(few, 30, 30, 30)
    spiked[:, 0, 0, 0] += 40.0
    yield Kernel(
        f"rank_one_cells, {few} x 30^3",
        lambda T: rank_one_cells(T)[0].__abs__(),
        (spiked,),
        few * 60 * 3 * 2.0 * 30**3,
        few * 60 * 2.0 * 30**3,
    )
    steps, batch = 100, 8
    yield Kernel(
        f"sgd_cells, {cells} runs of {steps} steps",
        lambda B, e, r: sgd_cells(list(B), list(e), r),
        (draw(steps, cells, batch, 20), draw(steps, cells, batch), np.full(cells, 0.05, dtype)),
        steps * cells * 4.0 * batch * 20,
        steps * cells * batch * 20,
    )


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
    return device


def rows(device, dtype, scale, repeats):
    """Yield one row a kernel."""
    wait = waiter(device)
    arithmetic, memory = ceilings(device, dtype, scale, wait)
    for kernel in kernels(scale, dtype):
        host, expected = timed(kernel.call, kernel.arrays, lambda: None, repeats)
        moved = tuple(as_device(array, device) for array in kernel.arrays)
        taken, found = timed(kernel.call, moved, wait, repeats)
        least = max(kernel.flops / arithmetic, kernel.numbers / memory)
        expected, found = (np.asarray(to_numpy(part), float) for part in (expected, found))
        apart = float(
            np.abs(np.abs(found) - np.abs(expected)).max() / (np.abs(expected).max() or 1)
        )
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
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all sizes")
    parser.add_argument("--repeats", type=int, default=5, help="calls that are timed (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="small sizes, one call")
    arguments = parser.parse_args()
    scale, repeats = (0.05, 1) if arguments.quick else (arguments.scale, arguments.repeats)
    device = choose(arguments.device)
    print(machine())
    print_table(
        f"Kernels on {device}, {arguments.dtype}",
        ["kernel", "NumPy", device, "ratio", "share of ceiling", "ceiling", "largest difference"],
        rows(device, arguments.dtype, scale, repeats),
    )


if __name__ == "__main__":
    main()
