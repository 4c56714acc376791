"""Masked arrays and missing labels are refused by name."""

import numpy as np
import pytest

from skrmt.utils._labels import refuse_masked, refuse_missing_labels

pandas = pytest.importorskip("pandas")

MISSING = {
    "nan": [0.0, 1.0, np.nan],
    "list": ["a", "b", float("nan")],
    "None": np.array(["a", "b", None], dtype=object),
    "object nan": np.array(["a", "b", np.nan], dtype=object),
    "pandas.NA": pandas.Series(["a", "b", None], dtype="string"),
    "Int64": pandas.Series([1, 2, None], dtype="Int64"),
    "boolean": pandas.Series([True, False, None], dtype="boolean"),
    "categorical": pandas.Series(["a", "b", None], dtype="category"),
    "NaT": np.array(["2020-01-01", "2021-01-01", "NaT"], dtype="datetime64[D]"),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_label_is_named_with_its_row(name):
    with pytest.raises(ValueError, match="y has a missing label at row 2"):
        refuse_missing_labels(MISSING[name])


@pytest.mark.parametrize("y", [[0, 1], ["a", "b"], np.array([True, False]), [0.5, np.inf]])
def test_labels_without_gaps_pass(y):
    refuse_missing_labels(y)


def test_masked_arrays_are_refused():
    for refuse in (lambda y: refuse_masked(y, "y"), refuse_missing_labels):
        with pytest.raises(TypeError, match=r"y is a numpy\.ma\.MaskedArray"):
            refuse(np.ma.masked_array([1.0, 2.0], [False, True]))
