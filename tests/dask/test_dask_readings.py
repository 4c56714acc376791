"""What a fit to Dask arrays reads, sends and holds: passes, graphs and memory of tasks."""

import tracemalloc
from collections import Counter

import cloudpickle
import numpy as np
import pytest

from skrmt.datasets import make_noisy_mixture
from skrmt.linear_model import NoiseAwareLinearClassifier
from skrmt.utils._compare import assert_same
from skrmt.utils._dask import check_dask

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")

N, P, BLOCK = 21_000, 40, 3500


@pytest.fixture(scope="module", params=[2, 10])
def rows(request, tmp_path_factory):
    """Return rows in a file, labels of as many classes, and the number of classes."""
    X, y, _, _ = make_noisy_mixture(
        N, P, n_classes=request.param, mean_norm=2.5, noise_rates=0.2, random_state=0
    )
    path = str(tmp_path_factory.mktemp("rows") / "rows.npy")
    np.save(path, X)
    return path, y, request.param


def read(path, start, reads, dtype):
    """Read a block of rows, and count that."""
    if reads is not None:
        reads[start] += 1
    return np.load(path, mmap_mode="r")[start : start + BLOCK].astype(dtype)


def blocks(path, reads=None, dtype=float):
    """Return the rows as a Dask array of which the graph holds no row."""
    load = dask.delayed(read, pure=False, traverse=False)
    parts = [
        da.from_delayed(load(path, start, reads, dtype), (BLOCK, P), dtype=dtype)
        for start in range(0, N, BLOCK)
    ]
    return da.concatenate(parts)


READS = Counter()


def counted(path, start, dtype):
    """Read a block of rows, and count that in the process."""
    READS[start] += 1
    return read(path, start, None, dtype)


def counted_blocks(path):
    """Return the rows as a Dask array, of which `READS` counts how often each block is read."""
    load = dask.delayed(counted, pure=False, traverse=False)
    parts = [
        da.from_delayed(load(path, start, float), (BLOCK, P), dtype=float)
        for start in range(0, N, BLOCK)
    ]
    return da.concatenate(parts)


@pytest.mark.parametrize(
    ("parameters", "weighted", "most"),
    [
        ({}, False, 6),
        ({}, True, 6),
        ({"noise_rates": 0.2}, False, 6),
    ],
)
def test_readings_and_bytes_of_graphs(rows, parameters, weighted, most):
    """Every block is read a few times; the graphs hold less than 50 bytes a row in all."""
    path, y, _ = rows
    sizes = []

    def spy(graph, keys, **options):
        graph = graph.__dask_graph__() if hasattr(graph, "__dask_graph__") else graph
        sizes.append(len(cloudpickle.dumps(dict(graph))))
        return dask.get(dict(graph), keys, **options)

    weights = np.random.default_rng(0).integers(0, 3, N).astype(float) if weighted else None
    READS.clear()
    with dask.config.set(scheduler=spy):
        NoiseAwareLinearClassifier(**parameters).fit(counted_blocks(path), y, weights)
    assert max(READS.values()) <= most
    assert sum(sizes) <= 50 * N


def test_a_row_far_out_counts_as_in_memory():
    X, y, _, _ = make_noisy_mixture(900, P, mean_norm=2.5, noise_rates=0.2, random_state=0)
    X[17] *= 50.0
    expected = NoiseAwareLinearClassifier().fit(X, y)
    found = NoiseAwareLinearClassifier().fit(da.from_array(X, chunks=(200, P)), y)
    for name in ("coef_", "intercept_", "held_out_scores_", "theoretical_accuracy_", "alpha_"):
        assert_same(getattr(found, name), getattr(expected, name), 1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_task_takes_less_than_four_blocks(rows, dtype):
    """Beyond its block a task of a fit holds less than three more of its size."""
    path, y, _ = rows
    taken = []

    def spy(graph, keys, **options):
        """Trace what single tasks allocate."""
        from dask.callbacks import Callback

        graph = graph.__dask_graph__() if hasattr(graph, "__dask_graph__") else graph
        start = {}

        def before(key, *_):
            tracemalloc.reset_peak()
            start[key] = tracemalloc.get_traced_memory()[0]

        def after(key, *_):
            taken.append(tracemalloc.get_traced_memory()[1] - start[key])

        tracemalloc.start()
        try:
            with Callback(pretask=before, posttask=after):
                return dask.get(dict(graph), keys, **options)
        finally:
            tracemalloc.stop()

    lazy = blocks(path, dtype=dtype)
    # What a first fit imports is no memory of its tasks.
    NoiseAwareLinearClassifier().fit(lazy, y)
    with dask.config.set(scheduler=spy):
        NoiseAwareLinearClassifier().fit(lazy, y)
    assert max(taken) <= 3 * BLOCK * P * np.dtype(dtype).itemsize


def test_groups_are_refused_with_a_remedy(rows):
    path, y, _ = rows
    with pytest.raises(ValueError, match=r"pass X\.compute\(\)"):
        NoiseAwareLinearClassifier().fit(blocks(path), y, groups=np.arange(N) // 3)


def test_large_chunks_are_cut_with_a_word():
    """Chunks of some columns that would be too large as whole rows are made of fewer rows."""
    X = da.zeros((1_000_000, 1000), chunks=(1_000_000, 10))
    with pytest.warns(UserWarning, match="is rechunked to"):
        cut = check_dask(X, ensure_finite=False)
    assert cut.numblocks[1] == 1
    assert max(cut.chunks[0]) * 8000 <= 1 << 29
