"""The audit of a table: sentences, frames, page."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

import skrmt
from skrmt.datasets import flip_labels
from skrmt.model_selection import Audit, GeneralizationReport, audit


def tumours(rates):
    """Return a table whose labels are wrong at these rates, and whether each label is wrong."""
    frame = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 2, 3, 20, 21, 22, 30]]
    truth = frame["target"].to_numpy()
    given = flip_labels(truth, rates, random_state=0)
    return frame.assign(target=np.where(given == 1, "benign", "malignant")), given != truth


@pytest.fixture(scope="module")
def noisy():
    frame, wrong = tumours([0.1, 0.3])
    return audit(frame, target="target"), frame, wrong


def test_it_is_one_function_by_two_names():
    assert skrmt.audit is audit
    assert "audit" in dir(skrmt)
    assert isinstance(audit(tumours([0.0, 0.0])[0], "target"), Audit)


def test_headline_names_both_explanations_and_what_a_guess_reaches(noisy):
    found, frame, _ = noisy
    if_clean, if_noisy = found.accuracy["score"].iloc[:2]
    if np.isfinite(if_clean):
        assert f"If every label is right: {100 * if_clean:.0f} %." in found.headline
    assert f"mistakes: {100 * if_noisy:.0f} %." in found.headline
    commonest = frame["target"].value_counts(normalize=True).max()
    assert found.accuracy["score"]["always the commonest label"] == commonest
    assert f"commonest label: {100 * commonest:.0f} %" in found.headline
    assert "Balanced accuracy" in found.headline


def test_balanced_accuracy_is_the_mean_over_classes(noisy):
    found, frame, _ = noisy
    model = found.model
    decided = model.classes_[(model.held_out_scores_ > 0) * 1]
    right = frame["target"].to_numpy() == decided
    shares = [right[(frame["target"] == name).to_numpy()].mean() for name in model.classes_]
    row = found.accuracy.loc["balanced, on labels as given"]
    assert row.score == pytest.approx(np.mean(shares), rel=1e-12)
    assert row.lower < row.score < row.upper


def test_classes_say_what_looks_wrong_both_ways(noisy):
    found, frame, _ = noisy
    quality = 1.0 - found.model.label_quality_
    for name, row in found.classes.iterrows():
        labelled = (frame["target"] == name).to_numpy()
        assert row.rows_labelled == labelled.sum()
        assert row.look_wrong == pytest.approx(quality[labelled].mean(), rel=1e-12)
    rates = found.classes["labelled_otherwise"].to_numpy()
    np.testing.assert_array_equal(rates, found.model.noise_rates_)


def test_rows_are_those_that_the_model_disagrees_with(noisy):
    found, frame, _ = noisy
    decided = found.model.classes_[(found.model.held_out_scores_ > 0) * 1]
    disagree = frame.index[decided != frame["target"]]
    assert set(found.rows.index) == set(disagree)
    assert (np.diff(found.rows["probability_wrong"]) <= 0).all()
    assert (found.rows["given_label"] == frame["target"].loc[found.rows.index]).all()
    assert (found.rows["given_label"] != found.rows["suggested_label"]).all()


def test_precision_expected_of_the_first_rows_is_that_measured(noisy):
    """Labels are wrong here: the precision is that of this explanation, not the average."""
    found, _, wrong = noisy
    order = np.argsort(found.model.label_quality_, kind="stable")
    assert found.precision.index.tolist() == [10, 50, 100]
    for first, expected in found.precision["if_labels_are_wrong"].items():
        std = np.sqrt(max(expected * (1 - expected), 0.01) / first)
        assert abs(wrong[order[:first]].mean() - expected) <= 4.5 * std


def test_nothing_is_above_99_percent(noisy):
    found, _, _ = noisy
    assert found.rows["probability_wrong"].max() <= 0.99
    assert found.precision.max().max() <= 0.99
    easy, _ = tumours([0.0, 0.0])
    easy["copy"] = np.where(easy["target"] == "benign", 9.0, -9.0) + np.sin(np.arange(len(easy)))
    page = audit(easy, "target").to_html()
    assert "100\u00a0%" not in page
    assert "over 99\u00a0%" in page


def test_index_and_types_of_tables_are_kept():
    frame, _ = tumours([0.1, 0.3])
    renamed = frame.set_axis([f"person {i}" for i in range(len(frame))])
    found = audit(renamed, "target", threshold=0.5)
    assert set(found.rows.index) <= set(renamed.index)
    assert found.rows["probability_wrong"].min() >= 0.5
    same = audit(pl.from_pandas(frame), "target", threshold=0.5)
    np.testing.assert_array_equal(
        same.rows["probability_wrong"], found.rows["probability_wrong"].to_numpy()
    )


def test_cells_of_every_kind_are_shown(noisy):
    frame = noisy[1].copy()
    n = len(frame)
    kinds = {
        "arrays": [np.array([1.0, 2.0])] * n,
        "frames": [pd.DataFrame({"x": [1]})] * n,
        "NA": pd.Series(np.arange(n) % 3, dtype="Int64").where(np.arange(n) % 3 > 0),
        "NA beside words": [pd.NA, "word"] * (n // 2) + ["word"] * (n % 2),
        "no times": [pd.NaT] * n,
        "objects": [object()] * n,
    }
    for name, values in kinds.items():
        frame[name] = pd.Series(values, index=frame.index, dtype=getattr(values, "dtype", object))
    found = audit(frame, "target")
    assert len(found.rows) and {"NA", "arrays"} <= set(found.rows.columns)
    page = found.to_html()
    assert "&lt;NA&gt;" not in page and "<NA>" not in page and "NaT" not in page
    assert "[1. 2.]" in page
    assert found.to_dict()


def test_overlapping_classes_with_right_labels_are_not_accused():
    """Classes of which a third can only be guessed: no row of them is called wrong for sure."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 600)
    frame = pd.DataFrame(rng.standard_normal((600, 4)) + 0.35 * y[:, None], columns=list("abcd"))
    found = audit(frame.assign(label=y), "label")
    low, high = found.accuracy.loc["on right labels", ["lower", "upper"]]
    assert low < 0.76 < high  # the normal law at half the distance, .35
    assert found.precision["expected"].max() < 0.9


def test_plain_types_and_page(noisy):
    found, _, _ = noisy
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["headline"] == found.headline
    assert len(plain["rows"]) == len(found.rows)
    assert [row["class"] for row in plain["classes"]] == ["benign", "malignant"]
    page = found.to_html()
    assert page.startswith("<!DOCTYPE html>") and "<script" not in page and "http" not in page
    assert found._repr_html_().startswith("<style>")
    for part in ("if every label is right", "disagree most", "Rows the model disagrees with"):
        assert part in page
    assert found.headline in repr(found)


def test_page_is_written_and_figure_is_drawn(noisy, tmp_path):
    found, _, _ = noisy
    assert found.to_html(tmp_path / "page.html") is None
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == found.to_html()
    titles = [axes.get_title(loc="left") for axes in found.plot().axes]
    assert "What checking would find" in titles


def test_more_classes_and_rates_that_are_known():
    frame = load_wine(as_frame=True).frame
    found = audit(frame, "target", noise_rates=0.1)
    assert "With 10 % of the labels wrong, as given" in found.headline
    np.testing.assert_allclose(found.classes["labelled_otherwise"], 0.1)
    assert len(found.more_rows) == 0
    assert "each true class" in found.to_html()
    assert len(found.plot().axes) == 2


def test_numbers_to_predict_get_a_report(tmp_path):
    frame = load_diabetes(as_frame=True).frame
    frame["doubled"] = 2.0 * frame["target"] + 1.0
    frame.loc[3, "target"] = np.nan
    found = audit(frame, "target")
    assert isinstance(found.model, GeneralizationReport)
    assert found.columns.loc["doubled", "remark"].startswith("gives the target away")
    assert "1 row without a target" in found.notes[0]
    assert found.accuracy.loc["r2", "lower"] < 0.49 < found.accuracy.loc["r2", "upper"]
    assert len(found.classes) == len(found.precision) == 0
    missed = np.abs(found.rows["error_in_std"].to_numpy())
    assert (np.diff(missed) <= 0).all()
    page = found.to_html()
    assert "Rows the model misses most" in page and "Can you believe this?" in page
    assert json.dumps(found.to_dict())
    assert found._repr_html_().startswith("<style>")


def test_columns_that_say_nothing_give_no_number():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.standard_normal((90, 3)), columns=list("abc"))
    found = audit(frame.assign(label=rng.choice(list("uvwx"), 90)), "label")
    assert found.headline.startswith("The columns do not show which label a row has")
    assert len(found.precision) == 0
    assert found.classes["look_wrong"].isna().all()
    assert found.to_html()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"target": "label"}, KeyError, "no column 'label'"),
        ({"drop": ["z"]}, KeyError, "no column 'z'"),
        ({"threshold": 1.5}, ValueError, "threshold=1.5"),
        ({"noise_rates": -0.1}, ValueError, "noise_rates"),
        ({"df": np.zeros((3, 3))}, TypeError, "DataFrame"),
    ],
)
def test_refusals(change, error, said):
    with pytest.raises(error, match=said):
        audit(**{"df": tumours([0.1, 0.3])[0], "target": "target"} | change)


def test_synthetic_rows_are_weighed():
    frame, _ = tumours([0.0, 0.0])
    found = audit(frame[:150], "target", synthetic=frame[150:])
    assert "150 real rows, 419 synthetic rows" in found.synthetic.frame["value"]["rows"]
    assert "What are the synthetic rows worth?" in found.to_html()
    with pytest.raises(ValueError, match="synthetic lacks the columns mean radius"):
        audit(frame, "target", synthetic=frame.drop(columns="mean radius"))
