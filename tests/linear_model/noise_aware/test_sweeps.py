"""How often a fit reads data that do not lie in memory."""

from collections import Counter

import numpy as np
import pytest

from skrmt.linear_model import NoiseAwareLinearClassifier

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def counted(X, chunk):
    """Return a Dask array, and how often each of its blocks has been read."""
    reads = Counter()

    def read(block, block_info):
        reads[block_info[0]["chunk-location"]] += 1
        return block

    blocks = da.from_array(X, chunks=(chunk, -1))
    return blocks.map_blocks(read, dtype=X.dtype, meta=np.empty((0, 0))), reads


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("parameters", [{}, {"noise_rates": 0.2}, {"fit_intercept": False}])
def test_a_fit_reads_every_block_six_times_at_most(rng, n_classes, parameters):
    X = rng.standard_normal((300, 8))
    y = np.argmax(X[:, :n_classes] + rng.standard_normal((300, n_classes)), axis=1)
    blocks, reads = counted(X, 75)
    with dask.config.set(scheduler="synchronous"):
        model = NoiseAwareLinearClassifier(**parameters).fit(blocks, y)
    assert max(reads.values()) <= 6 and len(reads) == 4
    expected = NoiseAwareLinearClassifier(**parameters).fit(X, y)
    np.testing.assert_allclose(model.held_out_scores_, expected.held_out_scores_, rtol=1e-7)
    assert model.theoretical_accuracy_ == pytest.approx(expected.theoretical_accuracy_, rel=1e-8)


def test_rows_that_repeat_are_read_three_times_more(rng):
    X = np.repeat(rng.standard_normal((150, 4)), 2, axis=0)
    y = (X[:, 0] + rng.standard_normal(300) > 0).astype(int)
    blocks, reads = counted(X, 100)
    with dask.config.set(scheduler="synchronous"):
        NoiseAwareLinearClassifier().fit(blocks, y)
    assert max(reads.values()) <= 9
