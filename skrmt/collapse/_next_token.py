"""The next token by how often it followed its context: a softmax on one-hot contexts."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..utils._dask import to_local
from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._random import fresh_random_state
from ..utils._sklearn_compat import Interval, _fit_context
from ._tokens import (
    TokenCounts,
    TokenizerMixin,
    checked_counts,
    count_tokens,
    counts_of_frame,
    merged,
    tokenized,
)

_BLOCK = 1024
"""Contexts whose probabilities are in memory at once."""


def _as_tuple(context):
    """Return a context as a tuple; what is neither a sequence nor a row of an array is a token."""
    if isinstance(context, np.ndarray) and context.ndim == 1:
        return tuple(context.tolist())
    return tuple(context) if isinstance(context, tuple | list) else (context,)


class NextTokenModel(TokenizerMixin, DocLinkMixin, BaseEstimator):
    r"""Next-token model: frequencies of the tokens that followed each context.

    It is what a softmax classifier on one-hot contexts learns by cross-entropy, exactly: the model
    for which the collapse under recursive training is solved.

    Parameters
    ----------
    context_length : int, default=1
        Number of tokens of a context.
    smoothing : float, default=0.0
        Pseudocounts of a context, shared among the tokens in proportion to the unigram
        frequencies. To `score`, a token that was never seen is one that occurred so often.
    tokenizer : callable, default=None
        What turns a string into a sequence of tokens, such as `str.split`; strings are refused if
        None.

    Attributes
    ----------
    counts_ : csr_array of int64 of shape (n_contexts, n_tokens)
        How often each token followed each context.
    contexts_ : list of tuple
        Context of each row, in order of first appearance; (i,) for a matrix of counts.
    tokens_ : list
        Token of each column; numbers for a matrix of counts.
    unigram_ : ndarray of shape (n_tokens,)
        Frequencies of the tokens that followed any context.
    n_tokens_seen_ : int
        Number of tokens counted.

    Notes
    -----
    NumPy computes everything, from counts; torch tensors of counts are copied.

    A context that was not seen gets the unigram frequencies. Counting takes one pass and a sort.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> from skrmt.collapse import NextTokenModel
    >>> model = NextTokenModel(tokenizer=str.split).fit(["a b a b a c"])
    >>> model.predict([("a",), ("b",)])
    ['b', 'a']
    >>> model.predict_proba([("a",)]).round(3)
    array([[0.   , 0.667, 0.333]])
    """

    _parameter_constraints: dict = {
        "context_length": [Interval(numbers.Integral, 1, None, closed="left")],
        "smoothing": [Interval(numbers.Real, 0, None, closed="left")],
        "tokenizer": [callable, None],
    }

    def __init__(
        self,
        context_length: int = 1,
        *,
        smoothing: float = 0.0,
        tokenizer: Callable[..., Any] | None = None,
    ) -> None:
        self.context_length = context_length
        self.smoothing = smoothing
        self.tokenizer = tokenizer

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: None = None) -> Self:
        """Count what follows each context.

        Parameters
        ----------
        X : iterable of sequences of tokens, of strings, or array of shape (n_contexts, n_tokens)
            The corpus, or the counts themselves, sparse or not, or those of a fitted
            NextTokenModel.
        y : None
            Not used.

        Returns
        -------
        NextTokenModel
            The fitted model.

        Raises
        ------
        TypeError
            If tokens are not hashable, or strings come without a tokenizer.
        ValueError
            If there is nothing to count, or counts are not whole numbers of 0 or more.
        """
        return self._set(self._counted(X))

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: None = None) -> Self:
        """Add a further part of a corpus, exactly as if all had been counted at once.

        Parameters
        ----------
        X : iterable of sequences of tokens, of strings, or array of shape (n_contexts, n_tokens)
            Further sequences or counts, or a fitted NextTokenModel, whose counts are added. After
            the first call all sequences may be shorter than a context, and contexts that were
            counted before may have no count.
        y : None
            Not used.

        Returns
        -------
        NextTokenModel
            The fitted model.

        Raises
        ------
        TypeError
            As `fit`.
        ValueError
            As `fit`, or if `context_length` is not that of the calls before.
        """
        if not hasattr(self, "counts_"):
            return self._set(self._counted(X))
        known = TokenCounts(self.counts_, self.contexts_, self.tokens_)
        return self._set(merged(known, self._counted(X, allow_none=True)))

    def predict(self, X: Sequence[Any]) -> list[Any]:
        """Return the most likely next tokens.

        Parameters
        ----------
        X : sequence of tuple or list
            Contexts, or an array of them; a token for a tuple of one.

        Returns
        -------
        list
            One token per context; the first seen of those that are equally likely.
        """
        check_is_fitted(self)
        best = [block.argmax(axis=1) for block in self._blocks(self._rows(X))]
        return [self.tokens_[i] for i in (np.concatenate(best) if best else [])]

    def predict_proba(self, X: Sequence[Any]) -> NDArray[Any]:
        """Return the probabilities of the next tokens.

        Parameters
        ----------
        X : sequence of tuple or list
            Contexts, or an array of them; a token for a tuple of one.

        Returns
        -------
        ndarray of shape (n, n_tokens)
            Probabilities, in the order of `tokens_`.
        """
        check_is_fitted(self)
        blocks = list(self._blocks(self._rows(X)))
        return np.concatenate(blocks) if blocks else np.zeros((0, len(self.tokens_)))

    def score(self, X: Any, y: None = None) -> float:
        """Return the mean log-likelihood of the tokens of sequences, in nats.

        Parameters
        ----------
        X : iterable of sequences of tokens or strings, or array of counts
            The corpus; counts must have the contexts and tokens of `fit`.
        y : None
            Not used.

        Returns
        -------
        float
            Minus infinity if a token has probability 0 where it occurs, which smoothing prevents.

        Notes
        -----
        With smoothing s, the tokens of X that were never seen join the unigram frequencies, each
        as if it had occurred s times: of m of them each has :math:`s/(N+sm)`, where N tokens were
        counted, and the others share the rest as before.

        Examples
        --------
        >>> from skrmt.collapse import NextTokenModel
        >>> model = NextTokenModel(smoothing=0.5, tokenizer=str.split).fit(["a b a b a c"])
        >>> round(model.score(["a b a"]), 3), round(model.score(["a b d"]), 3)
        (-0.296, -2.24)
        """
        check_is_fitted(self)
        seen = self._counted(X)
        column = {token: i for i, token in enumerate(self.tokens_)}
        entries = seen.counts.tocoo()
        columns = np.array([column.get(token, -1) for token in seen.tokens])[entries.col]
        n_new = len(np.unique(entries.col[columns < 0]))
        rows = self._rows(seen.contexts)[entries.row]
        found = self._likelihoods(rows, columns, n_new)
        with np.errstate(divide="ignore"):
            return float(entries.data @ np.log(found)) / float(entries.data.sum())

    def _likelihoods(self, rows, columns, n_new):
        """Return the probability of tokens after contexts, both -1 where they were not seen."""
        total = self.n_tokens_seen_ + self.smoothing * n_new
        often = np.where(columns >= 0, self.unigram_[columns] * self.n_tokens_seen_, self.smoothing)
        pairs = self.counts_.tocoo()
        keys = pairs.row.astype(np.int64) * len(self.tokens_) + pairs.col
        order = np.argsort(keys)
        wanted = np.where(columns >= 0, rows.astype(np.int64) * len(self.tokens_) + columns, -1)
        place = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
        counts = np.where(keys[order[place]] == wanted, pairs.data[order[place]], 0)
        seen = rows >= 0
        sizes = np.where(seen, np.asarray(self.counts_.sum(axis=1)).ravel()[rows], 0)
        # A context that was not seen has the unigram frequencies, smoothed or not.
        weight = np.where(seen, self.smoothing, 1.0)
        return (counts + weight * often / total) / (sizes + weight)

    def sample(
        self, n_samples: int = 1, random_state: int | RandomState | None = None
    ) -> list[Any]:
        """Generate tokens, each from the distribution after those before it.

        Parameters
        ----------
        n_samples : int, default=1
            Number of tokens.
        random_state : int, RandomState instance or None, default=None
            Seed.

        Returns
        -------
        list
            The tokens; the first context is drawn by its frequency, and so is a new one after a
            context that was never seen.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, numbers.Integral) or n_samples < 1:
            raise ValueError(f"n_samples must be a positive integer, got {n_samples!r}.")
        rng = fresh_random_state(random_state)
        totals = np.asarray(self.counts_.sum(axis=1)).ravel().cumsum()
        row_of = {context: i for i, context in enumerate(self.contexts_)}
        uniform = rng.random_sample((n_samples, 2))
        length = len(self.contexts_[0])
        context: tuple = ()
        generated = []
        cumulative = np.cumsum(self.unigram_)
        for first, second in uniform:
            row = row_of.get(context)
            if row is None:
                row = int(np.searchsorted(totals, first * totals[-1], side="right"))
                context = self.contexts_[row]
            code = self._draw(row, second, cumulative)
            token = self.tokens_[code]
            generated.append(token)
            context = (*context, token)[-length:]
        return generated

    def _draw(self, row, uniform, cumulative):
        """Return the column that a uniform number picks from a row."""
        part = slice(self.counts_.indptr[row], self.counts_.indptr[row + 1])
        counts, columns = self.counts_.data[part], self.counts_.indices[part]
        total = counts.sum()
        target = uniform * (total + self.smoothing)
        if target >= total:
            share = (target - total) / self.smoothing
            return min(int(np.searchsorted(cumulative, share, side="right")), len(cumulative) - 1)
        return int(columns[np.searchsorted(np.cumsum(counts), target, side="right")])

    def _counted(self, X, allow_none=False):
        """Return the counts of a corpus or of a matrix, or of a fitted model."""
        if isinstance(X, NextTokenModel):
            check_is_fitted(X)
            return TokenCounts(X.counts_, X.contexts_, X.tokens_)
        X = counts_of_frame(to_local(X))
        if sparse.issparse(X) or (isinstance(X, np.ndarray) and X.dtype.kind in "biufc"):
            counts = checked_counts(X, allow_none=allow_none)
            rows, columns = counts.shape
            return TokenCounts(counts, [(i,) for i in range(rows)], list(range(columns)))
        sequences = tokenized(X, self.tokenizer)
        return count_tokens(sequences, self.context_length, allow_none=allow_none)

    def _set(self, counted):
        """Store counts."""
        self.counts_, self.contexts_, self.tokens_ = counted
        totals = np.asarray(self.counts_.sum(axis=0)).ravel()
        self.n_tokens_seen_ = int(totals.sum())
        self.unigram_ = totals / totals.sum()
        return self

    def _rows(self, X):
        """Return the row of each context, -1 for those that were not seen."""
        row_of = {context: i for i, context in enumerate(self.contexts_)}
        length = len(self.contexts_[0])
        rows = []
        for context in X:
            context = _as_tuple(context)
            if len(context) != length:
                raise ValueError(
                    f"the context {context!r} has {len(context)} token(s), in fit they had "
                    f"{length}. Pass tuples or lists of that length."
                )
            rows.append(row_of.get(context, -1))
        return np.array(rows, dtype=np.int64)

    def _blocks(self, rows):
        """Yield probabilities of some contexts at a time."""
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            block = np.zeros((len(part), len(self.tokens_)))
            seen = part >= 0
            if seen.any():
                block[seen] = self.counts_[part[seen]].toarray()
            block += np.where(seen, self.smoothing, 1.0)[:, None] * self.unigram_
            yield block / block.sum(axis=1, keepdims=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags
