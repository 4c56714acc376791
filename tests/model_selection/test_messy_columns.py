"""Columns as people and spreadsheets write them: read, or left out with a line that says so."""

import numpy as np
import pandas as pd
import pytest

from skrmt.model_selection._table import understand

N = 120
RNG = np.random.default_rng(8)
LABELS = RNG.permutation(np.repeat(["no", "yes"], N // 2))


def repeated(values):
    return pd.Series(np.resize(np.array(values, dtype=object), N), name="column")


@pytest.mark.parametrize(
    ("texts", "values", "remark"),
    [
        (["$1,234.56", "$12.00", "-$5", "$1,000"], [1234.56, 12, -5, 1000], "in '$'"),
        (["€ 12", "€ 13,50", "€ 1.000"], [12, 13.5, 1000], "the comma before decimals"),
        (["USD 5", "USD 7.5"], [5, 7.5], "in 'USD'"),
        (["12.3%", "4 %", "100%"], [12.3, 4, 100], "in '%'"),
        (["50.1 kg", "49 KG", "7kg"], [50.1, 49, 7], "in 'kg'"),
        (["1.234,56", "12,5", "999"], [1234.56, 12.5, 999], "the comma before decimals"),
        (["1,5", "2,75"], [1.5, 2.75], "the comma before decimals"),
        (["1 234,5", "12\u00a0000", "3"], [1234.5, 12000, 3], "the comma before decimals"),
        (["1'234.5", "7"], [1234.5, 7], ""),
        (["1,234", "5,678", "12"], [1234, 5678, 12], "the comma between thousands"),
        (["1,234,567.5", "8"], [1234567.5, 8], ""),
        (["1.234.567", "12"], [1234567, 12], ""),
        (["1.234", "5.678"], [1.234, 5.678], ""),
        (["(1,200.50)", "300"], [-1200.5, 300], ""),
        (["\u22125", "+3"], [-5, 3], ""),
        (["1e5", "2.5E-3"], [1e5, 2.5e-3], ""),
        ([" 12 ", "7"], [12, 7], ""),
    ],
)
def test_numbers(texts, values, remark):
    found = understand(repeated(texts), LABELS)
    assert found.kind == "number", found
    np.testing.assert_allclose(found.values, np.resize(values, N))
    assert remark in found.remark
    assert found.remark == "" or remark


@pytest.mark.parametrize(
    ("texts", "dates"),
    [
        (["31/12/2020", "01/02/2021"], ["2020-12-31", "2021-02-01"]),
        (["12/31/2020", "01/02/2021"], ["2020-12-31", "2021-01-02"]),
        (["1.2.2020", "13.4.2021"], ["2020-02-01", "2021-04-13"]),
        (["13-05-20 10:30", "01-02-21 11:45"], ["2020-05-13 10:30", "2021-02-01 11:45"]),
        (["2020/01/03", "2021/01/04"], ["2020-01-03", "2021-01-04"]),
        (["3 Jan 2020", "4 February 2021"], ["2020-01-03", "2021-02-04"]),
        (["January 3, 2020", "March 5, 2021"], ["2020-01-03", "2021-03-05"]),
    ],
)
def test_dates(texts, dates):
    found = understand(repeated(texts), LABELS)
    days = (pd.to_datetime(dates) - pd.to_datetime(dates).min()) / pd.Timedelta(days=1)
    assert found.kind == "date", found
    np.testing.assert_allclose(found.values, np.resize(days, N))
    assert found.remark == ""


def test_dates_that_do_not_show_which_number_is_the_day():
    found = understand(repeated(["01/02/2020", "03/04/2020"]), LABELS)
    assert found.values.max() == 62  # from 1 February to 3 April
    assert "no value says which is first" in found.remark


@pytest.mark.parametrize("words", [["Yes", "yes ", "NO", "no"], ["Y", "y", "n"], ["TRUE", "false"]])
def test_truth_values(words):
    found = understand(repeated(words), LABELS)
    assert found.kind == "true/false"
    expected = [word.strip().casefold()[0] in "yt" for word in words]
    np.testing.assert_array_equal(found.values, np.resize(expected, N).astype(float))


@pytest.mark.parametrize(
    "texts",
    [
        ["50 kg", "40 g"],
        ["$5", "€ 5"],
        ["A12", "B13"],
        ["192.168.1.1", "10.0.0.1"],
        ["555-1234", "555-9999"],
        ["10-20", "20-30"],
        ["1,234.5", "1.234,5"],
        ["1,23,456", "2"],
        ["<5", ">10", "7"],
        ["5'11", "6'2"],
        ["13/13/2020", "14/15/2020"],
    ],
)
def test_what_is_no_number_stays_a_category(texts):
    assert understand(repeated(texts), LABELS).kind == "category"


def test_spellings_of_a_category_are_one():
    found = understand(repeated(["north", "North ", "NORTH", "north", "south  west"]), LABELS)
    assert set(found.values) == {"north", "south  west"}
    assert "2 spellings" in found.remark


def test_texts_in_place_of_missing_numbers():
    values = repeated([f"{x:.2f}" for x in RNG.standard_normal(N)])
    values[::20] = "not measured"
    found = understand(values, LABELS)
    assert found.values.isna().sum() == 6
    assert "'not measured' counted as missing" in found.remark
    # A number that is written in another way is not missing.
    values[::20] = "1,234.5"
    assert understand(values, LABELS).values.max() == 1234.5


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("customer_id", RNG.permutation(10**6)[:N], "names the rows"),
        ("Id", RNG.permutation(10**6)[:N], "names the rows"),
        ("flag", [0] * (N - 3) + [1] * 3, "the same in all but 3 rows"),
        ("outcome", [f"{label}{i % 3}" for i, label in enumerate(LABELS)], "gives the target away"),
        ("code", [2 * (label == "yes") + i % 2 for i, label in enumerate(LABELS)], "the target"),
    ],
)
def test_left_out(name, values, reason):
    found = understand(pd.Series(values, name=name), LABELS)
    assert found.kind == "left out"
    assert reason in found.remark


@pytest.mark.parametrize(
    "values", [RNG.integers(1, 6, N), RNG.permutation(10**6)[:N], [0] * (N - 9) + [1] * 9]
)
def test_ratings_counts_and_rare_values_are_numbers(values):
    assert understand(pd.Series(values, name="paid"), LABELS).kind == "number"
