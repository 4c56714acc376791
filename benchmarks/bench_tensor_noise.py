"""TensorDeflation where noise is not white and entries are missing, beside tensorly's parafac.

    python benchmarks/bench_tensor_noise.py --part noise --draws 20

Tensors of 30 x 40 x 50 with two components of norms 5 and 4, cosines .3, in noise of mean variance
1 (counts: two positive components, mean 3). parafac starts from singular vectors and is given the
number of components. Real tensors are those of tensorly, and of the folder that the environment
variable SKRMT_DATA names.
"""

import argparse
import gzip
import os
import time
import warnings
from pathlib import Path

import numpy as np
from _table import machine, pm, print_table
from scipy.signal import lfilter
from tensorly.decomposition import parafac
from threadpoolctl import threadpool_limits

from skrmt.datasets import make_spiked_tensor
from skrmt.decomposition import TensorDeflation, factor_alignments

DIMS = (30, 40, 50)
PARTS = ["noise", "missing", "halves", "real", "time"]


def white(rng):
    """Return white noise."""
    return rng.standard_normal(DIMS)


def rows(rng):
    """Return noise whose standard deviation varies by a factor of up to 7 along the first axis."""
    scale = np.exp(rng.uniform(-1, 1, DIMS[0]))
    return white(rng) * (scale / np.sqrt((scale**2).mean()))[:, None, None]


def smooth(rng, coefficient=0.7):
    """Return autoregressive noise along the last axis."""
    noise = rng.standard_normal((*DIMS[:-1], DIMS[-1] + 100))
    noise = lfilter([1.0], [1.0, -coefficient], noise, axis=2)[..., 100:]
    return noise * np.sqrt(1 - coefficient**2)


def student(rng, freedom=4):
    """Return noise with Student's t distribution."""
    return rng.standard_t(freedom, DIMS) / np.sqrt(freedom / (freedom - 2))


NOISES = {
    "white": white,
    "unequal rows": rows,
    "autoregressive, .7": smooth,
    "autoregressive, .9": lambda rng: smooth(rng, 0.9),
    "Student t(4)": student,
    "Student t(3)": lambda rng: student(rng, 3),
}


def draw(kind, seed):
    """Return a tensor and its factors."""
    rng = np.random.default_rng(seed)
    if kind == "counts":
        factors = [rng.gamma(4.0, size=(size, 2)) for size in DIMS]
        mean = np.einsum("ar,br,cr->abc", *factors)
        counts = rng.poisson(3.0 * mean / mean.mean()).astype(float)
        return counts, [factor / np.linalg.norm(factor, axis=0) for factor in factors]
    data = make_spiked_tensor(DIMS, [5.0, 4.0], grams=0.3, random_state=seed)
    noiseless = np.einsum("ar,br,cr,r->abc", *data.factors, np.sqrt(120) * np.array([5.0, 4.0]))
    return noiseless + NOISES[kind](rng), data.factors


def measure(kind, share, n_draws):
    """Return, for each draw: number right, gap of the claim, alignments and seconds of both."""
    results = np.full((n_draws, 6), np.nan)
    for seed in range(n_draws):
        X, factors = draw(kind, 5000 + seed)
        gaps = np.random.default_rng(seed).random(X.shape) < share
        start = time.process_time()
        theirs = parafac(np.where(gaps, 0.0, X), 2, init="svd", mask=~gaps if share else None)[1]
        results[seed, 5] = time.process_time() - start
        results[seed, 3] = factor_alignments(theirs, factors).mean()
        start = time.process_time()
        try:
            model = TensorDeflation(random_state=0).fit(np.where(gaps, np.nan, X))
        except ValueError:
            results[seed, 0] = 0.0
            continue
        results[seed, 4] = time.process_time() - start
        results[seed, 0] = model.n_components_ == 2
        if results[seed, 0]:
            realised = factor_alignments(factors, model.factors_)
            results[seed, 1] = np.abs(model.theoretical_alignments_ - realised).max()
            results[seed, 2] = realised.mean()
    return results


def noise_rows(settings, draws):
    """Yield one row a kind of noise and share of missing entries."""
    for kind, share in settings:
        right, gap, ours, theirs, seconds, their_seconds = measure(kind, share, draws).T
        said = np.isfinite(gap)
        yield (
            kind,
            f"{share:.0%}",
            f"{right.sum():.0f} of {draws}",
            f"{said.sum()} of {draws}",
            pm(gap[said], 4) if said.any() else "-",
            pm(ours[said], 4) if said.any() else "-",
            pm(theirs, 4),
            f"{np.nanmedian(seconds):.2f} s" if np.isfinite(seconds).any() else "-",
            f"{np.median(their_seconds):.2f} s",
        )


def unequal_entries(signal, rng, spread):
    """Add noise whose variances are no product of the axes."""
    scale = np.exp(rng.normal(0, spread, (*DIMS[:2], 1)))
    return signal + scale / np.sqrt((scale**2).mean()) * white(rng)


def blocks(signal, rng):
    """Add noise that is louder in two blocks."""
    scale = np.ones(DIMS)
    scale[:10, :15], scale[15:, :, 30:] = 3.0, 2.0
    return signal + scale / np.sqrt((scale**2).mean()) * white(rng)


def saturated(signal, rng):
    """Cut off the largest 2 %."""
    noisy = signal + 0.2 * white(rng)
    return np.minimum(noisy, np.quantile(noisy, 0.98))


def further_structure(signal, rng):
    """Add a matrix in two axes, in noise of unequal variances."""
    matrix = rng.standard_normal((*DIMS[:2], 1)) * rng.standard_normal(DIMS[2])
    matrix *= 4 * np.sqrt(sum(DIMS)) / np.linalg.norm(matrix)
    return unequal_entries(signal + matrix, rng, 0.6)


SPOILED = {
    "entries of unequal variance, s.d. of logs .6": (
        (5, 4),
        lambda s, rng: unequal_entries(s, rng, 0.6),
    ),
    "entries of unequal variance, s.d. of logs 1": (
        (5, 4),
        lambda s, rng: unequal_entries(s, rng, 1.0),
    ),
    "louder blocks": ((5, 4), blocks),
    "noise in proportion to the signal": (
        (20, 10),
        lambda s, rng: s * (1 + 0.5 * white(rng)) + 0.3 * white(rng),
    ),
    "noise that grows with the signal": (
        (5, 4),
        lambda s, rng: s + white(rng) * (0.3 + 0.5 * np.abs(s) / np.abs(s).mean()),
    ),
    "saturated, norms 12 and 8": ((12, 8), saturated),
    "saturated, norms 20 and 10": ((20, 10), saturated),
    "further structure": ((5, 4), further_structure),
    "zeros for missing entries": (
        (5, 4),
        lambda s, rng: (s + white(rng)) * (rng.random(DIMS) > 0.2),
    ),
}


def half_rows(n_draws):
    """Yield how often the interval of split halves covers the mean overlap with true factors."""
    for kind, (norms, spoil) in SPOILED.items():
        results = []
        for seed in range(n_draws):
            rng = np.random.default_rng(7000 + seed)
            factors = make_spiked_tensor(DIMS, norms, grams=0.3, random_state=7000 + seed).factors
            weights = np.sqrt(sum(DIMS)) * np.array(norms)
            signal = np.einsum("ar,br,cr,r->abc", *factors, weights)
            model = TensorDeflation(2, random_state=0).fit(spoil(signal, rng))
            overlap = float((factor_alignments(factors, model.factors_) ** 2).mean())
            if model.regime_ == "misfit" and np.isfinite(model.theoretical_accuracy_):
                interval = model.theoretical_accuracy_interval_
                results.append((model.theoretical_accuracy_, *interval, overlap))
        claim, low, high, truth = np.reshape(results, (-1, 4)).T
        covered = (low <= truth) & (truth <= high)
        yield (
            kind,
            f"{len(claim)} of {n_draws}",
            f"{claim.mean():.4f}" if len(claim) else "-",
            f"{truth.mean():.4f}" if len(claim) else "-",
            f"{covered.sum()} of {len(claim)}",
            f"{np.median(high - low):.4f}" if len(claim) else "-",
        )


def real_tensors():
    """Yield names and tensors."""
    from tensorly import datasets

    yield "serology", np.array(datasets.load_covid19_serology().tensor, dtype=float)
    yield "interleukin response", np.array(datasets.load_IL2data().tensor, dtype=float)
    yield "kinetic fluorescence", np.array(datasets.load_kinetic().tensor, dtype=float)
    pines = np.array(datasets.load_indian_pines().tensor, dtype=float)
    yield "hyperspectral image", np.ascontiguousarray(pines[::3, ::3, ::3])
    folder = Path(os.environ.get("SKRMT_DATA", ""))
    digits = folder / "mfeat" / "mfeat.npz"
    if digits.exists():
        yield "digits", np.load(digits)["pix"].astype(float).reshape(2000, 15, 16)[::20]
    images = folder / "mnist" / "t10k-images-idx3-ubyte.gz"
    if images.exists():
        with gzip.open(images) as file:
            pixels = np.frombuffer(file.read()[16:], np.uint8)
        yield "images of digits", pixels.reshape(-1, 28, 28)[:100].astype(float)


def real_rows(ranks):
    """Yield one row a tensor and number of components."""
    for name, X in real_tensors():
        for rank in ranks:
            start = time.process_time()
            parafac(np.nan_to_num(X), rank, init="random", random_state=0)
            theirs = time.process_time() - start
            start = time.process_time()
            try:
                model = TensorDeflation(rank, random_state=0).fit(X)
            except ValueError:
                yield (
                    name,
                    " x ".join(map(str, X.shape)),
                    rank,
                    "refused",
                    "-",
                    "-",
                    f"{theirs:.2f}",
                )
                continue
            ours = time.process_time() - start
            low, high = model.theoretical_accuracy_interval_
            yield (
                name,
                " x ".join(map(str, X.shape)),
                rank,
                model.regime_,
                f"{model.theoretical_accuracy_:.2f} [{low:.2f}, {high:.2f}]",
                f"{ours:.2f} s",
                f"{theirs:.2f} s",
            )


def time_rows(rounds):
    """Yield CPU times on 60 x 60 x 100 entries, medians of paired rounds."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((60, 60, 100))
    tensors = {
        "ten components": make_spiked_tensor(
            (60, 60, 100), np.linspace(9, 3, 10), grams=0.3, random_state=0
        ).X,
        "white noise": noise,
        "autoregressive noise": lfilter([1.0], [1.0, -0.7], noise, axis=2),
    }
    methods = {
        "parafac": lambda X: parafac(X, 10, init="random", random_state=0),
        "ten": lambda X: TensorDeflation(10, random_state=0).fit(X),
        "auto": lambda X: TensorDeflation(random_state=0).fit(X),
    }
    for name, X in tensors.items():
        seconds = np.empty((rounds, len(methods)))
        for turn in range(rounds):
            for column, method in enumerate(methods.values()):
                start = time.process_time()
                method(X)
                seconds[turn, column] = time.process_time() - start
        theirs, ten, auto = np.median(seconds, axis=0)
        ratio = np.median(seconds[:, 1] / seconds[:, 0])
        yield name, f"{theirs:.2f} s", f"{ten:.2f} s", f"{ratio:.1f}", f"{auto:.2f} s"


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, nargs="+")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    parts = options.part or PARTS
    warnings.simplefilter("ignore")
    print(machine())
    header = (
        "noise",
        "missing",
        "number right",
        "predicted",
        "largest error of six alignments",
        "alignment",
        "alignment, parafac",
        "time",
        "time, parafac",
    )
    with threadpool_limits(1):
        if "noise" in parts:
            settings = [(kind, 0.0) for kind in [*NOISES, "counts"]]
            print_table("Tensor noise kinds", header, noise_rows(settings, options.draws))
        if "missing" in parts:
            settings = [("white", 0.1), ("white", 0.3), ("unequal rows", 0.3)]
            print_table("Tensor missing entries", header, noise_rows(settings, options.draws))
        if "halves" in parts:
            header = ("noise", "by halves", "accuracy", "measured", "covered", "median width")
            print_table("Tensor split halves", header, half_rows(options.draws))
        if "time" in parts:
            header = ("tensor", "parafac, ten", "ours, ten", "ratio", "ours, auto")
            print_table("Tensor times", header, time_rows(options.rounds))
        if "real" in parts:
            header = (
                "tensor",
                "shape",
                "components",
                "regime",
                "accuracy",
                "time",
                "time, parafac",
            )
            print_table("Real tensors", header, real_rows((3,)))


if __name__ == "__main__":
    main()
