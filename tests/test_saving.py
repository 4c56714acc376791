"""Files of estimators: their version, the rows they hold, and loading without running code."""

from __future__ import annotations

import importlib
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import skrmt
from skrmt import (
    cluster,
    collapse,
    datasets,
    decomposition,
    feature_extraction,
    linear_model,
    matching,
    preference,
)
from skrmt.exceptions import InconsistentVersionWarning, TheoryWarning
from skrmt.model_selection import GeneralizationReport
from skrmt.utils import all_estimators
from tests.test_pickles import FITS as OTHER_FITS

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")

GUIDE = Path(__file__).parents[1] / "docs" / "user_guide" / "saving.rst"

X, Y, _, _ = datasets.make_noisy_mixture(60, 4, random_state=0)
X3 = datasets.make_nested_views(30, 12, noise_stds=[1.0, 2.0, 3.0], random_state=0).X
SPIKED = datasets.make_spiked_tensor((8, 9, 10), [9.0, 6.0], random_state=0).X
PAIRS = datasets.make_paired_encoders(60, 8, 9, n_latent=5, random_state=0)
MIX = datasets.make_synthetic_mix(40, 60, 4, random_state=0)
PROMPTS = np.random.default_rng(0).standard_normal((20, 4, 3))
REWARDS = np.random.default_rng(1).random((5, 3))
STAGES = [linear_model.Stage(20, 4, 0.05, "linear")]


def forecasted(report: GeneralizationReport) -> GeneralizationReport:
    report.forecast(n_samples=500)
    return report


FITS: dict[str, Any] = {
    "CollapseForecaster": lambda: collapse.CollapseForecaster(
        n_generations=5, tokenizer=str.split).fit(["a b a b c", "a a b c c"]),
    "EncoderMatcher": lambda: matching.EncoderMatcher(random_state=0).fit(PAIRS.X, PAIRS.Y),
    "GaussianGenerator": lambda: datasets.GaussianGenerator(random_state=0).fit(X, Y),
    "GeneralizationReport": lambda: GeneralizationReport(LogisticRegression()).fit(X, Y),
    "GeneralizationReport-frame": lambda: GeneralizationReport(Ridge()).fit(
        pd.DataFrame(X, columns=list("abcd")), X[:, 0]),
    "GeneralizationReport-folds": lambda: forecasted(GeneralizationReport(
        make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2, random_state=0)),
        noise_rates="estimate").fit(X, Y)),
    "HuggingFaceEncoder": lambda: feature_extraction.HuggingFaceEncoder("a/name"),
    "NestedTensorClustering": lambda: cluster.NestedTensorClustering(random_state=0).fit(X3),
    "NestedTensorClustering-3": lambda: cluster.NestedTensorClustering(
        3, random_state=0).fit(X3),
    "NestedTensorClustering-unequal": lambda: cluster.NestedTensorClustering(
        random_state=0).fit([X3[:, :, 0], X3[:, :8, 1]]),
    "NextTokenModel": lambda: collapse.NextTokenModel(tokenizer=str.split).fit(["a b a c b"]),
    "NoiseAwareLinearClassifier": lambda: linear_model.NoiseAwareLinearClassifier().fit(X, Y),
    "PreferencePolicy": lambda: preference.PreferencePolicy("ipo", alpha=1.0).partial_fit(
        X, Y, classes=[0, 1]),
    "SafetyUtilityFrontier": lambda: preference.SafetyUtilityFrontier().fit(
        REWARDS, REWARDS[:, ::-1]),
    "SelfPlayPolicy": lambda: preference.SelfPlayPolicy(2.0).fit(PROMPTS, np.arange(20) % 4),
    "StagedSGDClassifier": lambda: linear_model.StagedSGDClassifier(
        STAGES, random_state=0).fit(X, Y),
    "StagedSGDRegressor": lambda: linear_model.StagedSGDRegressor(
        STAGES, random_state=0).fit(X, X[:, 0]),
    "SyntheticMixClassifier": lambda: linear_model.SyntheticMixClassifier(random_state=0).fit(
        MIX.X, MIX.y, sample_source=MIX.sample_source),
    "TensorDeflation": lambda: decomposition.TensorDeflation(2, random_state=0).fit(SPIKED),
}  # fmt: skip
"""Name of an estimator and kind of its input: fits it."""

SAYS = {
    "CollapseForecaster": lambda m: [m.theoretical_diversity_, m.lost_context_share_],
    "EncoderMatcher": lambda m: [m.match(PAIRS.X, PAIRS.Y)[0]],
    "GaussianGenerator": lambda m: [m.sample(10, 0)[0]],
    "GeneralizationReport": lambda m: [m.theoretical_score_, m.forecast(n_samples=300).score],
    "HuggingFaceEncoder": lambda m: [len(m.get_params())],
    "NestedTensorClustering": lambda m: [m.labels_, m.theoretical_accuracy_],
    "NextTokenModel": lambda m: [m.predict_proba(["a", "b"]), m.score(["a b a"])],
    "NoiseAwareLinearClassifier": lambda m: [m.predict_proba(X), m.forecast().score],
    "PreferencePolicy": lambda m: [m.decision_function(X)],
    "SafetyUtilityFrontier": lambda m: [m.policy()],
    "SelfPlayPolicy": lambda m: [m.predict_proba(PROMPTS)],
    "StagedSGDClassifier": lambda m: [m.predict(X)],
    "StagedSGDRegressor": lambda m: [m.predict(X)],
    "SyntheticMixClassifier": lambda m: [m.predict_proba(MIX.X), m.forecast().score],
    "TensorDeflation": lambda m: [m.reconstruct()],
}
"""Name of an estimator: what it says of data."""


def listed_types() -> list[str]:
    """Return the trusted types that the guide lists."""
    return re.findall(r"^   ((?:skrmt|scipy)\.[\w.]+)$", GUIDE.read_text(), re.MULTILINE)


def test_every_estimator_is_saved_here():
    assert {kind.partition("-")[0] for kind in FITS} == {name for name, _ in all_estimators()}


@pytest.mark.parametrize("kind", FITS)
def test_skops_loads_every_estimator_from_the_listed_types(kind):
    io = pytest.importorskip("skops.io")
    model, says = FITS[kind](), SAYS[kind.partition("-")[0]]
    data = io.dumps(model)
    unknown = io.get_untrusted_types(data=data)
    # What an estimator of scikit-learn holds inside of a report is not for us to list.
    assert {name for name in unknown if not name.startswith("sklearn.")} <= set(listed_types())
    back = io.loads(data, trusted=unknown)
    for one, other in zip(says(back), says(model), strict=True):
        np.testing.assert_array_equal(one, other)
    assert str(back.get_params()) == str(model.get_params())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", OTHER_FITS)
def test_no_other_fit_holds_types_that_are_not_listed(kind):
    io = pytest.importorskip("skops.io")
    data = io.dumps(OTHER_FITS[kind]())
    unknown = io.get_untrusted_types(data=data)
    foreign = ("sklearn.", "tests.")
    assert {name for name in unknown if not name.startswith(foreign)} <= set(listed_types())
    io.loads(data, trusted=unknown)


def test_the_listed_types_exist_and_are_sorted():
    names = listed_types()
    assert names == sorted(set(names)) and len(names) > 40
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), attribute), type)


@pytest.mark.parametrize("method", [str.split, str.lower, list])
def test_tokenizers_of_the_language_come_back(method):
    model = collapse.NextTokenModel(tokenizer=method)
    assert pickle.loads(pickle.dumps(model)).tokenizer is method
    assert model.tokenizer is method


def test_a_forged_tokenizer_is_refused():
    data = pickle.dumps(collapse.NextTokenModel(tokenizer=str.split))
    assert data.count(b"\x8c\x05split") == 1
    forged = data.replace(b"\x8c\x05split", b"\x8c\x05_spli")
    with pytest.raises(ValueError, match="no method of str"):
        pickle.loads(forged)


@pytest.mark.parametrize("name", [name for name, _ in all_estimators()])
def test_another_version_warns(name, monkeypatch):
    model = FITS[name]()
    monkeypatch.setattr(skrmt._install, "version", lambda: "0.0.7")
    old = pickle.dumps(model)
    monkeypatch.undo()
    with pytest.warns(InconsistentVersionWarning) as caught:
        back = pickle.loads(old)
    assert f"{name} was saved by skrmt 0.0.7" in str(caught[-1].message)
    assert {warning.filename for warning in caught} == {__file__}
    assert vars(back).keys() == vars(model).keys()
    pickle.loads(pickle.dumps(back))


def test_a_state_without_a_version_warns():
    state = collapse.NextTokenModel().__getstate__()
    state.pop("_skrmt_version")
    with pytest.warns(InconsistentVersionWarning, match="an unknown version"):
        collapse.NextTokenModel().__setstate__(state)


class Forest(RandomForestClassifier):
    """An estimator of a user, which keeps no rows."""


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        DecisionTreeClassifier(max_depth=2, random_state=0),
        Forest(5, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_the_pickle_of_a_report_holds_no_training_rows(estimator):
    rows = np.random.default_rng(0).standard_normal((80, 5))
    labels = (rows[:, 0] > 0).astype(int)
    report = GeneralizationReport(estimator).fit(rows, labels)
    for asked in (False, True):
        if asked:
            report.forecast(n_samples=200)
            report.to_dict()
        data = pickle.dumps(report)
        # A row, a column, or a part of either, whatever the order of the array that holds it.
        for part in (rows[3, :2], rows[40, 2:4], rows[:2, 1], rows[50:52, 4]):
            assert part.tobytes() not in data
            assert part.astype(np.float32).tobytes() not in data
    assert rows[3, :2].tobytes() in pickle.dumps(rows)


ROWS = np.random.default_rng(1).standard_normal((60, 5))
KEEP_NO_ROWS: dict[str, Any] = {
    "GaussianGenerator": lambda: datasets.GaussianGenerator().fit(ROWS, Y),
    "NestedTensorClustering": lambda: cluster.NestedTensorClustering(random_state=0).fit(ROWS),
    "NoiseAwareLinearClassifier": lambda: linear_model.NoiseAwareLinearClassifier().fit(ROWS, Y),
    "PreferencePolicy": lambda: preference.PreferencePolicy().fit(ROWS, Y),
    "StagedSGDClassifier": lambda: linear_model.StagedSGDClassifier(random_state=0).fit(ROWS, Y),
    "SyntheticMixClassifier": lambda: linear_model.SyntheticMixClassifier(random_state=0).fit(
        ROWS, Y, X_synthetic=ROWS[::-1], y_synthetic=Y),
}  # fmt: skip


def holds_rows(data: bytes) -> bool:
    """Return whether a file holds a part of some row or column."""
    parts = (ROWS[3, :2], ROWS[40, 2:4], ROWS[:2, 1], ROWS[50:52, 4])
    return any(part.tobytes() in data for part in parts)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", KEEP_NO_ROWS)
def test_estimators_of_matrices_keep_no_rows(name):
    assert not holds_rows(pickle.dumps(KEEP_NO_ROWS[name]()))


def test_the_guide_says_that_a_matcher_keeps_rows():
    matcher = matching.EncoderMatcher(random_state=0).fit(ROWS, ROWS + 1.0)
    assert holds_rows(pickle.dumps(matcher))
    assert "`EncoderMatcher` compares" in GUIDE.read_text()


def test_rows_of_texts_are_not_saved_either():
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [f"number{i % 7} of{i % 3} secret{i} word{i % 5}" for i in range(60)]
    model = make_pipeline(TfidfVectorizer(min_df=5), LogisticRegression())
    report = GeneralizationReport(model).fit(texts, np.arange(60) % 2)
    assert b"secret" not in pickle.dumps(report)


def test_saved_reports_forecast_by_theory_and_by_curves_measured_before():
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    for estimator, asked in ((RidgeClassifier(), False), (tree, True)):
        report = GeneralizationReport(estimator).fit(X, Y)
        if asked:
            report.forecast(n_samples=200)
        back = pickle.loads(pickle.dumps(report))
        found, expected = back.forecast(n_samples=200), report.forecast(n_samples=200)
        np.testing.assert_array_equal(found[:3], expected[:3])
        assert back.theoretical_scores_ == report.theoretical_scores_
        assert back.summary() == report.summary()


def test_other_saved_reports_say_that_the_rows_are_gone():
    report = GeneralizationReport(DecisionTreeClassifier(max_depth=2, random_state=0)).fit(X, Y)
    back = pickle.loads(pickle.dumps(report))
    with pytest.warns(TheoryWarning, match=r"forecast\(\) once before it is saved"):
        assert np.isnan(back.forecast(n_samples=200).score)
    assert "<!DOCTYPE html>" in back.to_html()
    assert back.theoretical_score_ == report.theoretical_score_
    with np.testing.assert_raises(AssertionError):
        assert np.isnan(report.forecast(n_samples=200).score)
