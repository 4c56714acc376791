"""Sparse matrices in one form, and their rows in the order of dense ones."""

import numpy as np
import pytest
from scipy import sparse

from skrmt.utils._sparse import canonical, dense_order_keys


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_one_form_without_touching_the_matrix(kind):
    data, indices = np.array([2.0, 1.0, 3.0, 0.0, 5.0, -0.0]), np.array([2, 0, 2, 1, 1, 0])
    parts = data, indices, np.array([0, 3, 3, 5, 6])
    for part in parts:
        part.flags.writeable = False
    matrix = kind(parts, shape=(4, 3))
    found = canonical(matrix)
    assert type(found) is kind
    np.testing.assert_array_equal(found.data, [1.0, 5.0, 5.0])
    np.testing.assert_array_equal(found.indices, [0, 2, 1])
    np.testing.assert_array_equal(found.indptr, [0, 2, 2, 3, 3])
    np.testing.assert_array_equal(matrix.toarray(), found.toarray())
    assert len(matrix.data) == 6
    assert canonical(found) is found
    assert canonical("text") == "text"


def test_empty_matrices_have_one_form():
    for shape in ((0, 3), (3, 0), (3, 2)):
        matrix = sparse.csr_array(shape)
        assert canonical(matrix) is matrix


def test_keys_sort_as_the_bytes_of_dense_rows(rng):
    dense = np.round(rng.standard_normal((300, 4)), 1) * (rng.random((300, 4)) < 0.4)
    dense[:5] = 0.0
    keys = dense_order_keys(sparse.csr_array(dense))
    order = sorted(range(300), key=keys.__getitem__)
    rows = np.ascontiguousarray(dense + 0.0)
    assert order == sorted(range(300), key=lambda row: rows[row].tobytes())
