"""What recursive training does to a corpus, forecast from its counts."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from copy import copy
from typing import Any, Literal, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..theory import collapse as theory
from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._regimes import regime
from ..utils._sklearn_compat import Interval, StrOptions, _fit_context
from ..utils._warnings import warn
from . import _forecast as forecast
from ._corpus import REUSES_REAL, checked_scheme, sized_corpus
from ._free import chain_of, lost_share
from ._next_token import NextTokenModel
from ._outlook import CorpusOutlook
from ._tokens import TokenizerMixin

_SAFE_EXCESS = 0.1
"""Share of the variance of the corpus that safe synthetic tokens add at most: lost beside it."""

_NO_ENTROPY = (
    "`expected_entropy_` has no formula under this scheme and is nan after the corpus: take it "
    "from simulate(..., curve='entropy'). The diversity is exact."
)
_DIVERSITY_ONLY = (
    "`collapsed_fraction_`, `expected_support_`, `at_risk_tokens_`, `expected_entropy_` and "
    "`lost_context_share_` have no formula under this scheme and are nan after the corpus: take "
    "the first four from simulate(..., curve=...). The diversity is exact."
)


class CollapseForecaster(CorpusOutlook, TokenizerMixin, DocLinkMixin, BaseEstimator):
    r"""Forecast of a corpus under training on the output of models.

    A next-token model is fitted to the corpus, the next one to tokens drawn from it, and so on. How
    much diversity is left, which tokens are lost and how many synthetic tokens are safe follows
    from the counts, exactly, without a single draw.

    Parameters
    ----------
    scheme : {"full", "partial", "fresh", "accumulate", "random", "window"}, default="full"
        What a generation is trained on: "full", tokens of the last model; "partial", the corpus
        and tokens of the last model; "fresh", as many new real tokens and tokens of the last
        model; "accumulate", the corpus and tokens of all models; "random", tokens, each of an
        earlier model drawn uniformly, the corpus among them; "window", tokens of the last models
        in equal parts.
    n_synthetic : int or array-like of shape (n_contexts,), default=None
        Synthetic tokens that a generation draws in each context. None: as many as the corpus has
        there, rounded up to a multiple of the window.
    n_real : int or array-like of shape (n_contexts,), default=None
        Real tokens in each context, under "partial", "fresh" and "accumulate". None: as many as
        the corpus has there.
    n_generations : int, default=50
        Number of generations to look ahead.
    context_length : int, default=1
        Number of tokens of a context, where `fit` is given sequences.
    window : int, default=None
        Number of models in the window, under "window".
    real_weight : "pooled", "optimal" or float, default="pooled"
        Weight of the real tokens under "partial" and "fresh": every token equally, the best in the
        long run, or a number in [0, 1].
    tokenizer : callable, default=None
        What turns a string into tokens, such as `str.split`; strings are refused if None.
    n_jobs : int, default=None
        Number of jobs of simulations, and of the curves that are computed when first read.
    verbose : int, default=0
        Whether simulations, and curves computed when first read, report their progress.
    random_state : int, RandomState instance or None, default=None
        Seed of simulations.

    Attributes
    ----------
    theoretical_diversity_ : ndarray of shape (n_generations + 1,)
        Expected diversity of each generation, the probability that two tokens after the same
        context differ, contexts weighted by their share of the corpus; entry 0 is the corpus.
    half_life_ : float
        Generations until half the diversity is gone; inf if more always stays, NaN if there was
        none.
    collapsed_fraction_ : ndarray of shape (n_generations + 1,)
        Expected share of the contexts that know a single token.
    expected_support_ : ndarray of shape (n_generations + 1,)
        Expected number of different pairs of a context and a token.
    expected_entropy_ : ndarray of shape (n_generations + 1,)
        Expected entropy in nats, contexts weighted by their share.
    lost_context_share_ : ndarray of shape (n_generations + 1,)
        Expected share of the corpus, in tokens, of which the context no longer comes up where a
        generation is one text generated freely, contexts included, of as many tokens as all
        contexts draw together; 0 if the corpus is trained on again each time.
    at_risk_tokens_ : list of AtRiskToken
        The hundred pairs that are most likely lost by the last generation: `context`, `token`,
        `count`, `probability`. Empty if none can be lost.
    missing_mass_ : float
        Estimated probability that a further real token follows its context for the first time
        (Good and Turing).
    effective_support_ : float
        1 over the estimated probability that two real tokens after the same context agree; inf
        if none did, NaN if no context occurs twice.
    safe_synthetic_size_ : float
        Synthetic tokens per generation, in all contexts together, that add at most a tenth to the
        variance of the corpus for ever if the corpus is trained on again each time.
    regime_ : {"detected", "undetected", "too_few_rows"}
        "too_few_rows" if no context occurs twice, "undetected" if none is followed by two tokens:
        nothing is left to lose; see :term:`regime`.
    corpus_ : NextTokenModel
        The model of the corpus.

    Warns
    -----
    TheoryWarning
        If a curve has no formula under the scheme: `collapsed_fraction_`, `expected_support_`,
        `at_risk_tokens_` and `lost_context_share_` under "fresh", "random" and "window",
        `expected_entropy_` under all but "full". They are NaN after entry 0; `simulate` gives all
        but `lost_context_share_`.

    See Also
    --------
    NextTokenModel : The model, to draw from.
    skrmt.theory.collapse : The formulas.

    Notes
    -----
    NumPy computes everything, from counts; torch tensors of counts are copied.

    Given the corpus, generations are exact martingales: with q the frequencies of context j and
    :math:`v_m` of `skrmt.theory.collapse.variance_factor`, the diversity is
    :math:`\sum_j \pi_j(1-\sum_k q_{jk}^2)(1-v_{m,j})`. Contexts count as drawn equally often
    in every generation. If contexts are generated too, rare ones vanish with all they know, and
    these forecasts are too optimistic: `lost_context_share_` is how much of the corpus that is.

    A token that is generated freely copies one that followed the same context, drawn uniformly. So
    a context is lost like a token of a single context of all n tokens,
    :math:`1-E(1-x_j)^{A_m}` with the ancestors :math:`A_m` of `skrmt.theory.collapse`, where
    :math:`x_j` is how often the chain of the corpus comes to it, less returns within two tokens:
    what stands together is lost together. On texts of 400 to 9000 different words the share is
    within .02 of simulations up to generation 50. It is too small if a text ends in words that lead
    nowhere else: the next one may be trapped there. `NextTokenModel.sample` generates that way, and
    ``simulate(n, curve="lost_contexts")``.

    A fit costs one pass over the counts. `collapsed_fraction_`, `expected_support_`,
    `expected_entropy_`, `lost_context_share_` and `at_risk_tokens_` are properties, computed when
    one is first read: from a matrix of n + 1 rows and columns for every different sample size n up
    to 1000, of some hundred beyond.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.collapse import CollapseForecaster
    >>> forecaster = CollapseForecaster(n_generations=20).fit(np.array([[50, 30, 15, 4, 1]]))
    >>> forecaster.theoretical_diversity_[[0, 1, 20]].round(3)
    array([0.636, 0.629, 0.52 ])
    >>> round(forecaster.half_life_, 1)
    69.0
    >>> forecaster.at_risk_tokens_[0].token, round(forecaster.at_risk_tokens_[0].probability, 2)
    (4, 0.91)
    """

    _parameter_constraints: dict = {
        "scheme": [StrOptions({"full", "partial", "fresh", "accumulate", "random", "window"})],
        "n_synthetic": [numbers.Real, "array-like", None],
        "n_real": [numbers.Real, "array-like", None],
        "n_generations": [Interval(numbers.Integral, 1, None, closed="left")],
        "context_length": [Interval(numbers.Integral, 1, None, closed="left")],
        "window": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "real_weight": [
            StrOptions({"pooled", "optimal"}),
            Interval(numbers.Real, 0, 1, closed="both"),
        ],
        "tokenizer": [callable, None],
        "n_jobs": [numbers.Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        scheme: Literal["full", "partial", "fresh", "accumulate", "random", "window"] = "full",
        *,
        n_synthetic: int | ArrayLike | None = None,
        n_real: int | ArrayLike | None = None,
        n_generations: int = 50,
        context_length: int = 1,
        window: int | None = None,
        real_weight: Literal["pooled", "optimal"] | float = "pooled",
        tokenizer: Callable[..., Any] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.scheme = scheme
        self.n_synthetic = n_synthetic
        self.n_real = n_real
        self.n_generations = n_generations
        self.context_length = context_length
        self.window = window
        self.real_weight = real_weight
        self.tokenizer = tokenizer
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: None = None) -> Self:
        """Forecast the diversity of a corpus.

        Parameters
        ----------
        X : iterable of sequences of tokens or strings, array of counts, or NextTokenModel
            The corpus, its counts of shape (n_contexts, n_tokens), sparse or not, or a fitted
            model, whose counts are used.
        y : None
            Not used.

        Returns
        -------
        CollapseForecaster
            The fitted forecaster.

        Raises
        ------
        TypeError
            If tokens are not hashable, or strings come without a tokenizer.
        ValueError
            If counts are not whole numbers of 0 or more, a context is empty, or parameters do not
            fit the scheme or each other.
        """
        if not isinstance(X, NextTokenModel):
            X = NextTokenModel(self.context_length, tokenizer=self.tokenizer).fit(X)
        check_is_fitted(X)
        return self._forecast(X)

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: None = None) -> Self:
        """Add a further part of a corpus, exactly as if all had been given to `fit` at once.

        Parameters
        ----------
        X : iterable of sequences of tokens or strings, array of counts, or NextTokenModel
            The part, as for `fit`.
        y : None
            Not used.

        Returns
        -------
        CollapseForecaster
            The fitted forecaster.

        Raises
        ------
        TypeError, ValueError
            As `fit`, or if `context_length` is not that of the calls before.

        Examples
        --------
        >>> from skrmt.collapse import CollapseForecaster
        >>> forecaster = CollapseForecaster(tokenizer=str.split)
        >>> forecaster = forecaster.partial_fit(["a b a b"]).partial_fit(["a c a b"])
        >>> forecaster.half_life_ == forecaster.fit(["a b a b", "a c a b"]).half_life_
        True
        """
        model = copy(self.corpus_) if hasattr(self, "corpus_") else NextTokenModel()
        model.set_params(context_length=self.context_length, tokenizer=self.tokenizer)
        return self._forecast(model.partial_fit(X))

    def _forecast(self, model):
        """Set the attributes of a corpus of which the model is known."""
        scheme = checked_scheme(self)
        corpus = sized_corpus(model.counts_, scheme, self.n_synthetic, self.n_real)
        groups = forecast.diversity_groups(corpus, scheme)
        agreement, n_tokens = forecast.agreement(corpus), int(corpus.totals.sum())
        self.corpus_ = model
        self._corpus, self._scheme, self._groups = corpus, scheme, groups
        self._curves, self._lost_share = None, None
        times = np.arange(self.n_generations + 1)
        self.theoretical_diversity_ = forecast.expected_diversity(groups, scheme, times)
        self.half_life_ = forecast.half_life(groups, scheme)
        self.missing_mass_ = np.count_nonzero(corpus.counts == 1) / n_tokens
        self.effective_support_ = 1 / agreement if agreement else np.inf
        self.safe_synthetic_size_ = theory.safe_synthetic_size(n_tokens, _SAFE_EXCESS)
        self.regime_ = regime(
            too_few_rows=bool(corpus.totals.max() < 2), undetected=not groups.mass.any()
        )
        if scheme.name != "full":
            warn(_NO_ENTROPY if scheme.name in REUSES_REAL else _DIVERSITY_ONLY)
        return self

    @property
    def collapsed_fraction_(self) -> NDArray[Any]:
        """Expected share of the contexts that know a single token, by generation."""
        return self._expected().collapsed

    @property
    def expected_support_(self) -> NDArray[Any]:
        """Expected number of different pairs of a context and a token, by generation."""
        return self._expected().support

    @property
    def expected_entropy_(self) -> NDArray[Any]:
        """Expected entropy in nats, contexts weighted by their share, by generation."""
        return self._expected().entropy

    @property
    def lost_context_share_(self) -> NDArray[Any]:
        """Expected share of the corpus of which the context is lost in text generated freely."""
        check_is_fitted(self)
        if self._lost_share is None:
            times = np.arange(len(self.theoretical_diversity_))
            if self._scheme.name == "full":
                self._lost_share = lost_share(self._corpus, chain_of(self.corpus_), times)
            else:
                later = 0.0 if self._scheme.name in REUSES_REAL else np.nan
                self._lost_share = np.where(times == 0, 0.0, later)
        return self._lost_share

    @property
    def at_risk_tokens_(self) -> list[Any]:
        """The hundred pairs that are most likely lost by the last generation."""
        model = self.corpus_
        lost = self._expected().lost
        return forecast.at_risk(lost, model.counts_, model.contexts_, model.tokens_)

    def _expected(self):
        """Return the curves that take longer than the diversity, once computed."""
        check_is_fitted(self)
        if self._curves is None:
            horizon = len(self.theoretical_diversity_) - 1
            self._curves = forecast.expected_curves(
                self._corpus, self._scheme, horizon, self.n_jobs, 10 * int(self.verbose)
            )
        return self._curves

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags
