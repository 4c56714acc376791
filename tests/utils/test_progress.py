"""What fits print of their progress."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from skrmt.cluster import NestedTensorClustering
from skrmt.datasets import (
    GaussianGenerator,
    make_nested_views,
    make_noisy_mixture,
    make_paired_encoders,
)
from skrmt.linear_model import NoiseAwareLinearClassifier, SyntheticMixClassifier
from skrmt.matching import EncoderMatcher
from skrmt.model_selection import GeneralizationReport
from skrmt.preference import PreferencePolicy

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")

ROWS, LABELS, _, _ = make_noisy_mixture(60, 5, noise_rates=0.1, random_state=0)
VIEWS = make_nested_views(60, 8, noise_stds=[1.0, 1.0, 1.0], random_state=0)
PAIRS = make_paired_encoders(40, 6, 5, n_latent=3, random_state=0)
MADE = dict(X_synthetic=-ROWS, y_synthetic=LABELS)

CASES = {
    "noise": (NoiseAwareLinearClassifier(), (ROWS, LABELS), {}, "60 distinct rows of 5 features"),
    "mix": (SyntheticMixClassifier(), (ROWS, LABELS), MADE, "60 real and 60 synthetic rows"),
    "folds": (
        SyntheticMixClassifier(
            generator_source="same", generator=GaussianGenerator(), cv=3, random_state=0
        ),
        (ROWS, LABELS),
        MADE,
        "generator refitted without fold 3 of 3",
    ),
    "policy": (PreferencePolicy(), (ROWS, LABELS), {}, "penalty 2 of"),
    "views": (NestedTensorClustering(random_state=0), (VIEWS.X,), {}, "60 samples of 3 views"),
    "encoders": (EncoderMatcher(random_state=0), (PAIRS.X, PAIRS.Y), {}, "of 40 known pairs"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_verbose_fit_prints_its_steps_and_others_nothing(name, capsys):
    estimator, data, more, step = CASES[name]
    clone(estimator).fit(*data, **more)
    assert capsys.readouterr().out == ""
    clone(estimator).set_params(verbose=1).fit(*data, **more)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith(f"[{type(estimator).__name__}] ") for line in lines)
    assert any(step in line for line in lines)


def test_folds_of_sparse_rows_are_counted(capsys):
    X = sparse.random_array((1300, 700), density=0.01, rng=np.random.default_rng(0), format="csr")
    NoiseAwareLinearClassifier(verbose=1).fit(X, np.arange(1300) % 2)
    assert "10 of 10 folds fitted" in capsys.readouterr().out


def test_fits_within_a_verbose_one_print_where_they_are_verbose_themselves(capsys):
    GeneralizationReport(NoiseAwareLinearClassifier()).fit(ROWS, LABELS)
    assert capsys.readouterr().out == ""


def test_nothing_is_printed_after_a_fit_that_failed(capsys):
    with pytest.raises(ValueError):
        NoiseAwareLinearClassifier(verbose=1).fit(ROWS, np.zeros(60))
    capsys.readouterr()
    NoiseAwareLinearClassifier().fit(ROWS, LABELS)
    assert capsys.readouterr().out == ""
