"""Input of every kind to NoiseAwareLinearClassifier: weights, sparse, torch, frames, labels."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrmt.datasets import flip_labels
from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import NoiseAwareLinearClassifier

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
PER_ROW = {"held_out_scores_", "label_posterior_", "label_quality_"}
PARAMETERS = [
    {},
    {"noise_rates": 0.2},
    {"method": "lpc"},
    {"noise_rates": None, "alpha": np.inf},
]


def assert_close(one, other, rtol, rows=None, skip=()):
    """Compare fitted attributes; those of the rows of `one` at `rows` with all of `other`."""
    names = {name for name in vars(one) if name.endswith("_") and not name.startswith("_")}
    assert names == {n for n in vars(other) if n.endswith("_") and not n.startswith("_")}
    for name in names - set(skip):
        a, b = getattr(one, name), getattr(other, name)
        if name in PER_ROW and rows is not None:
            a = a[rows]
        if np.asarray(a).dtype.kind in "USOb":
            assert np.array_equal(a, b), name
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
@pytest.mark.parametrize("data", ["binary", "three"])
def test_weights_are_repetitions(data, parameters, request, rng):
    """Weight 0 drops a row, weight 2 is the row twice, in every attribute of the fit."""
    X, y, _ = request.getfixturevalue(data)
    weights = rng.integers(0, 3, len(y))
    rows = np.repeat(np.arange(len(y)), weights)
    weighted = NoiseAwareLinearClassifier(**parameters).fit(X, y, weights * 1.5)
    repeated = NoiseAwareLinearClassifier(**parameters).fit(X[rows], y[rows])
    assert_close(weighted, repeated, 1e-6, rows)
    dropped = weights == 0
    assert np.isfinite(weighted.label_quality_[dropped]).all()
    kept = NoiseAwareLinearClassifier(**parameters).fit(X[~dropped], y[~dropped], weights[~dropped])
    assert_close(weighted, kept, 1e-6, ~dropped)


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_order_of_the_rows_does_not_matter(binary, parameters, rng):
    X, y, _ = binary
    order = rng.permutation(300)
    weights = rng.uniform(0.5, 2.0, 300)
    one = NoiseAwareLinearClassifier(**parameters).fit(X, y, weights)
    other = NoiseAwareLinearClassifier(**parameters).fit(X[order], y[order], weights[order])
    assert_close(one, other, 1e-6, order)


def test_weights_of_rows_with_their_own_noise(binary, rng):
    X, y, _ = binary
    weights, rates = rng.integers(0, 3, 300), rng.uniform(0.05, 0.4, 300)
    rows = np.repeat(np.arange(300), weights)
    one = NoiseAwareLinearClassifier().fit(X, y, weights, sample_noise=rates)
    other = NoiseAwareLinearClassifier().fit(X[rows], y[rows], sample_noise=rates[rows])
    assert_close(one, other, 1e-6, rows)


@pytest.mark.parametrize("n_features", [40, 500])
@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_array"])
def test_sparse_is_dense(form, n_features, rng):
    X = sparse.random(150, n_features, density=0.1, random_state=0).toarray()
    y = (X[:, :10].sum(1) > np.median(X[:, :10].sum(1))).astype(int)
    y = flip_labels(y, 0.1, random_state=0)
    for parameters in ({}, {"method": "lpc"}, {"noise_rates": 0.1, "alpha": 1.0}):
        dense = NoiseAwareLinearClassifier(**parameters).fit(X, y)
        other = NoiseAwareLinearClassifier(**parameters).fit(getattr(sparse, form)(X), y)
        assert_close(dense, other, 1e-6)
        scores = other.decision_function(getattr(sparse, form)(X))
        np.testing.assert_allclose(scores, dense.decision_function(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("data", ["binary", "three"])
@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_torch_in_torch_out(data, parameters, backend, request):
    X, y, _ = request.getfixturevalue(data)
    expected = NoiseAwareLinearClassifier(**parameters).fit(X, y)
    model = NoiseAwareLinearClassifier(**parameters).fit(backend.asarray(X), backend.asarray(y))
    assert_close(model, expected, 1e-7)
    for method in ("decision_function", "predict_proba", "predict"):
        result = getattr(model, method)(backend.asarray(X))
        assert backend.is_native(result), method
        reference = getattr(expected, method)(X)
        np.testing.assert_allclose(backend.to_numpy(result), reference, rtol=1e-7, atol=1e-8)
    scores = backend.to_numpy(expected.decision_function(backend.asarray(X)))
    np.testing.assert_allclose(scores, expected.decision_function(X), rtol=1e-10, atol=1e-10)


def test_torch_data_with_labels_that_are_words(binary):
    torch = pytest.importorskip("torch")
    X, y, clean = binary
    names = np.array(["no", "yes"])
    model = NoiseAwareLinearClassifier().fit(torch.as_tensor(X), names[y])
    predicted = model.predict(torch.as_tensor(X))
    assert isinstance(predicted, np.ndarray)
    assert (predicted == names[clean]).mean() > 0.9


def test_torch_device_for_numpy_input(binary):
    pytest.importorskip("torch")
    X, y, _ = binary
    expected = NoiseAwareLinearClassifier().fit(X, y)
    model = NoiseAwareLinearClassifier(device="cpu").fit(X, y)
    assert_close(model, expected, 1e-7)
    assert isinstance(model.coef_, np.ndarray)
    assert isinstance(model.predict_proba(X), np.ndarray)
    with pytest.raises(ValueError, match="device='cpu'"):
        model.fit(sparse.csr_array(X), y)


def test_single_precision_is_kept(binary, backend):
    X, y, _ = binary
    double = NoiseAwareLinearClassifier().fit(X, y)
    single = NoiseAwareLinearClassifier().fit(backend.asarray(X, "float32"), y)
    assert single.coef_.dtype == single.intercept_.dtype == np.float32
    assert double.coef_.dtype == np.float64
    scores = single.decision_function(backend.asarray(X, "float32"))
    assert backend.to_numpy(scores).dtype == np.float32
    np.testing.assert_allclose(
        backend.to_numpy(scores), double.decision_function(X), rtol=1e-3, atol=1e-3
    )
    assert single.theoretical_accuracy_ == pytest.approx(double.theoretical_accuracy_, abs=1e-4)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library, binary):
    module = pytest.importorskip(library)
    X, y, _ = binary
    columns = [f"x{j}" for j in range(40)]
    frame = module.DataFrame(dict(zip(columns, X.T, strict=True)))
    expected = NoiseAwareLinearClassifier().fit(X, y)
    model = NoiseAwareLinearClassifier().fit(frame, module.Series(y))
    assert model.feature_names_in_.tolist() == columns
    np.testing.assert_allclose(model.predict_proba(frame), expected.predict_proba(X), rtol=1e-8)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[columns[::-1]])
    model.fit(X, y)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize(
    "names",
    [np.array(["cat", "dog"]), np.array([-1.0, 1.0]), np.array([False, True]), np.array([7, 3000])],
    ids=["words", "signs", "booleans", "integers"],
)
def test_labels_of_any_type(binary, names):
    X, y, _ = binary
    expected = NoiseAwareLinearClassifier().fit(X, y)
    model = NoiseAwareLinearClassifier().fit(X, names[y])
    np.testing.assert_array_equal(model.classes_, names)
    np.testing.assert_array_equal(model.predict(X), names[expected.predict(X)])
    assert model.predict(X).dtype == names.dtype
    listed = NoiseAwareLinearClassifier().fit(X.tolist(), names[y].tolist())
    np.testing.assert_array_equal(listed.predict(X), model.predict(X))


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_probability_is_a_half_where_the_decision_is_zero(binary, parameters):
    X, y, _ = binary
    model = NoiseAwareLinearClassifier(**parameters).fit(X, y)
    w, b = model.coef_[0], model.intercept_[0]
    at_cut = X - np.outer((X @ w + b) / (w @ w), w)
    np.testing.assert_allclose(model.decision_function(at_cut), 0.0, atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(at_cut), 0.5, atol=1e-9)
    np.testing.assert_array_equal(model.predict(X), (model.predict_proba(X)[:, 1] > 0.5) * 1)
    np.testing.assert_array_equal(model.predict(X), (model.decision_function(X) > 0) * 1)


def test_argmax_of_three_classes(three):
    X, y, _ = three
    model = NoiseAwareLinearClassifier().fit(X, y)
    np.testing.assert_array_equal(model.predict(X), model.decision_function(X).argmax(1))
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X).argmax(1))
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1.0, rtol=1e-12)


def test_pickle_clone_and_determinism(binary):
    X, y, _ = binary
    model = NoiseAwareLinearClassifier(noise_rates=[0.15, 0.3], alpha=[0.1, 1.0]).fit(X, y)
    assert_close(pickle.loads(pickle.dumps(model)), model, 0.0)
    fresh = clone(model)
    assert not [name for name in vars(fresh) if name.endswith("_")]
    assert_close(fresh.fit(X, y), model, 0.0)
    assert_close(model.fit(X, y), fresh, 0.0)


def test_refit_on_other_data_forgets_the_first(binary, three):
    model = NoiseAwareLinearClassifier().fit(*three[:2]).fit(*binary[:2])
    assert_close(model, NoiseAwareLinearClassifier().fit(*binary[:2]), 0.0)


def test_failed_refit_keeps_the_model(binary):
    X, y, _ = binary
    model = NoiseAwareLinearClassifier().fit(X, y)
    before = {k: copy.deepcopy(v) for k, v in vars(model).items() if k != "_setting"}
    for bad_X, bad_y, options in (
        (X * np.nan, y, {}),
        (X[:, :3], np.zeros(300), {}),
        (X[:, :3], y, {"sample_noise": np.full(300, 2.0)}),
        (X[:, :3], y, {"sample_weight": np.zeros(300)}),
    ):
        with pytest.raises(ValueError):
            model.fit(bad_X, bad_y, **options)
        assert vars(model).keys() == before.keys() | {"_setting"}
        for name, value in before.items():
            np.testing.assert_array_equal(getattr(model, name), value, err_msg=name)


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_input_is_left_alone(binary, parameters, rng):
    X, y, _ = binary
    weights, rates = rng.uniform(0.0, 2.0, 300), rng.uniform(0.05, 0.4, (300, 2))
    arrays = [X.copy(), y.copy(), weights, rates]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    model = NoiseAwareLinearClassifier(**parameters)
    model.fit(*arrays[:3])
    if parameters.get("method") != "lpc":
        model.fit(arrays[0], arrays[1], weights, sample_noise=rates)
    model.predict_proba(arrays[0])
    for array, copied in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copied)


def test_no_more_than_one_warning(binary, rng):
    """Repeated rows, impossible rates and a misfit at once: the most serious is named."""
    y = rng.integers(0, 2, 120)
    X = rng.standard_normal((120, 3)) ** 3
    X = np.concatenate([X, X[:10]])
    y = np.concatenate([y, y[:10]])
    y[rng.random(130) < 0.9] = 0
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        NoiseAwareLinearClassifier(noise_rates=[0.4, 0.0]).fit(X, y)
    assert [w.category for w in record] == [TheoryWarning]
    assert "noise_rates cannot produce" in str(record[0].message)


def test_quiet_on_model_data(binary):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NoiseAwareLinearClassifier(noise_rates=[0.15, 0.3]).fit(*binary[:2])


def test_digits_in_a_pipeline_within_a_grid_search_with_metadata():
    """Weights and noise of the rows travel through scaling and cross-validation."""
    X, clean = load_digits(return_X_y=True)
    X, clean = X[:500], clean[:500]
    y = flip_labels(clean, 0.3, random_state=0)
    rates = np.full(500, 0.3)
    weights = np.where(np.arange(500) % 10 == 0, 0.5, 1.0)
    with config_context(enable_metadata_routing=True):
        model = NoiseAwareLinearClassifier(noise_rates=0.3).set_fit_request(
            sample_weight=True, sample_noise=True, label_distribution=False
        )
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        scoring = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        name = "noiseawarelinearclassifier__method"
        search = GridSearchCV(pipeline, {name: ["threshold", "lpc"]}, cv=2, scoring=scoring)
        search.fit(X, y, sample_weight=weights, sample_noise=rates)
    assert search.score(X, clean) > 0.9
    best = search.best_estimator_[-1]
    expected = clone(best).fit(
        search.best_estimator_[0].transform(X), y, weights, sample_noise=rates
    )
    np.testing.assert_allclose(best.coef_, expected.coef_, rtol=1e-9, atol=1e-12)
    assert abs(best.theoretical_accuracy_ - search.score(X, clean)) < 0.1
