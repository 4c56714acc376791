"""What is copied from a device: a few numbers an iteration, and never the data."""

import numpy as np
import pytest

from skrmt.linalg import Components, DenseTensor
from skrmt.linear_model import NoiseAwareLinearClassifier, Stage, StagedSGDClassifier
from skrmt.utils._merging import merge_rows

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 6))
Y = (X[:, 0] + RNG.standard_normal(300) > 0).astype(int)


def copies(call, *arrays):
    """Return how many numbers each copy moves from a pretended device in a call."""
    from tests.gpu.pretended import PretendedDevice, pretended

    with PretendedDevice() as device:
        call(*map(pretended, arrays))
    return np.array(device.copies)


def steps(n_steps, **options):
    """Return the copies of a fit by stochastic gradient descent."""
    model = StagedSGDClassifier([Stage(n_steps, 8, 0.01)], random_state=0, **options)
    return copies(model.fit, X, Y)


@pytest.mark.parametrize("detect_spikes", [False, True])
def test_a_step_of_sgd_copies_one_number_and_waits_for_few(detect_spikes):
    short, long = (steps(n, detect_spikes=detect_spikes) for n in (256, 512))
    assert long.sum() - short.sum() <= 3 * 256
    assert len(long) - len(short) <= 256 / 20


def test_single_steps_would_be_seen(monkeypatch):
    monkeypatch.setattr("skrmt.linear_model.staged_sgd._run._BURST", 1)
    short, long = (steps(n, detect_spikes=False) for n in (256, 512))
    assert len(long) - len(short) >= 256


def test_bursts_change_no_step():
    """A fit that a large rate makes diverge, and one that spikes, are those of single steps."""
    jump = X.copy()
    jump[7] *= 300.0
    for data, rate in ((X, 0.05), (X, 3.0), (jump, 0.02)):
        stages = [Stage(300, 8, rate, momentum=0.5)]
        one, other = (
            StagedSGDClassifier(stages, random_state=0).fit(*rows)
            for rows in ((data, Y), (torch.as_tensor(data), torch.as_tensor(Y)))
        )
        np.testing.assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-8)
        np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-7, atol=1e-10)
        assert [spike[0] for spike in other.spikes_] == [spike[0] for spike in one.spikes_]
        assert other.rollbacks_ == one.rollbacks_


def test_penalties_copy_no_more_often():
    few, many = (
        copies(NoiseAwareLinearClassifier(alpha=np.logspace(-2, 1, n)).fit, X, Y) for n in (5, 40)
    )
    assert len(many) == len(few)


def test_rows_that_repeat_are_not_copied_one_by_one():
    def merge(rows):
        merge_rows(rows, np.zeros(len(rows), int), np.ones(len(rows)))

    counts = [len(copies(merge, np.repeat(X[:n], 2, axis=0))) for n in (20, 200)]
    assert counts[0] == counts[1] <= 4


def test_the_data_of_a_linear_fit_stay_on_the_device():
    wide = RNG.standard_normal((300, 60))
    found = copies(NoiseAwareLinearClassifier(alpha=1.0).fit, wide, Y)
    assert wide.size not in found


@pytest.mark.parametrize("minus", [False, True])
def test_norms_of_tensors_are_single_numbers(minus):
    values = RNG.standard_normal((8, 9, 10)).astype(np.float32)
    factors = [RNG.standard_normal((size, 2)) for size in values.shape]
    less = Components(np.array([2.0, 1.0]), factors) if minus else None
    found = copies(lambda tensor: DenseTensor(tensor).squared_norm(less), values)
    assert found.tolist() == [1]
    fitted = np.einsum("r,ir,jr,kr->ijk", less.weights, *less.factors) if minus else 0.0
    exact = ((values.astype(float) - fitted) ** 2).sum()
    assert DenseTensor(torch.as_tensor(values)).squared_norm(less) == pytest.approx(exact, 1e-12)


def test_gram_matrices_of_single_precision_are_copied_once():
    values = RNG.standard_normal((8, 9, 10)).astype(np.float32)
    assert copies(lambda tensor: DenseTensor(tensor).gram(1), values).tolist() == [81]
