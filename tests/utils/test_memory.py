"""Out of memory says what to reduce."""

import numpy as np
import pytest

from skrmt.linalg import _gram, ridge_basis
from skrmt.linear_model import NoiseAwareLinearClassifier
from skrmt.utils._memory import explains_memory


class OutOfMemoryError(RuntimeError):
    """What torch raises where a device is full."""


@pytest.mark.parametrize("kind", [MemoryError, OutOfMemoryError])
def test_the_remedy_is_named_once(kind):
    @explains_memory("fewer rows")
    def inner(X, block_size=7):
        raise kind("Unable to allocate 3 TiB.\nmore")

    @explains_memory("something else")
    def outer():
        inner(np.ones((2, 3)))

    with pytest.raises(MemoryError, match=r"inner ran out of memory: Unable to allocate 3") as e:
        outer()
    assert "X of shape (2, 3) in float64" in str(e.value)
    assert "fewer rows or a smaller block_size or float32 arrays" in str(e.value)
    assert "something else" not in str(e.value)
    assert isinstance(e.value.__cause__, kind)


def test_other_errors_pass():
    @explains_memory("nothing")
    def wrong():
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        wrong()


def test_kernels_and_estimators_say_it(monkeypatch):
    def full(*arguments):
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(_gram, "_inner_gram", full)
    with pytest.raises(MemoryError, match=r"ridge_basis ran .* Give fewer rows or a Dask array"):
        ridge_basis(np.eye(5, 3))
    model = NoiseAwareLinearClassifier()
    with pytest.raises(MemoryError, match="ran out of memory"):
        model.fit(np.random.default_rng(0).standard_normal((40, 3)), np.arange(40) % 2)
    assert not hasattr(model, "coef_")
