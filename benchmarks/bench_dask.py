"""A fit to a Dask array larger than the memory of its workers, beside the sum of the array.

Run it as ``python benchmarks/bench_dask.py``; ``--help`` lists the options. The rows lie in files
of blocks. Two worker processes of one thread and 500 MB each read them: `X.sum()` and the fit in
turn, in the same run, in elapsed seconds and in processor seconds of the workers. A fit of a tenth
of the rows is compared with the one in memory, and taken apart in one process; one of all is
compared with one in the middle of which a worker is killed.
"""

import argparse
import multiprocessing
import os
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


READING = []


def read(path):
    """Read the block of a file, and note the processor seconds of that."""
    start = time.process_time()
    block = np.load(path)
    READING.append(time.process_time() - start)
    return block


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
    # What the system tells as the usage of a process includes what started it.
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return time.process_time(), peak / 1024.0


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


def parts(action):
    """Return processor seconds in one process: of all readings, of each pass, and of the rest."""
    passes = []

    def timed_graph(graph, keys, **options):
        start, before, known = time.process_time(), len(READING), sum(READING)
        graph = graph.__dask_graph__() if hasattr(graph, "__dask_graph__") else graph
        result = dask.get(dict(graph), keys, **options)
        seconds = time.process_time() - start - (sum(READING) - known)
        if len(READING) > before:
            passes.append(seconds)
        return result

    READING.clear()
    start = time.process_time()
    with dask.config.set(scheduler=timed_graph):
        action()
    seconds = time.process_time() - start
    return [sum(READING), *passes, seconds - sum(READING) - sum(passes)]


def mean_text(values, digits=1):
    """Return a mean and its standard error as text."""
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{np.mean(values):.{digits}f} ({error:.{digits}f})"


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
    parser.add_argument("--gigabytes", type=float, nargs="*", default=[1.5, 0.6])
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--classes", type=int, nargs="*", default=[2, 10])
    parser.add_argument("--block-megabytes", type=float, default=25.0)
    parser.add_argument("--memory", default="500MB", help="of each of the two workers")
    parser.add_argument("--repeats", type=int, default=3, help="sums and fits in turn")
    options = parser.parse_args()
    print(machine(), "dask", dask.__version__)
    warnings.simplefilter("ignore")
    table, apart = [], []
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
        for n_classes, gigabytes in zip(options.classes, options.gigabytes, strict=True):
            row, rest = measure(client, folder, n_classes, gigabytes, options)
            table.append(row)
            apart += rest
            print(row, rest, flush=True)
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
    print_table("Parts of a fit", ("classes", "part", "processor seconds a GB"), apart)


def measure(client, folder, n_classes, gigabytes, options):
    """Return a row of the table, and rows for the parts of a fit in one process."""
    rows = int(options.block_megabytes * 1e6 / 8 / options.columns)
    few = int(gigabytes * 1e3 / options.block_megabytes)
    y = write(folder, few, rows, options.columns, n_classes)
    X = lazy(folder, few, rows, options.columns)
    model, sums, fits = NoiseAwareLinearClassifier(), [], []
    for _ in range(options.repeats):
        sums.append(timed(client, lambda: X.sum().compute())[1:])
        fits.append(timed(client, lambda: model.fit(X, y))[1:])
    small = max(2, few // 10)
    Xs, ys = X[: small * rows], y[: small * rows]
    inside = NoiseAwareLinearClassifier().fit(Xs.compute(scheduler="synchronous"), ys)
    blocks = NoiseAwareLinearClassifier().fit(Xs, ys)
    hit, middle = killed(client, lambda: NoiseAwareLinearClassifier().fit(X, y))
    sums, fits = np.array(sums).T, np.array(fits).T
    size, millions = few * rows * options.columns * 8 / 1e9, few * rows / 1e6
    row = (
        n_classes,
        f"{few * rows} x {options.columns}, {size:.2f} GB",
        f"{mean_text(sums[0])}, {mean_text(sums[1], 2)}",
        f"{mean_text(fits[0])}, {mean_text(fits[1])}",
        f"{mean_text(fits[0] / sums[0])}, {mean_text(fits[1] / sums[1])}",
        mean_text(fits[1] / size),
        mean_text(fits[2] / millions),
        f"{fits[3].max():.0f}",
        f"{largest_difference(blocks, inside):.1e}",
        f"{largest_difference(hit, model):.1e}" if middle else "fit ended before",
    )
    again = [parts(lambda: NoiseAwareLinearClassifier().fit(Xs, ys)) for _ in range(3)]
    names = ["reading", "columns and keys", "norms and Gram matrix", "scores at every penalty"]
    names += ["scores at the chosen penalty"] * (len(again[0]) - len(names) - 2)
    names += ["decisions at every penalty", "local process"]
    values = np.array(again).T / (small * rows * options.columns * 8 / 1e9)
    return row, [(n_classes, n, mean_text(v, 2)) for n, v in zip(names, values, strict=True)]


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn", force=True)
    main()
