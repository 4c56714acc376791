"""A table with every kind of column, and a way to run commands."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from skrmt.__main__ import main
from skrmt.datasets import flip_labels


@pytest.fixture
def run(capsys, tmp_path):
    """Run a command; returns its exit code, output and error output."""

    def call(*arguments):
        output = () if "--output" in arguments else ("--output", str(tmp_path / "out"))
        code = main([*map(str, arguments), *output])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def make_tumours():
    """Return noisy breast-cancer data with columns of every kind, and the true labels."""
    rng = np.random.default_rng(0)
    data = load_breast_cancer(as_frame=True)
    clean = data.target_names[data.target]
    n = len(clean)
    frame = data.data.iloc[:, :8].copy()
    frame.insert(0, "patient", [f"P{i:05d}" for i in rng.permutation(n)])
    frame["number"] = np.arange(n)
    frame["visit"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.permutation(n), "D")
    frame["visit"] = frame["visit"].dt.strftime("%Y-%m-%d")
    frame["ward"] = rng.choice(np.array(["north", "south", "east", None], dtype=object), n)
    frame["smoker"] = rng.random(n) < 0.3
    words = np.array(
        [
            "round",
            "smooth",
            "regular",
            "clear",
            "dense",
            "firm",
            "irregular",
            "large",
            "rough",
            "dark",
        ]
    )
    halves = {"benign": words[:6], "malignant": words[4:]}
    frame["comment"] = [" ".join(rng.choice(halves[label], 8)) for label in clean]
    frame.loc[[0, 9, 17], "mean radius"] = np.nan
    frame["diagnosis"] = flip_labels(clean, (0.1, 0.3), random_state=0)
    return frame, clean


@pytest.fixture(scope="session")
def tumours():
    return make_tumours()


@pytest.fixture
def csv(tumours, tmp_path):
    path = tmp_path / "tumours.csv"
    tumours[0].to_csv(path, index=False)
    return path


@pytest.fixture
def small():
    """Return two classes of 40 rows, 3 standard deviations apart in two columns."""
    rng = np.random.default_rng(1)
    label = np.repeat(["no", "yes"], 40)
    shift = np.where(label == "yes", 1.5, -1.5)
    return pd.DataFrame(
        {
            "a": rng.standard_normal(80) + shift,
            "b": rng.standard_normal(80) + shift,
            "c": rng.standard_normal(80),
            "label": label,
        }
    )


@pytest.fixture
def without(monkeypatch):
    """Make the import of packages fail, as where they are not installed."""

    def hide(*packages):
        for name in [*sys.modules, *packages]:
            if name.partition(".")[0] in packages:
                monkeypatch.setitem(sys.modules, name, None)

    return hide
