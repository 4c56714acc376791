"""What staged SGD claims, on a folder of tables and on heavy tails: medians, risks, time, momentum.

Run it as ``python benchmarks/bench_staged_sgd_claims.py FOLDER --part risk``; ``--help`` lists the
options. Each line follows from its table, its seed and the number of draws alone.
"""

import argparse
import os
import time
import warnings
from pathlib import Path
from zlib import crc32

import numpy as np
from _table import machine, pm, print_table
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import SGDRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skrmt.linear_model import Stage, StagedSGDClassifier, StagedSGDRegressor
from skrmt.theory import sgd

GROWTH = 1e6
WITHIN = 0.3


def tables(folder):
    """Yield names, features and targets: numbers, or -1 and 1 for the largest class."""
    files = sorted(Path(folder).glob("*.npz")) if folder else []
    for file in files:
        content = np.load(file, allow_pickle=False)
        yield file.stem, content["X"].astype(float), _target(content["y"])
    if not files:
        for name, load in (("digits", load_digits), ("breast cancer", load_breast_cancer)):
            X, y = load(return_X_y=True)
            yield name, X, _target(y)
        yield "diabetes", *load_diabetes(return_X_y=True)


def _target(y):
    """Return numbers of many values as they are, and whether a row is of the largest class."""
    values, counts = np.unique(y, return_counts=True)
    if y.dtype.kind in "fiu" and len(values) > 30:
        return y.astype(float)
    return np.where(y == values[counts.argmax()], 1.0, -1.0)


def split(name, X, y, seed, n):
    """Return standardised training rows and the others, by the name and the seed alone."""
    rng = np.random.default_rng(crc32(f"{name} {seed}".encode()))
    order = rng.permutation(len(y))
    train, test = order[:n], order[n:]
    kept = X[train].std(axis=0) > 0
    scaler = StandardScaler().fit(X[train][:, kept])
    parts = [scaler.transform(X[rows][:, kept]) for rows in (train, test)]
    return parts[0], y[train], parts[1], y[test]


def simulated(X, y, rate, B, runs, seed, momentum=0.0):
    """Return losses (T, R) of one pass in random order."""
    rng = np.random.default_rng(seed)
    X, y = X - X.mean(axis=0), y - y.mean()
    n, steps = len(y), len(y) // B
    order = np.array([rng.permutation(n)[: steps * B] for _ in range(runs)])
    w, v = np.zeros((runs, X.shape[1])), np.zeros((runs, X.shape[1]))
    losses = np.empty((steps, runs))
    for t in range(steps):
        rows = order[:, t * B : (t + 1) * B]
        x = X[rows]
        residual = np.einsum("rbp,rp->rb", x, w) - y[rows]
        losses[t] = (residual**2).mean(axis=1) / 2
        v = momentum * v + np.einsum("rbp,rb->rp", x, residual) / B
        w = w - rate * v
    return np.nan_to_num(losses, nan=np.inf)


def fitted(model, X, y):
    """Return a fitted model, None where the fit fails, and the number of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            return model.fit(X, y), len(caught)
        except ValueError:
            return None, len(caught)


def unstable_rows(folder, draws, runs):
    """Yield how near predicted curves are to medians of runs, at and above the critical rate."""
    for part in (1.0, 1.1, 1.3, 2.0):
        for B in (8, 32):
            near, best, ends, said = [], [], [], []
            for name, X, y in tables(folder):
                for seed in range(draws):
                    A, b, _, _ = split(name, X[:, :100], y, seed, min(1000, len(y) - 1))
                    stages = [Stage(len(b) // B, B, part, relative=True)]
                    model, count = fitted(StagedSGDRegressor(stages, random_state=seed), A, b)
                    if model is None:
                        near.append(0.0)
                        ends.append(0.0)
                        continue
                    rate = part * model.critical_learning_rate_
                    with np.errstate(all="ignore"):
                        median, other = (
                            np.log10(np.median(simulated(A, b, rate, B, size, key), axis=1))
                            for size, key in ((runs, 1), (8 * runs, 2))
                        )
                        predicted = np.log10(model.theoretical_loss_curve_)
                    below = median < predicted[0] + np.log10(GROWTH)
                    near.append(np.mean(np.abs(predicted - median)[below] < WITHIN))
                    best.append(np.mean(np.abs(other - median)[below] < WITHIN))
                    ends.append(np.mean(below == (predicted < predicted[0] + np.log10(GROWTH))))
                    said.append(count == 1 if part > 1 else count <= 1)
            yield part, B, len(near), pm(near), pm(best), pm(ends), pm(said)


def heavy(name, n, p, rng):
    """Return rows of a law with heavy tails."""
    draw = {
        "Gaussian": rng.standard_normal,
        "rows t(3)": lambda size: rng.standard_t(3, size),
        "elliptical t(3)": lambda size: (
            rng.standard_normal(size) / np.sqrt(rng.chisquare(3, size[0]) / 3)[:, None]
        ),
        "lognormal rows": lambda size: np.exp(rng.standard_normal(size)),
        "one row x 30": lambda size: (
            rng.standard_normal(size) * np.where(rng.random(size[0]) < 1 / 200, 30, 1)[:, None]
        ),
    }
    noise = {"noise t(4)": 4, "noise t(3)": 3, "noise t(2.5)": 2.5}
    X = draw.get(name, rng.standard_normal)((n, p))
    e = rng.standard_t(noise[name], n) if name in noise else rng.standard_normal(n)
    return X, X @ np.full(p, p**-0.5) + 0.5 * e


LAWS = (
    "Gaussian", "rows t(3)", "elliptical t(3)", "lognormal rows", "one row x 30", "noise t(4)",
    "noise t(3)", "noise t(2.5)",
)  # fmt: skip


def risk_line(name, sets, make):
    """Return how claimed risks compare with those on fresh rows, over draws of training rows."""
    ratios, inside, widths, open_ended, silent = [], [], [], [], 0
    for seed, (A, b, T, c) in enumerate(sets):
        model, _ = fitted(make(random_state=seed), A, b)
        if make is StagedSGDClassifier:
            scores = model.decision_function(T)
        else:
            scores = model.predict(T)
        truth = np.mean((c - scores) ** 2) / 2
        low, high = getattr(model, "theoretical_risk_interval_", [np.nan, np.nan])
        claim = model.theoretical_risk_
        if np.isnan(claim):
            silent += 1
            continue
        ratios.append(np.log(claim / truth))
        inside.append(low <= truth <= high)
        open_ended.append(np.isinf(high))
        widths.append(np.log(high / low))
    spread = np.exp(np.quantile(ratios, [0.05, 0.5, 0.95]))
    cells = pm(ratios), f"{spread[0]:.2f} {spread[1]:.2f} {spread[2]:.2f}", pm(inside)
    width = f"{np.median(widths):.2f}"
    return (name, len(sets), *cells, width, f"{np.mean(open_ended):.2f}", silent), inside


def has_long_row(X):
    """Return whether a row is ten times as long as most."""
    lengths = np.linalg.norm(X, axis=1)
    return bool(lengths.max() > 10 * np.median(lengths))


def risk_rows(folder, draws, runs):
    """Yield claimed risks against those on fresh rows."""
    for kind in ("tables", "heavy tails"):
        covered = []
        names = [(n, X, y) for n, X, y in tables(folder)] if kind == "tables" else LAWS
        for entry in names:
            if kind == "tables":
                name, X, y = entry
                n = min(400, len(y) // 2)
                sets = [split(name, X[:, :300], y, seed, n) for seed in range(draws)]
                binary = len(np.unique(y)) == 2
            else:
                name, sets, binary = entry, [], False
                for seed in range(draws):
                    rng = np.random.default_rng(crc32(f"{name} {seed}".encode()))
                    sets.append((*heavy(name, 200, 10, rng), *heavy(name, 50_000, 10, rng)))
            make = StagedSGDClassifier if binary else StagedSGDRegressor
            groups = {name: sets}
            if name == "one row x 30":
                seen = [has_long_row(one[0]) for one in sets]
                groups = {
                    f"{name}, {text}": [s for s, k in zip(sets, seen, strict=True) if k == found]
                    for text, found in (("seen", True), ("not seen", False))
                }
            for label, some in groups.items():
                line, inside = risk_line(label, some, make)
                covered += inside
                yield line
        yield f"all {kind}", len(covered), "", "", pm(covered), "", "", ""


def time_rows(folder, draws, runs):
    """Yield processor time over that of a pass of SGDRegressor, methods taking turns."""
    rng = np.random.default_rng(0)
    for n, p in ((10_000, 100), (10_000, 20), (2000, 300)):
        X = rng.standard_normal((n, p))
        y = X[:, 0] + 0.5 * rng.standard_normal(n)
        stages = [Stage(n // 32, 32, 0.5, "cosine", relative=True)]
        plain = [Stage(n // 32, 32, 0.01)]
        jobs = {
            "rival": lambda X=X, y=y: SGDRegressor(max_iter=1, tol=None).fit(X, y),
            "fit": lambda X=X, y=y, s=stages: StagedSGDRegressor(s, random_state=0).fit(X, y),
            "classes": lambda X=X, y=y, s=stages: StagedSGDClassifier(s, random_state=0).fit(
                X, y > 0
            ),
            "pass": lambda X=X, y=y, s=plain: StagedSGDRegressor(s).partial_fit(X, y),
        }
        times = np.array([[_processor(job) for job in jobs.values()] for _ in range(draws)])
        ratios = times[:, 1:] / times[:, :1]
        yield f"{n} x {p}", f"{1e3 * np.median(times[:, 0]):.1f} ms", *(pm(r, 1) for r in ratios.T)


def _processor(job):
    """Return the processor time of a call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        job()
        return time.process_time() - start


def momentum_rows(folder, draws, runs):
    """Yield mean loss curves and risks with momentum and weight decay against the predicted."""
    lam = (1.0 + np.arange(30)) ** -1.0
    lam /= lam.mean()
    start = np.full(30, 30**-0.5)
    for momentum in (0.0, 0.5, 0.9):
        for decay in (0.0, 0.1):
            rates = [0.4 * sgd.critical_learning_rate(lam, B, momentum=momentum) for B in (4, 8)]
            stages = [
                Stage(150, B, rate, momentum=momentum, weight_decay=decay)
                for B, rate in zip((4, 8), rates, strict=True)
            ]
            exact = sgd.risk_curve(lam, -start, 0.25, stages)
            found, predicted, ends = [], [], []
            for seed in range(runs):
                rng = np.random.default_rng(seed)
                X = rng.standard_normal((2000, 30)) * np.sqrt(lam)
                y = X @ start + 0.5 * rng.standard_normal(2000)
                model = StagedSGDRegressor(stages, detect_spikes=False, random_state=seed)
                fitted(model, X, y)
                found.append(model.loss_curve_)
                predicted.append(model.theoretical_loss_curve_)
                ends.append(((model.coef_ - start) ** 2 @ lam + 0.25) / 2)
            error = np.std(found, axis=0, ddof=1) / np.sqrt(runs)
            gaps = [
                (np.mean(found, axis=0) - curve) / error
                for curve in (exact[:-1], np.mean(predicted, axis=0))
            ]
            yield (
                momentum,
                decay,
                *(f"{np.abs(z).max():.1f} ({np.sqrt(np.mean(z**2)):.2f})" for z in gaps),
                f"{exact[-1]:.4f}",
                pm(ends, 4),
            )


PARTS = {
    "unstable": (
        "Median of runs at and above the critical rate",
        ("rate over the critical one", "batch", "fits", "steps within 0.3", "of 8 times as many "
         "runs", "steps on whose end both agree", "one warning at most"),
        unstable_rows,
    ),
    "risk": (
        "Risk on fresh rows",
        ("rows", "draws", "log of claim over truth", "5, 50, 95 %", "inside the interval",
         "log width", "no upper end", "no claim"),
        risk_rows,
    ),
    "time": (
        "Processor time over that of a pass of SGDRegressor",
        ("n x p", "SGDRegressor", "fit", "fit of classes", "partial_fit"),
        time_rows,
    ),
    "momentum": (
        "Momentum and weight decay: mean losses, largest distance in standard errors (r.m.s.)",
        ("momentum", "weight decay", "from the exact recursion", "from the fit's prediction",
         "exact risk at the end", "measured"),
        momentum_rows,
    ),
}  # fmt: skip


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("SKRMT_DATA")
    folder = str(Path(default) / "tables") if default else None
    parser.add_argument("folder", nargs="?", default=folder, help="tables/*.npz with X and y")
    parser.add_argument("--part", choices=PARTS, action="append", help="all by default")
    parser.add_argument("--draws", type=int, default=20, help="draws of rows, or rounds of timings")
    parser.add_argument("--runs", type=int, default=50, help="runs of a median or a mean")
    options = parser.parse_args()
    print(machine())
    with threadpool_limits(1):
        for name in options.part or PARTS:
            title, header, lines = PARTS[name]
            print_table(title, header, lines(options.folder, options.draws, options.runs))


if __name__ == "__main__":
    main()
