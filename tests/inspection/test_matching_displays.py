"""Displays of encoder matching."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skrmt.datasets import make_paired_encoders
from skrmt.inspection import CKAMatrixDisplay, KnownPairsDisplay, ScoreMatrixDisplay
from skrmt.matching import EncoderMatcher, cka_matrix
from skrmt.theory.representation import similarity_accuracy

pytest.importorskip("matplotlib")


def test_table_crosses_out_what_is_chance(rng):
    X = rng.standard_normal((50, 4))
    result = cka_matrix({"a": X, "b": X[:, :3], "noise": rng.standard_normal((50, 4))})
    display = CKAMatrixDisplay.from_result(result)
    assert np.array_equal(display.image_.get_array(), result.cka)
    crosses = [line for line in display.ax_.lines if line.get_marker() == "x"]
    assert len(crosses) == (~result.significant).sum() == 4
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["a", "b", "noise"]
    assert len(CKAMatrixDisplay(np.eye(20)).plot().ax_.texts) == 0


def test_curves_are_those_of_theory():
    points = ([10, 100], [[0.1, 0.2], [0.8, 0.9]])
    display = KnownPairsDisplay.from_theory(
        0.5, n_queries=200, n_pairs=[10, 40, 100], points=points
    )
    curve = display.lines_["correlation 0.5"].get_ydata()
    assert curve[1] == similarity_accuracy(0.5, 40, 200)
    assert len(display.ax_.containers) == 1


def test_scores_show_right_and_wrong_matches():
    data = make_paired_encoders(80, 10, 10, n_latent=6, noise_std=0.3, random_state=0)
    model = EncoderMatcher(random_state=0).fit(data.X[:50], data.Y[:50])
    queries = data.X[50:], data.Y[50:]
    display = ScoreMatrixDisplay.from_estimator(model, *queries, true_match=range(30))
    assert display.image_.get_array().shape == (30, 30)
    right, wrong = (len(c.get_offsets()) for c in display.ax_.collections[:2])
    assert right == round(30 * model.score(*queries)) and right + wrong == 30
    with pytest.raises(NotFittedError):
        ScoreMatrixDisplay.from_estimator(EncoderMatcher(), *queries)
