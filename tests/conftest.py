"""Fixtures for every test: seed, dtype, backend, and a watch over the state of the process.

`--hypothesis-profile thorough` tries fifteen times as many examples of a property, new ones in
every run.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from skrmt.utils._global_state import changed, global_state

SEED = 20240522

PROFILE = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}
settings.register_profile("quick", derandomize=True, max_examples=20, **PROFILE)
settings.register_profile("thorough", max_examples=300, **PROFILE)

# A helper that is a module of torch cannot be searched for examples without it.
collect_ignore = [] if importlib.util.find_spec("torch") else ["gpu/pretended.py"]


@dataclass(frozen=True)
class Backend:
    """An array library and a device, for tests that run on each."""

    name: str
    device: str | None = None

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        """Return x as an array of this library on this device; dtype is NumPy's or its name."""
        x = np.array(x, dtype=dtype)
        if self.name == "numpy":
            return x
        import torch

        return torch.as_tensor(x, device=self.device)

    def to_numpy(self, x: Any) -> np.ndarray:
        """Return an array of this library as a NumPy array."""
        return np.asarray(x) if self.name == "numpy" else x.detach().cpu().numpy()

    def is_native(self, x: Any) -> bool:
        """Tell whether x is an array of this library, on this device."""
        if self.name == "numpy":
            return isinstance(x, np.ndarray)
        import torch

        return torch.is_tensor(x) and x.device.type == self.device


def pytest_configure(config: pytest.Config) -> None:
    """Load a profile, and register the mark that names what a property is about."""
    settings.load_profile(config.getoption("--hypothesis-profile") or "quick")
    config.addinivalue_line("markers", "property_of(*names): public names a property is about")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `torch` the tests that have torch in their name or parameters.

    Examples show how NumPy 2 prints its scalars: with NumPy 1 they are not run.
    """
    old_numpy = pytest.mark.skip(reason="the examples show how NumPy 2 prints")
    for item in items:
        if "torch" in item.name.lower():
            item.add_marker(pytest.mark.torch)
        if isinstance(item, pytest.DoctestItem) and int(np.__version__.split(".")[0]) < 2:
            item.add_marker(old_numpy)


@pytest.fixture
def seed() -> int:
    """The integer seed of the suite."""
    return SEED


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """A fresh generator with the seed of the suite."""
    return np.random.default_rng(seed)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    """Each floating-point type that estimators keep."""
    return np.dtype(request.param)


@pytest.fixture(params=["numpy", "torch-cpu", "torch-cuda"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """NumPy, torch on the CPU and torch on CUDA; skipped where torch or the device is missing."""
    name, _, device = request.param.partition("-")
    if name == "torch":
        torch = pytest.importorskip("torch")
        if device == "cuda" and not torch.cuda.is_available():
            pytest.skip("torch sees no CUDA device")
    return Backend(name, device or None)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `import torch` fail, as where it is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture(scope="session")
def has_torch() -> bool:
    """Whether torch is installed; it is not imported."""
    return importlib.util.find_spec("torch") is not None


@pytest.fixture(autouse=True)
def global_state_unchanged(request: pytest.FixtureRequest):
    """Fail a test after which seeds, warning filters, error state or backends differ.

    Filters that a library sets when a test is the first to import it do not count.
    """
    modules = len(sys.modules)
    before = global_state()
    yield
    different = changed(before, global_state())
    if len(sys.modules) != modules:
        different = [name for name in different if name != "warnings.filters"]
    if request.node.get_closest_marker("global_seed"):
        different = [name for name in different if name != "np.random"]
    assert not different, f"the test changes the global {', '.join(different)}"
