"""From sequences of tokens to counts of what follows each context."""

from __future__ import annotations

from numbers import Real
from types import MethodDescriptorType
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ..utils._checks import is_torch, refuse_masked, tensor_on_host
from ..utils._dask import to_local
from ..utils._labels import is_missing


class TokenCounts(NamedTuple):
    """How often each token follows each context.

    Attributes
    ----------
    counts : csr_array of int64 of shape (n_contexts, n_tokens)
        The counts.
    contexts : list of tuple
        Context of each row.
    tokens : list
        Token of each column.
    """

    counts: sparse.csr_array
    contexts: list
    tokens: list


class StrMethod(NamedTuple):
    """A method of `str` by its name, in pickles: not every format knows such functions.

    Attributes
    ----------
    name : str
        Its name, such as "split".
    """

    name: str


class TokenizerMixin:
    """Save a tokenizer that is a method of `str`, such as `str.split`, by its name."""

    def __getstate__(self) -> dict[str, Any]:
        parent: Any = super()
        state = dict(parent.__getstate__())
        tokenizer = state.get("tokenizer")
        if isinstance(tokenizer, MethodDescriptorType) and tokenizer.__objclass__ is str:
            state["tokenizer"] = StrMethod(tokenizer.__name__)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        tokenizer = state.get("tokenizer")
        if isinstance(tokenizer, StrMethod):
            method = vars(str).get(tokenizer.name)
            if not isinstance(method, MethodDescriptorType):
                raise ValueError(f"tokenizer is {tokenizer.name!r}, which is no method of str.")
            state = {**state, "tokenizer": method}
        parent: Any = super()
        parent.__setstate__(state)


def tokenized(X, tokenizer):
    """Return sequences of tokens, checked."""
    if isinstance(X, str):
        raise TypeError("X is one string: pass a list of strings, each a document.")
    try:
        documents = list(X)
    except TypeError as error:
        raise TypeError(f"X must hold sequences of tokens, got {type(X).__name__}.") from error
    sequences = []
    for i, document in enumerate(documents):
        if isinstance(document, str):
            if tokenizer is None:
                raise TypeError(
                    f"X[{i}] is a string and tokenizer is None: pass tokenizer=str.split, or lists "
                    "of tokens."
                )
            document = tokenizer(document)
        try:
            sequence = list(document)
        except TypeError as error:
            raise TypeError(
                f"X[{i}] is {type(document).__name__}: pass a sequence of tokens."
            ) from error
        if not sequence:
            raise ValueError(f"X[{i}] has no token: leave empty sequences out.")
        sequences.append(sequence)
    if not sequences:
        raise ValueError("X holds no sequence: pass at least one.")
    return sequences


def count_tokens(sequences, context_length, *, allow_none=False):
    """Count what follows each context."""
    index: dict = {}
    try:
        codes = [
            np.array([index.setdefault(token, len(index)) for token in sequence])
            for sequence in sequences
        ]
    except TypeError as error:
        raise TypeError(
            f"a token of X is not hashable ({error}): pass strings or tuples."
        ) from error
    for token in index:
        if token is not None and is_missing(token):
            raise ValueError(
                f"X holds the token {token!r}, a missing value, which equals no other: leave it "
                "out, or name it."
            )
    kept = [code for code in codes if len(code) > context_length]
    if not kept and allow_none:
        return TokenCounts(sparse.csr_array((0, len(index)), dtype=np.int64), [], list(index))
    if not kept:
        raise ValueError(
            f"no sequence of X is longer than context_length={context_length}: pass longer ones, "
            "or a shorter context."
        )
    windows = np.concatenate(
        [np.lib.stride_tricks.sliding_window_view(code, context_length + 1) for code in kept]
    )
    first, rows = _first_seen(windows[:, :-1], len(index))
    tokens = list(index)
    contexts = [tuple(tokens[code] for code in windows[i, :-1]) for i in first]
    ones = np.ones(len(rows), dtype=np.int64)
    shape = (len(contexts), len(tokens))
    counts = sparse.coo_array((ones, (rows, windows[:, -1])), shape=shape).tocsr()
    return TokenCounts(counts, contexts, tokens)


def _first_seen(contexts, n_tokens):
    """Number contexts in order of first appearance; return where each is first, and the numbers."""
    code = np.zeros(len(contexts), dtype=np.int64)
    for column in contexts.T:
        _, code = np.unique(code * n_tokens + column, return_inverse=True)
    _, first, code = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[code]


def counts_of_frame(X):
    """Return the counts of a frame, tensor or matrix of objects, which would be read as texts."""
    if is_torch(X):
        return tensor_on_host(X)
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 2:
        return X.astype(np.float64) if all(isinstance(entry, Real) for entry in X.flat) else X
    if not hasattr(X, "columns"):
        return X
    try:
        return np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"X is a {type(X).__name__} that holds no counts ({error}): pass its column of texts."
        ) from error


def checked_counts(X, *, allow_none=False):
    """Check a matrix of counts."""
    refuse_masked(X, "X")
    X = to_local(X)
    table = X if sparse.issparse(X) else np.atleast_2d(np.asarray(X))
    if table.ndim != 2:
        raise ValueError(
            f"X has shape {table.shape}: give counts of shape (n_contexts, n_tokens), or texts."
        )
    if table.dtype.kind == "f":
        # Sparse arrays know neither half precision nor foreign byte orders.
        table = table.astype(np.float64)
    elif table.dtype.kind in "iu":
        table = table.astype(table.dtype.newbyteorder("="))
    matrix = sparse.csr_array(table)
    values = matrix.data
    if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        raise ValueError(
            "X has counts that are no finite numbers: give whole numbers of 0 or more, or texts."
        )
    if (values < 0).any() or (values != np.floor(values)).any():
        bad = values[(values < 0) | (values != np.floor(values))][0]
        raise ValueError(f"X has a count of {bad}: counts must be whole numbers of 0 or more.")
    if values.max(initial=0) >= 2**53:
        raise ValueError(f"X has a count of {values.max():.3g}: counts must be below 2**53.")
    matrix = matrix.astype(np.int64)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    if not (allow_none and matrix.shape[0]):
        check_contexts(matrix)
    return matrix


def check_contexts(counts):
    """Raise if a context has no count."""
    totals = np.asarray(counts.sum(axis=1)).ravel()
    if not len(totals) or (totals == 0).any():
        raise ValueError(
            f"context {int(np.argmin(totals)) if len(totals) else 0} has no count: leave contexts "
            "out that were never seen."
        )


def merged(old, new):
    """Add counts to others, whose contexts and tokens come first."""
    for context in new.contexts[:1]:
        if len(context) != len(old.contexts[0]):
            raise ValueError(
                f"contexts of X have {len(context)} token(s), those counted before have "
                f"{len(old.contexts[0])}: keep context_length, or fit anew."
            )
    tokens = list(dict.fromkeys([*old.tokens, *new.tokens]))
    contexts = list(dict.fromkeys([*old.contexts, *new.contexts]))
    shape = len(contexts), len(tokens)
    column = {token: i for i, token in enumerate(tokens)}
    row = {context: i for i, context in enumerate(contexts)}
    total = sparse.csr_array(shape, dtype=np.int64)
    for part in (old, new):
        entries = part.counts.tocoo()
        rows = np.array([row[context] for context in part.contexts], dtype=int)[entries.row]
        columns = np.array([column[token] for token in part.tokens], dtype=int)[entries.col]
        total = total + sparse.coo_array((entries.data, (rows, columns)), shape=shape).tocsr()
    total = sparse.csr_array(total)
    check_contexts(total)
    return TokenCounts(total, contexts, tokens)
