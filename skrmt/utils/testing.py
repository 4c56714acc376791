"""Common checks for estimators that scikit-learn's own common checks skip.

scikit-learn skips every check of an estimator whose tag `two_d_array` is False: those that work
on tensors of three axes and more, or on paired input. These are the same promises, checked on
tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ._tensor_checks import TensorCase, applicable_checks

__all__ = ["TensorCheck", "check_tensor_estimator", "tensor_estimator_checks"]


@dataclass(frozen=True)
class TensorCheck:
    """One check of one estimator; call it to run it.

    Parameters
    ----------
    name : str
        Name of the estimator and of the check, a readable test id.
    run : callable
        The check, without arguments; it raises AssertionError where the estimator fails.

    Examples
    --------
    >>> from skrmt.utils.testing import TensorCheck
    >>> str(TensorCheck("nothing", lambda: None))
    'nothing'
    """

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Run the check."""
        self.run()

    def __str__(self) -> str:
        """Return the name."""
        return self.name


def tensor_estimator_checks(
    estimator: Any,
    X: Any = None,
    *,
    fit_params: dict[str, Any] | None = None,
    output: Callable[..., Any] | None = None,
    scale: int | None = 0,
    permutation: Sequence[tuple[int, int | None]] = ((0, 0),),
    rotation: Sequence[tuple[int, int | None]] = (),
    any_order: bool = False,
    rtol: float = 1e-7,
) -> Iterator[TensorCheck]:
    """Yield the checks of an estimator, for `pytest.mark.parametrize`.

    Parameters
    ----------
    estimator : estimator
        An unfitted instance; it is cloned, never fitted.
    X : array-like or tuple of array-like, optional
        Training data; a tuple holds the positional arguments of `fit`. By default a tensor of
        shape (12, 10, 8), two separated groups of slices in noise of standard deviation 0.1.
    fit_params : dict, optional
        Further keyword arguments of `fit`.
    output : callable, optional
        ``output(fitted, *X)`` returns the array or number that the checks compare, free of
        arbitrary signs and orders. By default `labels_`, the result of `predict` or of
        `transform`, or `theoretical_accuracy_`, the first that exists.
    scale : int or None, default=0
        Degree of the output in X: 0 where it does not depend on the scale of X, 1 where it is
        proportional to X. None where neither holds.
    permutation : sequence of (int, int or None), default=((0, 0),)
        Pairs of an axis of X and the axis of the output that is permuted with it; None for the
        second where the output does not change. Empty where nothing is promised.
    rotation : sequence of (int, int or None), default=()
        The same for rotations of an axis.
    any_order : bool, default=False
        Whether tensors with more axes than X are accepted too.
    rtol : float, default=1e-7
        Allowed difference of outputs that should be equal up to rounding, relative to the largest
        entry.

    Yields
    ------
    TensorCheck
        A check, to be called.

    Notes
    -----
    The checks: parameters are stored and never changed; `fit` returns self, accepts y=None where
    it needs no y, leaves its input alone and works on read-only arrays; methods raise before fit;
    clone; pickle; a second fit gives the same; float32 stays float32; integers do not overflow;
    memory layout does not matter; scale, permutation and rotation; NaN, infinity, empty axes,
    wrong dimensions, complex numbers and strings are refused; a failed fit changes nothing;
    seeds, warning filters, error state and backends are left alone. With a parameter `n_jobs`:
    the number of workers does not matter. With a parameter `device`, where torch is installed:
    tensors in, the same numbers out in tensors.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from skrmt.utils.testing import tensor_estimator_checks
    >>> class Mean(BaseEstimator):
    ...     def fit(self, X, y=None):
    ...         self.mean_ = X.mean(axis=0)
    ...         return self
    >>> checks = list(tensor_estimator_checks(Mean(), output=lambda fitted, X: fitted.mean_))
    >>> checks[0].name
    'Mean-check_init_stores_parameters'
    """
    data = _default_data() if X is None else X if isinstance(X, tuple) else (X,)
    case = TensorCase(
        estimator=estimator,
        data=tuple(np.array(array, dtype=float) for array in data),
        output=output or _default_output,
        fit_params=fit_params or {},
        scale=scale,
        permutation=tuple(permutation),
        rotation=tuple(rotation),
        any_order=any_order,
        rtol=rtol,
    )
    for check in applicable_checks(case):
        name = f"{type(estimator).__name__}-{check.__name__}"
        yield TensorCheck(name, partial(check, case))


def check_tensor_estimator(estimator: Any, X: Any = None, **options: Any) -> None:
    """Run every check of `tensor_estimator_checks` on an estimator.

    Parameters
    ----------
    estimator : estimator
        An unfitted instance; it is cloned, never fitted.
    X : array-like or tuple of array-like, optional
        Training data, as in `tensor_estimator_checks`.
    **options
        The keyword arguments of `tensor_estimator_checks`.

    Raises
    ------
    AssertionError
        If a check fails; the message lists every one that does.

    See Also
    --------
    tensor_estimator_checks : The same checks one by one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from skrmt.utils.testing import check_tensor_estimator
    >>> class Careless(BaseEstimator):
    ...     def fit(self, X, y=None):
    ...         self.mean_ = np.mean(X, axis=0)
    ...         return self
    >>> try:
    ...     check_tensor_estimator(Careless(), output=lambda fitted, X: fitted.mean_)
    ... except AssertionError as error:
    ...     "fit accepts nan" in str(error)
    True
    """
    failures = []
    for check in tensor_estimator_checks(estimator, X, **options):
        try:
            check()
        except Exception as error:
            failures.append((check, error))
    if failures:
        lines = [f"- {check}: {type(error).__name__}: {error}" for check, error in failures]
        message = f"{len(failures)} check(s) failed:\n" + "\n".join(lines)
        raise AssertionError(message) from failures[0][1]


def _default_data() -> tuple[np.ndarray, ...]:
    """Return two groups of slices that differ by a rank-one signal."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(10), rng.standard_normal(8)
    signs = np.repeat([1.0, -1.0], 6)
    signal = np.einsum("i,j,k->ijk", signs, a, b)
    return (signal + 0.1 * rng.standard_normal(signal.shape),)


def _default_output(fitted: Any, *data: Any) -> Any:
    """Return the first of the usual results that the estimator has."""
    if hasattr(fitted, "labels_"):
        return fitted.labels_
    for method in ("predict", "transform"):
        if hasattr(fitted, method):
            return getattr(fitted, method)(*data)
    if hasattr(fitted, "theoretical_accuracy_"):
        return fitted.theoretical_accuracy_
    raise ValueError(
        f"output=None: {type(fitted).__name__} has none of labels_, predict, transform and "
        "theoretical_accuracy_; pass output=function(fitted, *X)."
    )
