"""Search in an index of the other space."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from skrmt.datasets import make_paired_encoders
from skrmt.matching import EncoderMatcher


@pytest.fixture(scope="module")
def moved():
    """Return a matcher, queries, and the rows of the index."""
    data = make_paired_encoders(400, 20, 30, n_latent=8, noise_std=0.5, random_state=0)
    matcher = EncoderMatcher(random_state=0).fit(data.X[:100], data.Y[:100])
    return matcher, data.X[100:], data.Y


def brute(matcher, queries, gallery, k):
    """Return the k rows of largest cosine and the cosines, by sorting all of them."""
    cosine = matcher.transform(queries) @ gallery.T / np.linalg.norm(gallery, axis=1)
    indices = np.argsort(-cosine, axis=1)[:, :k]
    return indices, np.take_along_axis(cosine, indices, axis=1)


def flat_index(width):
    """Return an index with the calls of faiss.IndexFlatIP, in NumPy."""
    rows = np.empty((0, width), np.float32)

    def add(more):
        nonlocal rows
        assert more.dtype == np.float32 and more.flags.c_contiguous
        rows = np.vstack([rows, more])

    def search(vectors, k):
        assert vectors.dtype == np.float32 and vectors.flags.c_contiguous
        score = vectors @ rows.T
        indices = np.argsort(-score, axis=1)[:, :k]
        return np.take_along_axis(score, indices, axis=1), indices

    return SimpleNamespace(add=add, search=search)


@pytest.fixture(params=["sklearn", "faiss", "stand-in"])
def library(request, monkeypatch):
    """Return a library to search with; faiss itself where it is, and a stand-in everywhere."""
    if request.param == "faiss":
        pytest.importorskip("faiss")
    if request.param == "stand-in":
        monkeypatch.setitem(sys.modules, "faiss", SimpleNamespace(IndexFlatIP=flat_index))
    return "sklearn" if request.param == "sklearn" else "faiss"


def test_the_nearest_are_those_of_largest_cosine(moved, library):
    matcher, queries, gallery = moved
    scaled = gallery * np.linspace(0.1, 10.0, len(gallery))[:, None]
    found = matcher.search(queries, scaled, n_neighbors=5, library=library)
    indices, cosines = brute(matcher, queries, gallery, 5)
    # faiss rounds to single precision: rows whose cosines agree to that may change places.
    np.testing.assert_allclose(found.scores, cosines, rtol=0, atol=30 * np.finfo(np.float32).eps)
    assert np.mean(found.indices == indices) > 0.999
    assert found.scores.dtype == float


def test_recall_of_the_search_is_that_measured(moved):
    matcher, queries, gallery = moved
    truth = np.arange(100, 400)
    found = matcher.search(queries, gallery, n_neighbors=3, library="sklearn").indices
    recall = (found == truth[:, None]).any(axis=1).mean()
    assert matcher.score_topk(queries, gallery, truth, top_k=3) == recall


def test_a_row_of_zeros_is_near_nothing(moved, library):
    matcher, queries, gallery = moved
    with_zero = np.vstack([gallery, np.zeros(gallery.shape[1])])
    found = matcher.search(queries, with_zero, n_neighbors=3, library=library)
    assert np.isfinite(found.scores).all()
    assert len(gallery) not in found.indices


def test_bad_requests_are_refused(moved, monkeypatch):
    matcher, queries, gallery = moved
    with pytest.raises(ValueError, match="n_neighbors=401 exceeds the 400 rows of Y_gallery"):
        matcher.search(queries, gallery, n_neighbors=401)
    with pytest.raises(ValueError, match="library must be 'auto', 'sklearn' or 'faiss', got 'x'"):
        matcher.search(queries, gallery, library="x")
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match="faiss"):
        matcher.search(queries, gallery, library="faiss")
