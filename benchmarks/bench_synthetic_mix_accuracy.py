"""Accuracy of SyntheticMixClassifier against ridge on real rows, and on everything.

    python benchmarks/bench_synthetic_mix_accuracy.py [--repeats 5] [--seed 9000]

For every setting: accuracy of RidgeClassifierCV on the real rows, and on all kept rows; of the
estimator's own fits at weight 0 and 1; and of its choice, with how far its claim is from the
accuracy on test rows, the mean error of counting as many test rows as there are real ones, and how
often the interval holds.
"""

import argparse
import warnings

import numpy as np
from _synthetic import SAME, draw_mix, settings
from _table import machine, print_table
from sklearn.linear_model import RidgeClassifierCV

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import SyntheticMixClassifier

PENALTIES = np.logspace(-3, 4, 29)


def run(name, setting, cell, seed, same):
    """Return the measurements of one task."""
    task, generator = draw_mix(name, setting, cell, seed, same)
    source = {"generator_source": "same", "generator": generator} if same else {}
    model = SyntheticMixClassifier(pruning="mask", random_state=seed, **source)
    arguments = {
        "X_synthetic": task.X_synthetic,
        "y_synthetic": task.y_synthetic,
        "keep": task.keep,
    }
    kept = task.keep.astype(bool)
    stacked = np.concatenate([task.X, task.X_synthetic[kept]])
    labels = np.concatenate([task.y, task.y_synthetic[kept]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        model.fit(task.X, task.y, **arguments)
        ends = [model.__class__(**{**model.get_params(), "synthetic_weight": w}) for w in (0, 1)]
        own = [end.fit(task.X, task.y, **arguments) for end in ends]
    plain = RidgeClassifierCV(PENALTIES).fit(task.X, task.y)
    mixed = RidgeClassifierCV(PENALTIES).fit(stacked, labels)
    accuracy = model.score(task.X_test, task.y_test)
    low, high = model.theoretical_accuracy_interval_
    floor = np.sqrt(2 / np.pi * max(accuracy * (1 - accuracy), 0) / len(task.y))
    return [
        *(fit.score(task.X_test, task.y_test) for fit in (plain, mixed, *own)),
        accuracy,
        abs(model.theoretical_accuracy_ - accuracy),
        floor,
        float(low <= accuracy <= high),
    ]


def measure(repeats, first_seed):
    """Return one row a setting."""
    rows = []
    groups = [(settings(), False), (SAME, True)]
    for table, same in groups:
        for name, setting in table.items():
            for cell in setting[-1]:
                results = [
                    run(name, setting, cell, seed, same)
                    for seed in range(first_seed, first_seed + repeats)
                ]
                means = np.mean(results, axis=0)
                label = f"{name}{', same data' if same else ''}"
                rows.append((label, str(cell), *means))
    return rows


COLUMNS = (
    "setting",
    "(flips, kept right, kept wrong)",
    "RidgeCV real",
    "RidgeCV all",
    "weight 0",
    "weight 1",
    "chosen",
    "claim off",
    "counting off",
    "coverage",
)


def summary(rows):
    """Return the means that matter over groups of settings."""
    values = np.array([row[2:] for row in rows])
    flips = np.array([float(row[1].strip("(").split(",")[0]) for row in rows])
    sizes = np.array([int(row[0].split(" real")[0].split()[-1]) for row in rows])
    external = np.array(["same" not in row[0] for row in rows])
    groups = {
        "all settings": flips >= 0,
        "external generator": external,
        "60 % flips": flips == 0.6,
        "external, 60 real or fewer": external & (sizes <= 60),
        "external, 100 real": external & (sizes == 100),
        "external, 300 real or more": external & (sizes >= 300),
    }
    result = []
    for name, chosen in groups.items():
        if chosen.any():
            part = values[chosen]
            deficit = (np.maximum(part[:, 2], part[:, 3]) - part[:, 4]).mean()
            rivals = (np.maximum(part[:, 0], part[:, 1]) - part[:, 4]).mean()
            result.append((name, int(chosen.sum()), *part.mean(0), deficit, rivals))
    return result


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=9000)
    arguments = parser.parse_args()
    print(f"{machine()}; seeds from {arguments.seed}")
    rows = measure(arguments.repeats, arguments.seed)
    formats = ("{}", "{}", *["{:.3f}"] * 8)
    print_table("Real and synthetic rows: cells", COLUMNS, formatted(rows, formats))
    head = ("settings", "number", *COLUMNS[2:], "below best own", "below best ridge")
    print_table(
        "Real and synthetic rows: means",
        head,
        formatted(summary(rows), ("{}", "{}", *["{:.3f}"] * 10)),
    )


def formatted(rows, formats):
    """Return rows of text."""
    return [[f.format(v) for f, v in zip(formats, row, strict=True)] for row in rows]


if __name__ == "__main__":
    main()
