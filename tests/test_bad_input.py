"""Bad input to estimators and displays: each error names what is wrong, and loses no fitted state.

`PARAMETERS` holds constructor arguments that `fit` must refuse, `DATA` calls with bad data.
"""

from __future__ import annotations

import copy
import functools
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.utils import get_tags

from skrmt import (
    cluster,
    collapse,
    datasets,
    decomposition,
    feature_extraction,
    inspection,
    linear_model,
    matching,
    preference,
)
from skrmt.utils import all_estimators

NAN, INF = float("nan"), float("inf")
RNG = np.random.default_rng(0)
Y2 = np.arange(40) % 2
X2 = RNG.standard_normal((40, 4)) + 2.0 * Y2[:, None]
X3 = RNG.standard_normal((12, 10, 8))
COUNTS = np.array([[50, 30, 15, 4, 1]])
PROMPTS = RNG.standard_normal((12, 4, 3))
CHOICES = np.arange(12) % 4
REWARDS = RNG.random((5, 3))
LEFT, RIGHT = RNG.standard_normal((2, 30, 5))
TEXTS = ["a b a b c", "b a c a b"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

GOOD: dict[str, tuple[dict[str, Any], tuple]] = {
    "CollapseForecaster": ({}, (COUNTS,)),
    "EncoderMatcher": ({}, (LEFT, RIGHT)),
    "GaussianGenerator": ({}, (X2, Y2)),
    "GeneralizationReport": ({"estimator": RidgeClassifier()}, (X2, Y2)),
    "NestedTensorClustering": ({}, (X3,)),
    "NextTokenModel": ({"tokenizer": str.split}, (TEXTS,)),
    "NoiseAwareLinearClassifier": ({}, (X2, Y2)),
    "PreferencePolicy": ({}, (X2, Y2)),
    "SafetyUtilityFrontier": ({}, (REWARDS, REWARDS[:, ::-1])),
    "SelfPlayPolicy": ({}, (PROMPTS, CHOICES)),
    "StagedSGDClassifier": ({}, (X2, Y2)),
    "StagedSGDRegressor": ({}, (X2, X2[:, 0])),
    "SyntheticMixClassifier": ({}, (X2, Y2)),
    "TensorDeflation": ({}, (X3,)),
}
"""Name of an estimator: parameters, and data that it fits."""

WITHOUT_FIT = {"HuggingFaceEncoder"}
"""Estimators whose fit needs a model on this machine."""

PARAMETERS: dict[str, dict[str, list[Any]]] = {
    "CollapseForecaster": {
        "scheme": ["half", None, 3],
        "n_synthetic": [0, -1, "many", 1.5],
        "n_generations": [0, -5, 2.5, "x"],
        "context_length": [0, "x"],
        "real_weight": [-0.5, 1.5, "heavy"],
        "n_jobs": ["all"],
        "random_state": ["seed"],
    },
    "EncoderMatcher": {
        "method": ["nearest", None],
        "kernel": ["cubic", 3],
        "bandwidth": [0.0, -1.0, NAN, "wide"],
        "assignment": ["greedy"],
        "n_init": [0, 1.5],
        "cv": [0, 1, "x"],
        "debiased": ["yes"],
        "self_training": ["yes"],
        "random_state": [-1.5],
    },
    "GaussianGenerator": {
        "covariance": ["round", 3],
        "noise_rate": [-0.1, 1.5, NAN, "x"],
        "random_state": ["seed"],
    },
    "GeneralizationReport": {
        "estimator": [None, "ridge", RidgeClassifier, KMeans()],
        "noise_rates": [-0.1, 1.5, NAN, "x", 0.5, [0.1] * 3],
    },
    "NestedTensorClustering": {
        "n_clusters": [0, -2, 2.5, "two"],
        "method": ["mean", None],
        "noise_structure": ["loud", [-1.0] * 8],
        "scaling": ["max"],
        "threshold": ["one"],
        "n_bootstrap": [-1, 1.5],
        "tol": [-1.0, NAN],
        "max_iter": [0, 1.5],
        "random_state": ["seed"],
    },
    "NextTokenModel": {
        "context_length": [0, -1, 1.5, "x"],
        "smoothing": [-1.0, NAN, "x"],
        "tokenizer": [3, "split"],
    },
    "NoiseAwareLinearClassifier": {
        "alpha": [-1.0, NAN, "best", [], [1.0, -2.0]],
        "noise_rates": [0.5, -0.1, 1.5, NAN, "guess", [0.1, 0.2, 0.3], np.eye(3)],
        "method": ["hard", None],
        "perturbation": [3, "best"],
        "fit_intercept": ["yes", 3],
        "class_prior": [[0.5, 0.6], [1.0, 0.0], [0.2, 0.3, 0.5]],
    },
    "PreferencePolicy": {
        "loss": ["dpo2", None, 3],
        "beta": [0.0, -1.0, NAN, "x"],
        "noise_rate": [0.5, -0.1, NAN],
        "alpha": [-1.0, NAN, "best"],
        "max_iter": [0, 1.5],
        "loss_options": [3],
    },
    "SafetyUtilityFrontier": {
        "beta": [0.0, -1.0, NAN, "x"],
        "safety_weights": [[-0.1], [1.5], [NAN], "x"],
    },
    "SelfPlayPolicy": {
        "beta": [0.0, -1.0, NAN, "x"],
        "mixture_weight": [-0.1, 1.5, NAN],
        "sampler": ["human", 3],
        "history": [0, "none", 1.5],
        "n_rounds": [0, 1.5],
        "n_draws": [0, -1],
        "alpha": [-1.0, NAN],
        "tol": [-1.0],
    },
    "StagedSGDClassifier": {
        "stages": ["long", [], [3]],
        "max_rollbacks": [-1, 1.5],
        "snapshot_every": [0],
        "fit_intercept": ["yes"],
    },
    "StagedSGDRegressor": {
        "stages": ["long", 3, [(1, 2, 3)]],
        "detect_spikes": ["maybe"],
        "rollback": [3],
        "snapshot_every": [-1, "x"],
        "strict": ["yes"],
    },
    "SyntheticMixClassifier": {
        "alpha": [-1.0, NAN, "best"],
        "synthetic_weight": [-0.5, NAN, "heavy"],
        "pruning": ["always"],
        "criterion": ["accuracy"],
        "generator_source": ["here"],
        "cv": [0, 1],
        "fit_intercept": ["yes"],
    },
    "TensorDeflation": {
        "n_components": [0, -1, 1.5, "many"],
        "method": ["parafac", None],
        "gamma": [-0.1, 1.5, NAN, "x"],
        "noise_variance": [0.0, -1.0, NAN, "x"],
        "n_init": [0, 1.5],
        "tol": [-1.0],
        "max_iter": [0],
        "random_state": ["seed"],
    },
}
"""Name of an estimator: values of parameters that fit must refuse."""


def names(text: str) -> str:
    """Return a pattern that finds a whole word."""
    return rf"\b{re.escape(text)}\b"


def short(value: Any) -> str:
    """Return a readable piece of a test id."""
    text = f"array{value.shape}" if isinstance(value, np.ndarray) else repr(value)
    return text if len(text) < 24 else text[:21] + "..."


def fitted(name: str) -> Any:
    """Return an estimator fitted on data that it accepts, a copy of one that was fitted once."""
    return copy.deepcopy(fitted_once(name))


@functools.cache
def fitted_once(name: str) -> Any:
    given, data = GOOD[name]
    cls = dict(all_estimators())[name]
    given = dict(given)
    if "random_state" in cls(**given).get_params():
        given.setdefault("random_state", 0)
    return cls(**given).fit(*data)


def refused(call: Any, message: str) -> str:
    """Check that a call raises with a message that says what is wrong, and return it."""
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        call()
    said = str(caught.value)
    assert len(said) > 20
    assert not isinstance(caught.value, np.linalg.LinAlgError)
    return said


PARAMETER_CASES = [
    pytest.param(estimator, name, value, id=f"{estimator}-{name}-{short(value)}")
    for estimator, bad in PARAMETERS.items()
    for name, values in bad.items()
    for value in values
]


@pytest.mark.parametrize(("estimator", "name", "value"), PARAMETER_CASES)
def test_parameters_are_refused_by_name_in_fit(estimator, name, value):
    given, data = GOOD[estimator]
    bad = dict(all_estimators())[estimator](**{**given, name: value})
    refused(lambda: bad.fit(*data), names(name))
    assert not any(attribute.endswith("_") for attribute in vars(bad))


def holed(array: np.ndarray, value: float = NAN) -> np.ndarray:
    """Return a copy with one entry replaced."""
    spoilt = np.array(array, dtype=float)
    spoilt.flat[3] = value
    return spoilt


def matrices(X: np.ndarray) -> dict[str, tuple[Any, str]]:
    """Return bad versions of a matrix, and what the error says."""
    return {
        "nan": (holed(X), names("NaN")),
        "inf": (holed(X, INF), r"infinity|inf\b"),
        "text": (np.full(X.shape, "word"), r"numeric|convert|string"),
        "object": (np.full(X.shape, object()), r"numeric|float|numbers"),
        "complex": (X + 1j, r"[Cc]omplex"),
        "flat": (X.ravel(), r"dimension|2D|3D|shape"),
        "empty": (X[:0], r"0 sample|empty|at least|shape"),
        "no-features": (X[..., :0], r"0 feature|empty|at least|shape"),
        "ragged": ([[1.0, 2.0], [3.0]], r"inhomogeneous|ragged|sequence|shape"),
        "none": (None, r"None|NoneType|numeric|X|scalar|0 dimension"),
        "scalar": (3.0, r"scalar|dimension|shape|2D"),
        "frame-of-text": (pd.DataFrame({"a": ["x"] * len(X)}), r"numeric|convert|string|dimension"),
    }


MATRIX_ESTIMATORS = [
    "EncoderMatcher",
    "GaussianGenerator",
    "GeneralizationReport",
    "NestedTensorClustering",
    "NoiseAwareLinearClassifier",
    "PreferencePolicy",
    "SafetyUtilityFrontier",
    "SelfPlayPolicy",
    "StagedSGDClassifier",
    "StagedSGDRegressor",
    "SyntheticMixClassifier",
    "TensorDeflation",
]


@pytest.mark.parametrize("kind", matrices(X2))
@pytest.mark.parametrize("estimator", MATRIX_ESTIMATORS)
def test_bad_arrays_are_refused_and_the_fitted_state_stays(estimator, kind):
    model = fitted(estimator)
    before = dict(vars(model))
    X, *rest = GOOD[estimator][1]
    bad, message = matrices(X)[kind]
    if kind == "nan" and get_tags(model).input_tags.allow_nan:
        bad = np.full(X.shape, NAN)
    refused(lambda: model.fit(bad, *rest), message)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


SUPERVISED = [
    "GaussianGenerator",
    "GeneralizationReport",
    "NoiseAwareLinearClassifier",
    "StagedSGDClassifier",
    "StagedSGDRegressor",
    "SyntheticMixClassifier",
]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y2[:30], r"inconsistent|length|rows"),
        (holed(Y2), r"y.*NaN|NaN"),
        (holed(Y2, INF), r"y.*inf|infinity"),
        (np.stack([Y2, Y2], axis=1), r"\by\b.*(1d|shape)"),
        (None, r"\by\b"),
        (Y2[:0], r"inconsistent|length|rows|empty"),
    ],
    ids=["short", "nan", "inf", "two-columns", "none", "empty"],
)
@pytest.mark.parametrize("estimator", SUPERVISED)
def test_bad_targets_are_refused(estimator, y, message):
    model = fitted(estimator)
    before = dict(vars(model))
    refused(lambda: model.fit(X2, y), message)
    assert all(vars(model)[name] is value for name, value in before.items())


@pytest.mark.parametrize(
    "estimator",
    [
        "GeneralizationReport",
        "NoiseAwareLinearClassifier",
        "StagedSGDClassifier",
        "SyntheticMixClassifier",
    ],
)
def test_one_class_is_refused(estimator):
    model = fitted(estimator)
    refused(lambda: model.fit(X2, np.zeros(40, int)), r"class|label")


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (-np.ones(40), r"sample_weight.*negative|[Nn]egative.*sample_weight"),
        (np.zeros(40), r"sample_weight|weight"),
        (np.ones(30), r"sample_weight"),
        (holed(np.ones(40)), r"sample_weight"),
        (np.ones((40, 2)), r"[Ss]ample.?weight"),
        (np.full(40, "heavy"), r"sample_weight|convert"),
    ],
    ids=["negative", "zero", "short", "nan", "two-columns", "text"],
)
@pytest.mark.parametrize("estimator", SUPERVISED)
def test_bad_weights_are_refused(estimator, weight, message):
    model = fitted(estimator)
    refused(lambda: model.fit(X2, GOOD[estimator][1][1], sample_weight=weight), message)


@pytest.mark.parametrize(
    "estimator",
    ["GeneralizationReport", "NestedTensorClustering", "NoiseAwareLinearClassifier",
     "PreferencePolicy", "StagedSGDClassifier", "StagedSGDRegressor", "SyntheticMixClassifier"],
)  # fmt: skip
def test_prediction_refuses_other_features_by_number_and_by_name(estimator):
    model = fitted(estimator)
    X = GOOD[estimator][1][0]
    said = refused(lambda: model.predict(X[:, :3]), r"features|shape|X")
    assert "3" in said
    for bad in (holed(X), X[0, 0]):
        refused(lambda bad=bad: model.predict(bad), r"NaN|dimension|2D|scalar|shape")
    if X.ndim == 2:
        columns = list("abcd")
        framed = fitted(estimator).fit(pd.DataFrame(X, columns=columns), GOOD[estimator][1][1])
        moved = pd.DataFrame(X, columns=columns[::-1])
        refused(lambda: framed.predict(moved), "feature names")


@pytest.mark.parametrize("estimator", sorted(GOOD))
def test_nothing_is_said_before_fit(estimator):
    given, data = GOOD[estimator]
    model = dict(all_estimators())[estimator](**given)
    tried = 0
    for method in ("predict", "predict_proba", "decision_function", "transform", "score_matrix",
                   "sample", "policy", "match", "simulate"):  # fmt: skip
        if hasattr(model, method):
            arguments = () if method in ("sample", "policy") else data[:1]
            arguments = data[:2] if method in ("score_matrix", "match") else arguments
            if estimator == "EncoderMatcher" and method == "predict":
                arguments = data[:2]
            with pytest.raises(NotFittedError, match=names(estimator)):
                getattr(model, method)(*arguments)
            tried += 1
    assert tried


@pytest.mark.parametrize("estimator", sorted(GOOD))
def test_input_is_read_only_and_stays_as_it_is(estimator):
    given, data = GOOD[estimator]
    copies = [np.array(array) for array in data if isinstance(array, np.ndarray)]
    for array in copies:
        array.setflags(write=False)
    model = dict(all_estimators())[estimator](**given)
    model.fit(*(copies or data))
    for frozen, array in zip(copies, data, strict=False):
        np.testing.assert_array_equal(frozen, array)


@pytest.mark.parametrize(
    "estimator", ["NestedTensorClustering", "SelfPlayPolicy", "TensorDeflation", "EncoderMatcher",
                  "SafetyUtilityFrontier"]
)  # fmt: skip
def test_sparse_matrices_are_refused_where_they_are_not_supported(estimator):
    data = GOOD[estimator][1]
    flat = sparse.csr_array(np.reshape(data[0], (len(data[0]), -1)))
    refused(lambda: fitted(estimator).fit(flat, *data[1:]), r"[Ss]parse|dimension")


def mix() -> Any:
    """Return real and synthetic rows."""
    return datasets.make_synthetic_mix(20, 20, 4, random_state=0)


def noise_aware() -> Any:
    """Return a fitted classifier."""
    return fitted("NoiseAwareLinearClassifier")


def matcher() -> Any:
    """Return a fitted matcher."""
    return fitted("EncoderMatcher")


DATA: list[tuple[str, Any, str]] = [
    ("generator-count", lambda: fitted("GaussianGenerator").sample(-1), "n_samples"),
    ("generator-half", lambda: fitted("GaussianGenerator").sample(1.5), "n_samples"),
    ("generator-text", lambda: fitted("GaussianGenerator").sample("x"), "n_samples"),
    ("issues-high", lambda: noise_aware().find_label_issues(threshold=1.5), "threshold"),
    ("issues-nan", lambda: noise_aware().find_label_issues(threshold=NAN), "threshold"),
    ("curve-rows", lambda: noise_aware().forecast(n_samples=[0]), "n_samples"),
    ("curve-rates", lambda: noise_aware().forecast(noise_rates=[1.5]), "noise_rates"),
    ("curve-share", lambda: noise_aware().forecast(cleaned_fraction=[2.0]),
     "cleaned_fraction"),
    ("sample-noise-range", lambda: noise_aware().fit(X2, Y2, sample_noise=np.full(40, 1.5)),
     "sample_noise"),
    ("sample-noise-short", lambda: noise_aware().fit(X2, Y2, sample_noise=np.zeros(3)),
     "sample_noise"),
    ("label-distribution", lambda: noise_aware().fit(X2, Y2, label_distribution=np.ones((40, 2))),
     "label_distribution"),
    ("label-distribution-class", lambda: noise_aware().fit(
        X2, Y2, label_distribution=np.eye(2)[np.zeros(40, int)]), "label_distribution.*column 1"),
    ("source-short", lambda: linear_model.SyntheticMixClassifier().fit(
        mix().X, mix().y, sample_source=[0, 1]), "sample_source"),
    ("source-negative", lambda: linear_model.SyntheticMixClassifier().fit(
        mix().X, mix().y, sample_source=-np.ones(40)), "sample_source"),
    ("source-half-given", lambda: linear_model.SyntheticMixClassifier().fit(
        X2, Y2, X_synthetic=X2), "y_synthetic"),
    ("synthetic-width", lambda: linear_model.SyntheticMixClassifier().fit(
        X2, Y2, X_synthetic=X2[:, :2], y_synthetic=Y2), "X_synthetic|features"),
    ("stage-steps", lambda: linear_model.Stage(0, 1, 0.1).learning_rates(), "n_steps"),
    ("stage-batch", lambda: linear_model.StagedSGDRegressor(
        [linear_model.Stage(5, 0, 0.1)]).fit(X2, X2[:, 0]), "batch_size"),
    ("stage-rate", lambda: linear_model.StagedSGDRegressor(
        [linear_model.Stage(5, 1, -0.1)]).fit(X2, X2[:, 0]), "learning_rate"),
    ("stage-schedule", lambda: linear_model.StagedSGDRegressor(
        [linear_model.Stage(5, 1, 0.1, "spiral")]).fit(X2, X2[:, 0]), "schedule"),
    ("matcher-rows", lambda: matcher().fit(LEFT, RIGHT[:20]), r"X has 40 rows|rows"),
    ("matcher-one-row", lambda: matcher().fit(LEFT[:1], RIGHT[:1]), r"X has 1 rows|sample"),
    ("matcher-width", lambda: matcher().match(LEFT[:, :2], RIGHT), r"X_query.*features|X_query"),
    ("matcher-precision", lambda: matcher().match(LEFT, RIGHT, precision=1.5), "precision"),
    ("matcher-neighbours", lambda: matcher().kneighbors(LEFT, RIGHT, n_neighbors=0),
     "n_neighbors"),
    ("matcher-too-many", lambda: matcher().kneighbors(LEFT, RIGHT, n_neighbors=99),
     "n_neighbors"),
    ("matcher-required", lambda: matcher().required(1.5), "score"),
    ("matcher-pool", lambda: matcher().suggest_pairs(LEFT, 0), r"\bn\b"),
    ("matcher-truth", lambda: matcher().score(LEFT, RIGHT, true_match=[0, 1]), "true_match"),
    ("frontier-shape", lambda: fitted("SafetyUtilityFrontier").fit(REWARDS, REWARDS[:2]),
     "utility"),
    ("frontier-reference", lambda: fitted("SafetyUtilityFrontier").fit(
        REWARDS, REWARDS, REWARDS[:, :2]), "log_reference"),
    ("frontier-weight", lambda: fitted("SafetyUtilityFrontier").policy(2.0), "safety_weight"),
    ("policy-choice", lambda: fitted("SelfPlayPolicy").fit(PROMPTS, np.full(12, 9)), r"\by\b"),
    ("policy-negative", lambda: fitted("SelfPlayPolicy").fit(PROMPTS, np.full(12, -1)), r"\by\b"),
    ("policy-mask", lambda: fitted("SelfPlayPolicy").fit(
        PROMPTS, CHOICES, mask=np.ones((3, 3), bool)), "mask"),
    ("pairs-rows", lambda: preference.PreferencePolicy().fit_pairs(X2, X2[:9]),
     r"X_rejected|X_chosen"),
    ("pairs-nan", lambda: preference.PreferencePolicy().fit_pairs(holed(X2), X2), "NaN"),
    ("loss-option", lambda: preference.PreferencePolicy(
        loss_options={"no_such_option": 1}).fit(X2, Y2), "loss_options.*'no_such_option'"),
    ("policy-base", lambda: fitted("SelfPlayPolicy").fit(
        PROMPTS, CHOICES, log_reference=np.zeros((3, 3))), "log_reference.*shape"),
    ("rank-width", lambda: fitted("PreferencePolicy").rank(X2[:, :2]), r"candidates|features"),
    ("views-mask", lambda: cluster.NestedTensorClustering().fit(X3, mask=np.ones((2, 2), bool)),
     "mask"),
    ("views-empty-mask", lambda: cluster.NestedTensorClustering().fit(
        X3, mask=np.zeros((12, 8), bool)), "mask"),
    ("views-samples", lambda: fitted("NestedTensorClustering").forecast(n_samples=0), "n_samples"),
    ("views-drop", lambda: fitted("NestedTensorClustering").forecast(drop_view=99), "drop_view"),
    ("tensor-constant", lambda: decomposition.TensorDeflation().fit(np.ones((4, 4, 4))),
     "X.*constant|constant"),
    ("tensor-factors", lambda: fitted("TensorDeflation").alignment_score([np.eye(3)]),
     "true_factors"),
    ("tensor-inverse", lambda: fitted("TensorDeflation").inverse_transform(np.ones((2, 99))), "X"),
    ("counts-negative", lambda: collapse.CollapseForecaster().fit(-COUNTS), "X has a count.*-50"),
    ("counts-nan", lambda: collapse.CollapseForecaster().fit(holed(COUNTS)), "counts.*finite"),
    ("counts-zero", lambda: collapse.CollapseForecaster().fit(np.zeros((1, 3), int)), "no count"),
    ("counts-half", lambda: collapse.CollapseForecaster().fit(COUNTS + 0.5), r"a count.*50\.5"),
    ("counts-none", lambda: collapse.CollapseForecaster().fit(None), "X"),
    ("texts-empty", lambda: collapse.NextTokenModel(tokenizer=str.split).fit([]), "X"),
    ("texts-short", lambda: collapse.NextTokenModel(3, tokenizer=str.split).fit(["a b"]),
     "context_length|X"),
    ("texts-context", lambda: fitted("NextTokenModel").predict_proba([("a", "b", "c")]),
     "context|X"),
    ("chains-none", lambda: fitted("CollapseForecaster").simulate(0), "n_chains"),
    ("chains-curve", lambda: fitted("CollapseForecaster").simulate(2, curve="x"), "curve"),
    ("encoder-modality", lambda: feature_extraction.HuggingFaceEncoder(
        "a", modality="sound").fit(), "modality"),
    ("encoder-batch", lambda: feature_extraction.HuggingFaceEncoder("a", batch_size=0).fit(),
     "batch_size"),
    ("encoder-pooling", lambda: feature_extraction.HuggingFaceEncoder("a", pooling="max").fit(),
     "pooling"),
    ("display-collapse", lambda: inspection.CollapseForecastDisplay.from_theory(
        0.0, 10, n_real=10, window=2), "s0"),
    ("display-sensitivity", lambda: inspection.NoiseSensitivityDisplay.from_theory(
        0.2, 1.5, alpha=1.0, prior=0.7, noise_rates=(0.3, 0.4), against="x"), "against"),
    ("display-pairs", lambda: inspection.KnownPairsDisplay.from_theory(
        [2.0], n_queries=10), "rho"),
    ("display-floor", lambda: inspection.NoiseFloorDisplay.from_theory([-1.0], 0.25),
     "eigenvalues"),
    ("display-transition", lambda: inspection.LabelNoiseTransitionDisplay.from_theory(
        -1.0), "mean_norm"),
    ("display-verifier", lambda: inspection.VerifierFrontierDisplay.from_theory(1.5),
     "noise_rate"),
    ("display-safe", lambda: inspection.SafeAmountDisplay.from_theory(0, support=5), "n_real"),
    ("display-survival", lambda: inspection.TokenSurvivalDisplay.from_theory(
        [0.5, 0.6], 5, [1]), r"\bp\b"),
    ("display-estimator", lambda: inspection.AccuracyPathDisplay.from_estimator(
        "model"), "estimator.*type str"),
    ("display-other", lambda: inspection.TensorScreeDisplay.from_estimator(
        fitted("GaussianGenerator")), "estimator|TensorDeflation"),
    ("scorer-base", lambda: matching.EncoderMatcher().fit(holed(LEFT), RIGHT), r"\bX\b"),
    ("scorer-other", lambda: matching.EncoderMatcher().fit(LEFT, holed(RIGHT)), r"\bY\b"),
]  # fmt: skip
"""Id, call, and what its error must say."""


@pytest.mark.parametrize(
    ("call", "message"), [pytest.param(call, message, id=id) for id, call, message in DATA]
)
def test_bad_calls_name_what_is_wrong(call, message):
    refused(call, message)


def test_every_estimator_is_in_the_battery():
    assert set(GOOD) | WITHOUT_FIT == {name for name, _ in all_estimators()}
    assert set(PARAMETERS) == set(GOOD)
    assert len(PARAMETER_CASES) + len(DATA) >= 150
