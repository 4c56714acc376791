"""Forecasts of a fitted forecaster under other conditions, and simulations of them."""

from __future__ import annotations

import numbers
from typing import Any, Literal

import numpy as np
from joblib import Parallel, delayed
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from ..utils._forecast import Forecast, check_asked, first_reaching, unbanded
from ..utils._intervals import Z95
from ..utils._random import random_entropy
from ._corpus import USES_REAL, Corpus, Scheme
from ._forecast import DiversityGroups, expected_diversity, observed_diversity
from ._free import FREE, chain_of, simulate_free
from ._next_token import NextTokenModel
from ._simulation import CURVES, block_size, simulate_block


class CorpusOutlook:
    """Forecasts of a fitted `CollapseForecaster`."""

    n_jobs: int | None
    verbose: int
    random_state: int | RandomState | None
    corpus_: NextTokenModel
    theoretical_diversity_: NDArray[Any]
    _corpus: Corpus
    _scheme: Scheme
    _groups: DiversityGroups

    def forecast(
        self,
        *,
        generation: int | ArrayLike | None = None,
        n_synthetic: int | ArrayLike | None = None,
        n_real: int | ArrayLike | None = None,
    ) -> Forecast:
        """Forecast the expected diversity under other conditions.

        Parameters
        ----------
        generation : int or array-like, default=None
            Number of the generation, 0 for the corpus itself; `numpy.inf` is the limit. None:
            `n_generations`.
        n_synthetic : int or array-like, default=None
            Synthetic tokens that a generation draws in each context. None: as in the fit.
        n_real : int or array-like, default=None
            Real tokens in each context, under "partial", "fresh" and "accumulate". None: as in the
            fit.

        Returns
        -------
        Forecast
            The expected diversity as `score`, exact given the corpus and of the shape to which the
            conditions broadcast. There is no band: `simulate` shows how single chains scatter.

        Raises
        ------
        ValueError
            If a number is negative, fractional or no multiple of the window, or `n_real` is given
            under a scheme without real tokens.

        Examples
        --------
        >>> import numpy as np
        >>> from skrmt.collapse import CollapseForecaster
        >>> forecaster = CollapseForecaster().fit(np.array([[50, 30, 15, 4, 1]]))
        >>> forecaster.forecast(generation=[10, 50], n_synthetic=200).score.round(3)
        array([0.605, 0.495])
        """
        check_is_fitted(self)
        if n_real is not None and self._scheme.name not in USES_REAL:
            raise ValueError(
                f"n_real is not used by scheme={self._scheme.name!r}, got {n_real!r}. Leave it out."
            )
        generation = len(self.theoretical_diversity_) - 1 if generation is None else generation
        given = {"generation": generation, "n_synthetic": n_synthetic, "n_real": n_real}
        score = expected_diversity(self._groups, self._scheme, *given.values())
        known = {name: np.asarray(value) for name, value in given.items() if value is not None}
        return unbanded(score, **known)

    def required(
        self,
        score: float,
        *,
        of: Literal["n_synthetic", "n_real"] = "n_synthetic",
        generation: int | None = None,
        n_synthetic: int | None = None,
        n_real: int | None = None,
    ) -> float:
        """Return how many tokens keep a diversity up to a generation.

        Parameters
        ----------
        score : float
            Diversity to keep.
        of : {"n_synthetic", "n_real"}, default="n_synthetic"
            Which tokens of each context and generation to count.
        generation : int, default=None
            The generation that must still have it. None: `n_generations`.
        n_synthetic, n_real : int, default=None
            The other size, as for `forecast`.

        Returns
        -------
        float
            Least number of tokens, a multiple of the window if there is one; inf if no number
            keeps as much.

        Raises
        ------
        ValueError
            If `of` is unknown or a condition too, or a condition is out of its domain.

        Notes
        -----
        Under "partial" and "accumulate" more synthetic tokens cost diversity: ask for `of="n_real"`
        there. Up to a million tokens the result is exact, beyond to a millionth.

        Examples
        --------
        >>> import numpy as np
        >>> from skrmt.collapse import CollapseForecaster
        >>> forecaster = CollapseForecaster().fit(np.array([[50, 30, 15, 4, 1]]))
        >>> forecaster.required(0.5, generation=50)
        209.0
        """
        check_is_fitted(self)
        sizes = {"n_synthetic": n_synthetic, "n_real": n_real}
        check_asked(of, ("n_synthetic", "n_real"), sizes)
        del sizes[of]
        step = (self._scheme.window or 1) if of == "n_synthetic" else 1

        def whole(amounts):
            return np.ceil(np.asarray(amounts) / step) * step

        def diversity(amounts):
            return self.forecast(generation=generation, **{of: whole(amounts)}, **sizes).score

        return float(whole(first_reaching(diversity, score, 1.0)))

    def simulate(
        self,
        n_chains: int,
        random_state: int | RandomState | None = None,
        *,
        curve: Literal[
            "diversity", "collapsed_fraction", "support", "entropy", "lost_contexts"
        ] = "diversity",
    ) -> Forecast:
        """Draw chains of models, to check the forecast or to get what has no formula.

        Parameters
        ----------
        n_chains : int
            Number of chains, 2 or more.
        random_state : int, RandomState instance or None, default=None
            Seed; that of the forecaster if None. The result does not depend on `n_jobs`.
        curve : {"diversity", "collapsed_fraction", "support", "entropy", "lost_contexts"}, \
                default="diversity"
            What to measure: the same as `theoretical_diversity_`, `collapsed_fraction_`,
            `expected_support_`, `expected_entropy_` or `lost_context_share_`. The last is of text
            generated freely, under "full" only.

        Returns
        -------
        Forecast
            The mean curve as `score`, with the 95 % band of the mean, and the `generation` of each
            entry as its condition.

        Raises
        ------
        ValueError
            If there are fewer than 2 chains, or the curve is unknown or not that of the scheme.

        Notes
        -----
        Text is generated at about half a microsecond per token.
        A generation costs about 15 ns a token and chain, or 45 ns a pair where that is less or the
        scheme is not "full"; contexts that have collapsed cost nothing. Memory does not grow with
        the chains.
        """
        check_is_fitted(self)
        if not isinstance(n_chains, numbers.Integral) or n_chains < 2:
            raise ValueError(f"n_chains must be a whole number of 2 or more, got {n_chains!r}.")
        n_chains = int(n_chains)
        if curve not in (*CURVES, FREE):
            raise ValueError(f"curve must be one of {', '.join((*CURVES, FREE))}, got {curve!r}.")
        if curve == FREE and self._scheme.name != "full":
            raise ValueError(
                f"curve={curve!r} is simulated under scheme='full' only, got {self._scheme.name!r}."
            )
        seed = self.random_state if random_state is None else random_state
        size = 1 if curve == FREE else min(block_size(self._corpus, self._scheme), n_chains)
        blocks = [min(size, n_chains - first) for first in range(0, n_chains, size)]
        seeds = np.random.SeedSequence(random_entropy(seed)).spawn(len(blocks))
        horizon = len(self.theoretical_diversity_) - 1
        if curve == FREE:
            chain = chain_of(self.corpus_)
            jobs = [delayed(simulate_free)(self._corpus, chain, horizon, child) for child in seeds]
        else:
            jobs = [
                delayed(simulate_block)(self._corpus, self._scheme, horizon, chains, child, curve)
                for chains, child in zip(blocks, seeds, strict=True)
            ]
        values = np.concatenate(Parallel(n_jobs=self.n_jobs, verbose=10 * int(self.verbose))(jobs))
        error = values.std(axis=0, ddof=1) / np.sqrt(n_chains)
        mean, half = values.mean(axis=0), Z95 * error
        return Forecast(mean, mean - half, mean + half, {"generation": np.arange(horizon + 1)})

    def score(self, X: Any, y: None = None) -> float:
        r"""Score how well the forecast explains observed diversities.

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
        observed = [
            observed_diversity(counts, self._corpus, self.corpus_.contexts_)
            for counts in numbered.values()
        ]
        return float(r2_score(observed, self.forecast(generation=list(numbered)).score))
