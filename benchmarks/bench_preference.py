"""PreferencePolicy and SelfPlayPolicy against scikit-learn: optimum, time, claims, stability."""

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
from _table import machine, print_table
from scipy.io import loadmat
from scipy.special import ndtr
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skrmt.exceptions import TheoryWarning
from skrmt.preference import PreferencePolicy, SelfPlayPolicy
from skrmt.theory.preference import self_play_fixed_point, self_play_min_beta


def pairs(n, p, signal, *, noise=0.0, spread=0.0, seed=0):
    """Return differences in random order, outcomes, mean and deviations of the features."""
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(p)
    mean *= np.sqrt(signal) / np.linalg.norm(mean)
    scale = np.logspace(0, -spread, p)
    D = (mean + rng.standard_normal((n, p))) * scale
    D[rng.random(n) < noise] *= -1
    order = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    return D * order[:, None], order, mean * scale, scale


def realised(policy, mean, scale):
    """Return the accuracy on fresh pairs of the model."""
    return float(ndtr(policy.coef_ @ mean / np.linalg.norm(policy.coef_ * scale)))


def doubled(X, y):
    """Return the rows with their negatives, and labels."""
    D = X * y[:, None]
    return np.concatenate([D, -D]), np.repeat([1, 0], len(D))


def optimum_rows():
    """Yield the largest difference between dpo and logistic regression."""
    for n, p, beta, alpha in ((500, 20, 1.0, 1e-2), (500, 20, 0.3, 1e-3), (300, 400, 2.0, 0.1)):
        X, y, _, _ = pairs(n, p, 1.5)
        ours = PreferencePolicy(beta=beta, alpha=alpha).fit(X, y)
        rival = LogisticRegression(
            fit_intercept=False, C=beta**2 / (4 * n * alpha), tol=1e-12, max_iter=100_000
        ).fit(*doubled(X, y))
        difference = np.abs(ours.coef_ - rival.coef_[0] / beta).max()
        yield f"{n} x {p}", beta, alpha, f"{difference:.0e}"


def seconds(function):
    """Return the processor time of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def speed_rows(n, rounds):
    """Yield times of dpo and logistic regression on n pairs."""
    p = 100
    for name, signal, spread in (("white", 2.0, 0.0), ("correlated", 2.0, 1.0)):
        X, y, _, _ = pairs(n, p, signal, spread=spread)
        for alpha in (1e-3, 1e-5):
            ours = PreferencePolicy(alpha=alpha)
            lbfgs = LogisticRegression(fit_intercept=False, C=1 / (4 * n * alpha))
            newton = LogisticRegression(
                fit_intercept=False, C=1 / (2 * n * alpha), solver="newton-cholesky"
            )
            twice = doubled(X, y)
            times = np.array(
                [
                    (
                        seconds(lambda m=ours, X=X, y=y: m.fit(X, y)),
                        seconds(lambda m=lbfgs, t=twice: m.fit(*t)),
                        seconds(lambda m=newton, X=X, y=y: m.fit(X, y)),
                    )
                    for _ in range(rounds)
                ]
            )
            middle = np.median(times, axis=0)
            exact = LogisticRegression(
                fit_intercept=False, C=1 / (2 * n * alpha), solver="newton-cholesky", tol=1e-10
            ).fit(X, y)
            yield (
                name,
                alpha,
                f"{1e3 * middle[0]:.0f} ms",
                *(f"{np.median(times[:, k] / times[:, 0]):.2f}" for k in (1, 2)),
                *(f"{np.abs(m.coef_.ravel() - exact.coef_[0]).max():.0e}" for m in (ours, lbfgs)),
            )


def tuning_rows(rounds):
    """Yield the time of leave-one-out against a search over the same penalties."""
    for n, p, spread in ((1000, 50, 0.0), (1000, 200, 1.5), (4000, 100, 1.5)):
        X, y, mean, scale = pairs(n, p, 4.0, spread=spread)
        ours = PreferencePolicy("ipo").fit(X, y)
        grid = {"alpha": [float(a) for a in ours.alphas_]}
        search = GridSearchCV(PreferencePolicy("ipo"), grid)
        ratios = [
            seconds(lambda s=search, X=X, y=y: s.fit(X, y))
            / np.median([seconds(lambda o=ours, X=X, y=y: o.fit(X, y)) for _ in range(3)])
            for _ in range(rounds)
        ]
        yield (
            f"{n} x {p}, deviations 1 to {10**-spread:.2g}",
            f"{np.median(ratios):.0f}",
            f"{realised(ours, mean, scale):.4f}",
            f"{realised(search.best_estimator_, mean, scale):.4f}",
        )


def claim_rows(draws):
    """Yield predicted and realised accuracies on data of the model."""
    for loss, n, p, signal, noise, spread in (
        ("ipo", 1000, 100, 2.0, 0.0, 0.0),
        ("dpo", 1000, 100, 2.0, 0.0, 0.0),
        ("ipo", 2000, 200, 2.0, 0.2, 0.0),
        ("robust", 2000, 200, 2.0, 0.2, 0.0),
        ("ipo", 2000, 100, 4.0, 0.0, 1.5),
        ("hinge", 1000, 100, 2.0, 0.0, 0.0),
    ):
        found = []
        for seed in range(draws):
            X, y, mean, scale = pairs(n, p, signal, noise=noise, spread=spread, seed=seed)
            policy = PreferencePolicy(loss, noise_rate=noise).fit(X, y)
            real = realised(policy, mean, scale)
            low, high = policy.theoretical_accuracy_interval_
            found.append(
                (policy.theoretical_accuracy_, real, policy.model_accuracy_, low < real < high)
            )
        predicted, real, model, inside = np.transpose(found)
        yield (
            loss,
            f"{n} x {p}, {noise:.0%} wrong, deviations 1 to {10**-spread:.2g}",
            f"{predicted.mean():.3f}",
            f"{real.mean():.3f}",
            f"{np.abs(predicted - real).mean():.4f}",
            f"{inside.mean():.0%}",
            f"{np.abs(model - real).mean():.4f}",
        )


def review_rows(folder, draws):
    """Yield the same for reviews: a positive one is preferred to a negative one."""
    for name in ("books", "dvd"):
        data = loadmat(folder / f"{name}_400.mat")
        X, y = np.asarray(data["fts"], dtype=float), data["labels"].ravel()
        for loss in ("ipo", "dpo"):
            for n in (300, 700):
                found = []
                for seed in range(draws):
                    rng = np.random.default_rng(seed)
                    good, bad = (rng.permutation(np.flatnonzero(y == label)) for label in (1, 0))
                    policy = PreferencePolicy(loss).fit_pairs(X[good[:n]], X[bad[:n]])
                    up, down = X[good[n:]] @ policy.coef_, X[bad[n:]] @ policy.coef_
                    real = np.mean(up[:, None] > down)
                    low, high = policy.theoretical_accuracy_interval_
                    found.append((policy.theoretical_accuracy_, real, low < real < high))
                predicted, real, inside = np.transpose(found)
                error = np.abs(predicted - real).mean()
                yield (
                    name,
                    loss,
                    n,
                    f"{predicted.mean():.3f}",
                    f"{real.mean():.3f}",
                    f"{error:.4f}",
                    f"{inside.mean():.0%}",
                )


def stability_rows():
    """Yield errors after self-play on both sides of each threshold, from a hundredth away."""
    human = np.log(np.arange(1, 6) / 15)
    y = np.repeat(np.arange(5), np.arange(1, 6))
    X = np.tile(np.eye(5)[None], (15, 1, 1))
    reference = human + 0.01 * np.random.default_rng(0).standard_normal(5)
    for sampler, history, weight in (
        ("previous", 1, 0.0),
        ("previous", 1, 0.3),
        ("reference", 1, 0.3),
        ("previous", 2, 0.0),
        ("reference", 2, 0.0),
    ):
        scheme = sampler if history == 1 else "last_two"
        scheme += "_both" if history == 2 and sampler == "reference" else ""
        edge = self_play_min_beta(scheme, weight)
        errors = []
        for beta in (0.94 * edge, 1.06 * edge):
            rest = self_play_fixed_point(
                scheme, human, reference, beta=beta, mixture_weight=weight
            ).log_policy
            policy = SelfPlayPolicy(
                beta,
                mixture_weight=weight,
                sampler=sampler,
                history=history,
                n_rounds=100,
                reference=reference,
                alpha=0.0,
                tol=0.0,
            ).fit(X, y)
            end = np.log(policy.predict_proba(np.eye(5)[None])[0])
            errors.append(np.abs(end - rest).max() / np.abs(reference - rest).max())
        yield sampler, history, weight, f"{edge:.3f}", *(f"{error:.1e}" for error in errors)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20, help="draws of the model")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the timings")
    options = parser.parse_args()
    print(machine())
    warnings.simplefilter("ignore", TheoryWarning)
    with threadpool_limits(1):
        header = ("pairs x features", "beta", "alpha", "largest difference")
        print_table("dpo against LogisticRegression", header, optimum_rows())
        header = (
            "noise",
            "alpha",
            "dpo",
            "lbfgs on [D; -D] / ours",
            "newton-cholesky on D / ours",
            "error of ours",
            "error of lbfgs",
        )
        for n in (4000, 100_000):
            print_table(f"Time of dpo, {n} x 100", header, speed_rows(n, options.rounds))
        header = ("pairs x features", "GridSearchCV / ours", "accuracy of ours", "of the search")
        print_table("Penalty of ipo", header, tuning_rows(min(options.rounds, 3)))
        header = (
            "loss",
            "pairs x features",
            "predicted",
            "realised",
            "mean error",
            "inside the interval",
            "mean error of the model",
        )
        print_table("Pair accuracy on data of the model", header, claim_rows(options.draws))
        folder = Path(os.environ.get("SKRMT_DATA", "")) / "amazon_reviews"
        if folder.is_dir():
            header = ("set", "loss", "pairs", "predicted", "realised", "mean error", "inside")
            print_table("Pairs of reviews", header, review_rows(folder, options.draws))
        header = (
            "sampler",
            "history",
            "weight of the reference",
            "threshold",
            "error over start, 6 % below",
            "6 % above",
        )
        print_table("Self-play on both sides of its thresholds", header, stability_rows())


if __name__ == "__main__":
    main()
