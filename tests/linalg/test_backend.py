"""The backend follows the arrays and leaves every global choice alone."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from skrmt.linalg import as_device, get_backend, is_torch, ridge_basis, to_numpy


def test_import_loads_neither_tensorly_nor_torch():
    code = (
        "import sys, numpy as np, skrmt.linalg as la\n"
        "la.is_torch(np.ones(2)), la.to_numpy([1.0]), la.as_device(np.ones(2), None)\n"
        "assert not {'torch', 'tensorly'} & set(sys.modules)\n"
        "la.ridge_basis(np.eye(3))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_numpy_backend_has_what_tensorly_lacks():
    x = np.array([0.1, 0.7])
    xp = get_backend(x, [1.0])
    assert xp.name == "numpy" and xp is get_backend(x)
    np.testing.assert_allclose(xp.logaddexp(x, x), x + np.log(2))
    np.testing.assert_allclose(xp.expm1(xp.log1p(x)), x)
    assert xp.isfinite(x).all() and xp.sqrt(x).shape == (2,)
    assert not hasattr(xp, "no_such_function")


def test_torch_backend_has_what_tensorly_lacks():
    torch = pytest.importorskip("torch")
    x = torch.tensor([0.1, 0.7], dtype=torch.float64, requires_grad=True)
    xp = get_backend(np.ones(2), x)
    assert xp.name == "pytorch" and is_torch(x)
    reference = get_backend(np.ones(2))
    for name in ("log1p", "expm1", "isfinite", "sqrt"):
        ours = to_numpy(getattr(xp, name)(x))
        np.testing.assert_allclose(ours, getattr(reference, name)(to_numpy(x)))
    np.testing.assert_allclose(to_numpy(xp.logaddexp(x, x)), to_numpy(x) + np.log(2))
    assert not xp.asarray(x).requires_grad


@pytest.mark.parametrize("chosen", ["numpy", "pytorch"])
def test_the_choice_of_tensorly_is_never_changed(chosen):
    torch = pytest.importorskip("torch")
    tl = pytest.importorskip("tensorly")
    seen = []

    def use():
        before = tl.get_backend()
        ridge_basis(np.eye(4)[:, :2])
        ridge_basis(torch.eye(4)[:, :2])
        seen.append((before, tl.get_backend()))

    original = tl.get_backend()
    try:
        tl.set_backend(chosen)
        use()
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    finally:
        tl.set_backend(original)
    assert seen == [(chosen, chosen)] * 2


def test_device_moves_arrays_and_names_itself_in_errors():
    torch = pytest.importorskip("torch")
    x = np.arange(6.0).reshape(2, 3)
    x.setflags(write=False)
    for array in (x, x[:, ::-1], torch.ones(2)):
        moved = as_device(array, "cpu")
        assert is_torch(moved)
        np.testing.assert_array_equal(to_numpy(moved), to_numpy(array))
    assert as_device(x, None) is x
    for device in ("nowhere", "meta", "cuda:99"):
        with pytest.raises(ValueError, match=f"device='{device}'"):
            as_device(x, device)


def test_cuda_gives_the_same_numbers():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    X = np.random.default_rng(0).standard_normal((40, 9))
    ours, reference = ridge_basis(as_device(X, "cuda")), ridge_basis(X)
    assert ours.left.device.type == "cuda"
    np.testing.assert_allclose(to_numpy(ours.scale), reference.scale, rtol=1e-10)
