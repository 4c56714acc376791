"""Mistakes in data that pass silently elsewhere: every estimator refuses them, or warns once.

Columns in another order, masked arrays, missing labels; and warnings that point at the caller's
line, at most one a fit, whose text does not change from one data set to the next.
"""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeClassifier

from skrmt.cluster import NestedTensorClustering
from skrmt.collapse import CollapseForecaster
from skrmt.datasets import GaussianGenerator, flip_labels
from skrmt.decomposition import TensorDeflation
from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import (
    NoiseAwareLinearClassifier,
    StagedSGDClassifier,
    StagedSGDRegressor,
    SyntheticMixClassifier,
)
from skrmt.matching import EncoderMatcher
from skrmt.model_selection import GeneralizationReport
from skrmt.preference import PreferencePolicy, SafetyUtilityFrontier, SelfPlayPolicy
from skrmt.utils import all_estimators

RNG = np.random.default_rng(0)
Y = np.arange(40) % 2
X = RNG.standard_normal((40, 4)) + 2.0 * Y[:, None]
OTHER = X @ RNG.standard_normal((4, 5)) + 0.1 * RNG.standard_normal((40, 5))
TENSOR = RNG.standard_normal((12, 10, 8)) + np.sign(np.arange(12) - 5.5)[:, None, None]
PROMPTS = RNG.standard_normal((40, 4, 3))
CHOICES = np.arange(40) % 4
REWARDS = RNG.random((5, 3))
COUNTS = np.array([[50, 30, 15, 4, 1]])


def report(**parameters: Any) -> GeneralizationReport:
    """Return a report on a ridge classifier."""
    return GeneralizationReport(RidgeClassifier(), **parameters)


FITS: dict[Callable[[], Any], tuple[np.ndarray, ...]] = {
    CollapseForecaster: (COUNTS,),
    EncoderMatcher: (X, OTHER),
    GaussianGenerator: (X, Y),
    NestedTensorClustering: (TENSOR,),
    NoiseAwareLinearClassifier: (X, Y),
    PreferencePolicy: (X, Y),
    SafetyUtilityFrontier: (REWARDS, REWARDS[:, ::-1]),
    SelfPlayPolicy: (PROMPTS, CHOICES),
    StagedSGDClassifier: (X, Y),
    StagedSGDRegressor: (X, X[:, 0]),
    SyntheticMixClassifier: (X, Y),
    TensorDeflation: (TENSOR,),
    report: (X, Y),
}
"""What makes an estimator, and arrays that it fits."""

NO_ARRAYS = {"HuggingFaceEncoder", "NextTokenModel"}
"""Estimators that fit on texts."""

SUPERVISED = [
    GaussianGenerator,
    NoiseAwareLinearClassifier,
    PreferencePolicy,
    SelfPlayPolicy,
    StagedSGDClassifier,
    StagedSGDRegressor,
    SyntheticMixClassifier,
    report,
]

quiet = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def name(make: Any) -> str:
    """Return the id of a case."""
    return make.__name__ if callable(make) else str(make)


def seeded(make: Callable[[], Any]) -> Any:
    """Return an estimator with a fixed seed."""
    model = make()
    if isinstance(model, BaseEstimator) and "random_state" in model.get_params(deep=False):
        model.set_params(random_state=0)
    return model


def test_every_estimator_is_here():
    named = {make.__name__ for make in FITS} - {"report"} | NO_ARRAYS
    assert {estimator for estimator, _ in all_estimators()} - {"GeneralizationReport"} == named


def frame(array: np.ndarray) -> pd.DataFrame:
    """Return a frame with a name for each column."""
    return pd.DataFrame(array, columns=[f"c{column}" for column in range(array.shape[1])])


def moved(array: np.ndarray) -> pd.DataFrame:
    """Return the frame with its columns in reverse order."""
    return frame(array)[frame(array).columns[::-1]]


REORDERED: dict[str, Callable[[], Any]] = {
    **{
        f"{make.__name__}-{method}": lambda make=make, method=method: getattr(
            seeded(make).fit(frame(X), FITS[make][1]), method
        )(moved(X))
        for make, methods in {
            NoiseAwareLinearClassifier: ("predict", "predict_proba", "decision_function"),
            SyntheticMixClassifier: ("predict", "predict_proba", "decision_function"),
            StagedSGDClassifier: ("predict", "decision_function"),
            StagedSGDRegressor: ("predict",),
            PreferencePolicy: ("predict", "predict_proba", "decision_function"),
        }.items()
        for method in methods
    },
    **{
        f"{make.__name__}-partial_fit": lambda make=make, options=options: (
            make()
            .partial_fit(frame(X), FITS[make][1], **options)
            .partial_fit(moved(X), FITS[make][1])
        )
        for make, options in {
            StagedSGDClassifier: {"classes": [0, 1]},
            StagedSGDRegressor: {},
        }.items()
    },
    "PreferencePolicy-partial_fit": lambda: (
        PreferencePolicy("ipo", alpha=1.0)
        .partial_fit(frame(X), Y, classes=[0, 1])
        .partial_fit(moved(X), Y)
    ),
    "PreferencePolicy-fit_pairs": lambda: PreferencePolicy().fit_pairs(frame(X), moved(X + 1)),
    "SyntheticMixClassifier-X_synthetic": lambda: SyntheticMixClassifier().fit(
        frame(X), Y, X_synthetic=moved(X), y_synthetic=Y
    ),
    "EncoderMatcher-X": lambda: (
        seeded(EncoderMatcher).fit(frame(X), frame(OTHER)).match(moved(X), frame(OTHER))
    ),
    "EncoderMatcher-Y": lambda: (
        seeded(EncoderMatcher).fit(frame(X), frame(OTHER)).score_matrix(frame(X), moved(OTHER))
    ),
    "EncoderMatcher-transform": lambda: (
        seeded(EncoderMatcher).fit(frame(X), OTHER).score(moved(X), OTHER)
    ),
    "NestedTensorClustering-views": lambda: (
        seeded(NestedTensorClustering)
        .fit([frame(X), frame(OTHER)])
        .predict([frame(X), moved(OTHER)])
    ),
    "NestedTensorClustering-matrix": lambda: (
        seeded(NestedTensorClustering).fit(frame(X)).predict(moved(X))
    ),
    "GeneralizationReport": lambda: report().fit(frame(X), Y).estimator_.predict(moved(X)),
}
"""Id of a case: a fit on frames, and a call with columns in another order."""


@quiet
@pytest.mark.parametrize("case", REORDERED)
def test_columns_in_another_order_are_refused(case):
    with pytest.raises(ValueError, match="feature names"):
        REORDERED[case]()


@quiet
@pytest.mark.parametrize("make", FITS, ids=name)
def test_masked_arrays_are_refused(make):
    data = FITS[make]
    for place, array in enumerate(data):
        masked = np.ma.masked_array(array, mask=np.zeros(array.shape, dtype=bool))
        with pytest.raises((ValueError, TypeError), match="masked"):
            seeded(make).fit(*data[:place], masked, *data[place + 1 :])


@quiet
@pytest.mark.parametrize(
    "make",
    [NoiseAwareLinearClassifier, SyntheticMixClassifier, StagedSGDRegressor, PreferencePolicy],
    ids=name,
)
def test_masked_arrays_are_refused_in_prediction(make):
    with pytest.raises((ValueError, TypeError), match="masked"):
        seeded(make).fit(*FITS[make]).predict(np.ma.masked_array(X, mask=X > 1))


BESIDE: dict[str, Callable[[Any], Any]] = {
    "groups": lambda masked: NoiseAwareLinearClassifier().fit(X, Y, groups=masked),
    "sample_noise": lambda masked: NoiseAwareLinearClassifier().fit(X, Y, sample_noise=masked / 99),
    "groups of a report": lambda masked: report().fit(X, Y, groups=masked),
    "sample_source": lambda masked: seeded(StagedSGDRegressor).fit(X, Y, sample_source=masked),
    "mask": lambda masked: seeded(NestedTensorClustering).fit(
        np.zeros((40, 4, 1)), mask=masked[:, None] >= 0
    ),
    "y": lambda masked: flip_labels(masked, 0.1),
}
"""What is given for each row beside X and y: a call with it."""


@quiet
@pytest.mark.parametrize("case", BESIDE)
def test_masked_arrays_beside_the_data_are_refused(case):
    masked = np.ma.masked_array(np.arange(len(X)) // 3, mask=np.arange(len(X)) % 7 == 0)
    with pytest.raises(TypeError, match=f"{case.split()[0]} is a numpy.ma.MaskedArray"):
        BESIDE[case](masked)


WORDS = [f"g{i // 4}" for i in range(40)]


@quiet
@pytest.mark.parametrize("hole", [None, float("nan"), pd.NA], ids=repr)
@pytest.mark.parametrize(
    "call",
    [
        lambda words: NoiseAwareLinearClassifier().fit(X, Y, groups=words),
        lambda words: seeded(SyntheticMixClassifier).fit(X, Y, groups=words),
        lambda words: PreferencePolicy().fit(X, Y, groups=words),
        lambda words: seeded(StagedSGDClassifier).fit(X, Y, groups=words),
        lambda words: report().fit(X, Y, groups=words),
        lambda words: seeded(StagedSGDRegressor).fit(X, Y, sample_source=words),
        lambda words: flip_labels(words, 0.1),
    ],
    ids=["noise aware", "mix", "policy", "SGD", "report", "source", "flip"],
)
def test_words_that_are_missing_are_no_word(call, hole):
    with pytest.raises(ValueError, match="missing"):
        call([*WORDS[:3], hole, *WORDS[4:]])


def with_a_hole(y: np.ndarray) -> dict[str, Any]:
    """Return the labels in several types, the one of row 3 missing."""
    hole = np.arange(len(y)) == 3
    holed = {
        "object-none": pd.Series(y, dtype=object).where(~hole, None).to_numpy(),
        "object-nan": pd.Series(y, dtype=object).where(~hole, np.nan).to_numpy(),
        "float": np.where(hole, np.nan, y),
        "list": [
            None if missing else label for missing, label in zip(hole, y.tolist(), strict=True)
        ],
        "masked": np.ma.masked_array(y, mask=hole),
    }
    if y.dtype.kind == "i":
        words = pd.Series([f"class {label}" for label in y]).where(~hole)
        days = pd.Series(pd.to_datetime("2024-01-01") + pd.to_timedelta(y, "D")).where(~hole)
        holed |= {
            "Int64": pd.Series(y, dtype="Int64").where(~hole),
            "boolean": pd.Series(y == 1, dtype="boolean").where(~hole),
            "string": words.astype("string"),
            "categorical": words.astype("category"),
            "day": days,
        }
    return holed


@quiet
@pytest.mark.parametrize("make", SUPERVISED, ids=name)
def test_a_missing_label_is_refused_with_its_row(make):
    data, y = FITS[make]
    for kind, holed in with_a_hole(y).items():
        message = "masked" if kind == "masked" else r"missing label at row 3\b"
        with pytest.raises((ValueError, TypeError), match=message):
            pytest.fail(f"{kind}: {seeded(make).fit(data, holed)!r}")


def noise(make: Callable[[], Any], seed: int) -> tuple[np.ndarray, ...]:
    """Return few rows of pure noise, as many as the seed says."""
    rng = np.random.default_rng(seed)
    n = 6 + 2 * seed
    if make is StagedSGDRegressor:
        return rng.standard_normal((n, 4)), rng.standard_normal(n)
    if make is EncoderMatcher:
        return rng.standard_normal((n, 4)), rng.standard_normal((n, 5))
    if make is SelfPlayPolicy:
        return rng.standard_normal((n, 4, 3)), np.arange(n) % 4
    if make in (NestedTensorClustering, TensorDeflation):
        return (rng.standard_normal((n, 7, 5)),)
    return rng.standard_normal((n, 4)), np.arange(n) % 2


TROUBLED = [*SUPERVISED, EncoderMatcher, NestedTensorClustering, TensorDeflation]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", TROUBLED, ids=name)
def test_a_fit_warns_once_in_words_that_do_not_change_at_the_line_of_the_caller(make):
    texts = set()
    for seed in (0, 1, 7):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", TheoryWarning)
            seeded(make).fit(*noise(make, seed))
        said = [record for record in caught if issubclass(record.category, TheoryWarning)]
        assert len(said) <= 1, [str(record.message) for record in said]
        assert {record.filename for record in said} <= {__file__}
        texts |= {str(record.message) for record in said}
    assert len({re.sub(r"\d+(\.\d+)?", "#", text) for text in texts}) == len(texts)


SCRIPT = """
import sys, warnings
import numpy as np
from sklearn.model_selection import GridSearchCV
from skrmt.linear_model import NoiseAwareLinearClassifier
rng = np.random.default_rng(0)
X, y = rng.standard_normal((30, 3)), np.arange(30) % 2
model = NoiseAwareLinearClassifier(noise_rates=0.1)
for n_jobs in (1, 2):
    grid = {"alpha": np.logspace(-2, 2, 6)}
    GridSearchCV(model, grid, cv=3, refit=False, n_jobs=n_jobs).fit(X, y)
    print("done", file=sys.stderr, flush=True)
warnings.filterwarnings("error", module="__main__")
try:
    model.fit(X[:8], y[:8])
except Warning as warning:
    print(type(warning).__name__)
"""


@pytest.fixture(scope="module")
def script() -> subprocess.CompletedProcess:
    """Run what a user writes in a script."""
    command = [sys.executable, "-c", SCRIPT]
    root = Path(__file__).parents[1]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)


def test_a_grid_search_shows_few_texts_on_any_number_of_jobs(script):
    one, two = (re.findall("TheoryWarning: (.*)", said) for said in script.stderr.split("done")[:2])
    assert set(one) == set(two)
    assert 1 <= len(set(one)) <= 2


def test_a_filter_on_the_module_of_the_user_catches_warnings(script):
    assert script.stdout.strip() == "TheoryWarning"
