"""NestedTensorClustering against what users pick for several views: accuracy, claims, time."""

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
from _table import machine, print_table
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from tensorly.decomposition import parafac
from threadpoolctl import threadpool_limits

from skrmt.cluster import NestedTensorClustering
from skrmt.datasets import make_nested_views
from skrmt.exceptions import TheoryWarning
from skrmt.theory.nested_tensor import oracle

NOISE = (1.0, 2.0, 3.0, 6.0)


def concatenated(X):
    """Return the views side by side."""
    return X.reshape(len(X), -1)


def kmeans(points, n_clusters=2):
    """Return the labels of k-means."""
    return KMeans(n_clusters, n_init=10, random_state=0).fit_predict(points)


RIVALS = {
    "KMeans": lambda X: kmeans(concatenated(X)),
    "PCA + KMeans": lambda X: kmeans(PCA(2, random_state=0).fit_transform(concatenated(X))),
    "SpectralClustering": lambda X: SpectralClustering(
        2, affinity="nearest_neighbors", random_state=0
    ).fit_predict(concatenated(X)),
    "parafac + KMeans": lambda X: kmeans(parafac(X, 2, random_state=0, init="random")[1][0]),
}


def ours(X, **parameters):
    """Return a fitted clustering."""
    return NestedTensorClustering(random_state=0, **parameters).fit(X)


def accuracy(labels, y):
    """Return the accuracy under the best naming of the clusters."""
    table = np.zeros((labels.max() + 1, y.max() + 1))
    np.add.at(table, (labels, y), 1)
    rows, columns = linear_sum_assignment(-table)
    return table[rows, columns].sum() / len(y)


def model_rows(draws):
    """Yield accuracies on data of the model."""
    for n, p, noise, separation in (
        (400, 300, NOISE, 1.8),
        (400, 300, NOISE, 2.0),
        (400, 300, NOISE, 2.4),
        (800, 200, (1.0, 1.0, 3.0), 1.4),
        (300, 600, (2.0, 2.0, 2.0, 4.0, 8.0), 2.6),
    ):
        precision = sum(1 / s**2 for s in noise)
        total = n + p + len(noise)
        bound = oracle(
            n_samples=n,
            n_features=p,
            n_views=len(noise),
            theta=separation * np.sqrt(precision * n / total),
            tau=precision,
        ).accuracy
        found = np.empty((draws, 2 + len(RIVALS)))
        for seed in range(draws):
            data = make_nested_views(
                n, p, noise_stds=noise, separation=separation, random_state=9000 + seed
            )
            fit = ours(data.X)
            found[seed, :2] = fit.model_accuracy_, accuracy(fit.labels_, data.y)
            rivals = [accuracy(rival(data.X), data.y) for rival in RIVALS.values()]
            found[seed, 2:] = rivals
        means = [f"{value:.3f}" for value in found.mean(axis=0)]
        yield f"{n} x {p}, noise {noise}, {separation}", f"{bound:.3f}", *means


def seconds(function):
    """Return the time of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def speed_rows(rounds):
    """Yield the time of fits."""
    for n, p, noise in ((1000, 300, NOISE), (5000, 300, NOISE)):
        X = make_nested_views(n, p, noise_stds=noise, random_state=0).X
        own = np.array([seconds(lambda X=X: ours(X)) for _ in range(rounds)])
        ratios = []
        for rival in RIVALS.values():
            times = np.array([seconds(lambda r=rival, X=X: r(X)) for _ in range(min(rounds, 3))])
            ratio = times / own[: len(times)]
            ratios.append(f"{np.median(ratio):.1f} ({ratio.min():.1f}-{ratio.max():.1f})")
        yield f"{n} x {p} x {len(noise)}", f"{1e3 * np.median(own):.0f} ms", *ratios


def floor(X):
    """Do what any fit has to: finiteness, mean, two Grams, a contraction, an eigenproblem."""
    n, p, m = X.shape
    np.isfinite(X.sum())
    X.mean(axis=0)
    flat = X.reshape(-1, m)
    flat.T @ flat
    Y = (flat @ np.ones(m)).reshape(n, p)
    np.linalg.eigh(Y.T @ Y)


def floor_rows(rounds):
    """Yield the time of a fit over that of its floor."""
    X = make_nested_views(10_000, 500, noise_stds=(1, 2, 3, 6, 2), random_state=0).X
    pairs = np.array([(seconds(lambda: floor(X)), seconds(lambda: ours(X))) for _ in range(rounds)])
    ratios = pairs[:, 1] / pairs[:, 0]
    yield (
        "10000 x 500 x 5",
        f"{1e3 * np.median(pairs[:, 0]):.0f} ms",
        f"{np.median(ratios):.2f} ({ratios.min():.2f}-{ratios.max():.2f})",
    )


def feature_rows(folder, rounds):
    """Yield clusterings of six feature sets of the same handwritten digits."""
    views, y = [], None
    for name in ("fac", "fou", "kar", "mor", "pix", "zer"):
        table = np.loadtxt(folder / f"mfeat-{name}.csv", delimiter=",", skiprows=1)
        views.append(table[:, :-1])
        y = table[:, -1].astype(int)

    def spectral(points):
        model = SpectralClustering(10, affinity="nearest_neighbors", random_state=0)
        return model.fit_predict(points)

    def side_by_side():
        return spectral(np.hstack([StandardScaler().fit_transform(view) for view in views]))

    def embedded():
        return spectral(ours(views, n_clusters=10).embedding_)

    methods = {"scaled, concatenated": side_by_side, "embedding_": embedded}
    times = {name: [] for name in methods}
    for _ in range(rounds):
        for name, method in methods.items():
            times[name].append(seconds(method))
    base = np.array(times["scaled, concatenated"])
    for name, method in methods.items():
        ratio = np.median(np.array(times[name]) / base)
        yield (
            name,
            f"{accuracy(method(), y):.4f}",
            f"{np.median(times[name]):.2f} s",
            f"{ratio:.2f}",
        )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=25, help="draws of the model")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the timings")
    options = parser.parse_args()
    print(machine())
    warnings.simplefilter("ignore", TheoryWarning)
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(1):
        header = ("n x p, noise, separation", "oracle", "predicted", "ours", *RIVALS)
        print_table("Views of the model", header, model_rows(options.draws))
        ratios = [f"{name} / ours" for name in RIVALS]
        header = ("n x p x m", "ours", *ratios)
        print_table("Time of a multi-view fit", header, speed_rows(options.rounds))
        header = ("n x p x m", "floor", "fit / floor")
        print_table("Floor of a multi-view fit", header, floor_rows(options.rounds))
        folder = Path(os.environ.get("SKRMT_DATA", "")) / "mfeat"
        if folder.is_dir():
            header = ("spectral clustering of", "accuracy", "time", "over the first")
            print_table("Six feature sets", header, feature_rows(folder, options.rounds))


if __name__ == "__main__":
    main()
