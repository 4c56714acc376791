"""The same data in other containers, types and layouts give the same fit, or an error by name.

Kinds of input that other packages have been reported to crash on, or to read wrongly in silence.
"""

from __future__ import annotations

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import polars
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skrmt.cluster import NestedTensorClustering
from skrmt.collapse import CollapseForecaster
from skrmt.datasets import GaussianGenerator
from skrmt.linear_model import (
    NoiseAwareLinearClassifier,
    StagedSGDClassifier,
    StagedSGDRegressor,
    SyntheticMixClassifier,
)
from skrmt.matching import cka
from skrmt.model_selection import GeneralizationReport
from skrmt.preference import PreferencePolicy

pytestmark = [
    pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]

RNG = np.random.default_rng(0)
# Small whole numbers: every type holds them exactly.
X = RNG.integers(-8, 9, (60, 4)).astype(float)
Y = (X[:, 0] + 2 * RNG.standard_normal(60) > 0).astype(int)
TARGETS = X[:, 0] - X[:, 1] + RNG.standard_normal(60)
NAMES = np.array(["no", "yes"])[Y]

CLASSIFIERS = {
    "NoiseAware": NoiseAwareLinearClassifier(),
    "Mix": SyntheticMixClassifier(random_state=0),
    "Policy": PreferencePolicy(),
    "PolicyIPO": PreferencePolicy("ipo", alpha=1.0),
    "SGD": StagedSGDClassifier(random_state=0),
    "Report": GeneralizationReport(RidgeClassifier()),
    "ReportFolds": GeneralizationReport(DecisionTreeClassifier(max_depth=2, random_state=0)),
}
SUPERVISED = {
    **CLASSIFIERS,
    "SGDRegressor": StagedSGDRegressor(random_state=0),
    "ReportRegressor": GeneralizationReport(Ridge()),
}
ALL = {**SUPERVISED, "Nested": NestedTensorClustering(random_state=0)}


def target(name):
    """Return what an estimator is fitted to."""
    return TARGETS if "Regressor" in name else Y


def said(name, data, y=None, **options):
    """Fit a clone, and return what it says of the data."""
    model = clone(ALL[name])
    if name == "Nested":
        return model.fit(data).labels_
    model.fit(data, target(name) if y is None else y, **options)
    if name.startswith("Report"):
        return np.array([model.theoretical_score_, *model.theoretical_score_interval_])
    tell = "predict" if name == "SGDRegressor" else "decision_function"
    return np.asarray(getattr(model, tell)(data if hasattr(data, "columns") else X), dtype=float)


@pytest.fixture(scope="module")
def expected():
    """What each estimator says of plain arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: said(name, X) for name in ALL}


def frozen(array):
    """Return a read-only copy."""
    array = array.copy()
    array.flags.writeable = False
    return array


def mapped(array, folder):
    """Return a read-only array in a file."""
    np.save(folder / "x.npy", array)
    return np.load(folder / "x.npy", mmap_mode="r")


class Duck:
    """An array by protocol alone."""

    def __init__(self, values):
        self.values, self.shape = values, values.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __len__(self):
        return len(self.values)


DENSE = {
    "read-only": frozen,
    "Fortran order": np.asfortranarray,
    "every other": lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2],
    "backwards": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "big-endian": lambda x: x.astype(">f8"),
    "int8": lambda x: x.astype(np.int8),
    "int64": lambda x: x.astype(np.int64),
    "objects": lambda x: x.astype(object),
    "float32": lambda x: x.astype(np.float32),
    "long double": lambda x: x.astype(np.longdouble),
    "lists": lambda x: x.tolist(),
    "subclass": lambda x: x.view(type("Sub", (np.ndarray,), {})),
    "protocol": Duck,
    "pandas": lambda x: pd.DataFrame(x, columns=list("abcd")),
    "pandas, columns by number": pd.DataFrame,
    "pandas, index of NaN": lambda x: pd.DataFrame(x, index=[np.nan] * len(x)),
    "pandas, nullable": lambda x: pd.DataFrame(x).convert_dtypes(),
    "pandas, Float64": lambda x: pd.DataFrame(x).astype("Float64"),
    "polars": lambda x: polars.DataFrame(x, schema=list("abcd")),
}


def wide_indices(matrix):
    """Return a sparse matrix whose indices are of 64 bits."""
    for name in {"indices", "indptr", "row", "col"} & set(vars(matrix)):
        setattr(matrix, name, getattr(matrix, name).astype(np.int64))
    return matrix


def doubled(x):
    """Return a matrix that holds each entry in two halves, in no order."""
    found = sparse.csr_matrix(x)
    parts = np.repeat(found.data / 2, 2), np.repeat(found.indices, 2), 2 * found.indptr
    return sparse.csr_matrix(parts, shape=x.shape)


def frozen_sparse(x):
    """Return a sparse matrix of read-only arrays."""
    found = sparse.csr_matrix(x)
    for array in (found.data, found.indices, found.indptr):
        array.flags.writeable = False
    return found


SPARSE = {
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "coordinates": sparse.coo_matrix,
    "lil": sparse.lil_matrix,
    "csr, 64 bits": lambda x: wide_indices(sparse.csr_matrix(x)),
    "coordinates, 64 bits": lambda x: wide_indices(sparse.coo_matrix(x)),
    "read-only": frozen_sparse,
    "entries in two parts": doubled,
    "pandas": lambda x: pd.DataFrame(x).astype(pd.SparseDtype("float", 0.0)),
}


def scrambled(x):
    """Return a matrix that stores every third row with zeros, in two parts and backwards."""
    odd = np.arange(len(x)) % 3 == 0
    rows = [
        np.arange(x.shape[1]) if twice else np.flatnonzero(row)
        for twice, row in zip(odd, x, strict=True)
    ]
    columns = [
        np.repeat(row, 2)[::-1] if twice else row for twice, row in zip(odd, rows, strict=True)
    ]
    data = [x[i, row] / (1 + odd[i]) for i, row in enumerate(columns)]
    ends = np.cumsum([0, *map(len, columns)])
    return sparse.csr_matrix((np.concatenate(data), np.concatenate(columns), ends), shape=x.shape)


LABELS = {
    "booleans": lambda y: y.astype(bool),
    "strings": lambda y: NAMES,
    "objects": lambda y: NAMES.astype(object),
    "categories": lambda y: pd.Series(pd.Categorical(NAMES, categories=["yes", "no", "other"])),
    "pandas strings": lambda y: pd.Series(NAMES, dtype="string"),
    "nullable booleans": lambda y: pd.Series(y.astype(bool)).astype("boolean"),
    "polars": lambda y: polars.Series(NAMES.tolist()),
    "polars categories": lambda y: polars.Series(NAMES.tolist(), dtype=polars.Categorical),
    "floats": lambda y: y.astype(float),
    "int8": lambda y: (2 * y - 1).astype(np.int8),
    "another index": lambda y: pd.Series(y, index=np.arange(len(y))[::-1] + 5),
    "a column": lambda y: y[:, None],
    "a frame": lambda y: pd.DataFrame({"label": y}),
    "dates": lambda y: np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]")[y],
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", [*DENSE, "mapped"])
def test_dense_kinds_give_the_same_fit(name, kind, expected, tmp_path):
    data = mapped(X, tmp_path) if kind == "mapped" else DENSE[kind](X)
    atol = 1e-4 if kind == "float32" else 1e-9
    np.testing.assert_allclose(said(name, data), expected[name], rtol=1e-4, atol=atol)


@pytest.mark.parametrize("name", SUPERVISED)
@pytest.mark.parametrize("kind", SPARSE)
def test_sparse_kinds_give_the_same_fit(name, kind, expected):
    np.testing.assert_allclose(said(name, SPARSE[kind](X)), expected[name], rtol=1e-6, atol=1e-8)


ONE_HOT = np.hstack([np.eye(n)[RNG.integers(0, n, 60)] for n in (5, 3)])
COPIES = np.vstack([X[:40], X[:20]])
FAR = np.vstack([np.full((1, 4), 60.0), X[1:]]) + np.array([100.0, 0.0, 0.0, 0.0])
ROWS = {"one-hot": ONE_HOT, "copies": COPIES, "one far out": FAR}
FORMS = {"csr": sparse.csr_array, "scrambled": scrambled}


@pytest.mark.parametrize("name", SUPERVISED)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", ROWS)
def test_rows_that_repeat_or_are_far_out_are_seen_in_every_form(name, form, rows):
    data, y = ROWS[rows], target(name) + 0
    if rows == "copies":
        y[40:] = y[:20]
    matrix = FORMS[form](data)
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.flags.writeable = False
    found, expected = (clone(ALL[name]).fit(kind, y) for kind in (matrix, data))
    for attribute in ("coef_", "intercept_", "n_effective_samples_", "theoretical_score_",
                      "observed_accuracy_", "observed_accuracy_interval_"):  # fmt: skip
        if hasattr(expected, attribute):
            values = getattr(found, attribute), getattr(expected, attribute)
            np.testing.assert_allclose(*values, rtol=1e-6, atol=1e-8, err_msg=attribute)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("kind", LABELS)
def test_kinds_of_labels_give_the_same_fit(name, kind, expected):
    np.testing.assert_allclose(said(name, X, LABELS[kind](Y)), expected[name], rtol=1e-9)


@pytest.mark.parametrize("name", SUPERVISED)
def test_the_unit_of_the_weights_changes_nothing(name):
    weights = RNG.uniform(0.5, 2.0, len(X))
    found = said(name, X, sample_weight=weights)
    for unit in (1e-300, 1e-150, 1e-3, 1e9, 1e150, 1e300):
        other = said(name, X, sample_weight=weights * unit)
        np.testing.assert_allclose(other, found, rtol=1e-5, atol=1e-7)


def test_weights_that_are_added_to_others_are_refused_where_they_are_extreme():
    weights = np.full(60, 1e100)
    with pytest.raises(ValueError, match="between 1e-60 and 1e60"):
        PreferencePolicy("ipo", alpha=1.0).partial_fit(X, Y, sample_weight=weights)
    with pytest.raises(ValueError, match="between 1e-60 and 1e60"):
        SyntheticMixClassifier().fit(X, Y, weights, X_synthetic=X, y_synthetic=Y)


@pytest.mark.parametrize("name", [*CLASSIFIERS, "Gaussian"])
def test_labels_of_two_types_are_refused_by_name(name):
    model = GaussianGenerator() if name == "Gaussian" else clone(ALL[name])
    with pytest.raises(
        (TypeError, ValueError), match=r"mixes labels|mix of label|y has|Only binary"
    ):
        model.fit(X, np.array(["a", *Y[1:]], dtype=object))


@pytest.mark.parametrize("name", [*CLASSIFIERS, "Gaussian"])
def test_labels_that_are_sequences_are_refused_by_name(name):
    y = np.empty(60, dtype=object)
    y[:] = [("a", int(label)) for label in Y]
    model = GaussianGenerator() if name == "Gaussian" else clone(ALL[name])
    with pytest.raises(TypeError, match="y holds tuples such as"):
        model.fit(X, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array(["2020-01-01"], dtype="M8[D]").repeat(60), "a regression needs numbers"),
        (TARGETS.astype(str), "a regression needs numbers"),
        (np.array(["a", *TARGETS[1:]], dtype=object), "y holds objects that are not numbers"),
        (TARGETS * 1e300, "Divide y by"),
        (np.append(TARGETS[1:], -np.inf), r"-inf at index \(59,\)"),
    ],
)
def test_targets_that_are_no_numbers_are_refused_by_name(y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        GeneralizationReport(Ridge()).fit(X, y)


def test_huge_values_are_computed_or_refused_by_name():
    generator = GaussianGenerator(random_state=0).fit(X * 1e100, Y)
    np.testing.assert_allclose(
        generator.covariances_ / 1e200, GaussianGenerator().fit(X, Y).covariances_, rtol=1e-9
    )
    with pytest.raises(ValueError, match="Divide X by"):
        GaussianGenerator().fit(X * 1e200, Y)
    for batch_size in (None, 20):
        found = cka(X * 1e300, X[:, :2] * 1e300, batch_size=batch_size)
        assert np.isclose(found, cka(X, X[:, :2], batch_size=batch_size), rtol=1e-9)
    labels = NestedTensorClustering(random_state=0).fit(X * 1e200).labels_
    np.testing.assert_array_equal(labels, NestedTensorClustering(random_state=0).fit(X).labels_)


def test_counts_of_any_kind_are_counts():
    counts = np.array([[50, 30, 15, 4, 1], [40, 30, 20, 9, 1]])
    kinds = [
        counts.astype(">f8"), counts.astype(">i8"), counts.astype(np.float16),
        pd.DataFrame(counts), pd.DataFrame(counts).convert_dtypes(), polars.DataFrame(counts),
        counts.astype(object),
        sparse.coo_matrix(counts),
    ]  # fmt: skip
    expected = CollapseForecaster(n_generations=3).fit(counts).theoretical_diversity_
    for kind in kinds:
        found = CollapseForecaster(n_generations=3).fit(kind).theoretical_diversity_
        np.testing.assert_array_equal(found, expected)
    for bad, message in (
        (pd.DataFrame({"text": ["a b"]}), "pass its column of texts"),
        (counts[None], "shape"),
        (counts * 1e150, "below"),
        (counts * 1j, "no finite numbers"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            CollapseForecaster().fit(bad)


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_reports_take_the_frames_that_the_estimator_takes(backend):
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame.loc[3, "a"] = np.nan
    frame["word"] = pd.Categorical(np.array(["u", "v", "w"])[np.arange(60) % 3])
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer((numbers, list("abcd")), (OneHotEncoder(), ["word"]))
    expected, found = (
        GeneralizationReport(make_pipeline(columns, RidgeClassifier())).fit(kind, NAMES)
        for kind in (frame, frame.convert_dtypes(dtype_backend=backend))
    )
    # Folds follow from the values, and NA is another word than NaN.
    assert found.theoretical_score_ == pytest.approx(expected.theoretical_score_, abs=0.02)
    assert found.score(frame, NAMES) == expected.score(frame, NAMES)


def test_reports_read_frames_of_dask():
    frames = pytest.importorskip("dask.dataframe")
    lazy = frames.from_pandas(pd.DataFrame(X, columns=list("abcd")), npartitions=2)
    found, expected = (GeneralizationReport(RidgeClassifier()).fit(kind, Y) for kind in (lazy, X))
    assert found.theoretical_score_ == pytest.approx(expected.theoretical_score_, rel=1e-9)


def job(name):
    """Return what an estimator says in another process, where warnings are not errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return said(name, X)


def test_processes_threads_and_threads_in_threads_give_the_same_fits(expected):
    names = [name for name in ALL if name != "ReportFolds"]
    results = [joblib.Parallel(n_jobs=2)(joblib.delayed(job)(name) for name in names)]
    with joblib.parallel_config("threading", n_jobs=2):
        results.append(joblib.Parallel()(joblib.delayed(said)(name, X) for name in names))
    with ThreadPoolExecutor(4) as pool:
        results.append(list(pool.map(lambda name: said(name, X), names)))
    for found in results:
        for name, values in zip(names, found, strict=True):
            np.testing.assert_allclose(values, expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["NoiseAware", "Mix", "Policy", "SGD"])
def test_a_fit_outlives_its_parameters_and_a_map_of_its_file(name, tmp_path):
    model = clone(ALL[name]).fit(X, Y)
    before = model.decision_function(X)
    model.set_params(**{"alpha": 0.5} if name != "SGD" else {"max_rollbacks": 1})
    np.testing.assert_array_equal(model.decision_function(X), before)
    joblib.dump(model, tmp_path / "model")
    again = joblib.load(tmp_path / "model", mmap_mode="r")
    np.testing.assert_array_equal(again.decision_function(frozen(X)), before)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        other = pickle.loads(pickle.dumps(model, protocol))
        np.testing.assert_array_equal(other.decision_function(X), before)
    fresh = clone(model)
    assert not [attribute for attribute in vars(fresh) if attribute.endswith("_")]
