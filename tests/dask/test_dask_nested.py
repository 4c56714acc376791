"""NestedTensorClustering on Dask arrays is the one in memory."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skrmt.cluster import NestedTensorClustering
from skrmt.datasets import make_nested_views, make_noisy_copies

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def views(n=240, p=40, seed=0):
    """Return four views of two clusters."""
    return make_nested_views(
        n, p, noise_stds=[1.0, 1.5, 2.0, 3.0], separation=2.5, random_state=seed
    )


def assert_same(found, expected):
    """Compare every public attribute."""
    names = [name for name in vars(expected) if name.endswith("_") and name[0] != "_"]
    assert set(names) == {n for n in vars(found) if n.endswith("_") and n[0] != "_"}
    for name in names:
        ours, theirs = getattr(found, name), getattr(expected, name)
        if isinstance(theirs, dict):
            ours, theirs = list(ours.values()), list(theirs.values())
        if np.asarray(theirs).dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8, err_msg=name)
        else:
            assert np.array_equal(ours, theirs), name


@pytest.mark.parametrize(
    ("parameters", "scheduler"),
    [
        ({"method": "two_step"}, "threads"),
        ({"method": "two_step"}, "synchronous"),
        ({"method": "nested_ml"}, "synchronous"),
        ({"method": "two_step", "n_clusters": 3}, "synchronous"),
        (
            {
                "method": "two_step",
                "noise_structure": "known",
                "noise_variance": [1.0, 2.25, 4.0, 9.0],
            },
            "synchronous",
        ),
        ({"method": "two_step", "refine": "amp"}, "synchronous"),
    ],
    ids=str,
)
def test_fit_is_that_in_memory(parameters, scheduler):
    X = views().X
    expected = NestedTensorClustering(**parameters, random_state=0).fit(X)
    blocks = da.from_array(X, chunks=(70, 13, 2))
    with dask.config.set(scheduler=scheduler):
        model = NestedTensorClustering(**parameters, random_state=0).fit(blocks)
        assert_same(model, expected)
        for method in ("predict", "decision_function", "predict_proba", "transform"):
            lazy = getattr(model, method)(blocks)
            assert isinstance(lazy, da.Array)
            values = lazy.compute()
            assert lazy.shape == values.shape
            assert lazy.dtype == values.dtype
            np.testing.assert_allclose(values, getattr(expected, method)(X), rtol=1e-6, atol=1e-8)
        y = np.arange(len(X)) % 2
        assert model.score(blocks, y) == expected.score(X, y)


def test_real_noise_within_clusters():
    """Digits in noise: accuracies come from held-out halves, not from the model."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = make_noisy_copies(X[y < 2], (1.0, 2.0, 4.0), random_state=0).X
    expected = NestedTensorClustering(random_state=0).fit(X)
    model = NestedTensorClustering(random_state=0).fit(da.from_array(X, chunks=(100, -1, -1)))
    if expected.method_ in ("two_step", "nested_ml"):
        assert_same(model, expected)
    assert (model.labels_ == expected.labels_).mean() > 0.99


@pytest.mark.parametrize("masked", [False, True])
def test_missing_views(masked):
    X = views().X.copy()
    mask = np.random.default_rng(0).random((len(X), 4)) < 0.8
    mask[:, 0] = True
    if not masked:
        X[~np.broadcast_to(mask[:, None, :], X.shape)] = np.nan
    given = {"mask": mask} if masked else {}
    expected = NestedTensorClustering(method="two_step", random_state=0).fit(X, **given)
    model = NestedTensorClustering(method="two_step", random_state=0)
    model.fit(da.from_array(X, chunks=(100, -1, -1)), **given)
    assert_same(model, expected)


def test_list_of_arrays_float32_and_extreme_scale():
    X = views().X
    expected = NestedTensorClustering(method="two_step", random_state=0).fit(X)
    parts = [da.from_array(X[:, :, k], chunks=(100 + 20 * k, -1)) for k in range(4)]
    model = NestedTensorClustering(method="two_step", random_state=0).fit(parts)
    assert_same(model, expected)
    assert np.array_equal(model.predict(parts).compute(), expected.predict(X))
    small = da.from_array((X * 1e-30).astype(np.float32), chunks=100)
    model = NestedTensorClustering(method="two_step", random_state=0).fit(small)
    assert model.embedding_.dtype == np.float32
    assert np.array_equal(model.labels_, expected.labels_)
    huge = NestedTensorClustering(method="two_step", random_state=0).fit(
        da.from_array(X * 1e120, chunks=100)
    )
    np.testing.assert_allclose(huge.embedding_, expected.embedding_, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("n", [30, 60])
def test_no_fewer_features_than_samples(n):
    X = views(n, 60).X
    expected = NestedTensorClustering(random_state=0).fit(X)
    assert_same(NestedTensorClustering(random_state=0).fit(da.from_array(X, chunks=9)), expected)


def test_what_needs_all_views_says_so():
    X = da.from_array(views().X, chunks=(100, -1, -1))
    for parameters in ({"method": "tensor"}, {"method": "unfolding"}, {"noise_structure": "full"}):
        with pytest.raises(ValueError, match=r"needs the views in memory.*X\.compute\(\)"):
            NestedTensorClustering(**parameters).fit(X)
    with pytest.raises(ValueError, match="device='cpu' needs views in memory"):
        NestedTensorClustering(device="cpu").fit(X)
    with pytest.raises(ValueError, match="view 1 of X is a ndarray and others are Dask arrays"):
        NestedTensorClustering().fit([X[:, :, 0], X[:, :, 1].compute(), X[:, :, 2]])
    with pytest.raises(ValueError, match="same samples"):
        NestedTensorClustering().fit([X[:, :, 0], X[:9, :, 1], X[:, :, 2]])
    hole = int(np.flatnonzero((views().X > 3).any(axis=(1, 2)))[0])
    with pytest.raises(ValueError, match=rf"X contains NaN or infinity: nan at index \({hole},"):
        NestedTensorClustering().fit(da.where(X > 3, np.nan, X))
    with pytest.raises(ValueError, match="sample 7 of X has no view"):
        NestedTensorClustering().fit(da.where(np.arange(240)[:, None, None] == 7, np.nan, X))


def test_new_samples_are_checked():
    X = da.from_array(views().X, chunks=(100, -1, -1))
    model = NestedTensorClustering(method="two_step", random_state=0)
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.fit(X)
    with pytest.raises(ValueError, match="X has 39 features and 4 views, but 40 features"):
        model.predict(X[:, 1:])
    with pytest.raises(ValueError, match="1 dimensions, 2 are needed"):
        model.predict(X[:, 0, 0])
    holes = model.predict(da.where(X > 3, np.nan, X))
    with pytest.raises(ValueError, match="X contains NaN or infinity"):
        holes.compute()


def test_blocks_without_samples_and_new_samples_without_views():
    X = views().X
    expected = NestedTensorClustering(method="two_step", random_state=0).fit(X)
    blocks = da.from_array(X, chunks=((100, 0, 139, 1), (40,), (4,)))
    model = NestedTensorClustering(method="two_step", random_state=0).fit(blocks)
    assert_same(model, expected)
    X[::3, :, 1] = np.nan
    holes = da.from_array(X, chunks=blocks.chunks)
    for method in ("decision_function", "transform"):
        found = getattr(model, method)(holes).compute()
        np.testing.assert_allclose(found, getattr(expected, method)(X), rtol=1e-6, atol=1e-8)


def test_unknown_chunk_sizes_and_integers():
    X = np.rint(4 * views().X)
    kept = np.arange(240) % 5 > 0
    blocks = da.from_array(X.astype(np.int16), chunks=100)[da.from_array(kept, chunks=100)]
    expected = NestedTensorClustering(method="two_step", random_state=0).fit(X[kept])
    assert_same(NestedTensorClustering(method="two_step", random_state=0).fit(blocks), expected)


def test_one_view():
    X = make_nested_views(200, 30, noise_stds=[1.0], separation=3.0, random_state=0).X[:, :, 0]
    expected = NestedTensorClustering(random_state=0).fit(X)
    model = NestedTensorClustering(random_state=0).fit(da.from_array(X, chunks=(60, 7)))
    assert_same(model, expected)
    assert np.array_equal(model.predict(da.from_array(X, chunks=90)).compute(), expected.labels_)


@pytest.mark.parametrize("scaling", ["mfa", "optimal", "unit"])
@pytest.mark.parametrize("n", [60, 150])
def test_views_of_unequal_widths(scaling, n):
    """Of as many features as samples together, or fewer; one view is weak."""
    X = views(n).X
    X[:, :, 3] += 40 * np.random.default_rng(0).standard_normal((n, 40))
    parts = [X[:, : 40 - 5 * k, k] for k in range(4)]
    expected = NestedTensorClustering(scaling=scaling, random_state=0).fit(parts)
    blocks = [da.from_array(part, chunks=(25 + k, 9)) for k, part in enumerate(parts)]
    model = NestedTensorClustering(scaling=scaling, random_state=0).fit(blocks)
    assert_same(model, expected)
    for method in ("predict", "predict_proba", "transform"):
        found = getattr(model, method)(blocks)
        assert isinstance(found, da.Array)
        np.testing.assert_allclose(
            found.compute(), getattr(expected, method)(parts), rtol=1e-6, atol=1e-8
        )
    with pytest.raises(ValueError, match="but in fit"):
        model.predict(blocks[::-1])
    with pytest.raises(ValueError, match="must be a list of 4 views"):
        model.predict(blocks[0])


def test_feature_names_of_an_earlier_fit_are_forgotten():
    X = views().X[:, :, 0]
    model = NestedTensorClustering(random_state=0).fit(pd.DataFrame(X).add_prefix("f"))
    model.fit(da.from_array(X, chunks=100)).predict(X)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize("method", ["two_step", "nested_ml"])
def test_views_stay_where_they_are(method, monkeypatch):
    """No task returns more than the scores of its samples on 50 components, but the first 256."""
    p, rows = 100, 400
    X = da.from_array(views(1600, p).X, chunks=(rows, -1, -1))
    sizes = []
    compute = dask.compute

    def spy(*tasks, **options):
        results = compute(*tasks, **options)
        parts = [part for r in results for part in (r if isinstance(r, tuple) else (r,))]
        sizes.extend(part.size for part in parts if isinstance(part, np.ndarray))
        return results

    monkeypatch.setattr(dask, "compute", spy)
    NestedTensorClustering(method=method, random_state=0).fit(X)
    sizes.remove(256 * p * 4)
    assert max(sizes) == 50 * rows < p * rows


def test_two_worker_processes(cluster):
    X = views(400, 30).X
    expected = NestedTensorClustering(method="two_step", random_state=0).fit(X)
    model = NestedTensorClustering(method="two_step", random_state=0)
    assert_same(model.fit(da.from_array(X, chunks=(60, -1, -1))), expected)


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_nothing(cluster):
    X = views(2000, 30).X

    def slow(block):
        time.sleep(0.1)
        return block

    blocks = da.from_array(X, chunks=(250, -1, -1)).map_blocks(slow, dtype=X.dtype)
    expected = NestedTensorClustering(method="two_step", random_state=0).fit(X)
    victim = next(iter(cluster.run(os.getpid).values()))
    killer = threading.Timer(1.0, os.kill, (victim, signal.SIGKILL))
    killer.start()
    model = NestedTensorClustering(method="two_step", random_state=0).fit(blocks)
    assert not killer.is_alive()
    assert victim not in cluster.run(os.getpid).values()
    assert_same(model, expected)
