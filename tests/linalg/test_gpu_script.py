"""The table of kernels on a device runs, and its results agree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.torch
def test_quick_table():
    pytest.importorskip("torch")
    command = [sys.executable, "benchmarks/gpu.py", "--quick", "--dtype", "float64"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    rows = [line.split("|") for line in run.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 15
    assert "All results agree" in run.stdout
    assert max(float(row[7]) for row in rows) < 1e-6
