"""What the user has to put right: exit code 2 and one line on stderr."""

import numpy as np
import pandas as pd
import pytest

from skrmt._cli import _audit


def refused(result):
    """Return the line of a refusal, checked to be one."""
    code, out, errors = result
    assert code == 2
    assert out == ""
    assert errors.startswith("skrmt audit: error: ")
    assert errors.count("\n") == 1
    assert "Traceback" not in errors
    return errors


@pytest.fixture
def audit(run, small, tmp_path):
    """Audit the small table after a change; returns the line of the refusal."""

    def call(change, *more, target="label"):
        changed = change(small)
        frame = small if changed is None else changed
        frame.to_csv(tmp_path / "t.csv", index=False)
        return refused(run("audit", tmp_path / "t.csv", "--target", target, *more))

    return call


def unchanged(frame):
    return frame


def test_missing_file(run, csv, tmp_path):
    assert "there is no file" in refused(run("audit", tmp_path / "x.csv", "--target", "a"))
    line = refused(run("audit", tmp_path / "tumour.csv", "--target", "a"))
    assert f"did you mean {str(csv)!r}?" in line


def test_folder(run, tmp_path):
    assert "is a folder" in refused(run("audit", tmp_path, "--target", "a"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "cannot be read as CSV: No columns"),
        ("t.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot be read as CSV"),
        ("t.csv", b"a,b\n", "has no rows"),
        ("t.csv", b"\x89PNG\r\n\x1a\n\xff\xfe", "--encoding"),
        ("t.parquet", b"PAR0 nothing", "cannot be read as Parquet"),
        ("t.xlsx", b"PK", "neither CSV nor Parquet"),
    ],
)
def test_unreadable_file(run, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in refused(run("audit", tmp_path / name, "--target", "a"))


def test_unknown_encoding(run, csv):
    line = refused(run("audit", csv, "--target", "diagnosis", "--encoding", "utf-9"))
    assert "'utf-9'" in line


def test_repeated_columns(run, small, tmp_path):
    small.rename(columns={"c": " a"}).to_csv(tmp_path / "t.csv", index=False)
    line = refused(run("audit", tmp_path / "t.csv", "--target", "label"))
    assert "two columns are called 'a'" in line


def test_missing_column(audit):
    line = audit(unchanged, target="Labels")
    assert "no column 'Labels': the columns are label, a, b, c." in line
    assert "'d'" in audit(unchanged, "--drop", "d")


def test_one_class(audit):
    assert "one class only, 'no'" in audit(lambda frame: frame.assign(label="no"))
    assert "one class only, 'no'" in audit(
        lambda frame: frame.assign(label=["no"] * 77 + ["yes"] * 3)
    )


def test_no_labels(audit):
    assert "no labels at all" in audit(lambda frame: frame.assign(label=""))


def test_infinite_target(audit):
    assert "infinite" in audit(lambda frame: frame.assign(label=[np.inf] * 40 + [1.5] * 40))


def test_continuous_target_gets_a_report(run, csv, tmp_path):
    code, text, _ = run("audit", csv, "--target", "mean texture")
    assert code == 0
    assert "Predicted R^2" in text and "neg_mean_squared_error" in text
    assert "Rows the model misses most" in text
    assert "Predictions and targets" in (tmp_path / "out" / "report.html").read_text()
    assert (tmp_path / "out" / "disagreements.csv").exists()


def test_names_as_target(audit):
    names = [f"name{i}" for i in range(80)]
    assert "80 different values in 80 rows" in audit(lambda frame: frame.assign(label=names))


def test_dates_as_target(run, small, tmp_path):
    small["label"] = pd.Timestamp("2024-01-01")
    small.to_parquet(tmp_path / "t.parquet")
    assert "datetime64" in refused(run("audit", tmp_path / "t.parquet", "--target", "label"))


def test_too_few_rows(audit):
    assert "only 14 rows" in audit(lambda frame: frame.iloc[33:47])


def test_no_features(audit):
    line = audit(lambda frame: frame[["label"]].assign(number=range(80)))
    assert "no column can be used as a feature: number (numbers the rows)" in line
    assert "there is none" in audit(lambda frame: frame[["label"]].assign(a=0), "--drop", "a")


@pytest.mark.parametrize(
    ("rates", "said"),
    [(["0.6", "0.5"], "below 1"), (["0.1"] * 3, "2 classes"), (["-0.1"], "probabilities")],
)
def test_noise_rates(audit, rates, said):
    assert said in audit(unchanged, "--noise-rates", *rates)


def test_threshold(audit):
    assert "--threshold 1.5" in audit(unchanged, "--threshold", "1.5")


def test_output_that_is_a_file(run, csv):
    line = refused(run("audit", csv, "--target", "diagnosis", "--output", csv))
    assert "--output" in line


@pytest.mark.parametrize("name", ["disagreements.csv", "report.html"])
def test_output_that_cannot_be_written(run, small, tmp_path, name):
    small.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "out" / name).mkdir(parents=True)
    assert name in refused(run("audit", tmp_path / "t.csv", "--target", "label"))


def test_without_pandas(run, csv, without):
    without("pandas")
    line = refused(run("audit", csv, "--target", "diagnosis"))
    assert "pandas" in line
    assert "skrmt[cli]" in line


def test_without_pyarrow(run, small, without, tmp_path):
    small.to_parquet(tmp_path / "t.parquet")
    without("pyarrow")
    line = refused(run("audit", tmp_path / "t.parquet", "--target", "label"))
    assert "skrmt[cli]" in line


def test_errors_of_our_own_are_not_hidden(run, csv, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(_audit, "audit", lambda *_, **__: broken())
    with pytest.raises(RuntimeError, match="a bug"):
        run("audit", csv, "--target", "diagnosis")
