"""Staged SGD: predicted against measured losses, spikes, planned schedules, time."""

import argparse
import os
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from _table import machine, print_table
from scipy import stats
from scipy.io import loadmat
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import Stage, StagedSGDClassifier, StagedSGDRegressor
from skrmt.theory.sgd import (
    critical_learning_rate,
    plan_stages,
    risk_curve,
    spike_p_value,
)


def spectrum(p, alpha):
    """Return eigenvalues that fall like a power, of mean 1."""
    lam = (1.0 + np.arange(p)) ** -alpha
    return lam / lam.mean()


def draw(n, lam, variance, seed):
    """Return Gaussian rows and targets."""
    rng = np.random.default_rng(seed)
    p = len(lam)
    X = rng.standard_normal((n, p)) * np.sqrt(lam)
    return X, X @ np.full(p, p**-0.5) + np.sqrt(variance) * rng.standard_normal(n)


def curve_rows(runs):
    """Yield how far the mean loss of each step is from the prediction, Gaussian rows."""
    for p, alpha, sizes in ((30, 1.0, (4, 8)), (60, 0.5, (2, 4)), (100, 0.0, (1, 1))):
        lam = spectrum(p, alpha)
        rate = 0.5 * critical_learning_rate(lam, sizes[0])
        stages = [Stage(150, size, rate) for size in sizes]
        n = sum(stage.n_steps * stage.batch_size for stage in stages)
        found, predicted = [], []
        for seed in range(runs):
            model = StagedSGDRegressor(stages, detect_spikes=False, random_state=seed)
            model.fit(*draw(max(n, 10 * p), lam, 0.25, 9000 + seed))
            found.append(model.loss_curve_)
            predicted.append(model.theoretical_loss_curve_)
        error = np.std(found, axis=0, ddof=1) / np.sqrt(runs)
        exact = risk_curve(lam, np.full(p, p**-0.5), 0.25, stages)[:-1]
        worst = [
            np.abs(np.mean(found, axis=0) - curve) / error
            for curve in (np.mean(predicted, axis=0), exact)
        ]
        yield (
            f"p {p}, lambda_j ~ j^-{alpha:g}, batches {sizes}",
            *(f"{np.max(z):.2f} (mean {np.mean(z):.2f})" for z in worst),
            f"{np.abs(np.mean(predicted, axis=0) / exact - 1).max():.1%}",
        )


def real_sets():
    """Yield names, features and classes of real sets."""
    X, y = load_digits(return_X_y=True)
    yield "digits, 10 classes", X, y
    yield "digits, even v odd", X, y % 2
    folder = Path(os.environ.get("SKRMT_DATA", "")) / "amazon_reviews"
    for name in ("books", "dvd") if folder.is_dir() else ():
        content = loadmat(folder / f"{name}_400.mat")
        yield f"reviews {name}", content["fts"].astype(float), content["labels"].ravel().astype(int)


def real_rows(runs):
    """Yield how far tenths of the mean loss curve are from the prediction, real features."""
    for name, X, y in real_sets():
        X = StandardScaler().fit_transform(X)
        n = int(0.8 * len(y))
        for size in (1, 8):
            steps = min(1000, n // size)
            stages = [Stage(steps // 2, size, 0.5, relative=True)]
            stages.append(Stage(steps // 2, size, 0.5, "cosine", relative=True))
            found, predicted, scores, claims = [], [], [], []
            for seed in range(runs):
                order = np.random.default_rng(seed).permutation(len(y))
                train, test = order[:n], order[n:]
                model = StagedSGDClassifier(stages, random_state=seed).fit(X[train], y[train])
                found.append(model.loss_curve_)
                predicted.append(model.theoretical_loss_curve_)
                scores.append(model.score(X[test], y[test]))
                claims.append(model.theoretical_accuracy_)
            parts = [
                np.array([part.mean() for part in np.array_split(np.mean(c, axis=0), 10)])
                for c in (found, predicted)
            ]
            yield (
                name,
                size,
                f"{np.abs(parts[0] / parts[1] - 1).max():.1%}",
                f"{np.mean(claims):.3f}",
                f"{np.mean(scores):.3f}",
            )


def spike_rows():
    """Yield false alarms, planted spikes found, and what a rollback restores."""
    rng = np.random.default_rng(0)
    losses = (rng.standard_normal((100_000, 6)) ** 2).mean(axis=1) / 2
    p = spike_p_value(losses, 0.5, 6)
    test = stats.kstest(p, "uniform").pvalue
    yield "p-values of 100 000 null batches: Kolmogorov-Smirnov p", f"{test:.2f}"
    yield "of these below 1 %", f"{(p < 0.01).mean():.3%}"
    lam, alarms = spectrum(20, 0.0), 0
    for seed in range(20):
        X, y = draw(20_000, lam, 0.25, 9000 + seed)
        model = StagedSGDRegressor([Stage(5000, 4, 0.1, relative=True)], random_state=seed)
        alarms += len(model.fit(X, y).spikes_)
    yield "false alarms in 20 fits of 5000 steps (0.2 expected at most)", alarms
    lam, found, planted, ratios = spectrum(30, 1.0), 0, 0, []
    for seed in range(20):
        X, y = draw(4000, lam, 0.25, 9000 + seed)
        y[np.random.default_rng(seed).choice(4000, 4, replace=False)] += 30
        model = StagedSGDRegressor([Stage(1000, 4, 0.5, relative=True)], random_state=seed)
        model.fit(X, y)
        steps = np.flatnonzero(model.loss_curve_ > 50)
        planted += len(steps)
        found += len(set(steps) & {step for step, _ in model.spikes_})
        others = np.delete(np.arange(1000), steps)
        ratios.append(model.loss_curve_[others].sum() / model.theoretical_loss_curve_[others].sum())
    yield "planted spikes found", f"{found} of {planted}"
    yield "other losses over prediction, with rollback", f"{np.mean(ratios):.3f}"


def plan_rows(runs):
    """Yield predicted and measured risks of schedules of one budget."""
    for p, alpha, variance, budget, size in (
        (50, 1.0, 0.25, 2000, 2),
        (100, 0.7, 0.05, 6000, 4),
        (200, 1.2, 1.0, 4000, 8),
    ):
        lam, steps = spectrum(p, alpha), budget // size
        start = np.full(p, p**-0.5)
        ratio = _ratio(lam, size)
        shapes = {
            "constant": lambda f, n=steps, b=size: [Stage(n, b, f, relative=True)],
            "cosine": lambda f, n=steps, b=size: [Stage(n, b, f, "cosine", relative=True)],
            "doubling halfway": lambda f, n=steps, b=size, ratio=ratio: [
                Stage(n // 2, b, f, relative=True),
                Stage(n // 4, 2 * b, f * ratio, relative=True),
            ],
        }
        schedules = {
            name: min(
                (shape(f) for f in np.geomspace(0.01, 0.9, 30)),
                key=lambda stages: risk_curve(lam, start, variance, stages)[-1],
            )
            for name, shape in shapes.items()
        }
        plan = plan_stages(lam, variance, budget, batch_size=size)
        schedules["plan_stages"] = plan.stages
        for name, stages in schedules.items():
            predicted = risk_curve(lam, start, variance, stages)[-1]
            risks = [measured(stages, lam, variance, budget, seed) for seed in range(runs)]
            error = np.std(risks, ddof=1) / np.sqrt(runs)
            rate = stages[0].learning_rates(critical_learning_rate(lam, size)).max()
            cells = f"{predicted:.4f}", f"{np.mean(risks):.4f} ± {error:.4f}", f"{rate:.3g}"
            yield f"p {p}, {budget} rows, batches of {size}", name, *cells


def _ratio(lam, size):
    """Return what turns a fraction of one critical rate into that of the doubled batch size."""
    return critical_learning_rate(lam, size) / critical_learning_rate(lam, 2 * size)


def measured(stages, lam, variance, budget, seed):
    """Return the risk at the end of a fit, from its weights."""
    rates = [
        stage.learning_rates(critical_learning_rate(lam, stage.batch_size)) for stage in stages
    ]
    steps = [
        Stage(stage.n_steps, stage.batch_size, rate)
        for stage, rate in zip(stages, rates, strict=True)
    ]
    X, y = draw(budget, lam, variance, 9000 + seed)
    model = StagedSGDRegressor(steps, fit_intercept=False).partial_fit(X, y)
    return float(lam @ (model.coef_ - len(lam) ** -0.5) ** 2 + variance) / 2


def seconds(function):
    """Return the time of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def speed_rows(rounds):
    """Yield times over those of rivals, medians and ranges over rounds."""
    for n, p in ((20_000, 1000), (20_000, 100)):
        X, y = draw(n, np.ones(p), 0.25, 0)
        rate = 0.5 * critical_learning_rate(np.ones(p), 32)

        def rival(X=X, y=y):
            model = SGDRegressor(max_iter=1, tol=None, learning_rate="constant", eta0=1e-4)
            model.fit(X, y)

        def products(size, X=X, p=p):
            w = np.zeros(p)
            for start in range(0, len(X) - size + 1, size):
                batch = X[start : start + size]
                batch.T @ (batch @ w)

        def one_pass(size, X=X, y=y, rate=rate):
            StagedSGDRegressor([Stage(len(X) // size, size, rate)]).partial_fit(X, y)

        jobs = [partial(job, size) for job in (products, one_pass) for size in (32, n)]
        times = np.array([[seconds(job) for job in (rival, *jobs)] for _ in range(rounds)])
        least, single, taken, whole_batch = times.T[1:]
        # A pass in a single step has the same checks and means.
        steps = taken - whole_batch + single
        ratios = np.column_stack([taken / times[:, 0], taken / least, steps / least])
        cells = [f"{np.median(r):.2f} ({r.min():.2f}-{r.max():.2f})" for r in ratios.T]
        name = f"{n} x {p}, batches of 32"
        yield name, f"{1e3 * np.median(taken):.0f} ms", *cells


def theory_rows():
    """Yield the time of the recursion."""
    lam = spectrum(10_000, 0.7)
    for schedule in ("constant", "cosine"):
        stages = [Stage(100_000, 4, 0.5, schedule, relative=True)]
        taken = seconds(lambda stages=stages: risk_curve(lam, np.full(10_000, 0.01), 0.1, stages))
        yield f"p = 10 000, 100 000 steps, {schedule}", f"{taken:.2f} s"


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100, help="runs of a mean curve")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the timings")
    options = parser.parse_args()
    print(machine())
    warnings.simplefilter("ignore", TheoryWarning)
    with threadpool_limits(1):
        header = ("rows", "from the fit's prediction", "from exact theory", "one from the other")
        title = "Mean loss of staged runs, largest distance in standard errors"
        print_table(title, header, curve_rows(options.runs))
        header = ("set", "batch", "largest error of a tenth of the curve", "predicted", "accuracy")
        print_table("Staged SGD on real features", header, real_rows(max(2, options.runs // 4)))
        print_table("Spikes of staged SGD", ("what", "value"), spike_rows())
        header = ("data", "schedule", "predicted risk", "measured risk", "first rate")
        print_table("Schedules of one budget", header, plan_rows(options.runs))
        header = ("n x p", "a pass", "over SGDRegressor", "over two products", "its steps alone")
        print_table("Time of staged SGD", header, speed_rows(options.rounds))
        print_table("Time of the risk curve", ("recursion", "time"), theory_rows())


if __name__ == "__main__":
    main()
