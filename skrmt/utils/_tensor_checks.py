"""The checks of `skrmt.utils.testing`, one function a check."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from ._compare import assert_same, fitted_state
from ._global_state import changed, global_state
from ._optional import import_optional
from ._sklearn_compat import NotFittedError, clone, get_tags

_METHODS = ("predict", "predict_proba", "decision_function", "transform", "score_samples")


@dataclass(frozen=True)
class TensorCase:
    """An estimator with what its checks need; see `skrmt.utils.testing`."""

    estimator: Any
    data: tuple[np.ndarray, ...]
    output: Callable[..., Any]
    fit_params: dict[str, Any] = field(default_factory=dict)
    scale: int | None = 0
    permutation: tuple[tuple[int, int | None], ...] = ()
    rotation: tuple[tuple[int, int | None], ...] = ()
    any_order: bool = False
    rtol: float = 1e-7

    def new(self, **params: Any) -> Any:
        """Return an unfitted clone with a fixed seed."""
        estimator = clone(self.estimator)
        known = estimator.get_params()
        if "random_state" in known and known["random_state"] is None:
            params.setdefault("random_state", 0)
        return estimator.set_params(**params)

    def fit(self, *data: Any, **params: Any) -> Any:
        """Fit a new clone on copies of the data, or on the data given."""
        data = data or tuple(array.copy() for array in self.data)
        return self.new(**params).fit(*data, **self.fit_params)

    def outcome(self, estimator: Any, *data: Any) -> Any:
        """Return the output of a fitted estimator."""
        return self.output(estimator, *(data or self.data))

    @property
    def renames_labels(self) -> bool:
        """Whether the output is a clustering, whose labels are numbers without meaning."""
        return get_tags(self.estimator).estimator_type == "clusterer"


def check_init_stores_parameters(case: TensorCase) -> None:
    """The constructor stores its parameters as they are, and does nothing else."""
    params = case.estimator.get_params(deep=False)
    made = vars(type(case.estimator)(**params))
    extra = set(made) - set(params)
    assert not extra, f"__init__ sets {sorted(extra)}, which are not parameters"
    for name, value in params.items():
        assert made.get(name) is value, f"__init__ changes the parameter {name}"


def check_fit_returns_self(case: TensorCase) -> None:
    """`fit` returns the estimator."""
    estimator = case.new()
    returned = estimator.fit(*(array.copy() for array in case.data), **case.fit_params)
    assert returned is estimator, f"fit returned {type(returned).__name__}, not self"


def check_fit_accepts_y_none(case: TensorCase) -> None:
    """An unsupervised `fit` takes y=None second, so that it works in a Pipeline."""
    estimator = case.new().fit(case.data[0].copy(), None, **case.fit_params)
    assert_same(fitted_state(estimator), fitted_state(case.fit()), what="fit(X, None)")


def check_unfitted_error(case: TensorCase) -> None:
    """Every method that needs a fit says so."""
    estimator = case.new()
    for name in _METHODS:
        method = getattr(estimator, name, None)
        if method is None:
            continue
        try:
            method(*case.data)
        except NotFittedError:
            continue
        raise AssertionError(f"{name} before fit does not raise NotFittedError")


def check_clone(case: TensorCase) -> None:
    """A clone of a fitted estimator has its parameters and nothing fitted."""
    fitted = case.fit()
    copy = clone(fitted)
    assert_same(copy.get_params(), fitted.get_params(), what="parameters of the clone")
    assert not fitted_state(copy), f"the clone has {sorted(fitted_state(copy))}"
    assert fitted_state(fitted), "fit sets no public attribute with a trailing underscore"


def check_parameters_untouched(case: TensorCase) -> None:
    """`fit` changes no parameter."""
    estimator = case.new()
    params = estimator.get_params(deep=False)
    dumped = pickle.dumps(params)
    estimator.fit(*(array.copy() for array in case.data), **case.fit_params)
    after = estimator.get_params(deep=False)
    for name, value in params.items():
        assert after[name] is value, f"fit replaces the parameter {name}"
    assert_same(after, pickle.loads(dumped), what="parameters after fit")


def check_input_untouched(case: TensorCase) -> None:
    """Input is not written to, read-only arrays are accepted."""
    data = tuple(array.copy() for array in case.data)
    case.outcome(case.fit(*data), *data)
    for array, original in zip(data, case.data, strict=True):
        np.testing.assert_array_equal(array, original, err_msg="fit or its output changes X")
    for array in data:
        array.flags.writeable = False
    case.outcome(case.fit(*data), *data)


def check_idempotent(case: TensorCase) -> None:
    """A second fit on the same data gives the same attributes."""
    estimator = case.fit()
    first = pickle.loads(pickle.dumps(fitted_state(estimator)))
    estimator.fit(*(array.copy() for array in case.data), **case.fit_params)
    assert_same(fitted_state(estimator), first, what="second fit")


def check_pickle(case: TensorCase) -> None:
    """Pickling keeps attributes and output."""
    estimator = case.fit()
    copy = pickle.loads(pickle.dumps(estimator))
    assert_same(fitted_state(copy), fitted_state(estimator), what="pickled attributes")
    assert_same(case.outcome(copy), case.outcome(estimator), what="pickled output")


def check_dtype(case: TensorCase) -> None:
    """Outputs in float32 for float32, in float64 for float64, and they agree."""
    expected = np.asarray(case.outcome(case.fit()))
    assert expected.dtype.kind != "f" or expected.dtype == np.float64, (
        f"float64 in, {expected.dtype} out"
    )
    data = tuple(array.astype(np.float32) for array in case.data)
    actual = case.outcome(case.fit(*data), *data)
    scalar = np.ndim(actual) == 0
    if expected.dtype.kind == "f":
        assert scalar or np.asarray(actual).dtype == np.float32, "float32 in, float64 out"
        assert_same(np.asarray(actual, dtype=float), expected, 1e-3, "float32 output")
    else:
        assert_same(actual, expected, what="float32 output")


def check_integers(case: TensorCase) -> None:
    """Integers are computed on as if they were float64: nothing overflows."""
    data = tuple(
        np.rint(100 * array / max(np.abs(array).max(), 1e-300)).astype(np.int8)
        for array in case.data
    )
    floats = tuple(array.astype(float) for array in data)
    assert_same(
        case.outcome(case.fit(*data), *data),
        case.outcome(case.fit(*floats), *floats),
        case.rtol,
        "output for int8",
    )


def check_memory_layout(case: TensorCase) -> None:
    """Fortran order, strided views and reversed axes change nothing."""
    expected = case.outcome(case.fit())
    layouts: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "Fortran order": np.asfortranarray,
        "strided view": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
        "negative strides": lambda array: array[::-1].copy()[::-1],
    }
    for name, layout in layouts.items():
        data = tuple(layout(array) for array in case.data)
        assert_same(case.outcome(case.fit(*data), *data), expected, case.rtol, name)


def check_global_state(case: TensorCase) -> None:
    """Seeds, warning filters, error state and backends are as before, in a thread too."""

    def run() -> list[str]:
        with warnings.catch_warnings():
            loaded, before = len(sys.modules), global_state()
            case.outcome(case.fit())
            different = changed(before, global_state())
        # Libraries imported on the way set filters of their own; the next run has none.
        new = len(sys.modules) != loaded
        return [name for name in different if not (new and name == "warnings.filters")]

    with ThreadPoolExecutor(1) as pool:
        different = run() + run() + pool.submit(run).result()
    assert not different, f"fit changes the global {', '.join(sorted(set(different)))}"


def check_failed_fit_keeps_state(case: TensorCase) -> None:
    """A fit that raises leaves the estimator as it was."""
    estimator = case.fit()
    before = pickle.loads(pickle.dumps(vars(estimator)))
    value = np.inf if get_tags(case.estimator).input_tags.allow_nan else np.nan
    bad = _with_value(case.data[0], value)
    _refused(case, estimator, (bad, *case.data[1:]), f"{value}")
    assert_same(vars(estimator), before, what="attributes after a failed fit")


def check_refuses_nan_and_inf(case: TensorCase) -> None:
    """NaN, unless the tags allow it, and infinity are refused, and named."""
    allowed = get_tags(case.estimator).input_tags.allow_nan
    for value in (np.inf, -np.inf) if allowed else (np.nan, np.inf, -np.inf):
        for data in _each_replaced(case.data, partial(_with_value, value=value)):
            message = _refused(case, case.new(), data, f"{value}")
            named = any(word in message.lower() for word in ("nan", "inf", "finite"))
            assert named, f"the error for {value} does not name it: {message!r}"


def check_refuses_empty(case: TensorCase) -> None:
    """An axis of length 0 is refused."""
    for axis in range(case.data[0].ndim):
        for data in _each_replaced(case.data, partial(np.delete, obj=slice(None), axis=axis)):
            _refused(case, case.new(), data, f"an empty axis {axis}")


def check_refuses_wrong_ndim(case: TensorCase) -> None:
    """Fewer dimensions are refused, more too unless tensors of any order are accepted."""
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "one dimension fewer": lambda array: array[0],
        "a flat array": np.ravel,
    }
    if not case.any_order:
        changes["one dimension more"] = lambda array: array[None]
    for name, change in changes.items():
        for data in _each_replaced(case.data, change):
            message = _refused(case, case.new(), data, name)
            named = any(word in message.lower() for word in ("dim", "shape", "order", "axes"))
            assert named, f"the error for {name} does not name it: {message!r}"


def check_refuses_not_numbers(case: TensorCase) -> None:
    """Complex numbers and strings are refused."""
    for name, dtype in {"complex numbers": complex, "strings": str}.items():
        for data in _each_replaced(case.data, partial(np.asarray, dtype=dtype)):
            _refused(case, case.new(), data, name)


def check_scale(case: TensorCase) -> None:
    """The output for c X is c**scale times the output for X, for tiny and huge c too."""
    expected = np.asarray(case.outcome(case.fit()))
    for factor in (3.0, 1e-150, 1e150):
        data = tuple(factor * array for array in case.data)
        actual = np.asarray(case.outcome(case.fit(*data), *data))
        if case.scale:
            actual = actual / factor**case.scale
        _assert_equivariant(case, actual, expected, f"X times {factor:g}")


def check_permutation(case: TensorCase) -> None:
    """Permuting an axis of X permutes the declared axis of the output, or changes nothing."""
    expected = np.asarray(case.outcome(case.fit()))
    for axis, output_axis in case.permutation:
        order = np.random.default_rng(0).permutation(case.data[0].shape[axis])
        data = tuple(array.take(order, axis=axis) for array in case.data)
        actual = np.asarray(case.outcome(case.fit(*data), *data))
        wanted = expected if output_axis is None else expected.take(order, axis=output_axis)
        _assert_equivariant(case, actual, wanted, f"permuted axis {axis}")


def check_rotation(case: TensorCase) -> None:
    """Rotating an axis of X rotates the declared axis of the output, or changes nothing."""
    expected = np.asarray(case.outcome(case.fit()))
    for axis, output_axis in case.rotation:
        size = case.data[0].shape[axis]
        rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]
        data = tuple(_along(array, rotation, axis) for array in case.data)
        actual = np.asarray(case.outcome(case.fit(*data), *data))
        wanted = expected if output_axis is None else _along(expected, rotation, output_axis)
        _assert_equivariant(case, actual, wanted, f"rotated axis {axis}")


def check_n_jobs(case: TensorCase) -> None:
    """The result does not depend on the number of workers."""
    one, two = (fitted_state(case.fit(n_jobs=n_jobs)) for n_jobs in (1, 2))
    assert_same(two, one, what="n_jobs=2 against n_jobs=1")


def check_torch(case: TensorCase) -> None:
    """Torch tensors give the numbers of NumPy arrays, in tensors where those give arrays."""
    torch = import_optional("torch", "torch")
    expected = case.outcome(case.fit())
    data = tuple(torch.as_tensor(array.copy()) for array in case.data)
    actual = case.outcome(case.fit(*data), *data)
    assert not torch.is_tensor(expected), "NumPy in, torch out"
    assert np.ndim(expected) == 0 or torch.is_tensor(actual), "torch in, NumPy out"
    assert_same(actual, expected, max(case.rtol, 1e-10), "output for torch tensors")


def applicable_checks(case: TensorCase) -> Iterator[Callable[[TensorCase], None]]:
    """Yield the checks that this case declares or that always apply."""
    yield from _ALWAYS
    params = case.estimator.get_params()
    if len(case.data) == 1 and not get_tags(case.estimator).target_tags.required:
        yield check_fit_accepts_y_none
    if case.scale is not None:
        yield check_scale
    if case.permutation:
        yield check_permutation
    if case.rotation:
        yield check_rotation
    if "n_jobs" in params:
        yield check_n_jobs
    if "device" in params and find_spec("torch") is not None:
        yield check_torch


_ALWAYS = (
    check_init_stores_parameters,
    check_fit_returns_self,
    check_unfitted_error,
    check_clone,
    check_parameters_untouched,
    check_input_untouched,
    check_idempotent,
    check_pickle,
    check_dtype,
    check_integers,
    check_memory_layout,
    check_global_state,
    check_failed_fit_keeps_state,
    check_refuses_nan_and_inf,
    check_refuses_empty,
    check_refuses_wrong_ndim,
    check_refuses_not_numbers,
)


def _with_value(array: np.ndarray, value: float) -> np.ndarray:
    """Return a copy whose last entry is value."""
    array = array.copy()
    array.flat[-1] = value
    return array


def _each_replaced(
    data: tuple[np.ndarray, ...], change: Callable[[np.ndarray], np.ndarray]
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the data with each array in turn replaced by its change."""
    for i, array in enumerate(data):
        yield (*data[:i], change(array), *data[i + 1 :])


def _refused(case: TensorCase, estimator: Any, data: tuple[Any, ...], what: str) -> str:
    """Return the message of the error that fit raises, or raise if there is none."""
    try:
        estimator.fit(*data, **case.fit_params)
    except (ValueError, TypeError) as error:
        return str(error)
    raise AssertionError(f"fit accepts {what}: it should raise a ValueError or TypeError")


def _along(array: np.ndarray, matrix: np.ndarray, axis: int) -> np.ndarray:
    """Multiply one axis of an array by a matrix."""
    return np.moveaxis(np.tensordot(matrix, array, axes=(1, axis)), 0, axis)


def _first_seen(labels: np.ndarray) -> np.ndarray:
    """Number clusters in the order in which they appear."""
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]


def _assert_equivariant(
    case: TensorCase, actual: np.ndarray, expected: np.ndarray, what: str
) -> None:
    """Raise unless two outputs agree, clusterings up to the names of the clusters."""
    if case.renames_labels and expected.dtype.kind in "iu":
        actual, expected = _first_seen(actual), _first_seen(expected)
    assert_same(actual, expected, case.rtol, what)
