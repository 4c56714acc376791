"""Commands that take long say what they do, and leave no half of a file when they are stopped."""

from __future__ import annotations

import time

import pandas as pd
import pytest

from skrmt.__main__ import main
from skrmt.linear_model import NoiseAwareLinearClassifier


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    x = [float(7 * i % 83) for i in range(100)]
    pd.DataFrame({"x": x, "label": [v > 41 for v in x]}).to_csv(path, index=False)
    return path


def test_a_slow_fit_is_announced(table, tmp_path, monkeypatch, capsys):
    fit = NoiseAwareLinearClassifier.fit

    def slow(self, *args, **options):
        time.sleep(0.5)
        return fit(self, *args, **options)

    monkeypatch.setattr(NoiseAwareLinearClassifier, "fit", slow)
    monkeypatch.setattr("skrmt._cli._progress.EVERY", 0.1)
    command = ["audit", str(table), "--target", "label", "--output", str(tmp_path / "out")]
    assert main(command) == 0
    printed = capsys.readouterr()
    assert "auditing 100 rows" in printed.err
    assert "s so far" in printed.err and "so far" not in printed.out


def test_a_command_that_is_stopped_leaves_no_half_of_a_file(table, tmp_path, monkeypatch):
    command = ["audit", str(table), "--target", "label", "--output", str(tmp_path / "out")]
    assert main([*command, "--report", "none"]) == 0
    path = tmp_path / "out" / "disagreements.csv"
    before = path.read_bytes()

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        main([*command, "--report", "none", "--force"])
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
