"""A fit to a Dask array larger than the memory of its workers, beside the sum of the array.

Run it as ``python benchmarks/bench_dask.py``; ``--help`` lists the options. The rows lie in files
of blocks. Two worker processes of one thread and 500 MB each read them: `X.sum()` and the fit in
turn, in the same run, in elapsed seconds and in processor seconds of the workers. A fit of a tenth
of the rows is compared with the one in memory, and one of all with one in the middle of which a
worker is killed.
"""

import argparse
import multiprocessing
import os
import resource
import signal
import tempfile
import threading
import time
import warnings

import dask
import dask.array as da
import distributed
import numpy as np
from _table import machine, print_table

from skrmt.datasets import make_noisy_mixture
from skrmt.linear_model import NoiseAwareLinearClassifier


def write(folder, n_blocks, rows, columns, n_classes):
    """Write blocks of one mixture to files; return the labels of all rows."""
    X, y, _, _ = make_noisy_mixture(
        rows, columns, n_classes=n_classes, mean_norm=2.0, noise_rates=0.2, random_state=0
    )
    rng, labels = np.random.default_rng(1), []
    for number in range(n_blocks):
        # Rows of other blocks are those of the first, each in another mix with a stranger.
        other = rng.permutation(rows)
        other = other[np.argsort(y[other], kind="stable")]
        place = np.empty(rows, dtype=int)
        place[np.argsort(y, kind="stable")] = other
        angle = rng.uniform(0.2, 1.3, rows)[:, None]
        np.save(f"{folder}/{number}.npy", np.cos(angle) * X + np.sin(angle) * X[place])
        labels.append(y)
    return np.concatenate(labels)


def read(path):
    """Read the block of a file."""
    return np.load(path)


def lazy(folder, n_blocks, rows, columns):
    """Return the blocks as a Dask array."""
    load = dask.delayed(read, pure=False, traverse=False)
    parts = [
        da.from_delayed(load(f"{folder}/{number}.npy"), (rows, columns), dtype=float)
        for number in range(n_blocks)
    ]
    return da.concatenate(parts)


def used():
    """Return the processor seconds of a process and the peak of its memory in megabytes."""
    return time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def timed(client, action):
    """Return result, elapsed seconds, processor seconds of workers and client, and peak memory.

    Memory is that of the largest worker.
    """
    before = {name: value[0] for name, value in client.run(used).items()}
    start, own = time.perf_counter(), time.process_time()
    result = action()
    elapsed, own = time.perf_counter() - start, time.process_time() - own
    after = client.run(used)
    seconds = sum(value[0] - before.get(name, 0.0) for name, value in after.items())
    return result, elapsed, seconds, own, max(value[1] for value in after.values())


def largest_difference(found, expected):
    """Return the largest difference of two fits over the largest entry of each attribute."""
    worst = 0.0
    for name, value in vars(expected).items():
        is_result = name.endswith("_") and isinstance(value, np.ndarray)
        if is_result and value.dtype.kind == "f" and value.size:
            scale = np.nanmax(np.abs(value), initial=1e-300)
            apart = np.nanmax(np.abs(getattr(found, name) - value), initial=0.0)
            worst = max(worst, float(apart / scale))
    return worst


def killed(client, action):
    """Do something while a worker is killed after two seconds; return what it gives."""
    victim = next(iter(client.run(os.getpid).values()))
    killer = threading.Timer(2.0, os.kill, (victim, signal.SIGKILL))
    killer.start()
    result = action()
    in_the_middle = not killer.is_alive()
    killer.cancel()
    return result, in_the_middle


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.5)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--classes", type=int, nargs="*", default=[2, 10])
    parser.add_argument("--block-megabytes", type=float, default=25.0)
    parser.add_argument("--memory", default="500MB", help="of each of the two workers")
    options = parser.parse_args()
    print(machine(), "dask", dask.__version__)
    warnings.simplefilter("ignore")
    rows = int(options.block_megabytes * 1e6 / 8 / options.columns)
    table = []
    with (
        tempfile.TemporaryDirectory() as folder,
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit=options.memory,
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        for n_classes in options.classes:
            few = int(options.gigabytes * 1e3 / options.block_megabytes)
            y = write(folder, few, rows, options.columns, n_classes)
            X = lazy(folder, few, rows, options.columns)
            model = NoiseAwareLinearClassifier()
            sums = [timed(client, lambda X=X: X.sum().compute()) for _ in range(2)]
            fit = timed(client, lambda X=X, y=y, model=model: model.fit(X, y))
            small = max(2, few // 10)
            Xs, ys = X[: small * rows], y[: small * rows]
            inside = NoiseAwareLinearClassifier().fit(Xs.compute(scheduler="synchronous"), ys)
            blocks = NoiseAwareLinearClassifier().fit(Xs, ys)
            hit, middle = killed(client, lambda X=X, y=y: NoiseAwareLinearClassifier().fit(X, y))
            elapsed, seconds = (min(one[k] for one in sums) for k in (1, 2))
            size = few * rows * options.columns * 8 / 1e9
            table.append(
                (
                    n_classes,
                    f"{few * rows} x {options.columns}, {size:.2f} GB",
                    f"{elapsed:.1f}, {seconds:.1f}",
                    f"{fit[1]:.1f}, {fit[2]:.1f}",
                    f"{fit[1] / elapsed:.1f}, {fit[2] / seconds:.1f}",
                    f"{fit[2] / size:.1f}",
                    f"{fit[3] / (few * rows) * 1e6:.1f}",
                    f"{fit[4]:.0f}",
                    f"{largest_difference(blocks, inside):.1e}",
                    f"{largest_difference(hit, model):.1e}" if middle else "fit ended before",
                )
            )
            print(table[-1], flush=True)
    header = (
        "classes",
        "rows",
        "sum: elapsed and processor seconds",
        "fit: elapsed and processor seconds",
        "ratios",
        "processor seconds of workers a GB",
        "client, a million rows",
        "largest worker (MB)",
        "difference from memory",
        "difference with a worker killed",
    )
    print_table("Larger than the workers", header, table)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn", force=True)
    main()
