"""NoiseAwareLinearClassifier on Dask arrays and on files is the one in memory."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from skrmt.datasets import make_noisy_mixture
from skrmt.linalg import ridge_basis
from skrmt.linear_model import NoiseAwareLinearClassifier

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def problem(n=300, p=12, n_classes=2, seed=0):
    """Return rows, noisy labels and weights."""
    X, y, _, _ = make_noisy_mixture(
        n, p, n_classes=n_classes, mean_norm=2.5, noise_rates=0.2, random_state=seed
    )
    weights = np.random.default_rng(seed).integers(0, 3, n).astype(float)
    return X, y, weights


def assert_same(found, expected, rtol=1e-8):
    """Compare every fitted attribute."""
    names = [name for name in vars(expected) if name.endswith("_") and name[0] != "_"]
    assert set(names) <= set(vars(found))
    for name in names:
        ours, theirs = getattr(found, name), getattr(expected, name)
        if np.asarray(theirs).dtype.kind in "fc":
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol, err_msg=name)
        else:
            assert np.array_equal(ours, theirs), name


CASES = {
    "default": ({}, {}, 2),
    "weights": ({}, {"weighted": True}, 2),
    "copies": ({}, {"copies": True}, 2),
    "three classes": ({}, {}, 3),
    "lpc": ({"method": "lpc", "noise_rates": 0.2}, {}, 2),
    "threshold": ({"method": "threshold"}, {"weighted": True}, 2),
    "no intercept": ({"fit_intercept": False}, {}, 2),
    "penalty": ({"alpha": 0.1, "noise_rates": (0.2, 0.2)}, {}, 2),
}


@pytest.mark.parametrize(
    ("name", "scheduler"), [*((name, "synchronous") for name in CASES), ("weights", "threads")]
)
def test_fit_is_that_in_memory(name, scheduler):
    parameters, options, n_classes = CASES[name]
    X, y, weights = problem(n_classes=n_classes)
    if "copies" in options:
        X[200:240], y[200:220] = X[:40], y[:20]
    weights = weights if "weighted" in options else None
    expected = NoiseAwareLinearClassifier(**parameters).fit(X, y, weights)
    with dask.config.set(scheduler=scheduler):
        model = NoiseAwareLinearClassifier(**parameters)
        model.fit(da.from_array(X, chunks=(70, 5)), da.from_array(y, chunks=50), weights)
        assert_same(model, expected)
        blocks = da.from_array(X, chunks=(110, -1))
        for method in ("predict", "decision_function", "predict_proba"):
            lazy = getattr(model, method)(blocks)
            assert isinstance(lazy, da.Array)
            values = lazy.compute()
            assert lazy.shape == values.shape
            np.testing.assert_allclose(values, getattr(expected, method)(X), rtol=1e-7, atol=1e-8)
        assert model.score(blocks, y) == expected.score(X, y)


def test_float32_is_kept():
    X, y, _ = problem()
    model = NoiseAwareLinearClassifier().fit(da.from_array(X.astype(np.float32), chunks=100), y)
    expected = NoiseAwareLinearClassifier().fit(X.astype(np.float32), y)
    assert model.coef_.dtype == np.float32
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-120, 1e120])
def test_extreme_scales(scale):
    X, y, _ = problem()
    model = NoiseAwareLinearClassifier().fit(da.from_array(X * scale, chunks=(100, -1)), y)
    expected = NoiseAwareLinearClassifier().fit(X * scale, y)
    np.testing.assert_allclose(model.coef_ * scale, expected.coef_ * scale, rtol=1e-8, atol=1e-9)
    assert model.theoretical_accuracy_ == pytest.approx(expected.theoretical_accuracy_, rel=1e-8)


def test_constant_columns_and_unknown_chunks():
    X, y, _ = problem()
    X[:, 3] = 7.0
    blocks = da.from_array(X, chunks=(125, -1))
    unknown = da.concatenate([blocks[blocks[:, 3] > 0]])
    expected = NoiseAwareLinearClassifier().fit(X, y)
    assert_same(NoiseAwareLinearClassifier().fit(unknown, y), expected)


def test_many_features_are_read_into_memory():
    X, y, _ = problem(60, 80)
    expected = NoiseAwareLinearClassifier().fit(X, y)
    model = NoiseAwareLinearClassifier().fit(da.from_array(X, chunks=(20, 20)), y)
    assert_same(model, expected, 1e-12)


def test_bad_input():
    X, y, _ = problem()
    X[4, 5] = np.nan
    blocks = da.from_array(X, chunks=(100, -1))
    model = NoiseAwareLinearClassifier()
    with pytest.raises(ValueError, match="X contains NaN or infinity"):
        model.fit(blocks, y)
    with pytest.raises(ValueError, match="X has 3 dimensions"):
        model.fit(blocks[:, :, None], y)
    with pytest.raises(ValueError, match="y has shape"):
        model.fit(da.from_array(np.nan_to_num(X), chunks=100), y[:-1])
    with pytest.raises(ValueError, match="device='cpu' needs data in memory"):
        NoiseAwareLinearClassifier(device="cpu").fit(blocks, y)
    model.fit(np.nan_to_num(X), y)
    with pytest.raises(ValueError, match="X contains NaN or infinity"):
        model.predict(blocks).compute()
    with pytest.raises(ValueError, match="features"):
        model.predict(blocks[:, :4])


def test_two_worker_processes(cluster):
    X, y, weights = problem(600, 20)
    expected = NoiseAwareLinearClassifier().fit(X, y, weights)
    model = NoiseAwareLinearClassifier().fit(da.from_array(X, chunks=(200, -1)), y, weights)
    assert_same(model, expected)


def slow_identity(block):
    """Return a block after a while, so that a worker can be lost meanwhile."""
    time.sleep(0.1)
    return block


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_nothing(cluster):
    X, y, _ = problem(2000, 40)
    blocks = da.from_array(X, chunks=(250, -1)).map_blocks(slow_identity, dtype=X.dtype)
    expected = NoiseAwareLinearClassifier().fit(X, y)
    victim = next(iter(cluster.run(os.getpid).values()))
    killer = threading.Timer(2.0, os.kill, (victim, signal.SIGKILL))
    killer.start()
    model = NoiseAwareLinearClassifier().fit(blocks, y)
    killer.join()
    assert victim not in cluster.run(os.getpid).values()
    assert_same(model, expected)


MAPPED = """
import resource, sys
import numpy as np
from skrmt.linear_model import NoiseAwareLinearClassifier

path, n, p, room = sys.argv[1], *map(int, sys.argv[2:])
X = np.memmap(path, dtype=float, mode="r", shape=(n, p))
y = np.load(path + ".npy")
NoiseAwareLinearClassifier().fit(np.array(X[:500]), y[:500])
with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) for line in status if line.startswith("VmData"))
limit = used * 1024 + room
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
model = NoiseAwareLinearClassifier().fit(X, y)
np.savez(path + ".npz", coef=model.coef_, told=model.theoretical_accuracy_)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is that of Linux")
def test_a_file_larger_than_the_memory_allowed(tmp_path):
    n, p = 30_000, 100
    X, y, _, _ = make_noisy_mixture(n, p, mean_norm=2.0, noise_rates=0.2, random_state=0)
    path = str(tmp_path / "rows")
    mapped = np.memmap(path, dtype=float, mode="w+", shape=(n, p))
    mapped[:] = X
    mapped.flush()
    np.save(path + ".npy", y)
    command = [sys.executable, "-c", MAPPED, path, str(n), str(p), str(X.nbytes // 2)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    found, expected = np.load(path + ".npz"), NoiseAwareLinearClassifier().fit(X, y)
    np.testing.assert_allclose(found["coef"], expected.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found["told"], expected.theoretical_accuracy_, rtol=1e-8)


def test_mapped_data_are_not_copied(tmp_path):
    X, _, _ = problem()
    mapped = np.memmap(tmp_path / "rows", dtype=float, mode="w+", shape=X.shape)
    mapped[:] = X
    assert ridge_basis(np.asarray(mapped)).left is None
    assert ridge_basis(np.asarray(mapped)[:8]).left is not None
