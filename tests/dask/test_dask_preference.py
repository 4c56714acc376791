"""PreferencePolicy("ipo") on Dask arrays: the fit is that in memory."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone

from skrmt.exceptions import TheoryWarning
from skrmt.preference import PreferencePolicy
from skrmt.utils._compare import assert_same, fitted_state

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

F = 12
CHUNKS = ((300, 1, 0, 199, 250), (7, 5))


@pytest.fixture(params=["synchronous", "threads"])
def scheduler(request):
    with dask.config.set(scheduler=request.param):
        yield request.param


def pairs(n=750, seed=0, scale=1.0, noise=0.0):
    """Return differences in a random order of the responses, and which of them is preferred."""
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, F)) + 0.3) * scale
    turned = rng.random(n) < 0.5
    X[turned] *= -1
    return X, np.where(turned ^ (rng.random(n) < noise), "second", "first")


def compared(n=1500, n_items=40, seed=1):
    """Return the features of chosen and rejected responses out of a few, one in ten wrong."""
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((n_items, F))
    a, b = (rng.integers(0, n_items, n) + np.array([[0], [1]])) % n_items
    b = (b + rng.integers(0, n_items - 1, n)) % n_items
    a, b = a[a != b], b[a != b]
    first = (items[a, 0] > items[b, 0]) ^ (rng.random(len(a)) < 0.1)
    return items[np.where(first, a, b)], items[np.where(first, b, a)]


def check_same(policy, data, blocks, rtol=1e-8, fit="fit", but=()):
    """Raise unless the fit to Dask arrays is that to arrays, but for some numbers; return it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        expected = getattr(clone(policy), fit)(*data)
        actual = getattr(clone(policy), fit)(*blocks)
    for name in but:
        setattr(expected, name, getattr(actual, name))
    assert_same(fitted_state(actual), fitted_state(expected), rtol)
    return actual


@pytest.mark.parametrize("scale", [1.0, np.linspace(0.2, 3.0, F)], ids=["white", "coloured"])
def test_the_fit_is_that_in_memory(scheduler, scale):
    X, y = pairs(scale=scale)
    blocks = da.from_array(X, chunks=CHUNKS), da.from_array(y, chunks=200)
    policy = check_same(PreferencePolicy("ipo"), (X, y), blocks)
    assert policy.model_fit_ == np.isscalar(scale)


@pytest.mark.parametrize(
    "parameters",
    [{"alpha": 0.2}, {"alpha": 0.0}, {"noise_rate": 0.1}, {"beta": 0.3}, {"loss": "IPO"}],
    ids=str,
)
def test_parameters(parameters):
    X, y = pairs(noise=0.1)
    policy = PreferencePolicy("ipo").set_params(**parameters)
    check_same(policy, (X, y), (da.from_array(X, chunks=CHUNKS), y))


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_scales(unit):
    X, y = pairs()
    check_same(PreferencePolicy("ipo"), (X * unit, y), (da.from_array(X * unit, chunks=CHUNKS), y))


def test_single_precision():
    X, y = pairs()
    X = X.astype(np.float32)
    policy = check_same(PreferencePolicy("ipo"), (X, y), (da.from_array(X, chunks=CHUNKS), y))
    assert policy.decision_function(da.from_array(X, chunks=CHUNKS)).dtype == np.float32


@pytest.mark.parametrize("n", [F - 4, F])
def test_few_pairs_are_read_into_memory(n):
    X, y = pairs(n)
    check_same(PreferencePolicy("ipo"), (X, y), (da.from_array(X, chunks=(3, 5)), y))


def test_repeated_pairs_are_merged_as_in_memory(scheduler):
    """Copies, turned copies, contradictions, zeros, weights, and the noise estimated."""
    X, y = pairs(500)
    rng = np.random.default_rng(2)
    other = np.where(y == "first", "second", "first")
    contradicted = np.where(rng.random(300) < 0.2, other[:300], y[:300])
    X = np.concatenate([X, X[:300], -X[100:200], np.zeros((3, F))])
    y = np.concatenate([y, contradicted, other[100:200], ["first", "second", "first"]])
    weights = rng.integers(0, 3, len(X)).astype(float)
    blocks = da.from_array(X, chunks=(123, F)), y, da.from_array(weights, chunks=50)
    check_same(PreferencePolicy("ipo"), (X, y, weights), blocks)
    check_same(PreferencePolicy("ipo", noise_rate="estimate"), (X, y, weights), blocks)


def test_few_distinct_pairs():
    """All rows are copies of fewer than there are features."""
    X, y = pairs(6)
    X, y = np.tile(X, (20, 1)), np.tile(y, 20)
    check_same(PreferencePolicy("ipo"), (X, y), (da.from_array(X, chunks=(17, F)), y))


def test_tables_of_few_values():
    """Pairs that repeat because features have few values: one comparison goes out at a time."""
    rng = np.random.default_rng(3)
    X = rng.integers(-1, 2, (300, 3)).astype(float)
    X[:, 0] += X[:, 1] == 0
    y = rng.random(300) < 0.5 + 0.2 * X[:, 0]
    policy = check_same(PreferencePolicy("ipo"), (X, y), (da.from_array(X, chunks=(70, 3)), y))
    assert policy.n_effective_samples_ == 300


NEW_ITEMS = ("new_items_accuracy_", "new_items_accuracy_interval_")
"""What takes fits without two sets of responses, for which blocks are too many."""


def test_pairs_of_responses_with_cycles(scheduler):
    chosen, rejected = compared()
    blocks = da.from_array(chosen, chunks=(400, F)), da.from_array(rejected, chunks=(311, 5))
    pairs = (chosen, rejected)
    policy = check_same(PreferencePolicy("ipo"), pairs, blocks, fit="fit_pairs", but=NEW_ITEMS)
    assert policy.fresh_pairs_ == "known responses"
    assert np.isnan(policy.new_items_accuracy_)


def test_unknown_chunk_sizes():
    X, y = pairs()
    blocks = da.from_array(X, chunks=(250, F))
    blocks = blocks[da.from_array(np.abs(X[:, 0]) < 3, chunks=250)]
    kept = np.abs(X[:, 0]) < 3
    check_same(PreferencePolicy("ipo"), (X[kept], y[kept]), (blocks, y[kept]))


def test_predictions_are_lazy_and_those_in_memory():
    X, y = pairs()
    blocks = da.from_array(X, chunks=CHUNKS)
    policy = PreferencePolicy("ipo").fit(X, y)
    for name in ("decision_function", "predict", "predict_proba"):
        lazy, expected = getattr(policy, name)(blocks), getattr(policy, name)(X)
        assert isinstance(lazy, da.Array)
        assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
        assert_same(lazy.compute(), expected, 1e-12)
    assert policy.score(blocks, da.from_array(y, chunks=100)) == policy.score(X, y)
    np.testing.assert_array_equal(policy.rank(blocks), policy.rank(X))


def test_partial_fit_takes_blocks():
    X, y = pairs()
    whole = PreferencePolicy("ipo", alpha=0.1).fit(X, y)
    policy = PreferencePolicy("ipo", alpha=0.1)
    with pytest.warns(TheoryWarning):
        policy.partial_fit(da.from_array(X[:400], chunks=(150, F)), y[:400])
    policy.partial_fit(X[400:], y[400:])
    assert_same(policy.coef_, whole.coef_, 1e-10)


def test_rows_stay_where_they_are(monkeypatch):
    """No result of a task is larger than five numbers per row, with one penalty."""
    X, y = pairs(6000)
    sizes = []
    compute = dask.compute

    def spy(*tasks, **options):
        results = compute(*tasks, **options)
        parts = [part for r in results for part in (r if isinstance(r, tuple) else (r,))]
        sizes.extend(np.asarray(part).size for part in parts)
        return results

    monkeypatch.setattr(dask, "compute", spy)
    PreferencePolicy("ipo", alpha=0.1).fit(da.from_array(X, chunks=(1000, F)), y)
    assert max(sizes) == 5 * 1000


@pytest.mark.parametrize(
    ("loss", "message"), [("dpo", "loss='dpo' with a dask array"), ("exo", "only loss='ipo'")]
)
def test_other_losses_are_refused(loss, message):
    X, y = pairs(50)
    blocks = da.from_array(X, chunks=(20, F))
    with pytest.raises(ValueError, match=message):
        PreferencePolicy(loss, noise_rate=0.1).fit(blocks, y)
    with pytest.raises(ValueError, match="compute"):
        PreferencePolicy(loss, noise_rate=0.1).fit_pairs(blocks, blocks + 1)


def test_mistakes():
    X, y = pairs(60)
    blocks = da.from_array(X, chunks=(20, F))
    policy = PreferencePolicy("ipo")
    with pytest.raises(ValueError, match="compute"):
        policy.fit(da.zeros((5, 3, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="one label per row"):
        policy.fit(blocks, y[:-1])
    with pytest.raises(ValueError, match="one label per row"):
        policy.fit(blocks, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="y contains NaN"):
        policy.fit(blocks, np.full(60, np.nan))
    with pytest.raises(ValueError, match="one class only"):
        policy.fit(blocks, np.zeros(60))
    with pytest.raises(ValueError, match="X contains NaN"):
        policy.fit(da.where(blocks > 1, np.nan, blocks), y)
    with pytest.raises(ValueError, match="give both as dask arrays"):
        policy.fit_pairs(blocks, X)
    with pytest.raises(ValueError, match="one row of each"):
        policy.fit_pairs(blocks, blocks[:40])
    policy.fit(blocks, y)
    with pytest.raises(ValueError, match="features"):
        policy.decision_function(blocks[:, :3])
    with pytest.raises(ValueError, match="must hold differences"):
        policy.decision_function(blocks[None])
    holes = policy.predict(da.where(blocks > 1, np.nan, blocks))
    with pytest.raises(ValueError, match="X contains NaN"):
        holes.compute()


def test_on_two_worker_processes(cluster):
    chosen, rejected = compared()
    blocks = da.from_array(chosen, chunks=(400, F)), da.from_array(rejected, chunks=(400, F))
    pairs = (chosen, rejected)
    check_same(PreferencePolicy("ipo"), pairs, blocks, fit="fit_pairs", but=NEW_ITEMS)


@pytest.mark.slow
@pytest.mark.parametrize("fatal", [1, 3, 5])
def test_a_worker_that_dies_changes_nothing(cluster, tmp_path, fatal):
    """The worker that reads the first block for the third time, for instance, kills itself."""
    X, y = pairs(2000)
    counter = str(tmp_path / "reads")

    def read(block, first=X[0, 0]):
        import os
        import signal

        if len(block) and block[0, 0] == first:
            with open(counter, "a") as file:
                file.write("x")
            if os.path.getsize(counter) == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
        return block

    blocks = da.from_array(X, chunks=(500, F)).map_blocks(read, dtype=float, meta=X[:0])
    check_same(PreferencePolicy("ipo"), (X, y), (blocks, y))
    with open(counter) as file:
        assert len(file.read()) >= 6
