"""Files as spreadsheets write them: their encodings, and labels that look like missing values."""

import numpy as np
import pandas as pd
import pytest

from skrmt._cli._table import read_table


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig"])
def test_encodings_of_unicode_are_recognised(tmp_path, encoding):
    frame = pd.DataFrame({"größe": np.arange(30.0), "label": ["a", "b"] * 15})
    frame.to_csv(tmp_path / "t.csv", index=False, encoding=encoding)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), frame)


def test_labels_called_na_are_classes_where_asked(run, small, tmp_path):
    small["label"] = small["label"].replace("no", "NA")
    small.loc[3, "a"] = np.nan
    small.to_csv(tmp_path / "t.csv", index=False, na_rep="null")
    arguments = ("audit", tmp_path / "t.csv", "--target", "label", "--report", "none")
    code, _, errors = run(*arguments)
    assert code == 2
    assert "one class only, 'yes'" in errors
    code, text, _ = run(*arguments, "--literal-labels")
    assert code == 0
    assert "80 rows with a label" in " ".join(text.split())
    assert "missing values in a (1)" in " ".join(text.split())
