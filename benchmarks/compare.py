"""Every subject against what users pick today, in one table.

    python benchmarks/compare.py [--rounds 7] [--only SUBJECT] [--output docs/benchmarks.md]

Both sides get the same data in every round and take turns at starting, on one thread. The time
ratio is theirs over ours in the same round: above 1 skrmt is faster, below 1 slower.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _contests import contests
from _table import machine
from threadpoolctl import threadpool_limits

HEADER = (
    "job",
    "rival",
    "measured",
    "predicted",
    "skrmt",
    "theirs",
    "time of skrmt",
    "ratio, same job",
    "ratio, fit alone",
)
LOWER_IS_BETTER = {"excess squared error", "distance from test accuracy"}
NEUTRAL = {"diversity at the last"}
TEXT = """# Benchmarks

skrmt beside what people use today, on the same data in one process, as `make benchmarks` measures
it.

{table}

*predicted* is the quantity as skrmt predicts it, *skrmt* as it is measured, *theirs* the same
of the rival: means over {rounds} rounds, **bold** where the rival is better by more than
two standard errors of the paired differences. Ratios are the rival's time over that of skrmt in
the same round, median and range. *same job*: the rival also says how good its result is, by folds,
halves or bootstraps of its own; **bold** below 1, where skrmt is slower. *fit alone*: the rival
only fits, while the time of skrmt includes everything that it predicts.

Times are processor time on one thread; rivals have the settings named, otherwise their defaults.
mvlearn and graspologic are measured where they are installed.

Machine: {machine}.

Every subject has tables of its own, with more sizes, more rivals, and the accuracy of what is
predicted: [all tables](benchmark_details.rst).

```{{toctree}}
:hidden:

benchmark_details
```
"""


class Result(NamedTuple):
    """Times and qualities of both sides, one entry a round."""

    predicted: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray
    ratios: np.ndarray
    seconds: np.ndarray


def timed(call, data):
    """Return processor seconds and the result of a call, warnings silenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        result = call(data)
        return time.process_time() - start, result


def play(contest, rounds):
    """Return one `Result` for every rival of a contest."""
    sides = {"": contest.ours, **contest.rivals, **contest.fits}
    taken, qualities, predicted = [], [], []
    for call in sides.values():
        timed(call, contest.prepare(9999))
    for seed in range(9000, 9000 + rounds):
        data = contest.prepare(seed)
        names = list(sides) if seed % 2 else list(sides)[::-1]
        done = {name: timed(sides[name], data) for name in names}
        taken.append([done[name][0] for name in sides])
        qualities.append([contest.quality(data, done[name][1]) for name in sides])
        predicted.append(contest.predicted(data, done[""][1]) if contest.predicted else np.nan)
    taken, qualities, predicted = np.array(taken), np.array(qualities), np.array(predicted)
    return {
        name: Result(
            predicted,
            qualities[:, 0],
            qualities[:, column],
            taken[:, column] / np.maximum(taken[:, 0], 1e-9),
            taken[:, 0],
        )
        for column, name in enumerate(sides)
        if name
    }


def better(contest, result):
    """Tell whether the rival's quality is better by two standard errors."""
    if contest.measure in NEUTRAL:
        return False
    gain = result.theirs - result.ours
    gain = -gain if contest.measure in LOWER_IS_BETTER else gain
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
    return bool(gain.mean() > 2 * error + 1e-12)


def cells(contest, rival, result):
    """Return the row of a rival."""
    ratio = f"{number(np.median(result.ratios))} ({span(result.ratios)})"
    if rival in contest.fits:
        ratios = ("", ratio)
    else:
        ratios = (f"**{ratio}**" if np.median(result.ratios) < 1 else ratio, "")
    quality = f"{result.theirs.mean():.3f}"
    return (
        f"{contest.subject}: {contest.job}",
        rival,
        contest.measure,
        "" if np.isnan(result.predicted).all() else f"{np.nanmean(result.predicted):.3f}",
        f"{result.ours.mean():.3f}",
        f"**{quality}**" if better(contest, result) else quality,
        f"{1e3 * np.median(result.seconds):.3g} ms",
        *ratios,
    )


def number(value):
    """Format a ratio with two digits."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"


def span(values):
    """Format the smallest and the largest ratio."""
    return f"{number(min(values))}-{number(max(values))}"


def markdown(rows):
    """Return a Markdown table, which names a job in its first row only."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    for above, row in zip([None, *rows], rows, strict=False):
        job = "" if above and above[0] == row[0] else row[0]
        lines.append("| " + " | ".join([job, *row[1:]]) + " |")
    return "\n".join(lines)


def main():
    """Run the contests, print their rows, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of a contest (%(default)s)")
    parser.add_argument(
        "--only", metavar="SUBJECT", help="one subject, 'noisy labels' for instance"
    )
    parser.add_argument("--output", type=Path, help="Markdown page to write")
    arguments = parser.parse_args()
    chosen = [c for c in contests() if arguments.only in (None, c.subject)]
    if not chosen:
        known = ", ".join(sorted({contest.subject for contest in contests()}))
        parser.error(f"--only {arguments.only!r} is no subject: give one of {known}.")
    rows = []
    with threadpool_limits(1):
        for contest in chosen:
            for rival, result in play(contest, arguments.rounds).items():
                rows.append(cells(contest, rival, result))
                print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    table = markdown(rows)
    print(table)
    if arguments.output:
        page = TEXT.format(table=table, rounds=arguments.rounds, machine=machine())
        arguments.output.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
