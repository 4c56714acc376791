"""NestedTensorClustering on tables seen through several views: labels, and what it claims."""

import argparse
import itertools
import os
import warnings
from pathlib import Path

import numpy as np
from _table import machine, print_table
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from skrmt.cluster import NestedTensorClustering
from skrmt.datasets import make_noisy_copies

NOISE = (0.5, 1, 2, 4)
MOST_ROWS = 600
COPIES = {"letter": "letter", "texture": "texture", "satimage": "satimage"}
COPIES["movement_libras"] = "movement_libras"
FEATURE_SETS = ("fac", "fou", "kar", "mor", "pix", "zer")


def matched(labels, y):
    """Return the share of labels that agree under the best naming."""
    table = np.zeros((labels.max() + 1, y.max() + 1))
    np.add.at(table, (labels, y), 1)
    rows, columns = linear_sum_assignment(-table)
    return table[rows, columns].sum() / len(y)


def load(folder, name):
    """Return the features and the classes of a table."""
    data = np.load(folder / "tables" / f"{name}.npz", allow_pickle=True)
    return data["X"].astype(float), np.unique(data["y"], return_inverse=True)[1]


def sources(folder):
    """Yield kinds of data: a name, classes, and a function from rows and a seed to views."""

    def copies(X):
        return lambda rows, seed: make_noisy_copies(X[rows], NOISE, random_state=seed).X

    if folder is None:
        X, y = load_digits(return_X_y=True)
        yield "digits, noisy copies", y, copies(X)
        return
    for name in COPIES:
        X, y = load(folder, name)
        yield f"{name}, noisy copies", y, copies(X)
    X, y = load(folder, "satimage")
    bands = np.stack([X[:, band::4] for band in range(4)], axis=-1)
    yield "satimage, bands", y, lambda rows, seed: bands[rows]
    views = []
    for name in FEATURE_SETS:
        table = np.loadtxt(folder / "mfeat" / f"mfeat-{name}.csv", delimiter=",", skiprows=1)
        views.append(table[:, :-1])
        y = table[:, -1].astype(int)
    yield "mfeat, feature sets", y, lambda rows, seed: [view[rows] for view in views]


def taken(views, rows):
    """Return some samples."""
    return [view[rows] for view in views] if isinstance(views, list) else views[rows]


def rivals(views, k):
    """Return the labels of k-means and of a Gaussian mixture on standardised views."""
    joined = np.hstack(views) if isinstance(views, list) else views.reshape(len(views), -1)
    Z = StandardScaler().fit_transform(joined)
    components = PCA(5, random_state=0).fit_transform(Z)
    return (
        KMeans(k, n_init=10, random_state=0).fit_predict(Z),
        GaussianMixture(k, random_state=0).fit_predict(components),
    )


def one_draw(views, y, k, seed):
    """Return accuracies of labels of all samples, and a claim of a quarter with its truth.

    The last accuracy is the best of these and of the nested model alone: what no choice exceeds.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    small = len(y) // (4 if len(y) >= 200 else 2)
    model = NestedTensorClustering(k, random_state=0)
    labels = [model.fit(views).labels_, *rivals(views, k)]
    alone = NestedTensorClustering(k, compare=False, random_state=0).fit(views).labels_
    rest = taken(views, order[small:])
    large = NestedTensorClustering(k, random_state=0).fit(rest).labels_
    model.fit(taken(views, order[:small]))
    claim, interval = model.theoretical_accuracy_, model.theoretical_accuracy_interval_
    found = [matched(one, y) for one in labels]
    return [*found, max(*found, matched(alone, y))], (
        claim,
        *interval,
        matched(model.predict(rest), large),
    )


def measured(folder, k, count, seed):
    """Yield a kind of data and its draws, one per set of classes."""
    for name, y, views in sources(folder):
        rng, found = np.random.default_rng(seed), []
        sets = list(itertools.combinations(np.unique(y), k))
        for index in rng.permutation(len(sets))[:count]:
            rows = rng.permutation(np.flatnonzero(np.isin(y, sets[index])))[:MOST_ROWS]
            classes = np.unique(y[rows], return_inverse=True)[1]
            found.append(one_draw(views(rows, int(rng.integers(2**31))), classes, k, seed))
        yield name, found


def with_error(values):
    """Return a mean with its standard error."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return f"{values.mean():.3f}" if len(values) else ""
    return f"{values.mean():.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}"


def row(name, found):
    """Return a row of the table."""
    accuracies = np.array([one[0] for one in found])
    claims = np.array([one[1] for one in found])
    claims = claims[np.isfinite(claims[:, 1])]
    ours, k_means, mixture, _ = accuracies.T
    inside = (claims[:, 1] <= claims[:, 3]) & (claims[:, 3] <= claims[:, 2])
    return (
        name,
        len(found),
        *(with_error(values) for values in accuracies.T),
        with_error(ours - (k_means + mixture) / 2),
        with_error(ours - mixture),
        len(claims),
        int(inside.sum()),
        with_error(claims[:, 2] - claims[:, 1]),
        with_error(claims[:, 0] - claims[:, 3]),
    )


def rows(folder, k, count, seed):
    """Yield the rows of the table."""
    everything = []
    for name, found in measured(folder, k, count, seed):
        everything += found
        yield row(name, found)
    yield row("all", everything)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=8, help="sets of classes of each kind of data")
    parser.add_argument("--clusters", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--seed", type=int, default=20, help="seed of sets, rows and noise")
    parser.add_argument("--folder", type=Path, default=os.environ.get("SKRMT_DATA"))
    options = parser.parse_args()
    folder = None if options.folder is None else Path(options.folder)
    print(machine())
    warnings.simplefilter("ignore")
    header = (
        "views",
        "draws",
        "ours",
        "KMeans",
        "GaussianMixture",
        "best choice",
        "ours less their mean",
        "ours less GaussianMixture",
        "claims",
        "covered",
        "width",
        "claimed less measured",
    )
    for k in options.clusters:
        table = rows(folder, k, options.sets, options.seed)
        print_table(f"Tables through several views, {k} classes", header, table)


if __name__ == "__main__":
    main()
