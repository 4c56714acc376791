"""The battery for tensor estimators: a good one passes, and each check sees a broken one."""

import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import NotFittedError

from skrmt.utils import _tensor_checks
from skrmt.utils._checks import check_array_like_on_device, is_torch
from skrmt.utils._fit import restore_on_failure
from skrmt.utils.testing import check_tensor_estimator, tensor_estimator_checks


class SliceNorms(BaseEstimator):
    """Norms of the slices of a tensor, relative to the largest one."""

    def __init__(self, power=1.0, *, n_jobs=None, device=None, random_state=None):
        self.power = power
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags

    def check(self, X):
        return check_array_like_on_device(X, ndim=3)

    @restore_on_failure
    def fit(self, X, y=None):
        self.norms_ = self.norms(self.check(X))
        self.n_features_in_ = X.shape[-1]
        return self

    def norms(self, X):
        X = X / abs(X).max()
        norms = (X**2).sum(-1).sum(-1) ** (self.power / 2)
        return norms / norms.max()

    def transform(self, X):
        if not hasattr(self, "norms_"):
            raise NotFittedError("call fit first")
        return self.norms(self.check(X))


PROMISES = {"rotation": ((1, None), (2, None)), "permutation": ((0, 0), (1, None))}


@pytest.mark.parametrize("check", list(tensor_estimator_checks(SliceNorms(), **PROMISES)), ids=str)
def test_good_estimator_passes(check):
    check()


def test_runner_passes_a_good_estimator():
    check_tensor_estimator(SliceNorms(), **PROMISES)


class Signs(ClusterMixin, SliceNorms):
    """Clusters: the sign of the first entry of each slice, numbered by the first slice."""

    @restore_on_failure
    def fit(self, X, y=None):
        X = self.check(X)
        positive = X[:, 0, 0] > 0
        self.labels_ = (positive != positive[0]) * 1
        return self


def test_clusters_are_compared_up_to_their_names():
    check_tensor_estimator(Signs())


class Pair(BaseEstimator):
    """Inner products of the rows of two matrices, relative to the largest."""

    @restore_on_failure
    def fit(self, X, Y):
        X, Y = (check_array_like_on_device(Z, name) for Z, name in ((X, "X"), (Y, "Y")))
        X, Y = X / abs(X).max(), Y / abs(Y).max()
        products = X @ Y.T
        self.products_ = products / abs(products).max()
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def test_paired_input(rng):
    X, Y = rng.standard_normal((2, 6, 4))
    check_tensor_estimator(
        Pair(),
        (X, Y),
        output=lambda fitted, X, Y: np.diag(fitted.products_).copy(),
        rotation=[(1, None)],
    )


class InitAdds(SliceNorms):
    def __init__(self, power=1.0, *, n_jobs=None, device=None, random_state=None):
        super().__init__(power, n_jobs=n_jobs, device=device, random_state=random_state)
        self.norms_ = None


class ReturnsNothing(SliceNorms):
    def fit(self, X, y=None):
        super().fit(X)


class NeedsNoY(SliceNorms):
    def fit(self, X):
        return super().fit(X)


class WorksUnfitted(SliceNorms):
    def transform(self, X):
        return self.norms(self.check(X))


class WritesParameter(SliceNorms):
    def fit(self, X, y=None):
        self.power = 1.0 * self.power + 1.0
        return super().fit(X)


class SharesState(SliceNorms):
    def __sklearn_clone__(self):
        return self


class WritesInput(SliceNorms):
    def fit(self, X, y=None):
        super().fit(X)
        X *= 2
        return self


class Remembers(SliceNorms):
    def fit(self, X, y=None):
        count = getattr(self, "count_", 0)
        super().fit(X)
        self.count_ = count + 1
        return self


class ForgetsPickle(SliceNorms):
    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "norms_"}


class AlwaysFloat64(SliceNorms):
    def check(self, X):
        X = super().check(X)
        return X.double() if is_torch(X) else X.astype(float)


class OverflowsInt8(SliceNorms):
    def check(self, X):
        return super().check(X * X if hasattr(X, "dtype") and X.dtype == np.int8 else X)


class ReadsMemory(SliceNorms):
    def check(self, X):
        X = super().check(X)
        return X if is_torch(X) else X.ravel(order="K").reshape(X.shape)


class Reseeds(SliceNorms):
    def fit(self, X, y=None):
        np.random.seed(0)
        return super().fit(X)


class FiltersWarnings(SliceNorms):
    def fit(self, X, y=None):
        warnings.filterwarnings("ignore", message="anything")
        return super().fit(X)


class HalfFits(SliceNorms):
    def fit(self, X, y=None):
        self.norms_ = X
        return super().fit.__wrapped__(self, X)


class AcceptsNaN(SliceNorms):
    def check(self, X):
        return check_array_like_on_device(X, ndim=3, ensure_finite=False)


class AcceptsEmpty(SliceNorms):
    def fit(self, X, y=None):
        return self if 0 in X.shape else super().fit(X)


class AcceptsMatrices(SliceNorms):
    def check(self, X):
        return super().check(X if X.ndim == 3 else X.reshape(-1, 1, 1))


class DropsImaginary(SliceNorms):
    def check(self, X):
        return super().check(X.real)


class DependsOnScale(SliceNorms):
    def norms(self, X):
        return super().norms(X + 1.0)


class DependsOnOrder(SliceNorms):
    def norms(self, X):
        weights = np.arange(1.0, 1 + X.shape[0], dtype=str(X.dtype).removeprefix("torch."))
        return super().norms(X) * (type(X)(weights) if is_torch(X) else weights)


class DependsOnAxes(SliceNorms):
    def norms(self, X):
        norms = abs(X / abs(X).max()).sum(-1).sum(-1)
        return norms / norms.max()


class CountsJobs(SliceNorms):
    def fit(self, X, y=None):
        super().fit(X)
        self.jobs_ = self.n_jobs
        return self


class LeavesTorch(SliceNorms):
    def transform(self, X):
        norms = super().transform(X)
        return norms.numpy() if is_torch(norms) else norms


BROKEN = {
    "check_init_stores_parameters": [InitAdds],
    "check_fit_returns_self": [ReturnsNothing],
    "check_fit_accepts_y_none": [NeedsNoY],
    "check_unfitted_error": [WorksUnfitted],
    "check_clone": [SharesState],
    "check_parameters_untouched": [WritesParameter],
    "check_input_untouched": [WritesInput],
    "check_idempotent": [Remembers],
    "check_pickle": [ForgetsPickle],
    "check_dtype": [AlwaysFloat64],
    "check_integers": [OverflowsInt8],
    "check_memory_layout": [ReadsMemory],
    "check_global_state": [Reseeds, FiltersWarnings],
    "check_failed_fit_keeps_state": [HalfFits],
    "check_refuses_nan_and_inf": [AcceptsNaN],
    "check_refuses_empty": [AcceptsEmpty],
    "check_refuses_wrong_ndim": [AcceptsMatrices],
    "check_refuses_not_numbers": [DropsImaginary],
    "check_scale": [DependsOnScale],
    "check_permutation": [DependsOnOrder],
    "check_rotation": [DependsOnAxes],
    "check_n_jobs": [CountsJobs],
    "check_torch": [LeavesTorch],
}


@pytest.mark.parametrize(
    ("check", "broken"),
    [(name, cls) for name, classes in BROKEN.items() for cls in classes],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_each_check_sees_a_broken_estimator(check, broken):
    if check == "check_torch":
        pytest.importorskip("torch")
    checks = {c.name.partition("-")[2]: c for c in tensor_estimator_checks(broken(), **PROMISES)}
    state = np.random.get_state()
    with warnings.catch_warnings(), pytest.raises((AssertionError, TypeError)):
        checks[check]()
    np.random.set_state(state)


def test_every_check_has_a_broken_estimator():
    known = {name for name in dir(_tensor_checks) if name.startswith("check_")}
    assert set(BROKEN) == known


def test_runner_lists_every_failure():
    with pytest.raises(
        AssertionError, match=r"(?s)AcceptsNaN-check_failed_fit.*AcceptsNaN-check_r"
    ):
        check_tensor_estimator(AcceptsNaN())


def test_checks_can_be_declined():
    names = {c.name for c in tensor_estimator_checks(SliceNorms(), scale=None, permutation=())}
    assert not [n for n in names if "scale" in n or "permutation" in n or "rotation" in n]


def test_output_is_needed_where_there_is_no_usual_one():
    class Nothing(BaseEstimator):
        def fit(self, X, y=None):
            return self

    with pytest.raises(AssertionError, match="pass output="):
        check_tensor_estimator(Nothing())
