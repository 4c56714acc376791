"""The audit of a table: what it prints and writes."""

import matplotlib.image
import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest

from skrmt.model_selection import audit


def read_rows(folder):
    return pd.read_csv(folder / "disagreements.csv", keep_default_na=False)


def test_output(run, csv, tumours, tmp_path):
    frame, clean = tumours
    code, text, errors = run("audit", csv, "--target", "diagnosis", "--report", "none")
    assert (code, errors) == (0, "")
    for part in (
        "569 rows with a label",
        "8 numeric columns, standardised",
        "1 true/false column",
        "1 date column",
        "1 column of categories",
        "1 text column, as tf-idf weights of 10 words",
        "numbers the rows: number.",
        "every value is different: patient.",
        "mean radius (3)",
        "ward (",
        "are mistakes:",
        "look wrong",
        "95% interval",
        "of the first 10",
        "label suggested",
    ):
        assert part in " ".join(text.split())
    found = read_rows(tmp_path / "out")
    assert list(found.columns[:4]) == [
        "row",
        "given_label",
        "suggested_label",
        "probability_wrong",
    ]
    assert list(found.columns[4:]) == list(frame.columns)
    rows = found["row"].to_numpy() - 1
    np.testing.assert_array_equal(found["patient"], frame["patient"].iloc[rows])
    np.testing.assert_array_equal(found["given_label"], frame["diagnosis"].iloc[rows])
    assert (found["given_label"] != found["suggested_label"]).all()
    assert (np.diff(found["probability_wrong"]) <= 0).all()
    assert found["probability_wrong"].max() <= 0.99
    # The columns and words separate the classes well: the first rows are truly mislabelled.
    assert (clean[rows[:20]] != frame["diagnosis"].iloc[rows[:20]]).mean() >= 0.9
    assert not (tmp_path / "out" / "report.html").exists()


def test_rows_without_a_label_and_rare_classes_keep_the_numbers(small):
    small.loc[[3, 10], "label"] = None
    small.loc[5, "label"] = "  "
    small.loc[[7, 8], "label"] = "yess"
    found = audit(small, "label", threshold=0.0)
    np.testing.assert_array_equal(
        np.sort(found.rows.index), np.setdiff1d(np.arange(80), [3, 10, 5, 7, 8])
    )
    notes = " ".join(found.notes)
    assert "3 rows without a label" in notes
    assert "yess (2 rows)" in notes


def test_parquet_and_csv_agree(run, tumours, tmp_path):
    frame = tumours[0]
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    lists = []
    for name in ("t.parquet", "t.csv"):
        out = tmp_path / name.replace(".", "_")
        run("audit", tmp_path / name, "--target", "diagnosis", "--report", "none", "--output", out)
        lists.append(read_rows(out))
    pd.testing.assert_frame_equal(*lists)


def test_index_of_parquet_becomes_a_column(run, small, tmp_path):
    small.index = pd.Index([f"key {i}" for i in range(80)], name="key")
    small.loc["key 4", "label"] = "yes"
    small.to_parquet(tmp_path / "t.parquet")
    run("audit", tmp_path / "t.parquet", "--target", "label", "--threshold", 0, "--report", "none")
    found = read_rows(tmp_path / "out")
    assert found["key"].tolist() == [f"key {row - 1}" for row in found["row"]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators(run, small, tmp_path, separator):
    decimal = "," if separator == ";" else "."
    small.to_csv(tmp_path / "t.csv", index=False, sep=separator, decimal=decimal)
    code, text, _ = run("audit", tmp_path / "t.csv", "--target", "label", "--report", "none")
    assert code == 0
    assert "3 numeric columns" in text


def test_compressed_csv_and_encoding(run, small, tmp_path):
    small["label"] = small["label"].replace("no", "nön")
    small.to_csv(tmp_path / "t.csv.gz", index=False, encoding="latin-1")
    arguments = ("audit", tmp_path / "t.csv.gz", "--target", "label", "--report", "none")
    code, text, _ = run(*arguments, "--encoding", "latin-1")
    assert code == 0
    assert "nön" in text
    code, _, errors = run(*arguments)
    assert code == 2
    assert "--encoding" in errors


def test_dropped_columns_are_not_used(small):
    found = audit(small, "label", drop=["a", "b"])
    assert found.model.n_features_in_ == 1
    assert found.model.regime_ in ("undetected", "ambiguous")
    assert {"a", "b"} <= set(found.rows.columns)


def test_known_noise_rates(small):
    assert audit(small, "label", noise_rates=0.0).classes["labelled_otherwise"].max() == 0.0
    found = audit(small, "label", noise_rates=[0.1, 0.2])
    np.testing.assert_allclose(found.model.noise_rates_, [0.1, 0.2])


def test_rates_that_cannot_be_are_noted(small):
    found = audit(small.iloc[:45], "label", noise_rates=[0.0, 0.45])
    assert not any("cannot produce" in note for note in found.notes)
    found = audit(small.iloc[:45], "label", noise_rates=[0.4, 0.4])
    assert any("cannot produce" in note for note in found.notes)


def test_copies_are_noted(small):
    found = audit(pd.concat([small, small.iloc[:6]]), "label")
    assert any(note.startswith("6 rows the same as another") for note in found.notes)


def test_names_that_clash(run, small, tmp_path):
    found = audit(small.assign(given_label=small["c"] ** 2), "label", threshold=0.0)
    assert list(found.rows.columns[:2]) == ["skrmt_given_label", "suggested_label"]
    assert found.rows.columns.is_unique
    small.assign(row=small["c"] ** 2).to_csv(tmp_path / "t.csv", index=False)
    run("audit", tmp_path / "t.csv", "--target", "label", "--threshold", 0, "--report", "none")
    assert list(read_rows(tmp_path / "out").columns[:2]) == ["skrmt_row", "given_label"]


@pytest.mark.parametrize(
    ("values", "classes"),
    [([0, 1], [0, 1]), ([0.0, 1.0], [0, 1]), ([True, False], ["False", "True"])],
)
def test_types_of_labels(small, values, classes):
    small["label"] = small["label"].map({"no": values[0], "yes": values[1]})
    assert audit(small, "label").model.classes_.tolist() == classes


def test_many_classes(small, run, tmp_path):
    few = small[::2]
    frame = pd.concat([few.assign(label=f"class {k}", a=few["a"] + 9 * k) for k in range(14)])
    frame.to_csv(tmp_path / "t.csv", index=False)
    code, text, _ = run("audit", tmp_path / "t.csv", "--target", "label", "--report", "png")
    assert code == 0
    assert "The 12 classes with most wrong labels" in " ".join(text.split())
    assert (tmp_path / "out" / "report.png").exists()


def test_html_report(run, csv, tmp_path):
    code, _, _ = run("audit", csv, "--target", "diagnosis")
    page = (tmp_path / "out" / "report.html").read_text()
    assert code == 0
    assert page.startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    assert page.count("<svg") >= 3
    assert "http" not in page
    for part in ("disagree most", "of these look wrong", "malignant", "tf-idf", "mean radius (3)"):
        assert part in page
    assert matplotlib.pyplot.get_fignums() == []


def test_what_a_table_holds_is_escaped(small):
    small["label"] = small["label"].map({"no": "<b>no</b>", "yes": "a $ & $ b"})
    small["<i>text"] = np.where(np.arange(80) % 2, "<script>alert(1)</script>", "x")
    page = audit(small, "label", name="<t>.csv", threshold=0.0).to_html()
    for raw in ("<b>no", "<script>alert", "<i>text", "<t>.csv"):
        assert raw not in page
    assert "&lt;script&gt;alert" in page
    assert "a $ &amp; $ b" in page


def test_png_report(run, small, tmp_path):
    small["label"] = small["label"].map({"no": "a $ b $ c", "yes": "$x"})
    small.to_csv(tmp_path / "t.csv", index=False)
    code, text, _ = run("audit", tmp_path / "t.csv", "--target", "label", "--report", "png")
    assert code == 0
    assert "report.png" in text
    image = matplotlib.image.imread(tmp_path / "out" / "report.png")
    assert image.shape[1] > 1000
    assert not (tmp_path / "out" / "report.html").exists()


def test_the_page_needs_no_matplotlib_and_the_figure_does(run, small, without, tmp_path):
    small.to_csv(tmp_path / "t.csv", index=False)
    without("matplotlib")
    code, text, _ = run("audit", tmp_path / "t.csv", "--target", "label")
    assert code == 0
    assert "<svg" in (tmp_path / "out" / "report.html").read_text()
    again = ("audit", tmp_path / "t.csv", "--target", "label", "--report", "png", "--force")
    code, text, _ = run(*again)
    assert code == 0
    assert "skrmt[" in text
    assert "report.png" not in text


def test_labels_that_no_column_explains(run, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((90, 3)), columns=list("abc"))
    frame["label"] = rng.choice(["u", "v", "w", "x"], 90)
    found = audit(frame, "label")
    assert found.model.regime_ == "undetected"
    assert "not known" in found.to_html()
    frame.to_csv(tmp_path / "t.csv", index=False)
    _, text, _ = run("audit", tmp_path / "t.csv", "--target", "label", "--report", "none")
    assert "do not separate the classes" in " ".join(text.split())
    assert "This list, too, is a guess." in " ".join(text.split())
