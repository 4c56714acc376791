"""CollapseForecaster against its own simulation and a plain loop over chains: time, agreement."""

import argparse
import re
import resource
import time
from pydoc_data.topics import topics

import numpy as np
from _table import machine, print_table
from scipy import sparse
from threadpoolctl import threadpool_limits

from skrmt.collapse import CollapseForecaster, NextTokenModel

LAST = 50


def corpus(n_words=np.inf):
    """Return pages of Python's manual as words, up to some number of different ones."""
    documents, known = [], set()
    for text in topics.values():
        words = re.findall(r"[a-z_]+", text.lower())
        fresh = set(words) - known
        if len(known) + len(fresh) > n_words:
            break
        known |= fresh
        documents.append(words)
    return [words for words in documents if len(words) > 1]


def seconds(call, repeats):
    """Return the shortest of some times, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return min(times), result


def standard_error(simulated):
    """Return the standard errors of a simulated curve, from its 95 % band."""
    return (simulated.upper - simulated.lower) / (2 * 1.96)


def forecast_rows():
    """Yield times of forecasts and of simulations that reach 1 % at the last generation."""
    for size in (1011, np.inf):
        model = NextTokenModel().fit(corpus(size))
        forecaster = CollapseForecaster(n_generations=LAST)
        fit, _ = seconds(lambda f=forecaster, m=model: f.fit(m), 3)
        curve, _ = seconds(lambda f=forecaster: f.forecast(generation=np.arange(LAST + 1)), 20)
        trial = forecaster.simulate(60, 1)
        relative = standard_error(trial)[-1] / trial.score[-1]
        chains = max(2, int(np.ceil(60 * (relative / 0.01) ** 2)))
        start = time.perf_counter()
        forecaster.simulate(chains, 0)
        needed = time.perf_counter() - start
        simulated = forecaster.simulate(400, 2)
        error = standard_error(simulated)[1:]
        z = abs(simulated.score - forecaster.theoretical_diversity_)[1:] / error
        yield [
            len(model.contexts_),
            int(model.n_tokens_seen_),
            f"{1000 * fit:.1f}",
            f"{1000 * curve:.2f}",
            chains,
            f"{needed:.2f}",
            f"{needed / curve:.0f}",
            f"{needed / (fit + curve):.1f}",
            f"{z.max():.1f}",
        ]


def loop(p, n, chains, generations, rng):
    """Simulate one chain after the other."""
    found = np.empty((chains, generations))
    for chain in range(chains):
        model = p
        for generation in range(generations):
            model = rng.multinomial(n, model) / n
            found[chain, generation] = 1 - (model * model).sum()
    return found


def simulation_rows():
    """Yield times of chains of one context."""
    sizes = ((10_000, 100), (3000, 300), (1000, 100), (1000, 1000), (300, 1000), (100, 1000))
    for tokens, n in (*sizes, (30, 1000), (10, 1000), (50, 30), (10, 30), (1000, 10_000)):
        for name, power in (("Zipf", 1.0), ("equal", 0.0)):
            weights = 1e6 / np.arange(1, tokens + 1) ** power
            counts = np.maximum(1, np.round(weights)).astype(int)
            yield [tokens, n, name, *compared(counts, n)]


def compared(counts, n):
    """Return the times of a loop and of ours, their ratio, and the loop over the bare draws."""
    p = counts / counts.sum()
    forecaster = CollapseForecaster(n_synthetic=n, n_generations=20)
    forecaster.fit(sparse.csr_array(counts[None]))
    pairs = []
    for _ in range(5):
        plain, _ = seconds(lambda: loop(p, n, 200, 20, np.random.default_rng(0)), 1)
        ours, _ = seconds(lambda: forecaster.simulate(200, 0), 1)
        pairs.append((plain, ours))
    bare, _ = seconds(lambda: np.random.default_rng(0).multinomial(n, p, size=4000), 3)
    ratios = [plain / ours for plain, ours in pairs]
    plain, ours = np.median(pairs, axis=0)
    return [
        f"{1e3 * plain:.0f}",
        f"{1e3 * ours:.1f}",
        f"{np.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})",
        f"{plain / bare:.1f}",
    ]


def large_rows():
    """Yield time and memory of the counts and the forecast of a large corpus."""
    rng = np.random.default_rng(0)
    codes = np.minimum(rng.zipf(1.3, size=10_000_000), 100_000)
    documents = np.array_split(codes, 100)
    fit, model = seconds(lambda: NextTokenModel().fit(d.tolist() for d in documents), 1)
    forecast, _ = seconds(lambda: CollapseForecaster(n_jobs=2).fit(model), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    yield [len(model.contexts_), len(codes), f"{fit:.1f}", f"{forecast:.1f}", f"{peak:.2f}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also ten million tokens")
    arguments = parser.parse_args()
    print(machine())
    with threadpool_limits(1):
        print_table(
            "Forecast of 50 generations against simulation to 1 %",
            [
                "contexts",
                "tokens",
                "fit, ms",
                "predict, ms",
                "chains",
                "simulation, s",
                "/ predict",
                "/ (fit + curve)",
                "largest deviation, s.e.",
            ],
            forecast_rows(),
        )
        print_table(
            "200 chains of 20 generations, one context",
            ["tokens", "n", "truth", "loop, ms", "ours, ms", "ratio (range)", "loop / draws alone"],
            simulation_rows(),
        )
    if arguments.large:
        header = ["contexts", "tokens", "count, s", "forecast, s", "peak of the process, GiB"]
        print_table("Large corpus", header, large_rows())
