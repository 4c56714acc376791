"""`skrmt.linalg` exports what users call, and kernels that two subjects or more share."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import skrmt.linalg

PACKAGE = Path(skrmt.linalg.__file__).parents[1]

FOR_USERS = {"deflate_mode", "group_path", "no_components", "power_sweeps", "residual_gram"}
"""Kernels of one subject or of none that the documentation describes as public tools."""

RECORDS = {"Components", "RankOne", "RidgeBasis"}
"""What exported kernels take or return."""


def clients() -> dict[str, set[str]]:
    """Return for each name imported from linalg the folders of skrmt whose files import it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        folder = path.relative_to(PACKAGE).parent.as_posix()
        if folder == "linalg":
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and "linalg" in (node.module or ""):
                for alias in node.names:
                    found[alias.name].add(folder)
    return found


def test_exported_kernels_have_two_clients_or_are_documented_for_users():
    kernels = set(skrmt.linalg.__all__) - RECORDS
    importing = clients()
    lonely = {name for name in kernels if len(importing[name]) < 2}
    assert lonely <= FOR_USERS, f"{lonely - FOR_USERS}: move each to the folder of its client"
    undocumented = [name for name in FOR_USERS if ">>>" not in getattr(skrmt.linalg, name).__doc__]
    assert undocumented == []
