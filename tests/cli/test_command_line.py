"""The command line: what it prints, writes and refuses."""

import re
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from skrmt.__main__ import main
from skrmt.datasets import flip_labels

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def frame():
    """300 rows of real data with 15 % wrong labels, and columns of every kind."""
    data = load_breast_cancer(as_frame=True)
    rng = np.random.default_rng(0)
    table = data.data.iloc[:300].copy()
    clean = data.target_names[data.target.to_numpy()[:300]]
    table.iloc[3:9, 2] = np.nan
    table["colour"] = rng.choice(["red", "blue"], 300)
    words = ["good", "bad", "fair", "old", "young"]
    table["note"] = ["patient " + " ".join(rng.choice(words, 6)) for _ in range(300)]
    table["id"] = [f"u{i}" for i in range(300)]
    table["label"] = flip_labels(clean, 0.15, random_state=0)
    return table, clean


@pytest.fixture
def csv(frame, tmp_path):
    path = tmp_path / "table.csv"
    frame[0].to_csv(path, index=False)
    return path


def audit(path, tmp_path, *more):
    return main(["audit", str(path), "--target", "label", "--output", str(tmp_path / "out"), *more])


def test_audit_finds_the_wrong_labels(frame, csv, tmp_path, capsys):
    assert audit(csv, tmp_path) == 0
    printed = capsys.readouterr().out
    for words in ("left out", "missing values", "one-hot", "tf-idf", "interval"):
        assert words in printed
    listed = pd.read_csv(tmp_path / "out" / "suspicious_rows.csv")
    table, clean = frame
    wrong = table["label"].to_numpy() != clean
    rows = listed.iloc[:, 0].to_numpy() - 1
    # 20 rows: were half of them wrong by chance alone, 18 or more would have probability 2e-4.
    assert wrong[rows[:20]].sum() >= 18
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<html" in page and "data:image" in page and "http://" not in page.split("<body")[1]


def test_parquet_reads_like_csv(frame, csv, tmp_path, capsys):
    pytest.importorskip("pyarrow")
    frame[0].to_parquet(tmp_path / "table.parquet")
    results = []
    for path in (csv, tmp_path / "table.parquet"):
        assert audit(path, tmp_path, "--report", "none") == 0
        results.append(pd.read_csv(tmp_path / "out" / "suspicious_rows.csv")["row"].tolist())
    assert results[0] == results[1]
    capsys.readouterr()


def test_figure_instead_of_a_page(csv, tmp_path, capsys):
    assert audit(csv, tmp_path, "--report", "png", "--noise-rates", "0.15") == 0
    assert (tmp_path / "out" / "report.png").stat().st_size > 10_000
    capsys.readouterr()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="label"), "no column 'label'"),
        (lambda t: t.assign(label="same"), "one class"),
        (lambda t: t.assign(label=np.linspace(0.0, 1.0, len(t))), "label"),
        (lambda t: t[["id", "label"]], "feature|column"),
        (lambda t: t.groupby("label").head(2), "row"),
    ],
)
def test_what_cannot_be_audited_is_told_in_one_line(frame, tmp_path, capsys, change, words):
    path = tmp_path / "bad.csv"
    change(frame[0]).to_csv(path, index=False)
    assert audit(path, tmp_path) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert re.search(words, shown.err)


def test_missing_file(tmp_path, capsys):
    assert audit(tmp_path / "nothing.csv", tmp_path) == 2
    assert "nothing.csv" in capsys.readouterr().err


def test_without_pandas_the_extra_is_named(csv, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert audit(csv, tmp_path) == 2
    assert "skrmt[cli]" in capsys.readouterr().err


def test_help_and_version(capsys):
    assert main([]) == 2
    for option in ("--version", "--help"):
        with pytest.raises(SystemExit) as end:
            main([option])
        assert end.value.code == 0
    assert "audit" in capsys.readouterr().out


def test_demo_tells_what_came_true(tmp_path, capsys, monkeypatch):
    from skrmt._cli import _demo

    first = _demo.problems()[:1]
    monkeypatch.setattr(_demo, "problems", lambda: first)
    assert main(["demo", "--repeats", "1", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for words in ("predicted", "actual", "ClassifierCV", "probability wrong", "read next"):
        assert words in printed
    assert any(path.suffix == ".png" for path in tmp_path.iterdir())
