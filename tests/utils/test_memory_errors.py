"""Which errors say that memory does not suffice, and what the message says then."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from skrmt.linalg import _gram, ridge_basis
from skrmt.linear_model import (
    NoiseAwareLinearClassifier,
    StagedSGDClassifier,
    StagedSGDRegressor,
)
from skrmt.preference import PreferencePolicy
from skrmt.utils._memory import explains_memory, memory_advice, out_of_memory

ASKED = "Unable to allocate 7.28 TiB for an array with shape (1000000, 1000000)"
CUDA = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 139.81 GiB"
CPU = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"
LIBRARY = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"


class OutOfMemoryError(RuntimeError):
    """What torch raises on CUDA bears this name."""


def raising(error):
    """Return a function that raises."""

    def function(*args, **kwargs):
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(ASKED), True),
        (OutOfMemoryError(CUDA), True),
        (RuntimeError(CUDA), True),
        (RuntimeError(CPU), True),
        (RuntimeError(LIBRARY), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_of_memory_are_known(error, expected):
    assert out_of_memory(error) is expected


def test_numpy_asks_for_too_much():
    with (
        pytest.raises(MemoryError, match=r"^x ran out of memory: Unable to .* Give less\.$"),
        memory_advice("x", dict, "less"),
    ):
        np.empty(2**58)


@pytest.mark.torch
def test_torch_asks_for_too_much():
    torch = pytest.importorskip("torch")
    assert out_of_memory(torch.OutOfMemoryError(CUDA))
    with (
        pytest.raises(MemoryError, match=r"^x ran out of memory: .*allocate.* Give less\.$"),
        memory_advice("x", dict, "less"),
    ):
        torch.empty(2**58, dtype=torch.float64)


def test_shapes_types_and_devices_are_told():
    @explains_memory("fewer rows")
    def kernel(X, *, block_size=1024, device="cuda"):
        raise MemoryError(ASKED)

    with pytest.raises(MemoryError) as caught:
        kernel(np.ones((3, 2)))
    assert str(caught.value) == (
        f"kernel ran out of memory: {ASKED}. It was given X of shape (3, 2) in float64. Give fewer "
        "rows or a smaller block_size or float32 arrays, half the size or "
        'device="cpu" where the memory of the host is larger.'
    )


def test_generators_explain_too():
    @explains_memory("fewer weights")
    def blocks(n):
        yield n
        raise MemoryError

    found = blocks(3)
    assert next(found) == 3
    with pytest.raises(MemoryError, match=r"^blocks ran out of memory\. Give fewer weights\.$"):
        next(found)


def test_long_messages_are_cut():
    with (
        pytest.raises(MemoryError, match=r"^x ran out of memory: (word )+\.\.\.$"),
        memory_advice("x", dict),
    ):
        raise MemoryError("word " * 200)


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
    assert "something else" not in str(e.value)
    assert isinstance(e.value.__cause__, kind)


def test_other_errors_pass():
    @explains_memory("nothing")
    def wrong():
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        wrong()


def test_kernels_say_what_to_reduce(monkeypatch):
    monkeypatch.setattr(_gram, "_inner_gram", raising(OutOfMemoryError(CUDA)))
    with pytest.raises(MemoryError, match=r"ridge_basis ran .* Give fewer rows or a Dask array"):
        ridge_basis(np.eye(5, 3))


def test_a_failed_fit_keeps_its_state(monkeypatch):
    X = np.random.default_rng(0).standard_normal((40, 3))
    y = (X[:, 0] > 0).astype(int)
    model = NoiseAwareLinearClassifier(noise_rates=0.0, alpha=0.1).fit(X, y)
    before = vars(model).copy()
    monkeypatch.setattr("skrmt.linalg._ridge_basis.factorise", raising(MemoryError(ASKED)))
    with pytest.raises(MemoryError, match="float32 arrays, half the size"):
        model.fit(X, y)
    assert vars(model) == before


@pytest.mark.parametrize(
    "model",
    [PreferencePolicy(), PreferencePolicy("ipo"), StagedSGDClassifier(), StagedSGDRegressor()],
    ids=str,
)
def test_large_sparse_data_are_refused_before_they_are_made_dense(model):
    n, p = 40_000, 30_000
    X = sparse.random_array((n, p), density=1e-4, format="csr", rng=np.random.default_rng(0))
    y = np.arange(n) % 2
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"X is sparse, .* GB\. Give fewer columns, such as"):
            model.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.02 * 8 * n * p
    with pytest.raises(ValueError, match="X_chosen is sparse"):
        PreferencePolicy().fit_pairs(X, X[::-1])
