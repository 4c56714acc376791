"""scikit-learn's array API checks, and what an estimator fitted under dispatch can do.

SciPy reads `SCIPY_ARRAY_API` when it is imported: each script runs in a process of its own.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils import estimator_checks, get_tags

from skrmt.preference import PreferencePolicy
from skrmt.utils import all_estimators
from tests.test_docstrings import public_functions

ROOT = Path(__file__).parents[1]

START = """
import pickle, warnings
import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.utils import estimator_checks as checks
from skrmt.linear_model import NoiseAwareLinearClassifier, SyntheticMixClassifier
from skrmt.preference import PreferencePolicy
warnings.simplefilter("ignore")
sklearn.set_config(array_api_dispatch=True)
ESTIMATORS = [
    NoiseAwareLinearClassifier(),
    NoiseAwareLinearClassifier(method="lpc", noise_rates=0.1),
    SyntheticMixClassifier(random_state=0),
    PreferencePolicy(),
    PreferencePolicy("ipo", alpha=1.0),
]
X, y = make_classification(60, 5, random_state=0)
"""

CHECKS = """
for estimator in ESTIMATORS:
    for dtype in ("float64", "float32"):
        for weigh in (False, True):
            checks.check_array_api_input(
                type(estimator).__name__, estimator, NAMESPACE, DEVICE, dtype,
                check_values=True, check_sample_weight=weigh,
            )
            print("checked")
"""

MIXED = """
from sklearn.utils._array_api import NamespaceAndDevice
torch, numpy = NamespaceAndDevice("torch", "cpu"), NamespaceAndDevice("numpy", None)
for estimator in ESTIMATORS:
    for pair in ((torch, numpy), (numpy, torch)):
        checks.check_array_api_mixed_inputs(
            type(estimator).__name__, estimator, *pair, check_values=True
        )
        print("checked")
"""

FITTED = """
import torch
tensor = torch.as_tensor(X)
for estimator in ESTIMATORS:
    expected, found = clone(estimator).fit(X, y), clone(estimator).fit(tensor, torch.as_tensor(y))
    assert torch.is_tensor(found.coef_) and isinstance(found.classes_, np.ndarray)
    forecasts = [model.forecast(n_samples=500).score for model in (expected, found)]
    np.testing.assert_allclose(*forecasts, rtol=1e-7)
    assert torch.is_tensor(found.coef_)
    other = pickle.loads(pickle.dumps(found))
    for model in (found, other):
        # Whatever is on when it predicts: the answer is of the kind of the question.
        assert torch.is_tensor(model.decision_function(tensor))
        with sklearn.config_context(array_api_dispatch=False):
            scores = model.decision_function(X)
        assert isinstance(scores, np.ndarray)
        np.testing.assert_allclose(scores, expected.decision_function(X), rtol=1e-6, atol=1e-8)
    kept = found.coef_
    try:
        found.fit(tensor * torch.nan, y)
    except ValueError:
        assert found.coef_ is kept
    else:
        raise AssertionError("NaN was accepted")
    names = np.array(["no", "yes"])[y]
    assert set(clone(estimator).fit(tensor, names).predict(tensor)) == {"no", "yes"}
    print("checked")
model = PreferencePolicy("ipo", alpha=1.0).partial_fit(tensor[:30], y[:30], classes=[0, 1])
model.partial_fit(tensor[30:], y[30:])
whole = PreferencePolicy("ipo", alpha=1.0).partial_fit(X, y, classes=[0, 1])
np.testing.assert_allclose(model.coef_.numpy(), whole.coef_, rtol=1e-9)
issues = ESTIMATORS[0].fit(tensor, y).find_label_issues(threshold=0).indices
np.testing.assert_array_equal(issues, clone(ESTIMATORS[0]).fit(X, y).find_label_issues(
    threshold=0).indices)
print("checked")
given = {"alpha": np.array([0.1, 1.0]), "noise_rates": np.full(2, 0.1)}
model = NoiseAwareLinearClassifier(**given).fit(tensor, y)
assert all(model.get_params()[name] is value for name, value in given.items())
print("checked")
"""

PIPELINE = """
import torch
from torch.overrides import TorchFunctionMode
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

class Watch(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.shapes = []
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ in ("numpy", "__array__", "tolist"):
            self.shapes.append(tuple(args[0].shape))
        return func(*args, **(kwargs or {}))

X, y = make_classification(400, 200, random_state=0)
tensor = torch.as_tensor(X)
model = make_pipeline(StandardScaler(), NoiseAwareLinearClassifier(alpha=1.0))
with Watch() as watch:
    model.fit(tensor, torch.as_tensor(y))
    scores = model.decision_function(tensor)
assert torch.is_tensor(scores)
expected = clone(model).fit(X, y).decision_function(X)
np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-7, atol=1e-9)
# Scores and keys of the rows are read, the rows themselves never.
assert (400,) in watch.shapes
assert not any(shape[1:] == (200,) and shape[0] > 10 for shape in watch.shapes)
print("checked")
"""


def run(script: str) -> int:
    """Run a script with the dispatch of SciPy on; return how many of its checks passed."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": path}
    found = subprocess.run(
        [sys.executable, "-c", START + script],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout.count("checked")


recent = pytest.mark.skipif(
    not hasattr(estimator_checks, "check_array_api_mixed_inputs"),
    reason="scikit-learn before 1.9 checks other things",
)


@recent
@pytest.mark.parametrize("namespace", ["numpy", "array_api_strict"])
def test_scikit_learn_checks_of_the_array_api(namespace):
    pytest.importorskip(namespace)
    assert run(f"NAMESPACE, DEVICE = {namespace!r}, None" + CHECKS) == 20


@recent
def test_scikit_learn_checks_of_torch():
    pytest.importorskip("torch")
    assert run("NAMESPACE, DEVICE = 'torch', 'cpu'" + CHECKS) == 20
    assert run(MIXED) == 10


@recent
def test_what_is_fitted_to_torch_tensors_under_dispatch_goes_on():
    pytest.importorskip("torch")
    assert run(FITTED) == 7


@recent
def test_a_scaler_hands_torch_tensors_on_without_a_copy():
    pytest.importorskip("torch")
    assert run(PIPELINE) == 1


def test_the_tag_names_the_estimators_that_are_checked():
    tagged = {
        name
        for name, cls in all_estimators()
        if name not in ("GeneralizationReport", "HuggingFaceEncoder")
        and get_tags(cls()).array_api_support
    }
    assert tagged == {"NoiseAwareLinearClassifier", "SyntheticMixClassifier", "PreferencePolicy"}


def test_arguments_can_be_given_by_name():
    refused = []
    for name, function in public_functions():
        function = getattr(function, "__func__", function)
        named = {
            parameter.name: None
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }
        try:
            inspect.signature(function, follow_wrapped=False).bind(**named)
        except TypeError as error:
            refused.append(f"{name}: {error}")
    assert not refused, "\n".join(refused)
    rng = np.random.default_rng(0)
    chosen, rejected = rng.standard_normal((40, 3)) + 1, rng.standard_normal((40, 3))
    named = PreferencePolicy().fit_pairs(X_chosen=chosen, X_rejected=rejected)
    assert (named.coef_ == PreferencePolicy().fit_pairs(chosen, rejected).coef_).all()
