"""The nearest rows of an index by cosine, found by scikit-learn or faiss."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from sklearn.neighbors import NearestNeighbors

from ..utils._optional import import_optional
from ._matching import Neighbors


def nearest(vectors: np.ndarray, gallery: np.ndarray, k: int, library: str) -> Neighbors:
    """Return the rows of a gallery with the largest cosine with each vector."""
    if library == "auto":
        library = "faiss" if find_spec("faiss") is not None else "sklearn"
    found = {"faiss": _by_faiss, "sklearn": _by_sklearn}[library]
    return found(vectors, gallery, k)


def _by_sklearn(vectors, gallery, k):
    """Search by scikit-learn, in the precision of the rows."""
    index = NearestNeighbors(n_neighbors=k, metric="cosine").fit(gallery)
    distances, indices = index.kneighbors(vectors)
    return Neighbors(indices, 1.0 - distances)


def _by_faiss(vectors, gallery, k):
    """Search by faiss, which computes in single precision."""
    faiss = import_optional("faiss", "faiss")
    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(_unit_rows(gallery))
    scores, indices = index.search(_unit_rows(vectors), k)
    return Neighbors(indices, scores.astype(float))


def _unit_rows(rows):
    """Return contiguous rows of length 1 in single precision; rows of zeros stay zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)
