"""The value of synthetic rows beside a table, and the page at a place of one's own."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from skrmt.__main__ import main


@pytest.fixture
def files(tmp_path):
    """Write real rows, and synthetic ones of which three labels in ten are wrong."""
    frame = load_breast_cancer(as_frame=True).frame.sample(frac=1, random_state=0)
    frame["target"] = np.where(frame["target"] == 1, "benign", "malignant")
    made = frame[120:].copy()
    wrong = np.random.default_rng(0).random(len(made)) < 0.3
    flipped = np.where(made["target"] == "benign", "malignant", "benign")
    made["target"] = np.where(wrong, flipped, made["target"])
    paths = {"real": tmp_path / "real.csv", "made": tmp_path / "made.csv"}
    frame[:120].to_csv(paths["real"], index=False)
    made.to_csv(paths["made"], index=False)
    return paths


def run(files, tmp_path, *more):
    """Run the audit."""
    arguments = ["audit", str(files["real"]), "--target", "target", "--output", str(tmp_path / "o")]
    return main([*arguments, *more])


def test_value_of_synthetic_rows(files, tmp_path, capsys):
    page = tmp_path / "deep" / "page.html"
    assert run(files, tmp_path, "--synthetic", str(files["made"]), "--html", str(page)) == 0
    printed = capsys.readouterr().out
    assert "120 real rows, 449 synthetic rows" in printed
    wrong = next(line for line in printed.splitlines() if "labels that are wrong" in line)
    low, high = (float(word) for word in wrong.replace("%", "").split()[-3::2])
    assert low < 30 < high
    content = page.read_text(encoding="utf-8")
    assert "What are the synthetic rows worth?" in content
    assert not (tmp_path / "o" / "report.html").exists()
    assert (tmp_path / "o" / "disagreements.csv").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns=["mean radius"]), "made.csv lacks the columns mean radius"),
        (lambda f: f.drop(columns=["target"]), "there is no column 'target'"),
        (
            lambda f: f.assign(target=np.where(np.arange(len(f)) % 2, "benign", "unheard")),
            "labels that the real rows have not: unheard",
        ),
    ],
)
def test_files_that_differ(files, tmp_path, capsys, change, message):
    change(pd.read_csv(files["made"])).to_csv(files["made"], index=False)
    assert run(files, tmp_path, "--synthetic", str(files["made"])) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_missing_file_and_page_that_cannot_be_written(files, tmp_path, capsys):
    assert run(files, tmp_path, "--synthetic", str(tmp_path / "none.csv")) == 2
    assert "none.csv" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run(files, tmp_path, "--html", str(tmp_path / "file" / "page.html")) == 2
    assert "cannot write" in capsys.readouterr().err
