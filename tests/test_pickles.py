"""Every estimator, result and display survives pickling, copying and joblib, and says the same."""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import pickle
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from skrmt import (
    cluster,
    collapse,
    datasets,
    decomposition,
    feature_extraction,
    inspection,
    linear_model,
    matching,
    model_selection,
    preference,
)
from skrmt.utils import all_estimators
from skrmt.utils._compare import assert_same
from skrmt.utils._discovery import public_subpackages

pytestmark = [
    pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y, _, _ = datasets.make_noisy_mixture(60, 4, random_state=0)
X3 = datasets.make_nested_views(30, 12, noise_stds=[1.0, 2.0, 3.0], random_state=0).X
SPIKED = datasets.make_spiked_tensor((8, 9, 10), [9.0, 6.0], random_state=0).X
PAIRS = datasets.make_paired_encoders(60, 8, 9, n_latent=5, random_state=0)
MIX = datasets.make_synthetic_mix(40, 60, 4, random_state=0)
PROMPTS = np.random.default_rng(0).standard_normal((20, 4, 3))
CHOICES = np.arange(20) % 4
REWARDS = np.random.default_rng(1).random((5, 3))
COUNTS = np.array([[50, 30, 15, 4, 1]])
NAMES = np.array(["no", "yes"])
FRAME = pd.DataFrame(X, columns=list("abcd"))
STAGES = [linear_model.Stage(20, 4, 0.05, "linear")]
MASK = np.arange(90).reshape(30, 3) % 7 > 0


def words(text: str) -> list[str]:
    """Return the words of a text; a function of the module, which pickle finds by name."""
    return text.split()


def noise_aware(**parameters: Any) -> Any:
    return linear_model.NoiseAwareLinearClassifier(**parameters)


def staged(kind: str, **parameters: Any) -> Any:
    return getattr(linear_model, f"StagedSGD{kind}")(STAGES, random_state=0, **parameters)


FITS: dict[str, Any] = {
    "CollapseForecaster-counts": lambda: collapse.CollapseForecaster(n_generations=5).fit(COUNTS),
    "CollapseForecaster-texts": lambda: collapse.CollapseForecaster(
        n_generations=5, tokenizer=words).fit(["a b a b c", "a a b c c"]),
    "CollapseForecaster-tokens": lambda: collapse.CollapseForecaster(
        "accumulate", n_generations=5).fit([[0, 1, 0, 2, 1], [1, 1, 0, 2]]),
    "EncoderMatcher": lambda: matching.EncoderMatcher(random_state=0).fit(PAIRS.X, PAIRS.Y),
    "EncoderMatcher-linear": lambda: matching.EncoderMatcher(
        kernel="linear", random_state=0).fit(PAIRS.X.astype(np.float32), PAIRS.Y),
    "EncoderMatcher-relative": lambda: matching.EncoderMatcher(
        "relative", random_state=0).fit(PAIRS.X, PAIRS.Y),
    "GaussianGenerator": lambda: datasets.GaussianGenerator(random_state=0).fit(X, Y),
    "GaussianGenerator-names": lambda: datasets.GaussianGenerator(random_state=0).fit(X, NAMES[Y]),
    "GeneralizationReport": lambda: model_selection.GeneralizationReport(
        LogisticRegression()).fit(X, Y),
    "GeneralizationReport-frame": lambda: model_selection.GeneralizationReport(
        Ridge()).fit(FRAME, X[:, 0]),
    "HuggingFaceEncoder-unfitted": lambda: feature_extraction.HuggingFaceEncoder("a/name"),
    "NestedTensorClustering": lambda: cluster.NestedTensorClustering(random_state=0).fit(X3),
    "NestedTensorClustering-float32": lambda: cluster.NestedTensorClustering(
        3, random_state=0).fit(X3.astype(np.float32)),
    "NestedTensorClustering-mask": lambda: cluster.NestedTensorClustering(
        random_state=0).fit(np.where(MASK[:, None], X3, 0.0), mask=MASK),
    "NestedTensorClustering-unequal": lambda: cluster.NestedTensorClustering(
        random_state=0).fit([X3[:, :, 0], X3[:, :8, 1]]),
    "NestedTensorClustering-matrix": lambda: cluster.NestedTensorClustering(
        random_state=0).fit(X),
    "NextTokenModel-texts": lambda: collapse.NextTokenModel(tokenizer=words).fit(["a b a c b"]),
    "NextTokenModel-tokens": lambda: collapse.NextTokenModel(2, smoothing=0.5).fit(
        [[0, 1, 0, 1, 2, 0]]),
    "NoiseAwareLinearClassifier": lambda: noise_aware().fit(X, Y),
    "NoiseAwareLinearClassifier-float32": lambda: noise_aware().fit(X.astype(np.float32), Y),
    "NoiseAwareLinearClassifier-frame": lambda: noise_aware().fit(FRAME, NAMES[Y]),
    "NoiseAwareLinearClassifier-weights": lambda: noise_aware(method="lpc").fit(
        X, Y, sample_weight=np.arange(60) % 3),
    "NoiseAwareLinearClassifier-known": lambda: noise_aware(noise_rates=(0.1, 0.2)).fit(X, Y),
    "NoiseAwareLinearClassifier-sample-noise": lambda: noise_aware().fit(
        X, Y, sample_noise=np.full(60, 0.1)),
    "PreferencePolicy": lambda: preference.PreferencePolicy().fit(X, Y),
    "PreferencePolicy-pairs": lambda: preference.PreferencePolicy("ipo").fit_pairs(X[:30], X[30:]),
    "PreferencePolicy-candidates": lambda: preference.PreferencePolicy().fit(
        PROMPTS, np.stack([CHOICES, (CHOICES + 1) % 4], axis=1)),
    "PreferencePolicy-partial": lambda: preference.PreferencePolicy("ipo", alpha=1.0).partial_fit(
        X, Y, classes=[0, 1]),
    "SafetyUtilityFrontier": lambda: preference.SafetyUtilityFrontier().fit(
        REWARDS, REWARDS[:, ::-1]),
    "SelfPlayPolicy": lambda: preference.SelfPlayPolicy(2.0).fit(PROMPTS, CHOICES),
    "StagedSGDClassifier": lambda: staged("Classifier").fit(X, NAMES[Y]),
    "StagedSGDRegressor": lambda: staged("Regressor").fit(X, X[:, 0]),
    "StagedSGDRegressor-frame": lambda: staged("Regressor").fit(FRAME, X[:, 0]),
    "StagedSGDRegressor-partial": lambda: staged("Regressor").partial_fit(X, X[:, 0]),
    "SyntheticMixClassifier": lambda: linear_model.SyntheticMixClassifier(random_state=0).fit(
        MIX.X, MIX.y, sample_source=MIX.sample_source),
    "SyntheticMixClassifier-apart": lambda: linear_model.SyntheticMixClassifier(
        random_state=0).fit(X, NAMES[Y], X_synthetic=X + 0.1, y_synthetic=NAMES[Y]),
    "TensorDeflation": lambda: decomposition.TensorDeflation(2, random_state=0).fit(SPIKED),
    "TensorDeflation-float32": lambda: decomposition.TensorDeflation(
        2, method="hotelling", random_state=0).fit(SPIKED.astype(np.float32)),
}  # fmt: skip
"""Name of an estimator and kind of its input: fits it."""

SPARSE = ["NoiseAwareLinearClassifier", "SyntheticMixClassifier"]

CALLS = {
    "CollapseForecaster": ["theoretical_diversity_"],
    "EncoderMatcher": [("match", PAIRS.X, PAIRS.Y), ("predict_accuracy", PAIRS.X, PAIRS.Y)],
    "GaussianGenerator": [("sample", 10, 0)],
    "GeneralizationReport": [("forecast",), ("summary",)],
    "NextTokenModel": ["n_features_in_"],
    "NoiseAwareLinearClassifier": [("find_label_issues",), ("forecast",)],
    "SafetyUtilityFrontier": [("policy",)],
    "SyntheticMixClassifier": [("forecast",), ("required", 0.6), ("data_report",)],
    "TensorDeflation": [("reconstruct",)],
}
"""Name of an estimator: further methods whose results must be the same."""


def with_cloudpickle(value: Any) -> Any:
    """Return what cloudpickle, which sends work to other machines, makes of a value."""
    cloudpickle = pytest.importorskip("cloudpickle")
    return pickle.loads(cloudpickle.dumps(value))


def with_joblib(value: Any) -> Any:
    """Return a value dumped to a compressed file and loaded."""
    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=3)
    buffer.seek(0)
    return joblib.load(buffer)


WAYS = {
    **{
        f"pickle{protocol}": lambda value, protocol=protocol: pickle.loads(
            pickle.dumps(value, protocol)
        )
        for protocol in (2, pickle.HIGHEST_PROTOCOL)
    },
    "deepcopy": copy.deepcopy,
    "joblib": with_joblib,
    "cloudpickle": with_cloudpickle,
}
"""Name of a round trip: what it makes of a value."""


def outputs(name: str, model: Any, data: Any) -> dict[str, Any]:
    """Return what a fitted estimator says of data."""
    said = {}
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        if hasattr(model, method) and data is not None:
            said[method] = getattr(model, method)(data)
    for call in CALLS.get(name, []):
        if isinstance(call, tuple):
            said[call[0]] = getattr(model, call[0])(*call[1:])
    return said


def kept(model: Any) -> dict[str, Any]:
    """Return the attributes of an estimator that its pickle holds: all but training rows."""
    return model.__getstate__()


def fresh(name: str, model: Any) -> Any:
    """Return data for the methods of a fitted estimator."""
    if name in ("EncoderMatcher", "GaussianGenerator", "SafetyUtilityFrontier",
                "CollapseForecaster", "NextTokenModel", "HuggingFaceEncoder"):  # fmt: skip
        return None
    if name == "SelfPlayPolicy":
        return PROMPTS
    if name == "TensorDeflation":
        return SPIKED
    if name == "NestedTensorClustering":
        return None
    return FRAME if hasattr(model, "feature_names_in_") else X[:, : model.n_features_in_]


@pytest.mark.parametrize("kind", FITS)
def test_fitted_estimators_come_back_the_same(kind):
    name, model = kind.partition("-")[0], FITS[kind]()
    data = fresh(name, model)
    expected = outputs(name, model, data)
    for way, round_trip in WAYS.items():
        back = round_trip(model)
        assert type(back) is type(model)
        assert_same(kept(back), kept(model), what=f"{kind} {way}")
        assert_same(outputs(name, back, data), expected, what=f"{kind} {way}")


@pytest.mark.parametrize("name", SPARSE)
def test_fits_on_sparse_matrices_come_back_the_same(name):
    kind = getattr(linear_model, name)
    parameters = {"random_state": 0} if "random_state" in kind._parameter_constraints else {}
    model = kind(**parameters).fit(sparse.csr_array(X), Y)
    for way in WAYS.values():
        back = way(model)
        assert_same(back.predict_proba(sparse.csr_array(X)), model.predict_proba(X), 1e-9)


def test_unfitted_estimators_come_back_with_their_parameters():
    for name, cls in all_estimators():
        required = {"HuggingFaceEncoder": "a/name", "GeneralizationReport": Ridge()}
        model = cls(required[name]) if name in required else cls()
        for way in WAYS.values():
            back = way(model)
            assert_same(back.get_params(), model.get_params(), what=name)
            assert vars(back).keys() == vars(model).keys()


@pytest.mark.parametrize("kind", ["NoiseAwareLinearClassifier", "StagedSGDRegressor"])
def test_a_copy_can_be_fitted_again_without_touching_the_first(kind):
    model = FITS[kind]()
    before = copy.deepcopy(vars(model))
    back = pickle.loads(pickle.dumps(model))
    back.fit(-X, Y if kind.startswith("Noise") else X[:, 1])
    assert_same(vars(model), before, what=kind)


def test_partial_fits_go_on_after_a_round_trip():
    whole = preference.PreferencePolicy("ipo", alpha=1.0).partial_fit(
        X[:30], Y[:30], classes=[0, 1]
    )
    half = pickle.loads(pickle.dumps(whole))
    whole.partial_fit(X[30:], Y[30:])
    half.partial_fit(X[30:], Y[30:])
    assert_same(half.coef_, whole.coef_)
    assert_same(half.theoretical_accuracy_, whole.theoretical_accuracy_)


def test_torch_fits_come_back_the_same():
    torch = pytest.importorskip("torch")
    model = noise_aware().fit(torch.as_tensor(X), torch.as_tensor(Y))
    back = pickle.loads(pickle.dumps(model))
    assert_same(back.predict_proba(torch.as_tensor(X)), model.predict_proba(torch.as_tensor(X)))


def named_tuples() -> dict[str, type]:
    """Return the public results, by the names users import them with."""
    modules = list(public_subpackages())
    theory = importlib.import_module("skrmt.theory")
    modules += [f"skrmt.theory.{name}" for name in theory.__all__]
    found = {}
    for module in modules:
        for name in importlib.import_module(module).__all__:
            member = getattr(importlib.import_module(module), name)
            if inspect.isclass(member) and issubclass(member, tuple):
                found[f"{module}.{name}"] = member
    return found


def test_results_come_back_with_their_type_and_fields():
    for name, cls in named_tuples().items():
        value = cls(*(np.arange(3.0) + k for k in range(len(cls._fields))))
        for way in WAYS.values():
            back = way(value)
            assert type(back) is cls
            assert_same(tuple(back), tuple(value), what=name)


DISPLAYS: dict[str, Any] = {
    "AccuracyPathDisplay": lambda: inspection.AccuracyPathDisplay.from_estimator(
        noise_aware().fit(X, Y)),
    "CKAMatrixDisplay": lambda: inspection.CKAMatrixDisplay([[1.0, 0.2], [0.2, 1.0]]),
    "ScoreDistributionDisplay": lambda: inspection.ScoreDistributionDisplay.from_estimator(
        noise_aware().fit(X, Y)),
    "SyntheticValueDisplay": lambda: inspection.SyntheticValueDisplay.from_estimator(
        FITS["SyntheticMixClassifier"]()),
    "TensorScreeDisplay": lambda: inspection.TensorScreeDisplay.from_estimator(
        FITS["TensorDeflation"]()),
    "ViewWeightsDisplay": lambda: inspection.ViewWeightsDisplay.from_estimator(
        FITS["NestedTensorClustering"]()),
    "StagedLossDisplay": lambda: inspection.StagedLossDisplay.from_estimator(
        FITS["StagedSGDRegressor"]()),
    "CollapseForecastDisplay": lambda: inspection.CollapseForecastDisplay.from_theory(
        0.1, 50, n_real=50, window=5),
    "NoiseFloorDisplay": lambda: inspection.NoiseFloorDisplay.from_theory([1.0] * 5, 0.25),
    "VerifierFrontierDisplay": lambda: inspection.VerifierFrontierDisplay(0.3),
}  # fmt: skip


@pytest.mark.parametrize("name", DISPLAYS)
def test_displays_come_back_with_their_numbers_and_draw_again(name):
    plt = pytest.importorskip("matplotlib.pyplot")
    display = DISPLAYS[name]()
    kept = {key: value for key, value in vars(display).items() if not key.endswith("_")}
    bare = copy.copy(display)
    vars(bare).clear()
    vars(bare).update(kept)
    for way in WAYS.values():
        back = way(bare)
        assert_same(vars(back), kept, what=name)
    assert back.plot() is back
    drawn = pickle.loads(pickle.dumps(display))
    assert set(vars(drawn)) == set(vars(display))
    plt.close("all")


def test_every_estimator_is_pickled():
    assert {kind.partition("-")[0] for kind in FITS} == {name for name, _ in all_estimators()}
