"""What recursive training does to a corpus, forecast from its counts."""

from __future__ import annotations

import numbers
import warnings
from copy import copy
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..exceptions import TheoryWarning
from ..theory import collapse as theory
from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._sklearn_compat import Interval, StrOptions, _fit_context
from . import _forecast as forecast
from ._corpus import checked_scheme, sized_corpus
from ._next_token import NextTokenModel, _fresh
from ._simulation import CURVES, block_size, simulate_block
from ._tokens import checked_counts

_TOLERANCE = 0.1


class SimulatedCollapse(NamedTuple):
    """A curve, averaged over simulated chains.

    Attributes
    ----------
    generations : ndarray of shape (n_generations + 1,)
        Numbers of the generations; 0 is the corpus.
    mean : ndarray of shape (n_generations + 1,)
        Mean over the chains.
    standard_error : ndarray of shape (n_generations + 1,)
        Its standard error.
    """

    generations: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray


class CollapseForecaster(DocLinkMixin, BaseEstimator):
    r"""Forecast of what training on the output of models does to a corpus.

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
        Weight of the real tokens under "partial" and "fresh": each token alike, the best in the
        long run, or a number in [0, 1].
    tokenizer : callable, default=None
        What turns a string into tokens, such as `str.split`; strings are refused if None.
    n_jobs : int, default=None
        Number of jobs of simulations, and of the curves that are computed when first read.
    verbose : int, default=0
        Whether simulations report their progress.
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
    corpus_ : NextTokenModel
        The model of the corpus.

    Warns
    -----
    TheoryWarning
        If a curve has no formula under the scheme: `collapsed_fraction_`, `expected_support_` and
        `at_risk_tokens_` under "fresh", "random" and "window", `expected_entropy_` under all but
        "full". They are NaN after entry 0; `simulate` gives them.

    See Also
    --------
    NextTokenModel : The model, to draw from.
    skrmt.theory.collapse : The formulas.

    Notes
    -----
    Given the corpus, generations are exact martingales: with q the frequencies of context j and
    :math:`v_m` of `skrmt.theory.collapse.variance_factor`, the diversity is
    :math:`\sum_j \pi_j(1-\sum_k q_{jk}^2)(1-v_{m,j})`. Contexts count as drawn equally often
    in every generation. If contexts are generated too, rare ones may vanish with all they know,
    and the forecast is too hopeful.

    A fit costs one pass over the counts. `collapsed_fraction_`, `expected_support_`,
    `expected_entropy_` and `at_risk_tokens_` are computed when one is first read, from a matrix of
    n + 1 rows and columns for every different sample size n up to 1000, and of some hundred beyond.

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

    _parameter_constraints = {
        "scheme": [
            StrOptions({"full", "partial", "fresh", "accumulate", "random", "window"}),
        ],
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
        scheme="full",
        *,
        n_synthetic=None,
        n_real=None,
        n_generations=50,
        context_length=1,
        window=None,
        real_weight="pooled",
        tokenizer=None,
        n_jobs=None,
        verbose=0,
        random_state=None,
    ):
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
    def fit(self, X, y=None):
        """Forecast what becomes of a corpus.

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
        return self._forecast(self._modelled(X))

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
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
        TypeError
            As `fit`.
        ValueError
            As `fit`, or if `context_length` is not that of the calls before.

        Examples
        --------
        >>> from skrmt.collapse import CollapseForecaster
        >>> forecaster = CollapseForecaster(tokenizer=str.split)
        >>> forecaster = forecaster.partial_fit(["a b a b"]).partial_fit(["a c a b"])
        >>> forecaster.half_life_ == forecaster.fit(["a b a b", "a c a b"]).half_life_
        True
        """
        if not hasattr(self, "corpus_"):
            return self._forecast(self._modelled(X))
        model = copy(self.corpus_)
        model.set_params(context_length=self.context_length, tokenizer=self.tokenizer)
        return self._forecast(model.partial_fit(X))

    def _forecast(self, model):
        """Set the attributes of a corpus of which the model is known."""
        scheme = checked_scheme(self)
        corpus = sized_corpus(model.counts_, scheme, self.n_synthetic, self.n_real)
        groups = forecast.mixture(corpus, scheme)
        times = np.arange(self.n_generations + 1)
        diversity = forecast.expected_diversity(groups, scheme, times)
        self.corpus_ = model
        self._corpus, self._scheme, self._groups = corpus, scheme, groups
        self._curves = None
        self.theoretical_diversity_ = diversity
        self.half_life_ = forecast.half_life(groups, scheme)
        self._set_present(corpus)
        self._warn(scheme)
        return self

    @property
    def collapsed_fraction_(self):
        """Expected share of the contexts that know a single token, by generation."""
        return self._expected().collapsed

    @property
    def expected_support_(self):
        """Expected number of different pairs of a context and a token, by generation."""
        return self._expected().support

    @property
    def expected_entropy_(self):
        """Expected entropy in nats, contexts weighted by their share, by generation."""
        return self._expected().entropy

    @property
    def at_risk_tokens_(self):
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
                self._corpus, self._scheme, horizon, self.n_jobs
            )
        return self._curves

    def _modelled(self, X):
        """Return the next-token model of what `fit` was given."""
        if not isinstance(X, NextTokenModel):
            return NextTokenModel(self.context_length, tokenizer=self.tokenizer).fit(X)
        check_is_fitted(X)
        return X

    def _set_present(self, corpus):
        """Set what the corpus alone says of the truth."""
        counts, totals = corpus.counts.astype(float), corpus.totals.astype(float)
        self.missing_mass_ = float(np.count_nonzero(counts == 1) / totals.sum())
        twice = totals > 1
        agreeing = np.add.reduceat(counts * (counts - 1), corpus.starts[:-1])[twice]
        weight, each = totals[twice], agreeing / (totals[twice] * (totals[twice] - 1))
        agree = float(weight @ each / weight.sum()) if twice.any() else np.nan
        self.effective_support_ = 1 / agree if agree else np.inf
        self.safe_synthetic_size_ = theory.safe_synthetic_size(int(totals.sum()), _TOLERANCE)

    def _warn(self, scheme):
        """Warn once of curves without a formula."""
        if scheme.name == "full":
            return
        missing = ["expected_entropy_"]
        if scheme.name not in ("partial", "accumulate"):
            missing = ["collapsed_fraction_", "expected_support_", "at_risk_tokens_", *missing]
        warnings.warn(
            f"there is no formula for {', '.join(missing)} under scheme={scheme.name!r}. The "
            "diversity is exact; take the other curves from simulate(..., curve=...).",
            TheoryWarning,
            stacklevel=6,
        )

    def predict(self, X):
        """Return the expected diversity of some generations.

        Parameters
        ----------
        X : int or array-like of shape (...)
            Numbers of generations after the corpus, 0 for itself, also past `n_generations`;
            `numpy.inf` is the limit.

        Returns
        -------
        ndarray of shape (...)
            Diversity.

        Raises
        ------
        ValueError
            If a number is negative or fractional.
        """
        check_is_fitted(self)
        return forecast.expected_diversity(self._groups, self._scheme, X)

    def simulate(self, n_chains, random_state=None, *, curve="diversity"):
        """Draw chains of models, to check the forecast or to get what has no formula.

        Parameters
        ----------
        n_chains : int
            Number of chains, 2 or more.
        random_state : int, RandomState instance or None, default=None
            Seed; that of the forecaster if None. The result does not depend on `n_jobs`.
        curve : {"diversity", "collapsed_fraction", "support", "entropy"}, default="diversity"
            What to measure: the same as `theoretical_diversity_`, `collapsed_fraction_`,
            `expected_support_` or `expected_entropy_`.

        Returns
        -------
        SimulatedCollapse
            `generations`, `mean` and `standard_error` of the curve.

        Raises
        ------
        ValueError
            If there are fewer than 2 chains, or the curve is unknown.

        Notes
        -----
        A generation costs about 15 ns a token and chain, or 45 ns a pair where that is less or the
        scheme is not "full"; contexts that have collapsed cost nothing. Memory does not grow with
        the chains.
        """
        check_is_fitted(self)
        if not isinstance(n_chains, numbers.Integral) or n_chains < 2:
            raise ValueError(f"n_chains must be a whole number of 2 or more, got {n_chains!r}.")
        if curve not in CURVES:
            raise ValueError(f"curve must be one of {', '.join(CURVES)}, got {curve!r}.")
        seed = self.random_state if random_state is None else random_state
        root = check_random_state(_fresh(seed)).randint(0, 2**32, size=4, dtype=np.uint32)
        size = min(block_size(self._corpus, self._scheme), n_chains)
        blocks = [min(size, n_chains - first) for first in range(0, n_chains, size)]
        seeds = np.random.SeedSequence(root.tolist()).spawn(len(blocks))
        horizon = len(self.theoretical_diversity_) - 1
        found = Parallel(n_jobs=self.n_jobs, verbose=10 * int(self.verbose))(
            delayed(simulate_block)(self._corpus, self._scheme, horizon, chains, child, curve)
            for chains, child in zip(blocks, seeds, strict=True)
        )
        values = np.concatenate(found)
        error = values.std(axis=0, ddof=1) / np.sqrt(n_chains)
        return SimulatedCollapse(np.arange(horizon + 1), values.mean(axis=0), error)

    def score(self, X, y=None):
        r"""Return how well the forecast explains observed diversities.

        Parameters
        ----------
        X : sequence of array of counts or NextTokenModel, or dict of int to them
            Generations 0, 1, ... (0 is the corpus), or some of them by number; counts are of
            the shape of those of the corpus. Contexts keep their share of the corpus.
        y : None
            Not used.

        Returns
        -------
        float
            :math:`R^2` of the observed diversity against the forecast.

        Raises
        ------
        ValueError
            If there are fewer than 2 generations, or a context is missing.
        """
        check_is_fitted(self)
        numbered = dict(X) if isinstance(X, dict) else dict(enumerate(X))
        if len(numbered) < 2:
            raise ValueError(f"X must hold 2 generations or more, got {len(numbered)}.")
        observed = [self._observed(counts) for counts in numbered.values()]
        return float(r2_score(observed, self.predict(list(numbered))))

    def _observed(self, counts):
        """Return the diversity of one observed generation."""
        if isinstance(counts, NextTokenModel):
            check_is_fitted(counts)
            row_of = {context: i for i, context in enumerate(counts.contexts_)}
            missing = [c for c in self.corpus_.contexts_ if c not in row_of]
            if missing:
                raise ValueError(
                    f"the context {missing[0]!r} of the corpus is missing in a model of X. Fit "
                    "models to data with all contexts."
                )
            matrix = counts.counts_[[row_of[c] for c in self.corpus_.contexts_]]
        else:
            matrix = checked_counts(counts)
            if matrix.shape[0] != len(self._corpus.totals):
                raise ValueError(
                    f"counts of X must have {len(self._corpus.totals)} contexts as in fit, got "
                    f"{matrix.shape[0]}."
                )
        totals = np.asarray(matrix.sum(axis=1)).ravel().astype(float)
        square = sparse.csr_array(matrix, dtype=np.float64).power(2).sum(axis=1)
        return float(self._corpus.share @ (1 - np.asarray(square).ravel() / totals**2))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags
