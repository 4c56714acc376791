"""Time and memory of NoiseAwareLinearClassifier against its rivals, on one thread.

Run it as ``python benchmarks/bench_noise_aware_speed.py``; ``--help`` lists the options. Methods
take turns, and medians of processor time on one thread are compared: other work on the machine
changes them little.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
import tracemalloc
import warnings
from functools import partial

import numpy as np
import scipy.linalg
from _rivals import fit, pruned, ridge
from _table import machine, print_table
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skrmt.datasets import flip_labels, make_noisy_mixture
from skrmt.exceptions import TheoryWarning
from skrmt.linalg import loo_path, ridge_basis
from skrmt.linear_model import NoiseAwareLinearClassifier

SIZES = ((4000, 2000), (2000, 1000), (1000, 2000))
MEMORY_SIZES = ((4000, 2000), (2000, 4000), (200_000, 50), (50, 200_000))
COVARIANCES = {"isotropic": "isotropic", "Toeplitz 0.9": 0.9}
OURS = "skrmt, default"


def data(size, covariance="isotropic", n_classes=2):
    """Draw a mixture with a quarter of its labels wrong."""
    n, p = size
    X, y, _, _ = make_noisy_mixture(
        n, p, n_classes=n_classes, noise_rates=0.25, covariance=covariance, random_state=0
    )
    return X, y


def fit_ours(X, y, **parameters):
    """Fit the classifier."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        return NoiseAwareLinearClassifier(**parameters).fit(X, y)


def gram_and_eigh(X, y=None):
    """Decompose the smaller Gram matrix: the floor under every exact ridge path."""
    gram = X.T @ X if X.shape[1] < X.shape[0] else X @ X.T
    return scipy.linalg.eigh(gram, driver="evd", overwrite_a=True, check_finite=False)


QUICK = {
    OURS: fit_ours,
    "skrmt, noise known": partial(fit_ours, noise_rates=0.25),
    "Gram + eigendecomposition": gram_and_eigh,
}
LOGISTIC = {
    "cleanlab, LogisticRegression": lambda X, y: pruned(LogisticRegression(), X, y),
    "LogisticRegressionCV": lambda X, y: fit(LogisticRegressionCV(), X, y),
    "cleanlab, LogisticRegressionCV": lambda X, y: pruned(LogisticRegressionCV(), X, y),
}
METHODS = QUICK | {"RidgeClassifierCV": lambda X, y: fit(ridge(len(y)), X, y)} | LOGISTIC


def seconds(action, *arguments):
    """Return the processor time of a call, which other work on the machine hardly changes."""
    start = time.process_time()
    action(*arguments)
    return time.process_time() - start


def _timed_child(connection, name, size, covariance):
    """Time a method, warmed up on a small task, in a process of its own; send the seconds."""
    with threadpool_limits(1):
        METHODS[name](*data((200, 20)))
        connection.send(seconds(METHODS[name], *data(size, covariance)))


def capped_seconds(name, size, covariance, limit):
    """Return the seconds that a method takes, or None if it exceeds the limit."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_timed_child, args=(sender, name, size, covariance))
    process.start()
    sender.close()
    taken = receiver.recv() if receiver.poll(limit) else None
    process.kill()
    process.join()
    return taken


def alternate(actions, rounds):
    """Time actions in turn, a list of seconds for each; the first round warms up."""
    for action in actions.values():
        action()
    times = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            times[name].append(seconds(action))
    return times


def row(label, taken, reference):
    """Return a row: seconds, and how many times those of the default fit they are."""
    return (*label, f"{taken:.3f}", f"{taken / reference:.2f}")


def compare(size, arguments):
    """Return the rows of one size."""
    X, y = data(size)
    label = " x ".join(map(str, size))
    quick = {name: partial(method, X, y) for name, method in QUICK.items()}
    times = alternate(quick, arguments.rounds)
    slow = [
        (seconds(METHODS["RidgeClassifierCV"], X, y), seconds(fit_ours, X, y))
        for _ in range(arguments.slow_rounds)
    ]
    times[OURS] += [own for _, own in slow]
    ours = statistics.median(times[OURS])
    rows = [row((label, name), statistics.median(taken), ours) for name, taken in times.items()]
    rows.append(row((label, "RidgeClassifierCV"), statistics.median(r for r, _ in slow), ours))
    for kind, covariance in COVARIANCES.items():
        for name in LOGISTIC:
            taken = capped_seconds(name, size, covariance, arguments.limit)
            named = (label, f"{name}, {kind} data")
            if taken is None:
                bound = arguments.limit
                rows.append((*named, f"> {bound:.0f}", f"> {bound / ours:.0f}"))
            else:
                rows.append(row(named, taken, ours))
    return rows


def bundled():
    """Return the real sets bundled with scikit-learn, standardised, a quarter of labels wrong."""
    digits, parity = load_digits(return_X_y=True), load_digits().target % 2
    sets = {
        "breast cancer": load_breast_cancer(return_X_y=True),
        "digits even v odd": (digits[0], parity),
        "digits, 10 classes": digits,
    }
    return {
        name: (StandardScaler().fit_transform(X), flip_labels(y, 0.25, random_state=0))
        for name, (X, y) in sets.items()
    }


def compare_real(arguments):
    """Return the rows of the real sets."""
    rows = []
    for name, (X, y) in bundled().items():
        actions = {
            method: partial(call, X, y)
            for method, call in METHODS.items()
            if method != "skrmt, noise known"
        }
        times = alternate(actions, arguments.rounds)
        ours = statistics.median(times[OURS])
        label = f"{name}, {X.shape[0]} x {X.shape[1]}"
        rows += [row((label, method), statistics.median(t), ours) for method, t in times.items()]
    return rows


def further_targets(size, arguments):
    """Return rows: what nine more targets cost, in the kernel and in the classifier."""
    X, y = data(size, n_classes=10)
    one_hot = np.eye(10)[y]
    penalties = np.logspace(-4, 3, 29)
    two, ten = (y >= 5).astype(int), y

    def path(targets):
        return loo_path(ridge_basis(X), targets, penalties)

    actions = {
        "ridge_basis + loo_path, 1 target": partial(path, one_hot[:, 0]),
        "ridge_basis + loo_path, 10 targets": partial(path, one_hot),
        "skrmt, 2 classes": partial(fit_ours, X, two, noise_rates=0.25),
        "skrmt, 10 classes": partial(fit_ours, X, ten, noise_rates=0.25),
    }
    times = {name: statistics.median(t) for name, t in alternate(actions, arguments.rounds).items()}
    names = list(times)
    rows = []
    for one, many in (names[:2], names[2:]):
        rows.append((one, f"{times[one]:.3f}", ""))
        share = (times[many] / times[one] - 1) / 9
        rows.append((many, f"{times[many]:.3f}", f"{100 * share:.1f} %"))
    return rows


def peak_resident():
    """Return the peak resident memory of this process in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _memory_child(connection, size):
    """Fit in a process of its own; send the peaks of the allocations and of the process."""
    X, y = np.random.default_rng(0).standard_normal(size), np.arange(size[0]) % 2
    X[:, 0] += y
    with threadpool_limits(1):
        before = peak_resident()
        tracemalloc.start()
        fit_ours(X, y)
        connection.send((tracemalloc.get_traced_memory()[1], before, peak_resident()))


def memory_row(size):
    """Return a row: bytes that a fit adds to X, and the budget."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_memory_child, args=(sender, size))
    process.start()
    sender.close()
    allocated, before, after = receiver.recv()
    process.join()
    n, p = size
    budget = 8 * (2 * n * p + min(n, p) ** 2)
    values = (8 * n * p, allocated, budget, before, after)
    return (f"{n} x {p}", *(f"{value / 2**20:.0f}" for value in values))


class NoiseAwareFit:
    """The default fit, for asv."""

    params = SIZES
    param_names = ("size",)

    def setup(self, size):
        self.X, self.y = data(size)

    def time_default_fit(self, size):
        fit_ours(self.X, self.y)

    def time_known_noise(self, size):
        fit_ours(self.X, self.y, noise_rates=0.25)

    def time_gram_and_eigh(self, size):
        gram_and_eigh(self.X)

    def peakmem_default_fit(self, size):
        fit_ours(self.X, self.y)


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of the fast methods")
    parser.add_argument("--slow-rounds", type=int, default=3, help="rounds of RidgeClassifierCV")
    parser.add_argument(
        "--limit", type=float, default=300, help="seconds a logistic method may take"
    )
    return parser.parse_args()


def main():
    """Measure and print everything."""
    arguments = parse_arguments()
    print(f"{machine()}; one thread")
    print_table(
        "Peak memory of a default fit, float64, MiB",
        ("n x p", "X", "allocated by the fit", "budget: 2 X + min(n, p)^2")
        + ("process before", "process peak"),
        map(memory_row, MEMORY_SIZES),
    )
    with threadpool_limits(1):
        print_table(
            "Cost of further targets, 2000 x 1000",
            ("what", "seconds", "a further target"),
            further_targets((2000, 1000), arguments),
        )
        print_table(
            "Time of a fit, real sets",
            ("set", "method", "seconds", "times the default fit of skrmt"),
            compare_real(arguments),
        )
        for size in SIZES:
            print_table(
                f"Time of a fit, n x p = {' x '.join(map(str, size))}",
                ("n x p", "method", "seconds", "times the default fit of skrmt"),
                compare(size, arguments),
            )


if __name__ == "__main__":
    main()
