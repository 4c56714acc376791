"""Kernels and estimators keep to the device they are given.

On CUDA where there is one; on a pretended device everywhere, which refuses to mix devices.
"""

import warnings
from contextlib import nullcontext

import numpy as np
import pytest

from skrmt.cluster import NestedTensorClustering
from skrmt.datasets import make_nested_views, make_paired_encoders, make_spiked_tensor
from skrmt.decomposition import TensorDeflation
from skrmt.exceptions import TheoryWarning
from skrmt.inspection import PhaseDiagramDisplay
from skrmt.linalg import to_numpy
from skrmt.linear_model import NoiseAwareLinearClassifier, SyntheticMixClassifier
from skrmt.matching import EncoderMatcher, cka
from skrmt.preference import PreferencePolicy, preference_loss

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.fixture(params=["pretended", "cuda"])
def place(request, monkeypatch):
    """Return a context, and what moves an array to the device."""
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("there is no CUDA device")
        return nullcontext, lambda array: torch.as_tensor(array, device="cuda")
    from skrmt.linalg import _backend
    from tests.gpu.pretended import DEVICE, PretendedDevice, pretended

    monkeypatch.setattr(_backend, "_check_device", lambda device, torch: DEVICE)
    return PretendedDevice, pretended


@pytest.fixture(autouse=True)
def quiet():
    """Some of these problems are too small for the theory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        yield


def gpu_script():
    """Import the script that measures public functions on a device."""
    import importlib
    import sys
    from pathlib import Path

    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("gpu")
    finally:
        sys.path.remove(folder)


def assert_close(found, expected, atol=1e-8):
    """Compare up to signs of vectors."""
    found, expected = (np.abs(np.asarray(to_numpy(x), float)) for x in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=atol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_keep_to_the_device(place, dtype):
    script = gpu_script()
    context, move = place
    for kernel in script.kernels(0.05, dtype):
        expected = kernel.call(*kernel.arrays)
        with context():
            found = kernel.call(*map(move, kernel.arrays))
        found, expected = (np.abs(np.asarray(to_numpy(x), float)) for x in (found, expected))
        limit = script.AGREEMENT[dtype] * np.abs(expected).max()
        assert np.abs(found - expected).max() <= limit, kernel.name


def rows():
    """Return two classes, some labels of which are wrong."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 6))
    return X, (X[:, 0] + 0.5 * rng.standard_normal(80) > 0).astype(int)


def scores_of_rows(move, n_features=6, **options):
    """Fit labels, and score the rows."""
    X, y = rows()
    X = np.tile(X, (1, n_features // 6)) if n_features > 6 else X
    X = X + 0.1 * np.random.default_rng(1).standard_normal(X.shape)
    model = NoiseAwareLinearClassifier(**options).fit(move(X), move(y))
    return model.decision_function(move(X))


def scores_of_mix(move, **options):
    """Fit real and synthetic rows."""
    X, y = rows()
    source = np.repeat([0, 1], 40)
    model = SyntheticMixClassifier(**options).fit(move(X), move(y), sample_source=source)
    return model.decision_function(move(X))


def factors_of_tensor(move, **options):
    """Decompose a tensor."""
    X = make_spiked_tensor((9, 10, 11), [6.0, 4.0], random_state=0).X
    return TensorDeflation(2, random_state=0, **options).fit(move(X)).factors_[1]


def labels_of_views(move, **options):
    """Cluster views."""
    X = make_nested_views(60, 20, separation=3.0, random_state=0).X
    return NestedTensorClustering(random_state=0, **options).fit(move(X)).labels_


def matches(move, method="auto", **options):
    """Match two sets of embeddings."""
    X, Y = make_paired_encoders(60, random_state=0)[:2]
    model = EncoderMatcher(method=method, random_state=0, **options)
    return model.fit(move(X[:30]), move(Y[:30])).predict_accuracy(move(X[30:]), move(Y[30:]))


def policy(move):
    """Learn from comparisons."""
    X, y = rows()
    return PreferencePolicy("ipo").fit(move(X), move(2 * y - 1)).decision_function(move(X))


def alignment(move):
    """Compare two sets of embeddings."""
    return cka(*map(move, make_paired_encoders(60, random_state=0)[:2]))


ESTIMATORS = {
    "labels": scores_of_rows,
    "more features than rows": lambda move, **o: scores_of_rows(move, n_features=90, **o),
    "mix": scores_of_mix,
    "tensor": factors_of_tensor,
    "views": labels_of_views,
    "matching": matches,
    "quadratic assignment": lambda move, **o: matches(move, "qap", **o),
    "ridge matching": lambda move, **o: matches(move, "ridge", **o),
    "policy": policy,
    "alignment": alignment,
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_keep_to_the_device_of_tensors(place, name):
    context, move = place
    expected = ESTIMATORS[name](lambda array: array)
    with context():
        found = ESTIMATORS[name](move)
    assert_close(found, expected)


@pytest.mark.parametrize("name", [n for n in ESTIMATORS if n not in ("policy", "alignment")])
def test_estimators_move_arrays_to_their_device(place, name):
    context, _ = place
    expected = ESTIMATORS[name](lambda array: array)
    with context():
        found = ESTIMATORS[name](lambda array: array, device="cuda")
    assert not torch.is_tensor(found)
    assert_close(found, expected)


@pytest.mark.parametrize("subject", PhaseDiagramDisplay.subjects())
def test_phase_diagrams_keep_to_the_device(place, subject):
    pytest.importorskip("matplotlib")
    ends = PhaseDiagramDisplay.ranges(subject)
    grids = {name: np.linspace(*pair, 2) for name, pair in zip("xy", ends, strict=True)}
    given = {**grids, "size": 8, "n_draws": 3}
    expected = PhaseDiagramDisplay.from_simulation(subject, **given).simulated
    with place[0]():
        found = PhaseDiagramDisplay.from_simulation(subject, **given, device="cuda").simulated
    assert_close(found, expected)


@pytest.mark.parametrize("name", ["dpo", "ipo", "kto", "simpo", "orpo", "robust"])
def test_losses_keep_to_the_device(place, name):
    context, move = place
    rng = np.random.default_rng(0)
    logps = [-np.abs(rng.standard_normal(9)) for _ in range(4)]
    lengths = {"chosen_lengths": np.full(9, 3.0), "rejected_lengths": np.full(9, 4.0)}
    options = {"label_smoothing": 0.1} if name == "robust" else {}
    expected = preference_loss(name, *logps, **lengths, **options)
    with context():
        found = preference_loss(name, *map(move, logps), **lengths, **options)
    assert_close(found, expected)


def test_the_pretended_device_refuses_what_cuda_refuses():
    from tests.gpu.pretended import PretendedDevice, pretended

    with PretendedDevice():
        there = pretended(np.ones(3))
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.ones(3)
        with pytest.raises(TypeError, match="to numpy"):
            np.asarray(there)
        assert str((there + 1).device) == "cuda:0"
        assert str(there.cpu().device) == "cpu"
        assert str(torch.ones(3).to("cuda").device) == "cuda:0"
        assert str(torch.zeros(3, device="cuda").device) == "cuda:0"
        assert float(there[torch.tensor([0, 2])].sum()) == 2.0
