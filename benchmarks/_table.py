"""Markdown tables, and what describes a machine."""

import os
import platform

import numpy as np
import scipy
import sklearn

import skrmt


def print_table(title, header, rows):
    """Print a markdown table."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


def machine():
    """Describe the machine and the versions of what runs on it."""
    versions = {
        "Python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "cleanlab": _version("cleanlab"),
        "tensorly": _version("tensorly"),
        "mvlearn": _version("mvlearn"),
        "graspologic": _version("graspologic"),
        "skrmt": skrmt.__version__,
    }
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{platform.machine()}, {os.cpu_count()} cores; {listed}"


def _version(name):
    """Return the version of an optional package."""
    try:
        return __import__(name).__version__
    except ImportError:
        return "absent"


def pm(values, digits=3):
    """Format a mean and its standard error."""
    values = np.asarray(values, float)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():+.{digits}f} ± {error:.{digits}f}"
