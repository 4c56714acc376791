"""Every estimator against every common check: scikit-learn's, the tensor battery and ours.

Estimators are found by themselves (a name in the `__all__` of a subpackage). Add to
`EXTRA_PARAMETERS` the settings that take another path through `fit`; tensor estimators add to
`TENSOR_OPTIONS` what they promise about scale, permutation and rotation.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
import sklearn
from numpydoc.docscrape import ClassDoc
from sklearn.base import clone, is_classifier
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skrmt.utils import all_estimators
from skrmt.utils._compare import assert_same, fitted_state
from skrmt.utils._global_state import changed, global_state
from skrmt.utils.testing import tensor_estimator_checks

EXTRA_PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "GeneralizationReport": [{"estimator": Ridge()}, {"estimator": LogisticRegression()}],
    "NoiseAwareLinearClassifier": [
        {"method": "threshold", "noise_rates": 0.1},
        {"method": "lpc", "noise_rates": 0.1, "alpha": 1.0},
        {"noise_rates": None, "alpha": 1.0},
    ],
    "NestedTensorClustering": [{"n_clusters": 3}, {"threshold": "zero", "method": "auto"}],
    "PreferencePolicy": [{"loss": "ipo"}, {"loss": "hinge"}, {"loss": "robust", "alpha": 0.1}],
    "SelfPlayPolicy": [{"mixture_weight": 0.3, "history": 2}, {"history": "all", "n_rounds": 10}],
    "StagedSGDClassifier": [{"detect_spikes": False, "fit_intercept": False}],
    "StagedSGDRegressor": [{"detect_spikes": False, "fit_intercept": False}],
    "SyntheticMixClassifier": [{"alpha": 1.0, "fit_intercept": False, "criterion": "nll"}],
    "TensorDeflation": [
        {"n_components": 2, "method": "hotelling"},
        {"n_components": 1, "method": "orthogonalized"},
        {"n_components": 1, "method": "auto"},
    ],
}
"""Name of an estimator: parameters of further instances that get scikit-learn's checks."""


CHEAP: dict[str, dict[str, Any]] = {"TensorDeflation": {"n_init": 4}}
"""Name of an estimator: parameters that save time in every instance."""

REQUIRED: dict[str, dict[str, Any]] = {
    "GeneralizationReport": {"estimator": RidgeClassifier()},
    "HuggingFaceEncoder": {"model": "a/name"},
}
"""Name of an estimator: parameters without a default."""


def prompts() -> tuple[np.ndarray, np.ndarray]:
    """Return candidates of 12 prompts, and the human choices among them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 4, 3))
    return X, (X[..., 0] + rng.gumbel(size=(12, 4))).argmax(axis=1)


TENSOR_OPTIONS: dict[str, dict[str, Any]] = {
    "SelfPlayPolicy": {
        "X": prompts()[0],
        "fit_params": {"y": prompts()[1]},
        "output": lambda fitted, X: fitted.predict_proba(X),
        "permutation": (),
        "rotation": ((2, None),),
        "rtol": 1e-6,
    },
    "TensorDeflation": {
        "scale": 1,
        "permutation": ((0, 0), (1, 1), (2, 2)),
        "rotation": ((0, 0), (1, 1), (2, 2)),
        "any_order": True,
        "rtol": 1e-5,
    },
}
"""Name of a tensor estimator: keyword arguments of `tensor_estimator_checks`."""

pytestmark = [
    pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def instances() -> list[Any]:
    """Return every estimator with its default and its extra parameters."""
    return [
        cls(**{**REQUIRED.get(name, {}), **CHEAP.get(name, {}), **parameters})
        for name, cls in all_estimators()
        for parameters in [{}, *EXTRA_PARAMETERS.get(name, [])]
    ]


MATRIX = [e for e in instances() if get_tags(e).input_tags.two_d_array]
TENSOR = [
    e
    for e in instances()
    if get_tags(e).input_tags.three_d_array and not get_tags(e).input_tags.two_d_array
]
DEVICE = [e for e in MATRIX if "device" in e.get_params()]


def short_name(estimator: Any) -> str:
    """Return the class and the parameters that are not default."""
    return re.sub(r"\s+", "", repr(estimator))


def training_data(estimator: Any) -> tuple[np.ndarray, ...]:
    """Return an easy problem: 120 samples, 6 features."""
    X, y = make_classification(
        120, 6, n_informative=4, n_redundant=0, flip_y=0.1, class_sep=1.5, random_state=0
    )
    if get_tags(estimator).target_tags.required:
        return (X, y) if is_classifier(estimator) else (X, X[:, 0] - X[:, 1] ** 2)
    return (X,)


def seeded(estimator: Any, **parameters: Any) -> Any:
    """Return a clone with a fixed seed."""
    if "random_state" in estimator.get_params():
        parameters["random_state"] = 0
    return clone(estimator).set_params(**parameters)


def unfair(estimator: Any, check: Any) -> bool:
    """Tell whether scikit-learn before 1.7 makes labels binary by which of them comes first."""
    tags = get_tags(estimator).classifier_tags
    name = check.func.__name__
    binary = tags is not None and not tags.multi_class
    old = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 7)
    return old and binary and name.startswith("check_sample_weight_equivalence")


@pytest.mark.global_seed
@parametrize_with_checks(MATRIX)
def test_scikit_learn_common_checks(estimator, check):
    if unfair(estimator, check):
        pytest.skip("this check of scikit-learn 1.6 gives its two fits of a pair other labels")
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        check
        for estimator in TENSOR
        for check in tensor_estimator_checks(
            estimator, **TENSOR_OPTIONS.get(type(estimator).__name__, {})
        )
    ],
    ids=str,
)
def test_tensor_common_checks(check):
    check()


@pytest.mark.parametrize("estimator", MATRIX, ids=short_name)
def test_fit_leaves_the_process_alone(estimator):
    data = training_data(estimator)
    before = global_state()
    seeded(estimator).fit(*data)
    clone(estimator).fit(*data)
    assert changed(before, global_state()) == []


@pytest.mark.parametrize("estimator", MATRIX, ids=short_name)
def test_failed_fit_keeps_the_old_model(estimator):
    X, *y = training_data(estimator)
    fitted = seeded(estimator).fit(X, *y)
    before = dict(vars(fitted))
    for bad in (X[:, :3] * np.nan, np.full(X.shape, "word"), X[:, 0], X[:0, :2]):
        with pytest.raises((ValueError, TypeError)):
            fitted.fit(bad, *y)
        assert set(vars(fitted)) == set(before)
        assert all(vars(fitted)[name] is value for name, value in before.items())


@pytest.mark.parametrize("estimator", MATRIX, ids=short_name)
def test_fitted_attributes_are_the_documented_ones(estimator):
    fitted = seeded(estimator).fit(*training_data(estimator))
    doc = ClassDoc(type(estimator), config={"show_class_members": False})
    documented = {name.strip() for entry in doc["Attributes"] for name in entry.name.split(",")} - {
        "feature_names_in_"
    }
    properties = {
        name
        for name, member in inspect.getmembers(type(estimator))
        if isinstance(member, property) and name.endswith("_") and not name.startswith("_")
    }
    assert set(fitted_state(fitted)) | properties == documented


@pytest.mark.parametrize("estimator", DEVICE, ids=short_name)
def test_torch_tensors_give_the_numbers_of_numpy(estimator, backend, dtype):
    X, *y = training_data(estimator)
    X = X.astype(dtype)
    tolerance = 1e-8 if dtype == np.float64 else 1e-3
    expected = seeded(estimator).fit(X, *y)
    data = [backend.asarray(array) for array in (X, *y)]
    actual = seeded(estimator).fit(*data)
    for method in ("decision_function", "predict_proba", "predict", "transform"):
        if hasattr(expected, method):
            result = getattr(actual, method)(data[0])
            assert backend.is_native(result), method
            assert_same(result, getattr(expected, method)(X), tolerance, method)


@pytest.mark.parametrize("estimator", DEVICE, ids=short_name)
def test_device_torch_computes_there_and_returns_numpy(estimator):
    pytest.importorskip("torch")
    data = training_data(estimator)
    expected = seeded(estimator).fit(*data)
    actual = seeded(estimator, device="cpu").fit(*data)
    result = actual.predict(data[0])
    assert isinstance(result, np.ndarray)
    assert_same(result, expected.predict(data[0]), 1e-8, "predict")
    name = "theoretical_accuracy_"
    name = name if hasattr(expected, name) else "theoretical_risk_"
    assert_same(getattr(actual, name), getattr(expected, name), 1e-8, name)


def test_extra_settings_name_estimators():
    names = {name for name, _ in all_estimators()}
    if names:
        assert set(EXTRA_PARAMETERS) | set(TENSOR_OPTIONS) <= names
