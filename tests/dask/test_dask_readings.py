"""What a fit to Dask arrays reads, sends and holds: passes, graphs and memory of tasks."""

import tracemalloc
from collections import Counter

import cloudpickle
import numpy as np
import pytest

from skrmt.cluster import NestedTensorClustering
from skrmt.datasets import make_nested_views, make_noisy_mixture
from skrmt.linear_model import NoiseAwareLinearClassifier, SyntheticMixClassifier
from skrmt.preference import PreferencePolicy
from skrmt.utils._compare import assert_same
from skrmt.utils._dask import block_tasks, check_dask

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")

N, P, BLOCK = 21_000, 20, 3500


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


def counted(path, start, rows):
    """Read a block of rows, and count that in the process."""
    READS[path, start] += 1
    return np.load(path, mmap_mode="r")[start : start + rows].astype(float)


def counted_blocks(path, rows=BLOCK):
    """Return an array in a file as a Dask array, of which `READS` counts the readings."""
    load = dask.delayed(counted, pure=False, traverse=False)
    n, *shape = np.load(path, mmap_mode="r").shape
    parts = [
        da.from_delayed(load(path, start, rows), (min(rows, n - start), *shape), dtype=float)
        for start in range(0, n, rows)
    ]
    return da.concatenate(parts)


@pytest.fixture
def in_blocks(tmp_path):
    """Return the function that makes an array a Dask array of counted blocks of a file."""

    def of(name, X):
        np.save(tmp_path / f"{name}.npy", X)
        return counted_blocks(str(tmp_path / f"{name}.npy"), len(X) // 5)

    return of


def readings_of(action):
    """Return how often a block is read at most, and the bytes of all graphs."""
    sizes = []

    def spy(graph, keys, **options):
        graph = graph.__dask_graph__() if hasattr(graph, "__dask_graph__") else graph
        sizes.append(len(cloudpickle.dumps(dict(graph))))
        return dask.get(dict(graph), keys, **options)

    READS.clear()
    with dask.config.set(scheduler=spy):
        action()
    return max(READS.values()), sum(sizes)


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
    weights = np.random.default_rng(0).integers(0, 3, N).astype(float) if weighted else None
    model = NoiseAwareLinearClassifier(**parameters)
    reads, size = readings_of(lambda: model.fit(counted_blocks(path), y, weights))
    assert reads <= most
    assert size <= 50 * N


@pytest.mark.parametrize(("n_classes", "most"), [(2, 4), (10, 5)])
def test_rows_far_out_cost_no_further_reading(in_blocks, n_classes, most):
    """They are set apart from the sums before it is known how far out a row has to be."""
    X, y, _, _ = make_noisy_mixture(N, P, n_classes=n_classes, noise_rates=0.2, random_state=0)
    X[::3000] *= 50.0
    assert readings_of(lambda: NoiseAwareLinearClassifier().fit(in_blocks("X", X), y))[0] <= most


def where_it_writes(rows, scratch):
    """Return where a piece of a block writes, and whether it finds what an earlier one made."""
    made = scratch.once("count", lambda: len(rows))
    return scratch("numbers", len(rows), 2).ctypes.data, made


def test_pieces_of_a_block_write_over_the_same_memory():
    X = da.zeros((2000, 3), chunks=(1000, 3))
    tasks = block_tasks(where_it_writes, X, (), (), join=list, scratch=True)
    for found in dask.compute(*tasks, scheduler="synchronous"):
        assert len(found) > 2
        assert len(set(found)) == 1


@pytest.mark.parametrize("parameters", [{}, {"alpha": 0.1}, {"noise_rate": "estimate"}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_comparisons_are_read_three_times(in_blocks, parameters, weighted):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12_000, 20)) + 0.1
    y, weights = rng.random(12_000) < 0.5, rng.integers(0, 3, 12_000) if weighted else None
    X[~y] *= -1
    policy = PreferencePolicy("ipo", **parameters)
    reads, size = readings_of(lambda: policy.fit(in_blocks("X", X), y, weights))
    assert reads <= 3
    assert size <= 50 * len(X)


@pytest.mark.parametrize(("n_items", "most"), [(0, 3), (200, 5)])
def test_pairs_are_read_three_times_and_five_if_responses_repeat(in_blocks, n_items, most):
    rng = np.random.default_rng(0)
    chosen, rejected = rng.standard_normal((2, 12_000, 20))
    if n_items:
        first = rng.integers(0, n_items, 12_000)
        second = (first + rng.integers(1, n_items, 12_000)) % n_items
        chosen, rejected = chosen[first], chosen[second]
    chosen, rejected = in_blocks("chosen", chosen), in_blocks("rejected", rejected)
    assert readings_of(lambda: PreferencePolicy("ipo").fit_pairs(chosen, rejected))[0] <= most


@pytest.mark.parametrize("pruning", [None, "mask"])
def test_synthetic_rows_are_read_three_times(in_blocks, pruning):
    X, y, _, _ = make_noisy_mixture(12_300, 20, noise_rates=0.2, random_state=0)
    Z, z = in_blocks("Z", X[300:]), y[300:]
    more = {} if pruning is None else {"keep": np.arange(len(z)) % 3 > 0}
    model = SyntheticMixClassifier(pruning=pruning)
    reads, size = readings_of(
        lambda: model.fit(X[:300], y[:300], X_synthetic=Z, y_synthetic=z, **more)
    )
    assert reads <= 3
    assert size <= 50 * len(z)


@pytest.mark.parametrize("n_sources", [1, 3])
def test_stacked_rows_are_read_three_times(in_blocks, n_sources):
    X, y, _, _ = make_noisy_mixture(12_000, 20, noise_rates=0.2, random_state=0)
    source = np.where(np.arange(12_000) % 40 == 0, 0, 1 + np.arange(12_000) % n_sources)
    blocks = in_blocks("X", X)
    model = SyntheticMixClassifier()
    assert readings_of(lambda: model.fit(blocks, y, sample_source=source))[0] <= 3


@pytest.mark.parametrize("kind", ["complete", "missing", "list", "unequal widths"])
@pytest.mark.parametrize("method", ["two_step", "nested_ml"])
def test_views_are_read_three_times(in_blocks, kind, method):
    X = make_nested_views(4000, 20, noise_stds=[1.0, 1.5, 2.0, 3.0], random_state=0).X
    if kind == "missing":
        X[::3, :, 1] = np.nan
    if kind in ("complete", "missing"):
        views = in_blocks("X", X)
    else:
        widths = [20, 18, 16, 14] if kind == "unequal widths" else 4 * [20]
        views = [in_blocks(str(k), X[:, :p, k]) for k, p in enumerate(widths)]
    model = NestedTensorClustering(method=method, random_state=0)
    reads, size = readings_of(lambda: model.fit(views))
    assert reads <= 3
    assert size <= 50 * len(X)


def test_a_row_far_out_counts_as_in_memory():
    X, y, _, _ = make_noisy_mixture(900, P, mean_norm=2.5, noise_rates=0.2, random_state=0)
    X[17] *= 50.0
    expected = NoiseAwareLinearClassifier().fit(X, y)
    found = NoiseAwareLinearClassifier().fit(da.from_array(X, chunks=(200, P)), y)
    for name in ("coef_", "intercept_", "held_out_scores_", "theoretical_accuracy_", "alpha_"):
        assert_same(getattr(found, name), getattr(expected, name), 1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [N, 4 * BLOCK])
def test_a_task_takes_less_than_three_blocks(rows, dtype, n):
    """Beyond its block a task of a fit holds less than two more of its size.

    Up to 20 000 rows it also measures distances from a hundred of them.
    """
    path, y, _ = rows
    y, taken = y[:n], []

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

    lazy = blocks(path, dtype=dtype)[:n]
    # What a first fit imports is no memory of its tasks.
    NoiseAwareLinearClassifier().fit(lazy[:900], y[:900])
    with dask.config.set(scheduler=spy):
        for _ in range(3):
            NoiseAwareLinearClassifier().fit(lazy, y)
    # The threads of a cluster that other tests have started allocate too, at other times.
    least = np.min(np.reshape(taken, (3, -1)), axis=0)
    assert least.max() <= 2 * BLOCK * P * np.dtype(dtype).itemsize


def test_bytes_a_row_beside_the_workers(tmp_path):
    """Where blocks are not, a fit holds at most two hundred bytes a row; 20 000 rows hold more."""
    n = 60_000
    X, y, _, _ = make_noisy_mixture(n, 5, mean_norm=2.5, noise_rates=0.2, random_state=0)
    np.save(tmp_path / "X.npy", X)
    lazy = counted_blocks(str(tmp_path / "X.npy"), 1500)
    NoiseAwareLinearClassifier().fit(lazy[:3000], y[:3000])
    peaks = []

    def spy(graph, keys, **options):
        """What tasks hold while a graph is computed is not held here."""
        graph = graph.__dask_graph__() if hasattr(graph, "__dask_graph__") else graph
        peaks.append(tracemalloc.get_traced_memory()[1])
        result = dask.get(dict(graph), keys, **options)
        tracemalloc.reset_peak()
        return result

    tracemalloc.start()
    try:
        with dask.config.set(scheduler=spy):
            NoiseAwareLinearClassifier().fit(lazy, y)
        peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert max(peaks) <= 200 * n


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
