"""SyntheticMixClassifier on Dask arrays of synthetic rows: the fit is that in memory."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import SyntheticMixClassifier
from skrmt.linear_model.synthetic_mix._basis import mix_basis
from skrmt.linear_model.synthetic_mix._path import mix_coefficients, mix_loo
from skrmt.utils._compare import assert_same, fitted_state

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

SIZES = {"primal": (90, 400, 12), "gram": (25, 300, 80), "kernel": (30, 40, 60)}
"""Real rows, synthetic rows and features, by the form in which the grid is computed."""


def draw(n=90, m=400, p=12, n_classes=2, seed=0):
    """Return real rows and labels, synthetic ones with a fifth of the labels wrong, and scores."""
    rng = np.random.default_rng(seed)
    means = 2.0 * np.eye(p)[:n_classes]
    y, true = np.arange(n) % n_classes, np.arange(m) % n_classes
    X = means[y] + rng.standard_normal((n, p))
    Xs = 0.8 * means[true] + 0.2 + rng.standard_normal((m, p))
    ys = np.where(rng.random(m) < 0.2, (true + 1) % n_classes, true)
    return X, y, Xs, ys, rng.random(m) + (ys == true)


def stacked(X, y, Xs, ys, score, n_sources=2, seed=1):
    """Return all rows in a random order, their labels, sources, scores and weights."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y) + len(ys))
    source = np.concatenate([0 * y, rng.integers(1, n_sources + 1, len(ys))])
    rows = np.concatenate([X, Xs]), np.concatenate([y, ys]), source
    more = np.concatenate([0.0 * y, score]), rng.integers(0, 3, len(order)).astype(float)
    return tuple(part[order] for part in rows + more)


def blocks_of(X):
    """Return a Dask array with uneven chunks, columns cut too."""
    return da.from_array(X, chunks=(max(len(X) // 4 - 3, 1), max(X.shape[1] // 2, 1)))


def fit(model, *data, **arguments):
    """Fit a copy, warnings of the theory left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        return clone(model).fit(*data, **arguments)


def check_same(actual, expected, rtol=1e-8):
    """Raise unless all attributes agree, those of planning too; return the first model."""
    assert_same(fitted_state(actual), fitted_state(expected), rtol)
    assert_same(actual.model_accuracy_, expected.model_accuracy_, rtol)
    return actual


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("form", SIZES)
def test_separate_rows(form, n_classes):
    X, y, Xs, ys, _ = draw(*SIZES[form], n_classes)
    model = SyntheticMixClassifier()
    expected = fit(model, X, y, X_synthetic=Xs, y_synthetic=ys)
    labels = da.from_array(ys, chunks=50)
    check_same(fit(model, X, y, X_synthetic=blocks_of(Xs), y_synthetic=labels), expected)


@pytest.mark.parametrize("pruning", [None, "mask", "score"])
@pytest.mark.parametrize("form", SIZES)
def test_stacked_rows_of_two_sources(form, pruning):
    X, y, source, score, weights = stacked(*draw(*SIZES[form]))
    more = {"mask": {"keep": score > 0.7}, "score": {"verifier_score": score}}.get(pruning, {})
    model = SyntheticMixClassifier([0.01, 0.1, 1.0], pruning=pruning)
    expected = fit(model, X, y, weights, sample_source=source, **more)
    rows = da.from_array(y, chunks=31), da.from_array(weights, chunks=57)
    lazy = {name: da.from_array(values, chunks=99) for name, values in more.items()}
    source = da.from_array(source, chunks=64)
    with dask.config.set(scheduler="threads" if form == "gram" else "synchronous"):
        actual = fit(model, blocks_of(X), *rows, sample_source=source, **lazy)
    check_same(actual, expected)
    assert len(actual.source_quality_) == 2


@pytest.mark.parametrize(
    "parameters",
    [
        {"fit_intercept": False},
        {"synthetic_weight": 0.3, "alpha": 1.0},
        {"synthetic_weight": [0.2, 1.0], "alpha": [0.01, 0.1]},
        {"synthetic_weight": 1.0, "alpha": 0.0},
        {"criterion": "nll"},
        {"pruning": "score", "prune_threshold": 0.8},
    ],
    ids=str,
)
def test_parameters(parameters):
    X, y, source, score, _ = stacked(*draw())
    model = SyntheticMixClassifier(**parameters)
    more = {"verifier_score": score} if "pruning" in parameters else {}
    expected = fit(model, X, y, sample_source=source, **more)
    check_same(fit(model, blocks_of(X), y, sample_source=source, **more), expected)


@pytest.mark.parametrize("form", ["primal", "gram", "kernel"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_kernels_take_blocks(form, fit_intercept):
    """The first source alone has fewer rows, with the real ones, than there are features."""
    X, y, Xs, ys, weights = draw(10, 90, 40)
    first, second = slice(0, 15), slice(15, 90)
    arrays = [(Xs[s], 2.0 * ys[s] - 1.0, weights[s]) for s in (first, second)]
    lazy = [(da.from_array(Z, chunks=(13, 40)), *rest) for Z, *rest in arrays]
    options = {"form": form, "fit_intercept": fit_intercept}
    expected, actual = (mix_basis(X, 2.0 * y - 1.0, s, **options) for s in (arrays, lazy))
    omegas, alphas = [[0.4, 0.0], [0.1, 0.7]], [0.01, 1.0]
    pairs = zip(mix_loo(actual, omegas, alphas), mix_loo(expected, omegas, alphas), strict=True)
    for one, other in pairs:
        assert_same(one, other, 1e-8)
    for omega in omegas:
        one, other = (mix_coefficients(basis, omega, 0.1) for basis in (actual, expected))
        assert_same(one, other, 1e-8)


def test_blocks_of_some_columns_are_refused():
    X, y, Xs, ys, _ = draw(10, 90)
    with pytest.raises(ValueError, match="blocks of whole rows"):
        mix_basis(X, y, [(blocks_of(Xs), ys)])


def test_blocks_are_read_a_few_times():
    """Pieces of several sources between thresholds share each reading of the blocks."""
    X, y, source, score, _ = stacked(*draw())
    reads = []

    def read(block):
        reads.append(len(block))
        return block

    blocks = da.from_array(X, chunks=(100, 12)).map_blocks(read, dtype=float, meta=X[:0])
    model = SyntheticMixClassifier(pruning="score")
    with dask.config.set(scheduler="synchronous"):
        fit(model, blocks, y, sample_source=source, verifier_score=score)
    assert sum(reads) <= 6 * len(X)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_scales(unit):
    X, y, Xs, ys, _ = draw()
    model = SyntheticMixClassifier()
    expected = fit(model, X * unit, y, X_synthetic=Xs * unit, y_synthetic=ys)
    check_same(fit(model, X * unit, y, X_synthetic=blocks_of(Xs * unit), y_synthetic=ys), expected)


def test_identical_synthetic_rows_are_merged_as_in_memory():
    X, y, Xs, ys, score = draw()
    Xs = np.concatenate([Xs, Xs[:100], Xs[:30]])
    ys = np.concatenate([ys, ys[:100], 1 - ys[:30]])
    keep = np.concatenate([score, score[:100], score[:30]]) > 0.7
    model = SyntheticMixClassifier(pruning="mask")
    expected = fit(model, X, y, X_synthetic=Xs, y_synthetic=ys, keep=keep)
    actual = fit(model, X, y, X_synthetic=blocks_of(Xs), y_synthetic=ys, keep=keep)
    check_same(actual, expected)
    assert actual.source_quality_[0].n_rows == 430


def test_single_precision_is_kept():
    """Scores of float32 rows carry rounding errors of 1e-7, which blocks do not share."""
    X, y, Xs, ys, _ = draw()
    X, Xs = X.astype(np.float32), Xs.astype(np.float32)
    model = SyntheticMixClassifier()
    actual = fit(model, X, y, X_synthetic=blocks_of(Xs), y_synthetic=ys)
    assert actual.coef_.dtype == np.float32
    check_same(actual, fit(model, X, y, X_synthetic=Xs, y_synthetic=ys), 1e-5)


def test_real_rows_in_blocks_are_read():
    X, y, Xs, ys, _ = draw()
    model = SyntheticMixClassifier()
    expected = fit(model, X, y, X_synthetic=Xs, y_synthetic=ys)
    check_same(fit(model, blocks_of(X), y, X_synthetic=blocks_of(Xs), y_synthetic=ys), expected)
    check_same(fit(model, blocks_of(X), da.from_array(y)), fit(model, X, y))


def test_predictions_are_lazy_and_those_in_memory():
    X, y, Xs, ys, _ = draw(n_classes=3)
    model = fit(SyntheticMixClassifier(), X, y, X_synthetic=Xs, y_synthetic=ys)
    for name in ("decision_function", "predict", "predict_proba"):
        lazy, expected = getattr(model, name)(blocks_of(Xs)), getattr(model, name)(Xs)
        assert isinstance(lazy, da.Array)
        assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
        assert_same(lazy.compute(), expected, 1e-12)
    source = np.arange(len(ys)) % 2
    score = model.score(blocks_of(Xs), da.from_array(ys), sample_source=da.from_array(source))
    assert score == model.score(Xs, ys, sample_source=source)


def test_rows_stay_where_they_are(monkeypatch):
    """No result of a task is larger than a Gram matrix, or than a score and a key a row."""
    X, y, Xs, ys, _ = draw(40, 6000, 20)
    sizes = []
    compute = dask.compute

    def spy(*tasks, **options):
        results = compute(*tasks, **options)
        parts = [part for r in results for part in (r if isinstance(r, tuple) else (r,))]
        sizes.extend(np.asarray(part).size for part in parts)
        return results

    monkeypatch.setattr(dask, "compute", spy)
    blocks = da.from_array(Xs, chunks=(1000, 20))
    fit(SyntheticMixClassifier(), X, y, X_synthetic=blocks, y_synthetic=ys)
    assert max(sizes) == 1000


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"generator_source": "same", "generator": draw}, "generator_source='same' needs all"),
        ({"device": "cpu"}, "device='cpu' needs all rows in memory"),
    ],
)
def test_options_that_take_all_rows_are_refused(parameters, message):
    X, y, Xs, ys, _ = draw(20, 50)
    with pytest.raises(ValueError, match=message):
        fit(SyntheticMixClassifier(**parameters), X, y, X_synthetic=blocks_of(Xs), y_synthetic=ys)


def test_mistakes():
    X, y, Xs, ys, _ = draw(20, 50)
    blocks, model = blocks_of(Xs), SyntheticMixClassifier()
    with pytest.raises(ValueError, match="There is no real row"):
        fit(model, blocks, ys, sample_source=np.ones(50, int))
    with pytest.raises(ValueError, match="dense NumPy array"):
        fit(model, sparse.csr_matrix(X), y, X_synthetic=blocks, y_synthetic=ys)
    with pytest.raises(ValueError, match="features"):
        fit(model, X, y, X_synthetic=blocks[:, :5], y_synthetic=ys)
    with pytest.raises(ValueError, match="give one label per row"):
        fit(model, X, y, X_synthetic=blocks, y_synthetic=ys[:-1])
    with pytest.raises(ValueError, match="X_synthetic contains NaN"):
        fit(model, X, y, X_synthetic=da.where(blocks > 1, np.nan, blocks), y_synthetic=ys)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        fit(model, blocks, ys[:-1], sample_source=np.zeros(50, int))
    with pytest.raises(ValueError, match="no real row of positive weight"):
        fit(model, X, y, X_synthetic=blocks, y_synthetic=ys + 7)


def test_on_two_worker_processes(cluster):
    X, y, source, score, weights = stacked(*draw())
    model = SyntheticMixClassifier([0.01, 0.1, 1.0], pruning="score")
    arguments = {"sample_source": source, "verifier_score": score}
    expected = fit(model, X, y, weights, **arguments)
    check_same(fit(model, blocks_of(X), y, weights, **arguments), expected)
