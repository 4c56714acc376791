"""Which kind a column is taken for, and the features made of it."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skrmt.model_selection._table import make_features, understand

N = 60
RNG = np.random.default_rng(5)
LABELS = RNG.permutation(np.repeat(["no", "yes"], N // 2))
NORMAL = RNG.standard_normal(N)
SENTENCES = [" ".join(RNG.choice(list("abcdefgh"), 6)) for _ in range(N)]
SENTENCES = [text.replace("a", "alpha").replace("b", "beta") for text in SENTENCES]
DAYS = pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.permutation(N), "D")


def kind(values):
    return understand(pd.Series(values, name="column"), LABELS)


def with_missing(values, missing=None):
    values = list(values)
    values[::7] = [missing] * len(values[::7])
    return values


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (NORMAL, "number"),
        (np.arange(N) % 7, "number"),
        (with_missing(NORMAL, np.nan), "number"),
        (pd.array(np.arange(N) % 7, dtype="Int64"), "number"),
        ([str(value) for value in NORMAL], "number"),
        ([decimal.Decimal(int(9 * value)) for value in NORMAL], "number"),
        (NORMAL > 0, "true/false"),
        (pd.array(with_missing(NORMAL > 0), dtype="boolean"), "true/false"),
        (with_missing([bool(value > 0) for value in NORMAL]), "true/false"),
        (DAYS, "date"),
        (DAYS.strftime("%Y-%m-%d"), "date"),
        (with_missing(DAYS.strftime("%Y-%m-%d %H:%M:%S")), "date"),
        (DAYS.tz_localize("Europe/Paris"), "date"),
        (DAYS - DAYS.min(), "date"),
        (with_missing(DAYS), "date"),
        (np.array(list("uvwxyz"))[np.arange(N) % 6], "category"),
        (pd.Categorical(with_missing(np.array(["u", "v"])[(NORMAL > 0) * 1])), "category"),
        ([f"town {i // 2}" for i in range(N)], "category"),
        ([f"town{min(i, 50)}" for i in range(N)], "category"),
        (SENTENCES, "text"),
        (with_missing(SENTENCES), "text"),
    ],
)
def test_kind(values, expected):
    found = kind(values)
    assert found.kind == expected, found.remark
    assert len(found.values) == N


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None] * N, "is empty"),
        ([" "] * (N - 1) + [""], "is empty"),
        ([np.inf] * (N - 1) + [np.nan], "has no finite number"),
        ([3.5] * N, "the same in every row"),
        ([[1, 2]] * N, "lists"),
        (np.where(LABELS == "no", 7, 3), "the same as the target"),
        (np.where(LABELS == "no", "n", "y"), "the same as the target"),
        (NORMAL + 1j, "complex"),
        (np.arange(N) + 100, "numbers the rows"),
        (RNG.permutation(N), "numbers the rows"),
        (np.cumsum(RNG.integers(1, 9, N)), "numbers the rows"),
        ([f"{i:04d}" for i in range(N)], "numbers the rows"),
        ([f"Person No{i}" for i in range(N)], "names the rows"),
        ([f"P{max(i, 2)}" for i in range(N)], "hardly two equal values"),
    ],
)
def test_left_out(values, reason):
    found = kind(values)
    assert found.kind == "left out"
    assert reason in found.remark


def test_marks_of_missing_numbers_are_told():
    found = kind(with_missing([str(value) for value in NORMAL], "?")[:7] + ["1.5"] * (N - 7))
    assert found.kind == "number"
    assert found.remark == "'?' counted as missing"
    assert found.values.isna().sum() == 1


def test_infinite_numbers_are_told():
    values = NORMAL.copy()
    values[3] = np.inf
    found = kind(values)
    assert "infinite" in found.remark
    assert np.isnan(found.values[3])


def test_dates_become_days():
    found = kind(DAYS.strftime("%Y-%m-%dT%H:%M:%S"))
    np.testing.assert_array_equal(found.values, (DAYS - DAYS.min()).days)


def test_features_are_standardised_and_marked():
    frame = pd.DataFrame({"a": 100 + 9 * NORMAL, "b": with_missing(NORMAL, np.nan)})
    found = make_features(frame, LABELS)
    assert found.X.shape == (N, 3)
    np.testing.assert_allclose(found.X.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(found.X.std(0), 1, rtol=1e-12)
    assert found.notes == [
        "missing values in b (9): filled in with the median, and marked by a feature of their own."
    ]


def test_features_of_categories_and_their_gaps():
    town = np.array(list("uvwxyz"))[np.arange(N) % 6]
    frame = pd.DataFrame({"town": with_missing(town), "flag": np.where(NORMAL > 0, "p", "q")})
    found = make_features(frame, LABELS)
    assert found.X.shape == (N, 8)
    assert set(np.unique(found.X)) == {0.0, 1.0}
    assert "town (9): a category of their own" in found.notes[0]


def test_rare_categories_share_a_feature():
    town = [f"t{i % 90}" for i in range(4 * N)]
    found = make_features(pd.DataFrame({"town": town}), np.tile(LABELS, 4))
    assert found.X.shape == (4 * N, 50)


def test_features_of_texts_are_sparse_and_weigh_as_much_as_numbers():
    words = np.array([f"word{i}" for i in range(400)])
    texts = [" ".join(RNG.choice(words, 12)) for _ in range(5 * N)]
    frame = pd.DataFrame({"text": texts, "a": np.tile(NORMAL, 5), "b": np.tile(NORMAL**2, 5)})
    found = make_features(frame, np.tile(LABELS, 5))
    assert sparse.issparse(found.X)
    squares = np.asarray(found.X.multiply(found.X).sum(1)).ravel()
    numbers = found.X[:, :2].toarray()
    np.testing.assert_allclose(squares, 2 + (numbers**2).sum(1), rtol=1e-10)


def test_texts_without_common_words_are_left_out():
    texts = [f"one{i} two{i} three{i}" for i in range(N)]
    found = make_features(pd.DataFrame({"text": texts, "a": NORMAL}), LABELS)
    assert "shares no words between rows: text." in found.notes[0]
    assert found.X.shape == (N, 1)


def test_no_features_at_all():
    frame = pd.DataFrame({"a": np.ones(N), "b": np.arange(N)})
    with pytest.raises(ValueError, match=r"a \(is the same in every row\), b \(numbers"):
        make_features(frame, LABELS)


def test_dates_of_parquet(tmp_path):
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(i)) for i in RNG.permutation(N)]
    pd.DataFrame({"day": days}).to_parquet(tmp_path / "t.parquet")
    assert kind(pd.read_parquet(tmp_path / "t.parquet")["day"]).kind == "date"
