"""Matching of encoders of text and of digits: choice, claims, pairs, indexes, tests, scale."""

import argparse
import os
import resource
import time
from functools import cache
from pathlib import Path

import numpy as np
from _table import machine, print_table
from scipy.linalg import svd
from scipy.optimize import linear_sum_assignment
from scipy.stats import hypergeom, norm
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits

from skrmt.datasets import make_correlated_graphs, make_paired_encoders
from skrmt.matching import EncoderMatcher, cka_test, local_cka_scores, quadratic_assignment


@cache
def spaces():
    """Return pairs of encoders of the same items by name."""
    folder, found = Path(os.environ.get("SKRMT_DATA", "")), {}
    text, digits = folder / "embeddings" / "paragraphs.npz", folder / "mfeat" / "mfeat.npz"
    if "SKRMT_DATA" in os.environ and text.exists():
        data = np.load(text)
        found["MiniLM / TF-IDF"] = data["minilm"], data["tfidf"]
        found["halves"] = data["first_half"], data["second_half"]
    if "SKRMT_DATA" in os.environ and digits.exists():
        data = np.load(digits)
        for first, second in (("fou", "pix"), ("zer", "kar")):
            found[f"{first} / {second}"] = data[first], data[second]
    if not found:
        X = load_digits().data
        found["left / right of digits"] = X[:, :40], X[:, 24:]
    return {name: tuple(np.asarray(side, float) for side in pair) for name, pair in found.items()}


def drawn(name, n_pairs, seed, n_queries=None):
    """Return known pairs and queries, drawn at random."""
    X, Y = spaces()[name]
    order = np.random.default_rng([seed, n_pairs]).permutation(len(X))
    rest = order[n_pairs:]
    rest = rest if n_queries is None else rest[:n_queries]
    return X[order[:n_pairs]], Y[order[:n_pairs]], X[rest], Y[rest]


def unit(rows):
    """Return rows of length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)


def one_to_one(scores):
    """Return the share of right one-to-one matches."""
    rows, columns = linear_sum_assignment(scores, maximize=True)
    return np.mean(rows == columns)


def regularised_cca(X, Y, x, y, penalty):
    """Return cosines of canonical variables weighted by the roots of their correlations."""
    maps = []
    for side in (X, Y):
        basis, values, axes = svd(side, full_matrices=False)
        variances = values**2 / len(side)
        shrunk = np.sqrt(variances + penalty * variances.sum() / side.shape[1])
        maps.append((basis * values / shrunk, axes.T / shrunk))
    left, rho, right = svd(maps[0][0].T @ maps[1][0] / len(X), full_matrices=False)
    root = np.sqrt(rho)
    return unit(x @ maps[0][1] @ left * root) @ unit(y @ maps[1][1] @ right.T * root).T


def ridge(X, Y, x, y, penalty):
    """Return cosines after a regression with a fixed penalty."""
    basis, values, axes = svd(X, full_matrices=False)
    shrunk = values / (values**2 + penalty * (values**2).sum() / X.shape[1])
    return unit(x @ axes.T * shrunk @ (basis.T @ Y)) @ unit(y).T


def procrustes(X, Y, x, y):
    """Return cosines after a rotation."""
    left, _, right = svd(X.T @ Y, full_matrices=False)
    return unit(x @ left @ right) @ unit(y).T


def relative(X, Y, x, y):
    """Return cosines of similarities to the known pairs."""
    return unit(unit(x) @ unit(X).T) @ unit(unit(y) @ unit(Y).T).T


def fixed_choices(X, Y, x, y):
    """Yield names and scores of choices that look at no known pair."""
    for standardize in (True, False):
        scales = [side.std(0, ddof=1) if standardize else np.ones(1) for side in (X, Y)]
        scales = [np.where(scale > 0, scale, 1.0) for scale in scales]
        sides = X / scales[0], Y / scales[1], x / scales[0], y / scales[1]
        yield f"local CKA, standardize={standardize}", local_cka_scores(*sides)
    means = X.mean(0), Y.mean(0)
    sides = [unit(X - means[0]), unit(Y - means[1]), unit(x - means[0]), unit(y - means[1])]
    yield "Procrustes", procrustes(*sides)
    yield "relative representations", relative(*sides)
    for penalty in (0.1, 0.3, 1, 3, 10):
        yield f"ridge, {penalty:g}", ridge(*sides, penalty)
        yield f"regularised CCA, {penalty:g}", regularised_cca(*sides, penalty)


def choice_rows(repeats):
    """Yield one-to-one accuracies of the default and of fixed choices, 150 queries."""
    found = {}
    for name in spaces():
        for n_pairs in (100, 250):
            for seed in range(repeats):
                X, Y, x, y = drawn(name, n_pairs, seed, 150)
                scores = EncoderMatcher(random_state=0).fit(X, Y).score_matrix(x, y)
                for method, found_scores in (("default", scores), *fixed_choices(X, Y, x, y)):
                    found.setdefault(method, []).append(one_to_one(found_scores))
    default = np.array(found["default"])
    for method, values in found.items():
        gaps = default - values
        error = gaps.std(ddof=1) / np.sqrt(len(gaps))
        yield [method, f"{np.mean(values):.3f}", f"{gaps.mean():+.3f} ± {error:.3f}"]


def accuracy_among(scores, n_candidates, top_k=1):
    """Return how often the right one is among the nearest of fewer candidates."""
    ahead = (scores > np.diag(scores)[:, None]).sum(axis=1)
    return hypergeom.cdf(top_k - 1, len(scores) - 1, ahead, n_candidates - 1).mean()


def claim_rows(repeats):
    """Yield biases and coverages of the accuracies predicted."""
    for name in spaces():
        for n_pairs in (100, 250):
            gaps = {"one to one": [], "nearest": [], "theoretical_accuracy_": []}
            for seed in range(repeats):
                X, Y, x, y = drawn(name, n_pairs, seed)
                model = EncoderMatcher(random_state=0).fit(X, Y)
                measured = accuracy_among(model.score_matrix(x, y), n_pairs)
                found = model.theoretical_accuracy_
                error = np.hypot(_binomial(found, n_pairs), _binomial(measured, len(x)))
                gaps["theoretical_accuracy_"].append((found - measured, error))
                for kind, assignment in (("one to one", "hungarian"), ("nearest", "argmax")):
                    model.set_params(assignment=assignment)
                    predicted = model.predict_accuracy(x[:150], y[:150])
                    blocks = range(0, min(len(x) - 149, 600), 150)
                    parts = [(x[at : at + 150], y[at : at + 150]) for at in blocks]
                    real = np.mean([model.score(*part) for part in parts])
                    error = np.hypot(predicted.standard_error, _binomial(real, 150 * len(parts)))
                    gaps[kind].append((predicted.accuracy - real, error))
            for kind, pairs in gaps.items():
                gap, error = np.array(pairs).T
                yield [
                    name,
                    n_pairs,
                    kind,
                    f"{gap.mean():+.3f} ± {gap.std(ddof=1) / np.sqrt(len(gap)):.3f}",
                    f"{np.mean(np.abs(gap) <= 2 * error):.2f}",
                ]


def _binomial(share, n):
    """Return the standard error of a share."""
    smoothed = (share * n + 0.5) / (n + 1)
    return np.sqrt(smoothed * (1 - smoothed) / n)


def pairs_rows(repeats, n_candidates=100):
    """Yield how `required` and `forecast` compare with what more pairs reach."""
    sizes = (50, 100, 200, 400)
    for name, (X, _) in spaces().items():
        grid = [m for m in (*sizes, 800, 1600) if len(X) - m >= n_candidates]
        curve = {m: [] for m in grid}
        models = {m: [] for m in sizes}
        for seed in range(repeats):
            for m in grid:
                X, Y, x, y = drawn(name, m, seed)
                model = EncoderMatcher(random_state=0).fit(X, Y)
                scores = model.score_matrix(x[:600], y[:600])
                curve[m].append(accuracy_among(scores, n_candidates))
                if m in models:
                    models[m].append(model)
        truth = np.array([np.mean(curve[m]) for m in grid])
        for m in sizes:
            last = min(4 * m, grid[-1])
            low, high = np.interp(np.log([m, last]), np.log(grid), truth)
            if high - low < 0.02:
                yield [name, m, f"{low:.3f} to {high:.3f}", *"-----"]
                continue
            wanted = np.linspace(low, high, 7)[1:]
            needed = np.exp(np.interp(wanted, truth, np.log(grid)))
            answers = [
                [model.required(s, n_candidates=n_candidates) for s in wanted]
                for model in models[m]
            ]
            ratio = np.array(answers) / needed
            moved = moved_answers(models[m], n_candidates, wanted, truth, grid, low)
            ends = [
                [model.required_interval(s, n_candidates=n_candidates) for s in wanted]
                for model in models[m]
            ]
            ends = np.moveaxis(ends, -1, 0)
            held = np.mean((ends[0] <= needed + 1) & (needed <= ends[1]), axis=1)
            bands = [model.forecast(n_pairs=last, n_candidates=n_candidates) for model in models[m]]
            covered = [one.lower <= high <= one.upper for one in bands]
            yield [
                name,
                m,
                f"{low:.3f} to {high:.3f}",
                f"{np.exp(np.median(np.log(ratio))):.2f}",
                *(f"{np.mean(np.abs(np.log(one)) < np.log(1.5)):.2f}" for one in (ratio, moved)),
                f"{held.mean():.2f} ± {held.std(ddof=1) / np.sqrt(len(held)):.2f}",
                f"{np.mean([one.score for one in bands]) - high:+.3f}, {np.mean(covered):.2f}",
            ]


def moved_answers(models, n_candidates, wanted, truth, grid, present):
    """Return what the true curve, moved to the present claims, answers over what is needed."""
    logs, levels = np.log(grid), norm.ppf(np.clip(truth, 1e-6, 1 - 1e-6))
    found = []
    for model in models:
        claim = norm.ppf(float(model.forecast(n_candidates=n_candidates).score))
        moved = levels + claim - norm.ppf(present)
        asked = norm.ppf(wanted)
        inner = np.interp(asked, moved, logs)
        # Beyond its ends the curve goes on as its last doublings do.
        slopes = [max(np.polyfit(*two, 1)[0], 1e-3) for two in ends_of(logs, moved)]
        inner = np.where(asked < moved[0], logs[0] + (asked - moved[0]) / slopes[0], inner)
        inner = np.where(asked > moved[-1], logs[-1] + (asked - moved[-1]) / slopes[1], inner)
        found.append(np.exp(inner))
    return np.array(found) / np.exp(np.interp(wanted, truth, logs))


def ends_of(x, y):
    """Return the first and the last two points of a curve."""
    return (x[:2], y[:2]), (x[-2:], y[-2:])


def index_cases():
    """Yield names, two spaces, and numbers of known pairs, queries and candidates."""
    for name, pair in spaces().items():
        yield name, pair, 100, min(300, len(pair[0]) - 100), min(500, len(pair[0]) - 100)
    data = make_paired_encoders(50_400, 64, 96, n_latent=32, noise_std=1.0, random_state=0)
    for n_gallery in (5_000, 50_000):
        yield "make_paired_encoders", (data.X, data.Y), 400, 1000, n_gallery


def index_rows(repeats):
    """Yield recalls predicted and measured of `transform`, ridge and Procrustes."""
    for name, pair, m, n_queries, n_gallery in index_cases():
        found = []
        for seed in range(repeats if n_gallery < 1000 else 1):
            order = np.random.default_rng([seed, 1]).permutation(len(pair[0]))
            known, gallery = order[:m], order[m : m + n_gallery]
            X, Y = (side[known] for side in pair)
            x, index = pair[0][gallery[:n_queries]], pair[1][gallery]
            model = EncoderMatcher(random_state=0).fit(X, Y)
            alphas = np.logspace(-4, 4, 17) * X.var(0).sum()
            fitted = RidgeCV(alphas).fit(X, Y).predict(x)
            left, _, right = svd((X - X.mean(0)).T @ (Y - Y.mean(0)), full_matrices=False)
            turned = (x - X.mean(0)) @ left @ right
            found.append(
                [
                    model.predict_topk(index, top_k=10).accuracy,
                    model.score_topk(x, index, top_k=10),
                    recall(fitted, index, 10),
                    recall(turned, index - Y.mean(0), 10),
                    recall(low_rank(Y, fitted), index, 10),
                ]
            )
        means = np.mean(found, axis=0)
        yield [name, m, n_gallery, *(f"{value:.3f}" for value in means)]


def low_rank(Y, fitted, rank=32):
    """Return predictions on leading directions of the targets: an affine map of low rank."""
    axes = svd(Y - Y.mean(0), full_matrices=False)[2][:rank]
    return (fitted - Y.mean(0)) @ axes.T @ axes + Y.mean(0)


def recall(vectors, gallery, top_k):
    """Return how often the right row is among the nearest by cosine."""
    gallery, hits = unit(gallery), []
    for k, vector in enumerate(unit(vectors)):
        scores = gallery @ vector
        hits.append((scores > scores[k]).sum() < top_k)
    return np.mean(hits)


def speed_rows(repeats):
    """Yield processor times of fit and match on 150 + 150 items, taking turns with PCA."""
    X, Y, x, y = drawn(next(iter(spaces())), 150, 0, 150)

    def rotation():
        first, second = (PCA(50, random_state=0).fit(side) for side in (X, Y))
        sides = first.transform(X), second.transform(Y), first.transform(x), second.transform(y)
        return one_to_one(procrustes(*sides))

    def matcher():
        return EncoderMatcher(random_state=0).fit(X, Y).match(x, y)

    times = {rotation: [], matcher: []}
    for _ in range(max(repeats, 5)):
        for call, found in times.items():
            start = time.process_time()
            call()
            found.append(time.process_time() - start)
    first, second = (min(found) for found in times.values())
    yield [f"{1e3 * first:.0f}", f"{1e3 * second:.0f}", f"{second / first:.1f}"]


def spectra():
    """Return standard deviations of features by name."""
    return {
        "one direction": np.r_[20.0, np.full(20, 0.3)],
        "half in one direction": np.r_[4.5, np.ones(20)] ** 0.5,
        "power law": 1 / np.arange(1.0, 51.0),
        "white": np.ones(50),
        "one direction, heavy tails": np.r_[20.0, np.full(20, 0.3)],
    }


def test_rows(repeats):
    """Yield how often `cka_test` rejects unrelated and related spaces, beside other laws."""
    draws = 100 * repeats
    for name, scales in spectra().items():
        for n in (20, 100):
            for strength in (0.0, 0.35):
                found = []
                for seed in range(draws if not strength else draws // 5):
                    rng = np.random.default_rng([seed, n])
                    shape = (2, n, len(scales))
                    heavy = "heavy" in name
                    X, Y = rng.standard_t(3, shape) if heavy else rng.standard_normal(shape)
                    Y = (strength * X + Y) * scales
                    one = cka_test(X * scales, Y)
                    drawn_ = cka_test(X * scales, Y, n_permutations=199, random_state=seed)
                    found.append([norm.sf(one.z_score), one.p_value, drawn_.p_value])
                rates = [np.mean(np.array(found) <= level, axis=0) for level in (0.05, 0.01)]
                kind = "related" if strength else "unrelated"
                yield [name, n, kind, *(" / ".join(f"{r:.3f}" for r in both) for both in rates)]


def graph_cases(seed):
    """Yield names, numbers of known pairs, two matrices, and the row that goes with each."""
    for correlation, m in ((0.5, 10), (0.5, 12), (0.35, 20), (0.35, 30)):
        data = make_correlated_graphs(80, correlation, random_state=seed)
        yield f"graphs of correlation {correlation}", m, data.A, data.B, data.indices
    for name, sides in spaces().items():
        rows = np.random.default_rng(seed).permutation(len(sides[0]))[:120]
        kernels = [unit(side[rows] - side.mean(0)) for side in sides]
        A, B = (kernel @ kernel.T for kernel in kernels)
        for m in (12, 40):
            yield name, m, A, B, np.arange(120)


def quadratic_rows(repeats):
    """Yield accuracies of `quadratic_assignment` predicted and measured."""
    found = {}
    for seed in range(2 * repeats):
        for name, m, A, B, partners in graph_cases(seed):
            pairs = np.column_stack([np.arange(m), partners[:m]])
            one = quadratic_assignment(A, B, known_pairs=pairs, cv=10, random_state=seed)
            real = np.mean((one.indices == partners)[m:])
            low, high = one.theoretical_accuracy_interval
            found.setdefault((name, m), []).append(
                [one.theoretical_accuracy, real, low <= real <= high]
            )
    for key, values in found.items():
        values = np.array(values)
        gaps = values[:, 0] - values[:, 1]
        error = gaps.std(ddof=1) / np.sqrt(len(gaps))
        predicted, real, covered = values.mean(axis=0)
        yield [
            *key,
            f"{predicted:.3f}",
            f"{real:.3f}",
            f"{gaps.mean():+.3f} ± {error:.3f}",
            f"{covered:.2f}",
        ]


def scale_rows(repeats):
    """Yield time and memory of one-to-one matches of 20 000 queries."""
    n, m = 20_000, 400
    data = make_paired_encoders(n + m, 64, 96, n_latent=24, noise_std=0.8, random_state=0)
    order = np.random.default_rng(1).permutation(n)
    start = time.process_time()
    model = EncoderMatcher(assignment="sparse", random_state=0).fit(data.X[:m], data.Y[:m])
    found = model.match(data.X[m:], data.Y[m:][order])
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    right = np.mean(order[found.indices] == np.arange(n))
    yield [n, m, f"{right:.3f}", f"{found.confidence.mean():.3f}", f"{seconds:.0f}", f"{peak:.1f}"]


PARTS = {
    "choice": (
        "Matching choice (one to one, 100 and 250 known pairs, 150 queries)",
        ["method", "right", "default less it"],
        choice_rows,
    ),
    "claims": (
        "Matching choice claims (predicted less measured)",
        ["spaces", "known pairs", "accuracy", "difference", "within 2 s.e."],
        claim_rows,
    ),
    "pairs": (
        "Matching pairs (required among 100 candidates; the forecast at four times the pairs)",
        ["spaces", "known pairs", "accuracy", "required / true", "within 1.5"]
        + ["true curve: within 1.5", "interval: coverage", "forecast, covered"],
        pairs_rows,
    ),
    "index": (
        "Matching index (recall at 10)",
        [
            "spaces",
            "known pairs",
            "gallery",
            "predicted",
            "measured",
            "ridge",
            "Procrustes",
            "low rank",
        ],
        index_rows,
    ),
    "quadratic": (
        "Matching quadratic claims (known pairs held out, ten folds)",
        ["sides", "known pairs", "predicted", "measured", "difference", "in the interval"],
        quadratic_rows,
    ),
    "scale": (
        "Matching scale (one to one among the best candidates)",
        ["queries", "known pairs", "right", "mean confidence", "processor time, s", "peak, GiB"],
        scale_rows,
    ),
    "test": (
        "Matching test (rejections: normal law / cka_test / 199 permutations)",
        ["spectrum", "items", "spaces", "at .05", "at .01"],
        test_rows,
    ),
    "speed": (
        "Matching speed (processor time of fit and match, 150 + 150 items)",
        ["PCA and Procrustes, ms", "EncoderMatcher, ms", "ratio"],
        speed_rows,
    ),
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="all by default")
    parser.add_argument("--repeats", type=int, default=10, help="draws of known pairs")
    arguments = parser.parse_args()
    print(machine())
    with threadpool_limits(1):
        for part in arguments.part or PARTS:
            title, header, rows = PARTS[part]
            print_table(title, header, rows(arguments.repeats))
