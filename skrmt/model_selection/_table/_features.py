"""The features that a classifier gets for the columns of a table."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ...utils._wording import count, listed
from ._columns import Column, understand

MOST_CATEGORIES, MOST_TERMS = 50, 2000
DENSE, FEW_COLUMNS = 0.3, 200
NUMERIC = ("number", "true/false", "date")


class Features(NamedTuple):
    """Features, and how they came about.

    Attributes
    ----------
    X : ndarray or sparse matrix of shape (n, p)
        The features.
    columns : list of Column
        Every column of the table but the target, with its kind.
    used : list of str
        What was made of the columns used, in plain words.
    notes : list of str
        What was left out or filled in, in plain words.
    """

    X: Any
    columns: list
    used: list
    notes: list


def make_features(frame, labels):
    """Turn the columns of a table into features."""
    columns = [understand(frame[name], labels) for name in frame]
    texts = {column.name: _term_weights(column) for column in columns if column.kind == "text"}
    columns = [
        Column(column.name, "left out", None, "shares no words between rows")
        if column.kind == "text" and texts[column.name] is None
        else column
        for column in columns
    ]
    numeric = [column for column in columns if column.kind in NUMERIC]
    categories = [column for column in columns if column.kind == "category"]
    blocks = [_numbers(numeric), _categories(categories)]
    blocks = [block for block in blocks if block is not None]
    terms = [block for block in texts.values() if block is not None]
    others = sum(block.shape[1] for block in blocks)
    # A text has length 1 in all its terms, a number variance 1: without a factor, numbers win.
    blocks += [np.sqrt(max(others, 1)) * block for block in terms]
    if not blocks:
        reasons = listed([f"{column.name} ({column.remark})" for column in columns])
        raise ValueError(f"no column can be used as a feature: {reasons or 'there is none'}.")
    X = _joined(blocks)
    used = _used(columns, blocks, terms)
    return Features(X, columns, used, _notes(columns))


def _numbers(columns):
    """Return numbers filled in, with marks where they were missing, and standardised."""
    if not columns:
        return None
    values = np.column_stack([column.values.to_numpy(dtype=float) for column in columns])
    imputer = SimpleImputer(strategy="median", add_indicator=True)
    return make_pipeline(imputer, StandardScaler()).fit_transform(values)


def _categories(columns):
    """Return one column for each category; the rarest share one."""
    if not columns:
        return None
    values = np.column_stack([column.values.to_numpy(dtype=object) for column in columns])
    encoder = OneHotEncoder(max_categories=MOST_CATEGORIES, drop="if_binary")
    return encoder.fit_transform(values)


def _term_weights(column):
    """Return the tf-idf weights of a text, or None where no word occurs twice."""
    vectorizer = TfidfVectorizer(min_df=2, max_features=MOST_TERMS, sublinear_tf=True)
    try:
        return vectorizer.fit_transform(column.values)
    except ValueError:
        return None


def _joined(blocks):
    """Put blocks side by side, sparse only where most entries are 0."""
    if not any(sparse.issparse(block) for block in blocks):
        return np.hstack(blocks)
    joined = sparse.hstack([sparse.csr_matrix(block) for block in blocks], format="csr")
    filled = joined.nnz / (joined.shape[0] * joined.shape[1])
    return joined.toarray() if filled > DENSE or joined.shape[1] <= FEW_COLUMNS else joined


def _used(columns, blocks, terms):
    """Describe what was made of the columns."""
    kinds = [column.kind for column in columns]
    parts = []
    if kinds.count("number"):
        parts.append(f"{count(kinds.count('number'), 'numeric column')}, standardised")
    if kinds.count("true/false"):
        parts.append(f"{count(kinds.count('true/false'), 'true/false column')}, as 0 and 1")
    if kinds.count("date"):
        parts.append(f"{count(kinds.count('date'), 'date column')}, as days")
    if kinds.count("category"):
        encoded = blocks[int(any(kind in NUMERIC for kind in kinds))].shape[1]
        named = count(kinds.count("category"), "column of categories", "columns of categories")
        parts.append(f"{named}, one-hot encoded ({count(encoded, 'feature')})")
    if terms:
        words = count(sum(block.shape[1] for block in terms), "word")
        parts.append(f"{count(len(terms), 'text column')}, as tf-idf weights of {words}")
    return parts


def _notes(columns):
    """Describe what was left out and filled in."""
    unused = [column for column in columns if column.kind == "left out"]
    notes = []
    for reason in dict.fromkeys(column.remark for column in unused):
        names = [column.name for column in unused if column.remark == reason]
        notes.append(f"left out, since it {reason}: {listed(names)}.")
    notes += [f"{c.name}: {c.remark}." for c in columns if c.remark and c.kind != "left out"]
    numeric = [c for c in columns if c.kind in NUMERIC and c.values.isna().any()]
    if numeric:
        counts = [f"{c.name} ({c.values.isna().sum()})" for c in numeric]
        notes.append(
            f"missing values in {listed(counts)}: filled in with the median, and marked by a "
            "feature of their own."
        )
    treatments = {"category": "a category of their own", "text": "texts without words"}
    for kind, treatment in treatments.items():
        empty = [c for c in columns if c.kind == kind and (c.values == "").any()]
        if empty:
            counts = [f"{c.name} ({(c.values == '').sum()})" for c in empty]
            notes.append(f"missing values in {listed(counts)}: {treatment}.")
    return notes
