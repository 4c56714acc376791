"""NestedTensorClustering on Dask arrays is the one in memory."""

import numpy as np
import pytest

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


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"method": "two_step"},
        {"method": "nested_ml"},
        {"method": "two_step", "n_clusters": 3},
        {"method": "two_step", "view_noise": "known", "noise_scale": [1.0, 1.5, 2.0, 3.0]},
        {"method": "two_step", "refine": "amp"},
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
    X = make_noisy_copies(X[y < 2], (1.0, 2.0, 4.0), random_state=0)
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


def test_more_features_than_samples_are_read():
    X = views(30, 60).X
    expected = NestedTensorClustering(random_state=0).fit(X)
    assert_same(NestedTensorClustering(random_state=0).fit(da.from_array(X, chunks=9)), expected)


def test_what_needs_all_views_says_so():
    X = da.from_array(views().X, chunks=(100, -1, -1))
    for parameters in ({"method": "tensor"}, {"method": "unfolding"}, {"view_noise": "full"}):
        with pytest.raises(ValueError, match=r"needs the views in memory.*X\.compute\(\)"):
            NestedTensorClustering(**parameters).fit(X)
    with pytest.raises(ValueError, match="device='cpu' needs views in memory"):
        NestedTensorClustering(device="cpu").fit(X)
    with pytest.raises(ValueError, match="all must be, and of one shape"):
        NestedTensorClustering().fit([X[:, :, 0], X[:, :9, 1], X[:, :, 2]])
    with pytest.raises(ValueError, match="X contains NaN or infinity"):
        NestedTensorClustering().fit(da.where(X > 3, np.nan, X))


def test_two_worker_processes(cluster):
    X = views(400, 30).X
    expected = NestedTensorClustering(method="two_step", random_state=0).fit(X)
    model = NestedTensorClustering(method="two_step", random_state=0)
    assert_same(model.fit(da.from_array(X, chunks=(60, -1, -1))), expected)
