"""Write the inventories by which the documentation links to that of other packages.

    python docs/make_inventories.py

They list the public names of the installed packages, at the addresses that the reference pages of
each have, so that the documentation builds without a network.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent / "_inventories"
PAGES = {
    "sklearn": ("scikit-learn", "modules/generated/{name}.html#{name}"),
    "numpy": ("numpy", "reference/generated/{name}.html#{name}"),
    "scipy": ("scipy", "reference/generated/{name}.html#{name}"),
}
"""Package: its distribution, and where the page of a name is."""


def modules(package: str) -> Iterator[ModuleType]:
    """Yield a package and the public modules right below it."""
    root = importlib.import_module(package)
    yield root
    for found in pkgutil.iter_modules(root.__path__, f"{package}."):
        if not found.name.rpartition(".")[2].startswith(("_", "test", "conftest", "setup")):
            try:
                yield importlib.import_module(found.name)
            except ImportError:
                continue


def entries(package: str) -> Iterator[str]:
    """Yield the lines of an inventory: name, kind, priority, address, display name."""
    page = PAGES[package][1]
    seen = set()
    for module in modules(package):
        for public in sorted(getattr(module, "__all__", [])):
            name, member = f"{module.__name__}.{public}", vars(module).get(public)
            if name not in seen and callable(member):
                seen.add(name)
                kind = "class" if inspect.isclass(member) else "function"
                yield f"{name} py:{kind} 1 {page.format(name=name)} -"


def write(package: str) -> None:
    """Write one inventory, in version 2 of Sphinx's format."""
    head = [
        "# Sphinx inventory version 2",
        f"# Project: {PAGES[package][0]}",
        f"# Version: {version(PAGES[package][0])}",
        "# The remainder of this file is compressed using zlib.",
    ]
    body = zlib.compress("".join(f"{line}\n" for line in entries(package)).encode(), 9)
    path = FOLDER / f"{package}.inv"
    path.write_bytes("\n".join(head).encode() + b"\n" + body)
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for package in PAGES:
        write(package)
